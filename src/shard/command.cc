#include "shard/command.h"

#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "shard/shard.h"

namespace vectron::shard {
namespace {

constexpr uint8_t kMagic = 0xc3;
constexpr uint8_t kVersion = 2;     // newest
constexpr uint8_t kInsertOnly = 1;  // bit of the flags byte
constexpr size_t kAlignment = alignof(float);

// The version that knew a kind first: it says to an older process that it must be newer to apply
// the entry.
uint8_t VersionOf(CommandKind kind) {
  return kind == CommandKind::kUpsert || kind == CommandKind::kDelete ? uint8_t{1} : uint8_t{2};
}

void PutHead(std::string& out, CommandKind kind, uint8_t flags, std::string_view request_id) {
  CHECK_LE(request_id.size(), kMaxRequestIdBytes);
  PutFixed(out, kMagic);
  PutFixed(out, VersionOf(kind));
  PutFixed(out, static_cast<uint8_t>(kind));
  PutFixed(out, flags);
  PutLengthPrefixed(out, request_id);
}

// Zero bytes before the vectors, so that they begin at a multiple of 4.
size_t PaddingAt(size_t offset) { return (kAlignment - offset % kAlignment) % kAlignment; }

absl::Status CutShort(std::string_view what) { return DataLoss("command: cut short in {}", what); }

// Reads `count` strings of at most `max_bytes` each.
absl::Status ReadStrings(ByteReader& reader, uint64_t count, size_t max_bytes,
                         std::vector<std::string_view>& into) {
  // Every string has a length byte, so a count that the rest cannot hold is refused before memory
  // is taken for it.
  if (count > reader.remaining()) return CutShort("its strings");
  into.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view text;
    if (!reader.ReadLengthPrefixed(text)) return CutShort("its strings");
    if (text.size() > max_bytes) {
      return DataLoss("command: string {} has {} bytes, limit {}", i, text.size(), max_bytes);
    }
    into.push_back(text);
  }
  return absl::OkStatus();
}

absl::Status ReadVectors(ByteReader& reader, size_t offset, Command& command) {
  const uint64_t floats = uint64_t{command.ids.size()} * command.dimension;
  std::string_view padding;
  std::string_view raw;
  if (!reader.ReadBytes(PaddingAt(offset), padding) ||
      reader.remaining() / sizeof(float) < floats ||
      !reader.ReadBytes(floats * sizeof(float), raw)) {
    return CutShort("its vectors");
  }
  if (padding.find_first_not_of('\0') != padding.npos) return DataLoss("command: bad padding");
  if (reinterpret_cast<uintptr_t>(raw.data()) % kAlignment == 0) {
    command.vectors = {reinterpret_cast<const float*>(raw.data()), floats};
    return absl::OkStatus();
  }
  command.aligned.resize(floats);
  if (!raw.empty()) std::memcpy(command.aligned.data(), raw.data(), raw.size());
  command.vectors = command.aligned;
  return absl::OkStatus();
}

absl::Status ReadUpsert(ByteReader& reader, size_t size, Command& command) {
  uint32_t count = 0;
  if (!reader.ReadFixed(count) || !reader.ReadFixed(command.dimension)) return CutShort("its head");
  if (command.dimension == 0 || command.dimension > kMaxDimension) {
    return DataLoss("command: dimension {}, wanted 1 to {}", command.dimension, kMaxDimension);
  }
  RETURN_IF_ERROR(ReadStrings(reader, count, kMaxPointIdBytes, command.ids));
  RETURN_IF_ERROR(ReadStrings(reader, count, kMaxPayloadBytes, command.payloads));
  return ReadVectors(reader, size - reader.remaining(), command);
}

absl::Status ReadKey(ByteReader& reader, CommandKind kind, Command& command) {
  if (!reader.ReadLengthPrefixed(command.key)) return CutShort("its key");
  if (command.key.size() > kMaxPointIdBytes) {
    return DataLoss("command: a key of {} bytes, limit {}", command.key.size(), kMaxPointIdBytes);
  }
  if (kind == CommandKind::kDeleteKey) return absl::OkStatus();
  if (!reader.ReadLengthPrefixed(command.value)) return CutShort("its value");
  if (command.value.size() <= kMaxPayloadBytes) return absl::OkStatus();
  return DataLoss("command: a value of {} bytes, limit {}", command.value.size(), kMaxPayloadBytes);
}

}  // namespace

std::string EncodeUpsert(const UpsertWrite& write) {
  const PointBatch& points = write.points;
  CHECK_EQ(points.payloads.size(), points.ids.size());
  CHECK_EQ(points.vectors.size(), points.ids.size() * points.dimension);
  size_t bytes = 32 + write.request_id.size() + points.vectors.size() * sizeof(float);
  for (size_t i = 0; i < points.size(); ++i) {
    bytes += points.ids[i].size() + points.payloads[i].size() + 6;
  }
  std::string out;
  out.reserve(bytes);
  PutHead(out, CommandKind::kUpsert, write.insert_only ? kInsertOnly : uint8_t{0},
          write.request_id);
  PutFixed(out, static_cast<uint32_t>(points.size()));
  PutFixed(out, points.dimension);
  for (const std::string& id : points.ids) PutLengthPrefixed(out, id);
  for (const std::string& payload : points.payloads) PutLengthPrefixed(out, payload);
  out.append(PaddingAt(out.size()), '\0');
  out.append(reinterpret_cast<const char*>(points.vectors.data()),
             points.vectors.size() * sizeof(float));
  return out;
}

std::string EncodeDelete(const DeleteWrite& write) {
  std::string out;
  PutHead(out, CommandKind::kDelete, 0, write.request_id);
  PutLengthPrefixed(out, write.id);
  return out;
}

std::string EncodeKey(const KeyWrite& write) {
  CHECK(!write.key.empty());
  CHECK_LE(write.key.size(), kMaxPointIdBytes);
  std::string out;
  PutHead(out, write.value.has_value() ? CommandKind::kPutKey : CommandKind::kDeleteKey, 0, "");
  PutLengthPrefixed(out, write.key);
  if (!write.value.has_value()) return out;
  CHECK_LE(write.value->size(), kMaxPayloadBytes);
  PutLengthPrefixed(out, *write.value);
  return out;
}

uint64_t Fingerprint(const Command& command) {
  uint64_t hash = uint64_t{command.insert_only} << 8 | static_cast<uint64_t>(command.kind);
  const auto add = [&hash](std::string_view bytes) {
    hash = Hash64(bytes, Mix64(hash ^ bytes.size()));
  };
  for (const std::string_view id : command.ids) add(id);
  for (const std::string_view payload : command.payloads) add(payload);
  add({reinterpret_cast<const char*>(command.vectors.data()),
       command.vectors.size() * sizeof(float)});
  add(command.key);
  add(command.value);
  return hash != 0 ? hash : 1;
}

absl::StatusOr<Command> DecodeCommand(std::string_view bytes) {
  ByteReader reader(bytes);
  uint8_t magic = 0;
  uint8_t version = 0;
  uint8_t kind = 0;
  uint8_t flags = 0;
  if (!reader.ReadFixed(magic) || !reader.ReadFixed(version) || !reader.ReadFixed(kind) ||
      !reader.ReadFixed(flags)) {
    return CutShort("its head");
  }
  if (magic != kMagic) return DataLoss("command: starts with byte {:#x}", magic);
  if (version > kVersion) {
    return FailedPrecondition("command: version {}, newest known {}", version, kVersion);
  }
  Command command;
  if (!reader.ReadLengthPrefixed(command.request_id)) return CutShort("its request id");
  if (command.request_id.size() > kMaxRequestIdBytes) return DataLoss("command: long request id");
  if ((flags & ~kInsertOnly) != 0) return DataLoss("command: flags {:#x}", flags);
  command.insert_only = (flags & kInsertOnly) != 0;
  command.kind = static_cast<CommandKind>(kind);
  switch (command.kind) {
    case CommandKind::kUpsert:
      RETURN_IF_ERROR(ReadUpsert(reader, bytes.size(), command));
      break;
    case CommandKind::kDelete:
      RETURN_IF_ERROR(ReadStrings(reader, 1, kMaxPointIdBytes, command.ids));
      break;
    case CommandKind::kPutKey:
    case CommandKind::kDeleteKey:
      RETURN_IF_ERROR(ReadKey(reader, command.kind, command));
      break;
    default:
      return DataLoss("command: kind {}", kind);
  }
  if (version != VersionOf(command.kind)) {
    return DataLoss("command: kind {} of version {}", kind, version);
  }
  if (reader.remaining() != 0) {
    return DataLoss("command: {} bytes too many", reader.remaining());
  }
  return command;
}

}  // namespace vectron::shard
