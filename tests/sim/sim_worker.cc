#include "sim/sim_worker.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "services/worker/membership.h"
#include "sim/shard_machine.h"

namespace vectron::sim {
namespace {

namespace pb = placementdriver::v1;
using shard::ReplicaId;
using worker::MembershipStep;

constexpr int64_t kCallMs = 1'000;
constexpr int64_t kRetryMs = 100;
constexpr int64_t kSteerMs = 50;

}  // namespace

SimWorker::SimWorker(Node& node, std::vector<PlacementSite*> placement)
    : node_(node), placement_(std::move(placement)) {
  node.on_start = [this] {
    epoch_ = 0;
    busy_.clear();
    destroyed_.clear();
    if (registered()) BeatLater(0);
    SteerLoop();
  };
}

template <typename Response>
void SimWorker::Call(
    std::function<void(placement::PlacementService&, std::function<void(absl::StatusOr<Response>)>)>
        ask,
    std::function<void(absl::StatusOr<Response>)> then) {
  PlacementSite& site = *placement_[asks_ % placement_.size()];
  Stage& stage = node_.stage();
  const uint64_t here = node_.site();
  const uint64_t there = site.node().site();
  const uint64_t call = ++calls_;
  const auto answered = [this, call, then](absl::StatusOr<Response> response) {
    if (call != calls_) return;
    ++calls_;  // an answer that comes twice, or too late, is none
    if (!response.ok()) ++asks_;
    then(std::move(response));
  };
  node_.Later(kCallMs, [answered] { answered(absl::DeadlineExceededError("no answer")); });
  stage.Say(here, there, [&stage, &site, here, there, life = node_.life(), ask, answered, this] {
    ask(site.service(), [&stage, &site, here, there, life, answered, this,
                         serving = site.node().life()](absl::StatusOr<Response> response) {
      if (!site.node().alive() || site.node().life() != serving) return;
      stage.Say(there, here, [this, life, answered, response = std::move(response)] {
        if (node_.life() != life) return;
        answered(response);
        node_.Pump();
      });
    });
    site.node().Pump();
  });
}

void SimWorker::Register() {
  pb::RegisterWorkerRequest request;
  request.set_grpc_address(fmt::format("worker-{}", node_.id().value));
  request.set_node_uid(fmt::format("uid-{}", node_.id().value));
  request.set_cpu_cores(4);
  request.set_memory_bytes(int64_t{16} << 30);
  request.set_disk_bytes(int64_t{100} << 30);
  Call<pb::RegisterWorkerResponse>(
      [request](placement::PlacementService& service,
                std::function<void(absl::StatusOr<pb::RegisterWorkerResponse>)> done) {
        service.RegisterWorker(request, std::move(done));
      },
      [this](const absl::StatusOr<pb::RegisterWorkerResponse>& response) {
        if (!response.ok()) return node_.Later(kRetryMs, [this] { Register(); });
        if (response->worker_id() != std::to_string(node_.id().value)) {
          return node_.stage().Violation(fmt::format("worker {} was given the id {}",
                                                     node_.id().value, response->worker_id()));
        }
        cluster_id_ = response->cluster_id();
        BeatLater(0);
      });
}

void SimWorker::BeatLater(int64_t ms) {
  const uint64_t beat = ++beats_;
  node_.Later(ms, [this, beat] {
    if (beat == beats_) Beat();
  });
}

void SimWorker::Beat() {
  Call<pb::HeartbeatResponse>(
      [request = MakeHeartbeat()](placement::PlacementService& service,
                                  std::function<void(absl::StatusOr<pb::HeartbeatResponse>)> done) {
        service.Heartbeat(request, std::move(done));
      },
      [this](absl::StatusOr<pb::HeartbeatResponse> response) { OnHeartbeat(std::move(response)); });
}

pb::HeartbeatRequest SimWorker::MakeHeartbeat() {
  pb::HeartbeatRequest request;
  request.set_worker_id(std::to_string(node_.id().value));
  request.set_cluster_id(cluster_id_);
  request.set_assignments_epoch(epoch_);
  for (Replica* const replica : node_.replicas()) {
    const shard::GroupView view = replica->View();
    pb::ReplicaReport& report = *request.add_replicas();
    report.set_group_id(replica->group().value);
    report.set_replica_id(replica->id().value);
    report.set_health(view.lacks_state ? pb::REPLICA_HEALTH_COPYING : pb::REPLICA_HEALTH_READY);
    report.set_term(view.term);
    report.set_leader_replica_id(view.leader.value);
    report.set_applied_index(replica->machine().applied());
    report.set_committed_index(view.committed_index);
    report.set_membership_pending(busy_.contains(replica->group().value));
    report.set_disk_bytes(uint64_t{1} << 30);
    if (!view.is_leader) continue;
    for (const uint64_t voter : view.membership.voters) {
      report.add_voters(voter);
      if (worker::IsInSync(view, voter)) report.add_in_sync(voter);
    }
    for (const uint64_t learner : view.membership.learners) {
      report.add_learners(learner);
      if (worker::IsInSync(view, learner)) report.add_in_sync(learner);
    }
  }
  for (const auto& [group, replica] : destroyed_) {
    pb::ReplicaRef& ref = *request.add_destroyed();
    ref.set_group_id(group);
    ref.set_replica_id(replica);
  }
  return request;
}

void SimWorker::OnHeartbeat(absl::StatusOr<pb::HeartbeatResponse> response) {
  if (!response.ok()) return BeatLater(kRetryMs);
  if (response->has_assignments()) TakeAssignments(*response);
  Destroy(*response);
  for (const pb::LeaderTransfer& transfer : response->transfer_leaders()) {
    node_.host().TransferLeadership(GroupId{transfer.group_id()},
                                    ReplicaId{transfer.to_replica_id()});
  }
  BeginReplicas();
  BeatLater(response->next_heartbeat_ms());
}

void SimWorker::TakeAssignments(const pb::HeartbeatResponse& response) {
  if (response.assignments_epoch() < epoch_) return;  // an older answer
  epoch_ = response.assignments_epoch();
  assignments_.clear();
  for (const pb::ReplicaAssignment& assignment : response.assignments().replicas()) {
    assignments_[assignment.group_id()] = assignment;
  }
}

void SimWorker::Destroy(const pb::HeartbeatResponse& response) {
  std::set<Ref> wanted;
  for (const pb::ReplicaRef& ref : response.destroy()) {
    wanted.emplace(ref.group_id(), ref.replica_id());
  }
  std::erase_if(destroyed_, [&wanted](const Ref& ref) { return !wanted.contains(ref); });
  for (const Ref& ref : wanted) {
    if (destroyed_.contains(ref) || busy_.contains(ref.first)) continue;
    Replica* const held = node_.Find(GroupId{ref.first});
    if (held != nullptr && held->id().value == ref.second) node_.Destroy(GroupId{ref.first});
    uint64_t& tombstone = tombstones_[ref.first];
    tombstone = std::max(tombstone, ref.second);
    destroyed_.insert(ref);
  }
}

void SimWorker::BeginReplicas() {
  for (const auto& [group, assignment] : assignments_) {
    if (node_.Find(GroupId{group}) != nullptr) continue;
    if (tombstones_[group] >= assignment.replica_id()) continue;  // it must not come back
    consensus::Membership founders;
    founders.voters.assign(assignment.founders().begin(), assignment.founders().end());
    if (!Has(founders.voters, ReplicaId{assignment.replica_id()})) {
      ++node_.stage().report().moves;
      const bool alone = node_.stage().options().bug == PlantedBug::kJoinerFoundsAGroup;
      if (alone) founders.voters = {assignment.replica_id()};
    }
    node_.Add(GroupId{group}, ReplicaId{assignment.replica_id()}, founders,
              std::make_unique<ShardMachine>());
  }
}

void SimWorker::SteerLoop() {
  node_.Later(kSteerMs, [this] {
    for (const auto& [group, wanted] : assignments_) {
      Replica* const replica = node_.Find(GroupId{group});
      if (replica != nullptr && !busy_.contains(group)) Steer(wanted, *replica);
    }
    SteerLoop();
  });
}

void SimWorker::Steer(const pb::ReplicaAssignment& wanted, Replica& replica) {
  const shard::GroupView view = replica.View();
  if (!view.is_leader) return;
  const std::optional<MembershipStep> step = worker::NextStep(wanted, view);
  if (!step.has_value()) return;
  const ReplicaId target{step->replica};
  if (step->kind == MembershipStep::Kind::kHandOver) {
    return node_.host().TransferLeadership(replica.group(), target);
  }
  const consensus::ChangeKind kind =
      step->kind == MembershipStep::Kind::kRemove    ? consensus::ChangeKind::kRemove
      : step->kind == MembershipStep::Kind::kPromote ? consensus::ChangeKind::kAddVoter
                                                     : consensus::ChangeKind::kAddLearner;
  busy_.insert(replica.group().value);
  node_.host().ChangeMembership(
      replica.group(), target, kind,
      [this, group = replica.group().value, life = node_.life()](const absl::Status& status) {
        if (node_.life() != life) return;
        busy_.erase(group);
        if (!status.ok()) return;
        ++node_.stage().report().membership_changes;
        BeatLater(0);
      });
}

bool SimWorker::HoldsWhatItShould() {
  if (node_.replicas().size() != assignments_.size()) return false;
  for (const auto& [group, assignment] : assignments_) {
    Replica* const replica = node_.Find(GroupId{group});
    if (replica == nullptr || replica->id().value != assignment.replica_id()) return false;
  }
  return true;
}

}  // namespace vectron::sim
