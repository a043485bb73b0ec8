#pragma once

// What placement asks of a worker in one process: to hold a shard and to let it go. Two
// implementations: the worker service, and the fake of placement's tests. (In a cluster a worker
// learns the same from its heartbeats' answers.)

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/ids.h"

namespace vectron::rpc {

// One replica that a worker must hold.
struct ShardAssignment {
  CollectionSchema schema;
  GroupId group;
  ShardOrdinal ordinal;
  uint64_t epoch = 1;
  std::string owner = {};  // tenant
  // Of a replicated shard: this replica's id, those of the group's first voters, and the one of
  // them that campaigns first. 0 and none in a single process.
  uint64_t replica = 0;
  std::vector<uint64_t> founders = {};
  uint64_t preferred_leader = 0;
};

// Thread-safe. Calls block until their effect is on disk.
class ShardHostApi {
 public:
  virtual ~ShardHostApi() = default;

  // Makes an empty shard and serves it. What a crash left of an earlier attempt is removed first.
  // AlreadyExists (it is served), ResourceExhausted (disk, open files), Internal.
  virtual absl::Status CreateShard(const ShardAssignment& assignment) = 0;
  // Stops serving a shard and removes everything of it, also of one that is damaged or was never
  // opened. OK when there is nothing.
  virtual absl::Status DestroyShard(GroupId group) = 0;
  // Groups of which there is something on disk, in order.
  virtual absl::StatusOr<std::vector<GroupId>> StoredShards() = 0;
};

}  // namespace vectron::rpc
