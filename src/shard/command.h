#pragma once

// The content of one log entry: what a write asks for, before it is known what it does.
// docs/formats/command.md.
//
// Points lie column by column, the vectors raw and aligned, so that applying an entry parses no
// floats. The log keeps the checksum.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/point.h"

namespace vectron::shard {

struct UpsertWrite;
struct DeleteWrite;
struct KeyWrite;

enum class CommandKind : uint8_t { kUpsert = 1, kDelete = 2, kPutKey = 3, kDeleteKey = 4 };

// A command read in place: its views point into the bytes it was read from (the vectors into
// `aligned` when those bytes were not aligned). Movable.
struct Command {
  CommandKind kind = CommandKind::kUpsert;
  bool insert_only = false;
  std::string_view request_id;             // "" for none
  std::vector<std::string_view> ids;       // n; of kDelete: one; of keys: none
  std::vector<std::string_view> payloads;  // n; of kDelete and keys: none
  uint32_t dimension = 0;
  std::span<const float> vectors;  // n x dimension, row-major
  std::vector<float> aligned;
  std::string_view key;    // of kPutKey and kDeleteKey
  std::string_view value;  // of kPutKey

  std::span<const float> vector(size_t i) const {
    return vectors.subspan(i * dimension, dimension);
  }
};

// CHECKs the limits of base/limits.h, which the callers have tested.
std::string EncodeUpsert(const UpsertWrite& write);
std::string EncodeDelete(const DeleteWrite& write);
std::string EncodeKey(const KeyWrite& write);

// A hash of what the command asks for: kind, flags, ids, payloads, vectors, key and value, but not
// the request id, nor how the command was encoded. Never 0. Kept in replicated state, so it must
// not change.
uint64_t Fingerprint(const Command& command);

// `bytes` outlives the command. Errors: DataLoss (not a command, cut short, longer than it says),
// FailedPrecondition (made by a newer version).
absl::StatusOr<Command> DecodeCommand(std::string_view bytes);

}  // namespace vectron::shard
