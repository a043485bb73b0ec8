#pragma once

// Where a worker's shards come from: over the local log of a single process (one copy), or as
// replicas of groups on a GroupHost.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "model/ids.h"
#include "rpc/shard_host_api.h"
#include "shard/local_log.h"
#include "shard/raft_host.h"
#include "shard/shard.h"

namespace vectron::consensus {
class SnapshotTransport;
}
namespace vectron::shard {
class GroupHost;
class SnapshotRegistry;
}  // namespace vectron::shard

namespace vectron::worker {

// Thread-safe; calls for one group do not overlap.
class ShardSource {
 public:
  virtual ~ShardSource() = default;

  // Opens the shard in `dir`, or makes it there. Errors: those of shard::Shard::Open and
  // shard::ShardReplica::Open.
  virtual absl::StatusOr<std::unique_ptr<shard::Shard>> Open(const rpc::ShardAssignment& assignment,
                                                             const std::string& dir) = 0;
  // Closes an open shard that nobody uses.
  virtual void Close(GroupId group, std::unique_ptr<shard::Shard> shard) = 0;
  // Closes a shard (null: it is not open) and removes everything of it: `dir` and the log.
  virtual absl::Status Destroy(GroupId group, const std::string& dir,
                               std::unique_ptr<shard::Shard> shard) = 0;
  // Removes what a destroyed shard left so as not to come back, once nobody can call it back.
  virtual absl::Status Forget(const std::string& dir) = 0;
  // Groups whose logs have something.
  virtual std::vector<GroupId> LoggedGroups() const = 0;
  // Whether a shard whose folder is missing may be begun anew: its group can give it its data
  // again.
  virtual bool CanRefill() const = 0;
  // Entries [first, last], which are committed. OutOfRange: the log no longer has them.
  virtual absl::StatusOr<std::vector<shard::Entry>> ReadLog(GroupId group, uint64_t first,
                                                            uint64_t last) const = 0;
  // What the group looks like from here; nullopt when there is no group, but one copy.
  virtual std::optional<shard::GroupView> View(GroupId group) const = 0;
};

// All outlive the source.
struct LocalShardsDeps {
  shard::ShardDeps shard;
  shard::LocalLog* log = nullptr;
};
std::unique_ptr<ShardSource> MakeLocalShards(const LocalShardsDeps& deps);

// All outlive the source.
struct GroupShardsDeps {
  shard::ShardDeps shard;
  shard::GroupHost* host = nullptr;
  consensus::SnapshotTransport* snapshots = nullptr;
  shard::SnapshotRegistry* registry = nullptr;
};
std::unique_ptr<ShardSource> MakeGroupShards(const GroupShardsDeps& deps);

}  // namespace vectron::worker
