#pragma once

// The record of a shard replica on disk: which replica lives in a folder, and in which state.
// Bytes: docs/formats/replica.md.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "shard/raft_state.h"

namespace vectron::shard {

enum class ReplicaState : uint8_t {
  kReady = 1,       // data/ is whole
  kCopying = 2,     // data/ is being replaced by a snapshot
  kTombstoned = 3,  // there is no data
};

struct ReplicaRecord {
  ReplicaState state = ReplicaState::kReady;
  ReplicaId replica;
  bool log_kept = true;  // of kTombstoned: the node's log still has the group, so this replica may
                         // go on; false: removed for good
  uint64_t term = 0;     // of kTombstoned, as last known
  uint64_t vote = 0;
  uint64_t last_index = 0;      // last entry in the log
  uint64_t snapshot_index = 0;  // of kCopying
};

std::string EncodeReplicaRecord(const ReplicaRecord& record);
// DataLoss, FailedPrecondition (newer format).
absl::StatusOr<ReplicaRecord> DecodeReplicaRecord(std::string_view bytes);

// The record in a replica's folder; nullopt when there is none. Errors name the file.
absl::StatusOr<std::optional<ReplicaRecord>> ReadReplicaRecord(FileSystem& files,
                                                               const std::string& dir);
// Synced when it returns.
absl::Status WriteReplicaRecord(FileSystem& files, const std::string& dir,
                                const ReplicaRecord& record);

}  // namespace vectron::shard
