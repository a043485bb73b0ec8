#pragma once

// The last resort when a majority of the placement nodes is lost for good: one that is left goes on
// alone with what it has, as its group's only voter; others join it anew (placement_node.h). What
// only the lost ones had acknowledged is gone: the newest collections, workers and moves, in the
// worst case. docs/running-a-cluster.md says when, and what to do then.
//
// Works on the data folder of a node that is not running.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "services/placement/cluster_state.h"
#include "shard/log_store.h"
#include "shard/recovery.h"

namespace vectron::placement {

// What it goes on with.
struct StoredPlacement {
  shard::StoredGroup group;
  ClusterState state;  // with all that the log holds
};
// Errors: NotFound (no placement node ran here), FailedPrecondition (it has no vote, is the only
// voter anyway, or is to be started once first), DataLoss.
absl::StatusOr<StoredPlacement> ReadStoredPlacement(FileSystem& files, const shard::LogStore& logs,
                                                    const std::string& data_dir);

// Makes the node its group's only voter, durably; a crash on the way leaves everything as it was,
// or done. Errors: ReadStoredPlacement's, and those of the disk.
absl::Status RecoverAlone(FileSystem& files, shard::LogStore& logs, const std::string& data_dir);

}  // namespace vectron::placement
