#include "rpc/shard_moves.h"

#include <algorithm>

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

const pb::ReplicaDescriptor* FindReplica(const pb::MapShard& shard, uint64_t id) {
  const auto& replicas = shard.replicas();
  const auto found = std::find_if(replicas.begin(), replicas.end(), [id](const auto& replica) {
    return id != 0 && replica.replica_id() == id;
  });
  return found == replicas.end() ? nullptr : &*found;
}

}  // namespace

std::vector<ReplicaMove> MovesOf(const pb::MapShard& shard) {
  std::vector<ReplicaMove> moves;
  for (const pb::ReplicaDescriptor& replica : shard.replicas()) {
    if (replica.leaving()) {
      const auto& all = shard.replicas();
      const auto next = std::find_if(all.begin(), all.end(), [&replica](const auto& other) {
        return other.replaces_replica_id() == replica.replica_id();
      });
      moves.push_back({.from = WorkerId{replica.worker_id()},
                       .to = WorkerId{next == all.end() ? 0 : next->worker_id()},
                       .reason = next == all.end() ? "fewer replicas" : next->reason(),
                       .stage = ReplicaMove::Stage::kRemoving,
                       .since_unix_ms = replica.since_unix_ms()});
    } else if (replica.role() == pb::REPLICA_ROLE_LEARNER && !replica.search_only()) {
      const pb::ReplicaDescriptor* old = FindReplica(shard, replica.replaces_replica_id());
      if (old != nullptr && old->leaving()) continue;  // told with the one that leaves
      moves.push_back({.from = WorkerId{old == nullptr ? 0 : old->worker_id()},
                       .to = WorkerId{replica.worker_id()},
                       .reason = replica.reason(),
                       .stage = ReplicaMove::Stage::kCopying,
                       .since_unix_ms = replica.since_unix_ms()});
    }
  }
  return moves;
}

}  // namespace vectron::rpc
