// What the RPCs of the wire ask of a worker beside WorkerApi.

#include <algorithm>

#include "base/status.h"
#include "model/validate.h"
#include "services/worker/worker.h"

namespace vectron::worker {

absl::Status Worker::CheckPoints(const rpc::ShardTarget& target, const PointBatch& points) const {
  std::shared_ptr<const rpc::ShardAssignment> assignment;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    ASSIGN_OR_RETURN(const Slot* slot, Find(target));
    assignment = slot->assignment;
  }
  RETURN_IF_ERROR(vectron::CheckPoints(points, assignment->schema));
  for (const std::string& id : points.ids) {
    const ShardOrdinal ordinal = ShardOf(id, assignment->schema.shard_count);
    if (ordinal == assignment->ordinal) continue;
    return InvalidArgument("point '{}' belongs to shard {} of the collection, not to shard {}", id,
                           ordinal.value, assignment->ordinal.value);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<rpc::ShardTarget>> Worker::ShardsOf(
    const std::string& collection) const {
  std::vector<std::shared_ptr<const rpc::ShardAssignment>> shards;
  {
    const absl::ReaderMutexLock lock(&mutex_);
    for (const auto& [group, slot] : slots_) {
      if (slot.assignment->schema.name == collection) shards.push_back(slot.assignment);
    }
  }
  if (shards.empty()) {
    return NotFound("collection '{}' has no shard on this worker", collection);
  }
  std::sort(shards.begin(), shards.end(),
            [](const auto& a, const auto& b) { return a->ordinal < b->ordinal; });
  std::vector<rpc::ShardTarget> targets;
  for (const auto& shard : shards) {
    if (shard->owner != shards[0]->owner) {
      return FailedPrecondition("several owners have a collection '{}'; name a shard_id",
                                collection);
    }
    targets.push_back({.group = shard->group, .epoch = ~uint64_t{0}});
  }
  return targets;
}

absl::Status Worker::Flush(const rpc::ShardTarget& target) {
  ASSIGN_OR_RETURN(const Handle shard, Use(target));
  return shard->FlushAll();
}

absl::StatusOr<shard::ShardStats> Worker::Stats(const rpc::ShardTarget& target) const {
  ASSIGN_OR_RETURN(const Handle shard, Use(target));
  return shard->stats();
}

}  // namespace vectron::worker
