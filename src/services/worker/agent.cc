#include "services/worker/agent.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "model/collection.h"
#include "services/worker/membership.h"
#include "vectron/vectron.pb.h"

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kCallMs = 5'000;        // of a registration or heartbeat
constexpr int64_t kRetryMs = 500;         // after one that failed
constexpr int64_t kGoodbyeMs = 1'000;     // for the last one
constexpr int64_t kSteerMs = 50;          // between steps while there are some
constexpr int64_t kUrgeMs = 200;          // between elections called for in a new group
constexpr int64_t kFreshGroupMs = 3'000;  // a new group's first leader is urged on for this long

}  // namespace

pb::RegisterWorkerRequest Registration(const NodeProfile& profile,
                                       const node::v1::Identity& identity, int64_t unix_ms) {
  pb::RegisterWorkerRequest request;
  request.set_grpc_address(profile.grpc_address);
  request.set_raft_address(profile.raft_address);
  request.set_timestamp(unix_ms / 1'000);
  request.set_cpu_cores(profile.cpu_cores);
  request.set_memory_bytes(profile.memory_bytes);
  request.set_disk_bytes(profile.disk_bytes);
  request.set_rack(profile.rack);
  request.set_zone(profile.zone);
  request.set_region(profile.region);
  request.set_node_uid(identity.node_uid());
  request.set_worker_id(identity.worker_id());
  request.set_cluster_id(identity.cluster_id());
  request.set_search_only(profile.search_only);
  return request;
}

absl::StatusOr<rpc::ShardAssignment> AssignmentOf(const pb::ReplicaAssignment& wire) {
  rpc::ShardAssignment assignment;
  ASSIGN_OR_RETURN(assignment.schema, SchemaFromProto(wire.schema(), 1, 1));
  assignment.group = GroupId{wire.group_id()};
  assignment.ordinal = ShardOrdinal{wire.ordinal()};
  assignment.epoch = wire.shard_epoch();
  assignment.owner = wire.owner();
  assignment.replica = wire.replica_id();
  assignment.founders.assign(wire.founders().begin(), wire.founders().end());
  assignment.preferred_leader = wire.preferred_leader();
  if (assignment.group.value == 0 || assignment.replica == 0) {
    return InvalidArgument("an assignment names group {} and replica {}", wire.group_id(),
                           wire.replica_id());
  }
  return assignment;
}

Agent::Agent(const NodeProfile& profile, const AgentDeps& deps) : profile_(profile), deps_(deps) {
  CHECK(deps.clock != nullptr && deps.timer != nullptr && deps.executor != nullptr);
  CHECK(deps.worker != nullptr && deps.host != nullptr && deps.state != nullptr);
  const absl::MutexLock lock(&mutex_);
  for (const pb::ReplicaAssignment& wire : deps.state->assignments().list().replicas()) {
    assignments_[wire.group_id()] = std::make_shared<const pb::ReplicaAssignment>(wire);
  }
}

Agent::~Agent() { Stop(); }

std::vector<rpc::ShardAssignment> Agent::StoredAssignments() const {
  std::vector<rpc::ShardAssignment> assignments;
  for (const AssignmentPtr& wire : Assignments()) {
    absl::StatusOr<rpc::ShardAssignment> assignment = AssignmentOf(*wire);
    if (assignment.ok()) {
      assignments.push_back(*std::move(assignment));
    } else {
      LogError("shard group {}: {}", wire->group_id(), MessageOf(assignment.status()));
    }
  }
  return assignments;
}

std::vector<Agent::AssignmentPtr> Agent::Assignments() const {
  std::vector<AssignmentPtr> assignments;
  const absl::MutexLock lock(&mutex_);
  for (const auto& [group, wire] : assignments_) assignments.push_back(wire);
  return assignments;
}

std::string Agent::RaftAddressOf(WorkerId node) const {
  const absl::MutexLock lock(&mutex_);
  for (const auto& [group, assignment] : assignments_) {
    for (const pb::ReplicaDescriptor& replica : assignment->replicas()) {
      if (replica.worker_id() == node.value) return replica.raft_address();
    }
  }
  return {};
}

bool Agent::registered() const {
  const absl::MutexLock lock(&mutex_);
  return registered_;
}

void Agent::Start() {
  SteerLater();
  Nudge();
}

void Agent::Nudge() {
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    if (beating_) {
      nudged_ = true;
      return;
    }
    beating_ = true;
    ++running_;
    CancelTimer();
  }
  deps_.executor->Schedule([this] { Beat(); });
}

// Ends a round, and sees to the next one.
void Agent::Schedule(int64_t in_ms) {
  const absl::MutexLock lock(&mutex_);
  --running_;
  beating_ = false;
  if (stopped_) return;
  if (std::exchange(nudged_, false)) in_ms = 0;
  CancelTimer();
  ++running_;
  timer_ = deps_.timer->At(deps_.clock->MonotonicNanos() + in_ms * kNanosPerMilli, [this] {
    {
      const absl::MutexLock inner(&mutex_);
      timer_ = 0;
    }
    Nudge();
    const absl::MutexLock inner(&mutex_);
    --running_;
  });
}

void Agent::CancelTimer() {
  if (timer_ != 0 && deps_.timer->Cancel(timer_)) --running_;
  timer_ = 0;
}

void Agent::Beat() {
  if (!registered()) return Register();
  pb::HeartbeatRequest request = MakeHeartbeat(/*stopping=*/false);
  deps_.placement.heartbeat(
      std::move(request), deps_.clock->MonotonicNanos() + kCallMs * kNanosPerMilli,
      [this](absl::StatusOr<pb::HeartbeatResponse> response) {
        // The answer may take files and syncs to act on: not in the caller's thread.
        deps_.executor->Schedule(
            [this, response = std::move(response)]() mutable { OnHeartbeat(std::move(response)); });
      });
}

void Agent::Register() {
  deps_.placement.register_worker(
      Registration(profile_, deps_.state->identity(), deps_.clock->UnixMillis()),
      deps_.clock->MonotonicNanos() + kCallMs * kNanosPerMilli,
      [this](const absl::StatusOr<pb::RegisterWorkerResponse>& response) {
        deps_.executor->Schedule([this, response] { OnRegistered(response); });
      });
}

void Agent::OnRegistered(const absl::StatusOr<pb::RegisterWorkerResponse>& response) {
  if (absl::IsFailedPrecondition(response.status())) {
    deps_.on_expelled(response.status());
    return Schedule(kCallMs);
  }
  if (!response.ok() ||
      response->worker_id() != std::to_string(deps_.state->identity().worker_id())) {
    if (response.ok()) {
      deps_.on_expelled(FailedPrecondition("placement knows this node as worker {}, not {}",
                                           response->worker_id(),
                                           deps_.state->identity().worker_id()));
    }
    return Schedule(kRetryMs);
  }
  {
    const absl::MutexLock lock(&mutex_);
    registered_ = true;
    nudged_ = true;  // the first heartbeat follows at once
    if (response->heartbeat_interval_ms() != 0) interval_ms_ = response->heartbeat_interval_ms();
  }
  Schedule(0);
}

pb::HeartbeatRequest Agent::MakeHeartbeat(bool stopping) {
  pb::HeartbeatRequest request;
  const node::v1::Identity& identity = deps_.state->identity();
  request.set_worker_id(std::to_string(identity.worker_id()));
  request.set_cluster_id(identity.cluster_id());
  request.set_timestamp(deps_.clock->UnixMillis() / 1'000);
  request.set_stopping(stopping);
  reporter_.Fill(deps_.worker->Report(), deps_.load(), deps_.clock->MonotonicNanos(), request);
  const absl::MutexLock lock(&mutex_);
  request.set_assignments_epoch(epoch_);
  for (pb::ReplicaReport& report : *request.mutable_replicas()) {
    if (busy_.contains(report.group_id())) report.set_membership_pending(true);
  }
  for (const auto& [group, why] : failed_) {
    const auto assignment = assignments_.find(group);
    if (assignment == assignments_.end()) continue;
    pb::ReplicaReport& report = *request.add_replicas();
    report.set_group_id(group);
    report.set_replica_id(assignment->second->replica_id());
    report.set_health(pb::REPLICA_HEALTH_FAILED);
    report.set_problem(std::string(MessageOf(why)));
  }
  for (const auto& [group, replica] : destroyed_) {
    pb::ReplicaRef& ref = *request.add_destroyed();
    ref.set_group_id(group);
    ref.set_replica_id(replica);
  }
  return request;
}

void Agent::OnHeartbeat(absl::StatusOr<pb::HeartbeatResponse> response) {
  if (!response.ok()) {
    if (absl::IsFailedPrecondition(response.status())) deps_.on_expelled(response.status());
    const absl::MutexLock lock(&mutex_);
    if (absl::IsNotFound(response.status())) registered_ = false;
  }
  if (!response.ok()) return Schedule(kRetryMs);
  if (response->has_assignments()) TakeAssignments(*response);
  Destroy({response->destroy().begin(), response->destroy().end()});
  for (const pb::LeaderTransfer& transfer : response->transfer_leaders()) {
    deps_.host->TransferLeadership(GroupId{transfer.group_id()},
                                   shard::ReplicaId{transfer.to_replica_id()});
  }
  for (const AssignmentPtr& wire : Assignments()) StartReplica(*wire);
  int64_t next_ms = response->next_heartbeat_ms();
  {
    const absl::MutexLock lock(&mutex_);
    if (next_ms == 0) next_ms = interval_ms_;
  }
  SteerLater();
  Schedule(next_ms);
}

void Agent::TakeAssignments(pb::HeartbeatResponse& response) {
  {
    const absl::MutexLock lock(&mutex_);
    if (response.assignments_epoch() < epoch_) return;  // an older answer
  }
  node::v1::Assignments stored;
  stored.set_epoch(response.assignments_epoch());
  stored.mutable_list()->Swap(response.mutable_assignments());
  const absl::Status kept = deps_.state->SetAssignments(stored);
  if (!kept.ok()) {  // not acted on, so placement says it again
    LogError("the assignments cannot be kept: {}", MessageOf(kept));
    return;
  }
  std::vector<std::pair<GroupId, uint64_t>> epochs;
  {
    const absl::MutexLock lock(&mutex_);
    epoch_ = stored.epoch();
    assignments_.clear();
    for (const pb::ReplicaAssignment& wire : stored.list().replicas()) {
      assignments_[wire.group_id()] = std::make_shared<const pb::ReplicaAssignment>(wire);
      epochs.emplace_back(GroupId{wire.group_id()}, wire.shard_epoch());
    }
  }
  for (const auto& [group, epoch] : epochs) {
    // NotFound: it is yet to be started, with this epoch.
    if (const absl::Status set = deps_.worker->SetEpoch(group, epoch); !set.ok()) continue;
  }
}

void Agent::StartReplica(const pb::ReplicaAssignment& wire) {
  const uint64_t group = wire.group_id();
  absl::StatusOr<rpc::ShardAssignment> assignment = AssignmentOf(wire);
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_ || busy_.contains(group) || deps_.worker->Holds(GroupId{group})) return;
    if (!assignment.ok()) {
      failed_[group] = assignment.status();
      return;
    }
    busy_.insert(group);
    ++running_;
  }
  deps_.executor->Schedule([this, group, assignment = *std::move(assignment)] {
    const absl::Status added = deps_.worker->AddShard(assignment);
    if (!added.ok()) {
      LogError("collection '{}', shard {} cannot be served: {}", assignment.schema.name,
               assignment.ordinal.value, MessageOf(added));
    }
    {
      const absl::MutexLock lock(&mutex_);
      busy_.erase(group);
      added.ok() ? static_cast<void>(failed_.erase(group))
                 : static_cast<void>(failed_.insert_or_assign(group, added));
      if (added.ok() && assignment.preferred_leader == assignment.replica) {
        fresh_[group] = {.begun_nanos = deps_.clock->MonotonicNanos()};
      }
    }
    SteerLater();
    Nudge();
    const absl::MutexLock lock(&mutex_);
    --running_;
  });
}

void Agent::Destroy(const std::vector<pb::ReplicaRef>& refs) {
  std::set<std::pair<uint64_t, uint64_t>> wanted;
  for (const pb::ReplicaRef& ref : refs) wanted.emplace(ref.group_id(), ref.replica_id());
  std::vector<std::pair<uint64_t, uint64_t>> settled;
  std::vector<std::pair<uint64_t, uint64_t>> tasks;
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_) return;
    for (auto at = destroyed_.begin(); at != destroyed_.end();) {
      if (wanted.contains(*at)) {
        ++at;
        continue;
      }
      settled.push_back(*at);
      at = destroyed_.erase(at);
    }
    for (const auto& ref : wanted) {
      if (destroyed_.contains(ref) || busy_.contains(ref.first)) continue;
      const auto assignment = assignments_.find(ref.first);
      if (assignment != assignments_.end() && assignment->second->replica_id() > ref.second &&
          deps_.worker->HoldsReplica(GroupId{ref.first}, assignment->second->replica_id())) {
        destroyed_.insert(ref);  // its successor could begin only when it was gone
        continue;
      }
      busy_.insert(ref.first);
      ++running_;
      tasks.push_back(ref);
    }
  }
  for (const auto& [group, replica] : settled) {
    const absl::Status forgotten = deps_.worker->ForgetShard(GroupId{group});
    if (!forgotten.ok()) LogWarning("shard group {}: {}", group, MessageOf(forgotten));
  }
  for (const auto& ref : tasks) {
    deps_.executor->Schedule([this, ref] {
      const absl::Status removed = deps_.worker->DestroyShard(GroupId{ref.first});
      if (!removed.ok()) LogError("shard group {}: {}", ref.first, MessageOf(removed));
      {
        const absl::MutexLock lock(&mutex_);
        busy_.erase(ref.first);
        failed_.erase(ref.first);
        if (removed.ok()) destroyed_.insert(ref);
      }
      Nudge();
      const absl::MutexLock lock(&mutex_);
      --running_;
    });
  }
}

void Agent::SteerLater() {
  const absl::MutexLock lock(&mutex_);
  if (stopped_ || std::exchange(steering_, true)) return;
  ++running_;
  deps_.timer->At(deps_.clock->MonotonicNanos() + kSteerMs * kNanosPerMilli, [this] {
    deps_.executor->Schedule([this] {
      const bool more = Steer();
      {
        const absl::MutexLock inner(&mutex_);
        steering_ = false;
      }
      if (more) SteerLater();
      const absl::MutexLock inner(&mutex_);
      --running_;
    });
  });
}

bool Agent::Steer() {
  bool more = false;
  for (const AssignmentPtr& wanted : Assignments()) {
    const GroupId group{wanted->group_id()};
    const shard::GroupView view = deps_.host->View(group);
    if (!view.known) continue;
    if (ShouldUrge(group, view)) deps_.host->Campaign(group);
    if (!view.is_leader) continue;
    // Something is to be done, now or when a learner has caught up.
    more |= !IsSettled(*wanted, view);
    Take(*wanted, view);
  }
  const absl::MutexLock lock(&mutex_);
  return more || !fresh_.empty();
}

bool Agent::ShouldUrge(GroupId group, const shard::GroupView& view) {
  const int64_t now = deps_.clock->MonotonicNanos();
  const absl::MutexLock lock(&mutex_);
  const auto found = fresh_.find(group.value);
  if (found == fresh_.end()) return false;
  Fresh& fresh = found->second;
  if (view.leader.value != 0 || now - fresh.begun_nanos > kFreshGroupMs * kNanosPerMilli) {
    fresh_.erase(found);
    return false;
  }
  if (now - fresh.urged_nanos < kUrgeMs * kNanosPerMilli) return false;
  fresh.urged_nanos = now;
  return true;
}

void Agent::Take(const pb::ReplicaAssignment& wanted, const shard::GroupView& view) {
  const std::optional<MembershipStep> step = NextStep(wanted, view);
  if (!step.has_value()) return;
  const GroupId group{wanted.group_id()};
  const shard::ReplicaId replica{step->replica};
  if (step->kind == MembershipStep::Kind::kHandOver) {
    return deps_.host->TransferLeadership(group, replica);
  }
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_ || !busy_.insert(group.value).second) return;
    ++running_;
  }
  const consensus::ChangeKind kind =
      step->kind == MembershipStep::Kind::kRemove    ? consensus::ChangeKind::kRemove
      : step->kind == MembershipStep::Kind::kPromote ? consensus::ChangeKind::kAddVoter
                                                     : consensus::ChangeKind::kAddLearner;
  deps_.host->ChangeMembership(group, replica, kind, [this, group](const absl::Status& status) {
    {
      const absl::MutexLock lock(&mutex_);
      busy_.erase(group.value);
    }
    if (status.ok()) Nudge();  // else it is tried again as long as it is wanted
    SteerLater();
    const absl::MutexLock lock(&mutex_);
    --running_;
  });
}

void Agent::Stop() {
  {
    const absl::MutexLock lock(&mutex_);
    if (std::exchange(stopped_, true)) return;
    CancelTimer();
    mutex_.Await(absl::Condition(
        +[](int* running) { return *running == 0; }, &running_));
    if (!registered_) return;
  }
  // Shared with an answer that comes late.
  const auto told = std::make_shared<absl::Notification>();
  deps_.placement.heartbeat(
      MakeHeartbeat(/*stopping=*/true), deps_.clock->MonotonicNanos() + kGoodbyeMs * kNanosPerMilli,
      [told](const absl::StatusOr<pb::HeartbeatResponse>&) { told->Notify(); });
  told->WaitForNotificationWithTimeout(absl::Milliseconds(kGoodbyeMs));
}

}  // namespace vectron::worker
