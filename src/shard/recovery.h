#pragma once

// The last resort for a group whose majority is lost for good: one replica that is left goes on
// alone, as the group's only voter, with all that its log holds. What the lost ones had
// acknowledged and this one has not is gone; what this one had taken in and was never acknowledged
// may count. docs/running-a-cluster.md says when, and what to do then.
//
// Works on the log of a node that is not running.

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "model/ids.h"
#include "shard/log_store.h"
#include "shard/raft_state.h"

namespace vectron::shard {

// How far a group's new term lies above the last that is known here: above any that the lost
// replicas may have had, so that those which come back after all give way.
inline constexpr uint64_t kRecoveredTermStep = 1'000'000;

// What a node that is not running knows of a group it has a replica of.
struct StoredGroup {
  ReplicaId replica;
  consensus::Membership membership;
  uint64_t term = 0;
  uint64_t committed_index = 0;  // as far as is known here
  uint64_t last_index = 0;
};
// NotFound: the log has no such group. DataLoss.
absl::StatusOr<StoredGroup> ReadStoredGroup(const LogStore& logs, GroupId group);

// Whether the replica may go on alone as far as its own disk says: FailedPrecondition when it has
// no vote, its data in `dir` (the replica's folder) is not whole, or a copy was being taken over.
absl::Status CheckRecoverable(const LogStore& logs, FileSystem& files, GroupId group,
                              const std::string& dir);

// FailedPrecondition: the group's replica here has no vote, or its whole state was being replaced.
absl::Status CheckVotes(const LogStore& logs, GroupId group);

// Makes the replica its group's only voter, durably. Errors: as CheckRecoverable's, and those of
// the log.
absl::Status RecoverAlone(LogStore& logs, FileSystem& files, GroupId group, const std::string& dir);

// The same for a group whose state its owner can put at a position of its choice (placement's): the
// replica begins anew at `index`, as if it took over a copy of its own state there. Beyond anything
// that others have in their logs, so that they can go on by copies alone. It holds once the
// applier's stored_index is `index`, which is for the caller to bring about next; until then a
// start finds everything as it was, but for the term. Errors: as CheckVotes's, and those of the
// log.
absl::Status AnnounceAloneAt(LogStore& logs, GroupId group, uint64_t index);

}  // namespace vectron::shard
