// What each command does to the state. Total and deterministic: nothing here reads a clock, a
// random source or anything else but the command and the state.

#include <algorithm>

#include "base/limits.h"
#include "base/status.h"
#include "services/placement/cluster_state.h"
#include "services/placement/command.h"

namespace vectron::placement {

// The application of one command.
class StateChange {
 public:
  StateChange(uint64_t index, ClusterState& state) : index_(index), state_(state) {}

  Outcome operator()(const FoundCluster& c);
  Outcome operator()(const RegisterWorker& c);
  Outcome operator()(const ChangeWorker& c);
  Outcome operator()(const RemoveWorker& c);
  Outcome operator()(const RegisterReranker& c);
  Outcome operator()(const RemoveReranker& c);
  Outcome operator()(const BeginCreate& c);
  Outcome operator()(const FinishCreate& c);
  Outcome operator()(const DropCollection& c);
  Outcome operator()(const AddReplica& c);
  Outcome operator()(const StepReplica& c);
  Outcome operator()(const ConfirmDestroyed& c);

 private:
  Outcome Changed(uint64_t id = 0) {
    state_.version_ = index_;
    return {.status = absl::OkStatus(), .id = id};
  }
  static Outcome Refused(absl::Status status) { return {.status = std::move(status)}; }

  absl::Status CheckCreate(const BeginCreate& c) const;
  ShardRecord MakeShard(const BeginCreate& c, uint32_t ordinal);
  // The shard that a command means, if it still is as it was when the command was decided on.
  absl::StatusOr<ShardRecord*> Current(GroupId group, uint64_t version);
  // Marks that a shard, and so what its workers hold, has changed.
  void Touch(ShardRecord& shard);
  void TouchWorker(WorkerId worker) { state_.workers_.at(worker).assignments_version = index_; }
  void Doom(const ShardRecord& shard, const ReplicaRecord& replica) {
    state_.doomed_.emplace(DoomedReplica{shard.group, replica.id}, replica.worker);
    TouchWorker(replica.worker);
  }

  const uint64_t index_;
  ClusterState& state_;
};

Outcome ClusterState::Apply(uint64_t index, const Command& command) {
  applied_index_ = index;
  return std::visit(StateChange(index, *this), command.body);
}

Outcome StateChange::operator()(const FoundCluster& c) {
  if (!state_.cluster_id_.empty()) {
    return Refused(AlreadyExists("the cluster is called {} already", state_.cluster_id_));
  }
  state_.cluster_id_ = c.cluster_id;
  return Changed();
}

Outcome StateChange::operator()(const RegisterWorker& c) {
  WorkerRecord* known = nullptr;
  for (auto& [id, worker] : state_.workers_) {
    if (id == c.known || (c.known.value == 0 && worker.profile.node_uid == c.profile.node_uid)) {
      known = &worker;
    }
  }
  if (known != nullptr && known->profile.node_uid != c.profile.node_uid) {
    return Refused(FailedPrecondition(
        "worker {} is another node: its folder was copied, or belongs to another cluster",
        c.known.value));
  }
  if (known != nullptr) {
    known->registered_unix_ms = c.now_unix_ms;
    if (known->profile == c.profile) return {.status = absl::OkStatus(), .id = known->id.value};
    known->profile = c.profile;
    for (auto& [group, shard] : state_.shards_) {  // the others have to learn its address
      if (shard.On(known->id) != nullptr) Touch(shard);
    }
    return Changed(known->id.value);
  }
  if (c.known.value != 0) {
    return Refused(FailedPrecondition(
        "worker {} {}; start it with an empty folder", c.known.value,
        state_.WasRemoved(c.known) ? "was removed from the cluster" : "is none of this cluster"));
  }
  if (state_.workers_.size() >= kMaxWorkers) {
    return Refused(ResourceExhausted("there are {} workers, the most allowed", kMaxWorkers));
  }
  WorkerRecord worker{.id = WorkerId{state_.next_worker_++},
                      .profile = c.profile,
                      .registered_unix_ms = c.now_unix_ms,
                      .assignments_version = index_};
  const WorkerId id = worker.id;
  state_.workers_.emplace(id, std::move(worker));
  return Changed(id.value);
}

Outcome StateChange::operator()(const ChangeWorker& c) {
  const auto found = state_.workers_.find(c.worker);
  if (found == state_.workers_.end()) {
    return Refused(NotFound("worker {} does not exist", c.worker.value));
  }
  WorkerRecord& worker = found->second;
  const WorkerRecord before = worker;
  switch (c.change) {
    case WorkerChange::kJoined:
      worker.joined = true;
      break;
    case WorkerChange::kDrain:
      worker.draining = true;
      break;
    case WorkerChange::kCancelDrain:
      worker.draining = false;
      break;
    case WorkerChange::kDead:
      worker.dead = true;
      break;
    case WorkerChange::kAlive:
      worker.dead = false;
      break;
  }
  const bool same = before.joined == worker.joined && before.draining == worker.draining &&
                    before.dead == worker.dead;
  return same ? Outcome{} : Changed();
}

Outcome StateChange::operator()(const RemoveWorker& c) {
  const WorkerRecord* worker = state_.FindWorker(c.worker);
  if (worker == nullptr) return Refused(NotFound("worker {} does not exist", c.worker.value));
  const size_t left = state_.ReplicasOn(c.worker);
  if (left > 0) {
    return Refused(FailedPrecondition("worker {} still holds {} shards; drain it first",
                                      c.worker.value, left));
  }
  const auto on_it = [&c](const auto& doomed) { return doomed.second == c.worker; };
  const auto doomed = std::count_if(state_.doomed_.begin(), state_.doomed_.end(), on_it);
  if (doomed > 0 && !worker->dead) {
    return Refused(FailedPrecondition(
        "worker {} has 0 shards, but still {} replicas to destroy; try again soon", c.worker.value,
        doomed));
  }
  std::erase_if(state_.doomed_, on_it);
  state_.workers_.erase(c.worker);
  return Changed();
}

Outcome StateChange::operator()(const RegisterReranker& c) {
  for (auto& [id, reranker] : state_.rerankers_) {
    if (reranker.grpc_address != c.reranker.grpc_address) continue;
    const int64_t registered = reranker.registered_unix_ms;
    reranker = c.reranker;
    reranker.id = id;
    reranker.registered_unix_ms = registered;
    return Changed(id.value);
  }
  if (state_.rerankers_.size() >= kMaxRerankers) {
    return Refused(ResourceExhausted("there are {} rerankers, the most allowed", kMaxRerankers));
  }
  RerankerRecord reranker = c.reranker;
  reranker.id = RerankerId{state_.next_reranker_++};
  const RerankerId id = reranker.id;
  state_.rerankers_.emplace(id, std::move(reranker));
  return Changed(id.value);
}

Outcome StateChange::operator()(const RemoveReranker& c) {
  if (state_.rerankers_.erase(c.reranker) == 0) {
    return Refused(NotFound("reranker {} does not exist", c.reranker.value));
  }
  return Changed();
}

absl::Status StateChange::CheckCreate(const BeginCreate& c) const {
  if (state_.FindCollection(c.key) != nullptr) {
    return AlreadyExists("collection '{}' exists already", c.key.name);
  }
  if (state_.shards_.size() + c.shards.size() > kMaxClusterShards) {
    return ResourceExhausted("collection '{}' needs {} shards, {} exist, at most {} are allowed",
                             c.key.name, c.shards.size(), state_.shards_.size(), kMaxClusterShards);
  }
  if (c.shards.empty()) return InvalidArgument("collection '{}' has no shards", c.key.name);
  for (const std::vector<WorkerId>& workers : c.shards) {
    if (workers.empty()) return InvalidArgument("a shard of '{}' has no replicas", c.key.name);
    for (const WorkerId id : workers) {
      const WorkerRecord* worker = state_.FindWorker(id);
      if (worker == nullptr || !worker->eligible() ||
          std::count(workers.begin(), workers.end(), id) != 1) {
        return FailedPrecondition("collection '{}': worker {} cannot take a replica", c.key.name,
                                  id.value);
      }
    }
  }
  return absl::OkStatus();
}

ShardRecord StateChange::MakeShard(const BeginCreate& c, uint32_t ordinal) {
  ShardRecord shard{.group = GroupId{state_.next_group_++},
                    .collection = c.key,
                    .ordinal = ShardOrdinal{ordinal},
                    .last_move_unix_ms = c.now_unix_ms};
  for (const WorkerId worker : c.shards[ordinal]) {
    const ReplicaId id = ReplicaId::Make(worker, state_.next_serial_++);
    shard.replicas.push_back({.id = id, .worker = worker, .since_unix_ms = c.now_unix_ms});
    shard.founders.push_back(id);
  }
  shard.preferred_leader = shard.founders.front();
  return shard;
}

Outcome StateChange::operator()(const BeginCreate& c) {
  absl::Status checked = CheckCreate(c);
  if (!checked.ok()) return Refused(std::move(checked));
  CollectionRecord& collection = state_.collections_[c.key];
  collection = {.key = c.key,
                .schema_bytes = c.schema_bytes,
                .replication_factor = c.replication_factor,
                .created_unix_ms = c.now_unix_ms};
  for (uint32_t ordinal = 0; ordinal < c.shards.size(); ++ordinal) {
    ShardRecord shard = MakeShard(c, ordinal);
    collection.groups.push_back(shard.group);
    Touch(state_.shards_.emplace(shard.group, std::move(shard)).first->second);
  }
  return Changed();
}

Outcome StateChange::operator()(const FinishCreate& c) {
  const auto found = state_.collections_.find(c.key);
  if (found == state_.collections_.end()) {
    return Refused(NotFound("collection '{}' does not exist", c.key.name));
  }
  if (found->second.visible) return {};
  found->second.visible = true;
  found->second.version = index_;
  return Changed();
}

Outcome StateChange::operator()(const DropCollection& c) {
  const auto found = state_.collections_.find(c.key);
  if (found == state_.collections_.end()) {
    return Refused(NotFound("collection '{}' does not exist", c.key.name));
  }
  if (c.only_unfinished && found->second.visible) {
    return Refused(FailedPrecondition("collection '{}' is complete", c.key.name));
  }
  for (const GroupId group : found->second.groups) {
    const ShardRecord& shard = state_.shards_.at(group);
    for (const ReplicaRecord& replica : shard.replicas) Doom(shard, replica);
    state_.shards_.erase(group);
  }
  state_.collections_.erase(found);
  return Changed();
}

absl::StatusOr<ShardRecord*> StateChange::Current(GroupId group, uint64_t version) {
  const auto found = state_.shards_.find(group);
  if (found == state_.shards_.end()) return NotFound("group {} does not exist", group.value);
  if (found->second.version != version) {
    return Aborted("group {} has changed at {} since it was looked at ({})", group.value,
                   found->second.version, version);
  }
  return &found->second;
}

Outcome StateChange::operator()(const AddReplica& c) {
  const absl::StatusOr<ShardRecord*> shard = Current(c.group, c.shard_version);
  if (!shard.ok()) return Refused(shard.status());
  const WorkerRecord* worker = state_.FindWorker(c.worker);
  if (worker == nullptr || !worker->eligible()) {
    return Refused(FailedPrecondition("worker {} cannot take a replica", c.worker.value));
  }
  if ((*shard)->On(c.worker) != nullptr) {
    return Refused(FailedPrecondition("worker {} holds a replica of group {} already",
                                      c.worker.value, c.group.value));
  }
  (*shard)->replicas.push_back({.id = ReplicaId::Make(c.worker, state_.next_serial_++),
                                .worker = c.worker,
                                .role = ReplicaRole::kLearner,
                                .replaces = c.replaces,
                                .reason = c.reason,
                                .since_unix_ms = c.now_unix_ms});
  Touch(**shard);
  return Changed();
}

Outcome StateChange::operator()(const StepReplica& c) {
  const absl::StatusOr<ShardRecord*> current = Current(c.group, c.shard_version);
  if (!current.ok()) return Refused(current.status());
  ShardRecord& shard = **current;
  const auto replica =
      std::find_if(shard.replicas.begin(), shard.replicas.end(),
                   [&c](const ReplicaRecord& record) { return record.id == c.replica; });
  if (replica == shard.replicas.end()) {
    return Refused(NotFound("group {} has no replica {}", c.group.value, c.replica.value));
  }
  const auto stays = [](const ReplicaRecord& r) {
    return r.role == ReplicaRole::kVoter && !r.leaving;
  };
  const bool last =
      stays(*replica) && std::count_if(shard.replicas.begin(), shard.replicas.end(), stays) == 1;
  const bool in_order = (c.step == ReplicaStep::kPromote &&
                         replica->role == ReplicaRole::kLearner && !replica->leaving) ||
                        (c.step == ReplicaStep::kLeave && !replica->leaving && !last) ||
                        (c.step == ReplicaStep::kGone && replica->leaving) ||
                        (c.step == ReplicaStep::kStay && replica->leaving);
  if (!in_order) {
    return Refused(FailedPrecondition("group {}: replica {} cannot take that step now",
                                      c.group.value, c.replica.value));
  }
  Touch(shard);
  replica->since_unix_ms = c.now_unix_ms;
  if (c.step == ReplicaStep::kLeave) replica->leaving = true;
  if (c.step == ReplicaStep::kStay) replica->leaving = false;
  if (c.step == ReplicaStep::kPromote) {
    replica->role = ReplicaRole::kVoter;
    ++shard.epoch;
  }
  if (c.step == ReplicaStep::kGone) {
    if (replica->role == ReplicaRole::kVoter) {
      ++shard.epoch;
      shard.last_move_unix_ms = c.now_unix_ms;
    }
    Doom(shard, *replica);
    shard.replicas.erase(replica);
  }
  return Changed();
}

Outcome StateChange::operator()(const ConfirmDestroyed& c) {
  bool changed = false;
  for (const DoomedReplica& replica : c.replicas) changed |= state_.doomed_.erase(replica) > 0;
  return changed ? Changed() : Outcome{};
}

void StateChange::Touch(ShardRecord& shard) {
  shard.version = index_;
  for (const ReplicaRecord& replica : shard.replicas) TouchWorker(replica.worker);
  state_.collections_.at(shard.collection).version = index_;
}

}  // namespace vectron::placement
