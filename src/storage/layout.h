#pragma once

// Every key and value that Vectron keeps in a Kv, on one page; the same in words:
// docs/formats/store.md and log.md.
//
// Shard store (one per replica, write-ahead log off: the replicated log is its log)
//   kPoints    point id                      -> u64 version, payload text
//   kVectors   point id                      -> f32 or f16 components, u64 version
//   kMeta      "applied"                     -> u64 log index of the last applied entry, in the
//   batch of its effects
//              "digest"                      -> u64 log index, u64 digest of the points then
//              "schema"                      -> serialised CreateCollectionRequest
//              "format"                      -> u64 version of this layout
//              "points"                      -> u64 number of points
//              "key/" key                    -> value: what WorkerService.Put wrote
//   kRequests  'r' request id                -> u64 log index, u64 fingerprint of the write
//              'i' u64be log index           -> request id (the order in which they are forgotten)
// Log store (one per node, write-ahead log on)
//   kEntries   u64be group, u64be index      -> u64 term, u64 bytes before, command
//   kGroups    'g' u64be group               -> what the log of a group holds (LogGroupRecord)
//              'h' u64be group               -> hard state of the consensus engine, opaque
//              "format"                      -> u64 version of this layout
//
// Numbers in values are little-endian, numbers in keys big-endian (their order is the key order).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "storage/kv.h"
#include "storage/rocks_kv.h"

namespace vectron::storage {

// --- shard store ---
inline constexpr uint32_t kShardStoreFormat = 1;
inline constexpr Column kPoints = 0;
inline constexpr Column kVectors = 1;
inline constexpr Column kMeta = 2;
inline constexpr Column kRequests = 3;
std::vector<ColumnOptions> ShardStoreColumns();

inline constexpr std::string_view kAppliedKey = "applied";
inline constexpr std::string_view kSchemaKey = "schema";
inline constexpr std::string_view kFormatKey = "format";
inline constexpr std::string_view kPointCountKey = "points";
inline constexpr std::string_view kDigestKey = "digest";

struct PointValue {
  uint64_t version = 0;
  std::string_view payload;  // into the decoded bytes
};
std::string EncodePointValue(uint64_t version, std::string_view payload);
absl::StatusOr<PointValue> DecodePointValue(std::string_view bytes);

std::string EncodeNumber(uint64_t value);
// DataLoss unless 8 bytes.
absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes);

// Of a key of WorkerService.Put; no other key of kMeta begins so.
std::string RawKey(std::string_view key);

struct RequestValue {
  uint64_t index = 0;
  uint64_t fingerprint = 0;  // 0 and not stored: unknown
};
std::string RequestKey(std::string_view request_id);
// The request id of a RequestKey; nullopt for other keys.
std::optional<std::string_view> ParseRequestKey(std::string_view key);
std::string RequestOrderKey(uint64_t index);
// The index of a RequestOrderKey; nullopt for other keys.
std::optional<uint64_t> ParseRequestOrderKey(std::string_view key);
std::string EncodeRequestValue(const RequestValue& value);
absl::StatusOr<RequestValue> DecodeRequestValue(std::string_view bytes);

// --- log store ---
inline constexpr uint32_t kLogStoreFormat = 1;
inline constexpr Column kLogEntries = 0;
inline constexpr Column kLogGroups = 1;
std::vector<ColumnOptions> LogStoreColumns();

struct LogPosition {
  uint64_t group = 0;
  uint64_t index = 0;
  bool operator==(const LogPosition&) const = default;
};
std::string LogEntryKey(const LogPosition& position);
std::optional<LogPosition> ParseLogEntryKey(std::string_view key);

// What stands before the command in an entry's value.
struct LogEntryHeader {
  uint64_t term = 0;
  uint64_t bytes_before =
      0;  // command bytes of all entries of the group before this one, cut ones included
};
inline constexpr size_t kLogEntryHeaderBytes = 16;
std::string EncodeLogEntryHeader(const LogEntryHeader& header);
struct LogEntryValue {
  LogEntryHeader header;
  std::string_view command;  // into the decoded bytes
};
absl::StatusOr<LogEntryValue> DecodeLogEntryValue(std::string_view bytes);

// The entries [first_index, next_index) of a group are in the store.
struct LogGroupRecord {
  uint64_t first_index = 1;
  uint64_t next_index = 1;
  uint64_t cut_term = 0;      // of entry first_index - 1; 0 when there never was one
  uint64_t last_term = 0;     // of entry next_index - 1, also when that one was cut
  uint64_t bytes_before = 0;  // command bytes of all entries before first_index
  uint64_t bytes_after = 0;   // and before next_index
  bool operator==(const LogGroupRecord&) const = default;
};
std::string LogGroupKey(uint64_t group);
// The group of a LogGroupKey; nullopt for other keys.
std::optional<uint64_t> ParseLogGroupKey(std::string_view key);
std::string LogHardStateKey(uint64_t group);
std::string EncodeLogGroupRecord(const LogGroupRecord& record);
absl::StatusOr<LogGroupRecord> DecodeLogGroupRecord(std::string_view bytes);

// The least key above every key that begins with `prefix`: the end of a scan over it. "" (no end)
// when there is none.
std::string PrefixEnd(std::string_view prefix);

}  // namespace vectron::storage
