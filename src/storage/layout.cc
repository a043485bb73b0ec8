#include "storage/layout.h"

#include "base/status.h"

namespace vectron::storage {
namespace {

constexpr char kRequestPrefix = 'r';
constexpr char kRequestOrderPrefix = 'i';
constexpr char kGroupPrefix = 'g';
constexpr char kHardStatePrefix = 'h';

std::string Prefixed(char prefix, std::string_view rest) {
  std::string key(1, prefix);
  key.append(rest);
  return key;
}

std::string PrefixedNumber(char prefix, uint64_t number) {
  std::string key(1, prefix);
  PutBigEndian64(key, number);
  return key;
}

std::optional<uint64_t> ParsePrefixedNumber(char prefix, std::string_view key) {
  if (key.size() != 9 || key.front() != prefix) return std::nullopt;
  return LoadBigEndian64(key.data() + 1);
}

}  // namespace

std::vector<ColumnOptions> ShardStoreColumns() {
  return {{"points", ColumnUse::kPoints},
          {"vectors", ColumnUse::kLargeValues},
          {"meta", ColumnUse::kSmall},
          {"requests", ColumnUse::kSmall}};
}

std::string EncodePointValue(uint64_t version, std::string_view payload) {
  std::string value;
  value.reserve(sizeof version + payload.size());
  PutFixed(value, version);
  value.append(payload);
  return value;
}

absl::StatusOr<PointValue> DecodePointValue(std::string_view bytes) {
  ByteReader reader(bytes);
  PointValue value;
  if (!reader.ReadFixed(value.version)) return DataLoss("point value of {} bytes", bytes.size());
  value.payload = bytes.substr(sizeof value.version);
  return value;
}

std::string RawKey(std::string_view key) { return fmt::format("key/{}", key); }

std::string EncodeNumber(uint64_t value) {
  std::string bytes;
  PutFixed(bytes, value);
  return bytes;
}

absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes) {
  if (bytes.size() != sizeof(uint64_t)) return DataLoss("number of {} bytes", bytes.size());
  return LoadFixed<uint64_t>(bytes.data());
}

std::string RequestKey(std::string_view request_id) { return Prefixed(kRequestPrefix, request_id); }
std::optional<std::string_view> ParseRequestKey(std::string_view key) {
  if (key.empty() || key.front() != kRequestPrefix) return std::nullopt;
  return key.substr(1);
}
std::string RequestOrderKey(uint64_t index) { return PrefixedNumber(kRequestOrderPrefix, index); }
std::optional<uint64_t> ParseRequestOrderKey(std::string_view key) {
  return ParsePrefixedNumber(kRequestOrderPrefix, key);
}

std::string EncodeRequestValue(const RequestValue& value) {
  std::string bytes;
  PutFixed(bytes, value.index);
  if (value.fingerprint != 0) PutFixed(bytes, value.fingerprint);
  return bytes;
}

absl::StatusOr<RequestValue> DecodeRequestValue(std::string_view bytes) {
  ByteReader reader(bytes);
  RequestValue value;
  reader.ReadFixed(value.index);
  if (reader.remaining() > 0) reader.ReadFixed(value.fingerprint);
  if (reader.ok() && reader.remaining() == 0) return value;
  return DataLoss("request value of {} bytes", bytes.size());
}

std::vector<ColumnOptions> LogStoreColumns() {
  return {{"entries", ColumnUse::kLog}, {"groups", ColumnUse::kSmall}};
}

std::string LogEntryKey(const LogPosition& position) {
  std::string key;
  PutBigEndian64(key, position.group);
  PutBigEndian64(key, position.index);
  return key;
}

std::optional<LogPosition> ParseLogEntryKey(std::string_view key) {
  if (key.size() != 16) return std::nullopt;
  return LogPosition{.group = LoadBigEndian64(key.data()),
                     .index = LoadBigEndian64(key.data() + 8)};
}

std::string EncodeLogEntryHeader(const LogEntryHeader& header) {
  std::string bytes;
  PutFixed(bytes, header.term);
  PutFixed(bytes, header.bytes_before);
  return bytes;
}

absl::StatusOr<LogEntryValue> DecodeLogEntryValue(std::string_view bytes) {
  ByteReader reader(bytes);
  LogEntryValue value;
  if (!reader.ReadFixed(value.header.term) || !reader.ReadFixed(value.header.bytes_before)) {
    return DataLoss("log entry of {} bytes", bytes.size());
  }
  value.command = bytes.substr(kLogEntryHeaderBytes);
  return value;
}

std::string LogGroupKey(uint64_t group) { return PrefixedNumber(kGroupPrefix, group); }
std::optional<uint64_t> ParseLogGroupKey(std::string_view key) {
  return ParsePrefixedNumber(kGroupPrefix, key);
}
std::string LogHardStateKey(uint64_t group) { return PrefixedNumber(kHardStatePrefix, group); }

std::string EncodeLogGroupRecord(const LogGroupRecord& record) {
  std::string bytes;
  PutFixed(bytes, record.first_index);
  PutFixed(bytes, record.next_index);
  PutFixed(bytes, record.cut_term);
  PutFixed(bytes, record.last_term);
  PutFixed(bytes, record.bytes_before);
  PutFixed(bytes, record.bytes_after);
  return bytes;
}

absl::StatusOr<LogGroupRecord> DecodeLogGroupRecord(std::string_view bytes) {
  ByteReader reader(bytes);
  LogGroupRecord record;
  const bool whole = reader.ReadFixed(record.first_index) && reader.ReadFixed(record.next_index) &&
                     reader.ReadFixed(record.cut_term) && reader.ReadFixed(record.last_term) &&
                     reader.ReadFixed(record.bytes_before) &&
                     reader.ReadFixed(record.bytes_after) && reader.remaining() == 0;
  if (!whole) return DataLoss("log group record of {} bytes", bytes.size());
  if (record.first_index == 0 || record.first_index > record.next_index ||
      record.bytes_before > record.bytes_after) {
    return DataLoss("log group record: entries [{}, {}), bytes [{}, {})", record.first_index,
                    record.next_index, record.bytes_before, record.bytes_after);
  }
  return record;
}

std::string PrefixEnd(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<uint8_t>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

}  // namespace vectron::storage
