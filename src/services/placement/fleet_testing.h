#pragma once

// Workers for tests of the service: they register, send heartbeats and do what they are told, at
// once. Consensus is played by rules: a group is led by its first living voter, whose membership
// becomes what the leader is told.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "services/placement/service.h"
#include "shard/replicator.h"

namespace vectron::placement {

// Consensus of one node in memory: commits and applies in the caller, or holds everything back.
class MemoryReplicator : public shard::Replicator {
 public:
  using Done = std::function<void(absl::StatusOr<uint64_t>)>;
  explicit MemoryReplicator(uint64_t index) : index_(index) {}

  void Propose(std::string command, Done done) override {
    if (!quorum) return held_.push_back(std::move(done));
    log.push_back({.term = 1, .index = ++index_, .command = std::move(command)});
    applier->Apply({log.back()});
    done(index_);
  }
  void ReadBarrier(Done done) override {
    if (!quorum) return held_.push_back(std::move(done));
    done(index_);
  }
  absl::StatusOr<std::vector<shard::Entry>> ReadEntries(uint64_t, uint64_t) const override {
    return log;
  }
  void SetLogMarks(uint64_t needed_index, uint64_t) override { needed = needed_index; }
  uint64_t committed_index() const override { return index_; }
  uint64_t first_index() const override { return 1; }

  shard::Applier* applier = nullptr;
  bool quorum = true;
  uint64_t needed = 0;
  std::vector<shard::Entry> log;

 private:
  uint64_t index_;
  std::vector<Done> held_;
};

// The answer of a call that has been answered by the time it returns.
template <typename Response>
class Answer {
 public:
  PlacementService::Done<Response> Callback() {
    return [this](absl::StatusOr<Response> response) {
      EXPECT_FALSE(answered_) << "answered twice";
      answered_ = true;
      response_ = std::move(response);
    };
  }
  bool answered() const { return answered_; }
  const absl::StatusOr<Response>& get() const { return response_; }

 private:
  bool answered_ = false;
  absl::StatusOr<Response> response_ = absl::UnknownError("not answered");
};

class Fleet {
 public:
  Fleet(PlacementService& service, ManualClock& clock) : service_(service), clock_(clock) {}

  absl::StatusOr<WorkerId> Register(const placementdriver::v1::RegisterWorkerRequest& request) {
    Answer<placementdriver::v1::RegisterWorkerResponse> answer;
    service_.RegisterWorker(request, answer.Callback());
    if (!answer.get().ok()) return answer.get().status();
    cluster_id = answer.get()->cluster_id();
    return WorkerId{std::stoull(answer.get()->worker_id())};
  }
  WorkerId Join(const std::string& uid) {
    placementdriver::v1::RegisterWorkerRequest request;
    request.set_node_uid(uid);
    request.set_grpc_address(uid + ":9090");
    request.set_raft_address(uid + ":9191");
    request.set_cpu_cores(8);
    const absl::StatusOr<WorkerId> id = Register(request);
    EXPECT_TRUE(id.ok()) << id.status();
    workers_[*id];
    EXPECT_TRUE(Beat(*id).ok());
    return *id;
  }
  void SetUp(WorkerId worker, bool up) { workers_[worker].up = up; }
  bool Holds(WorkerId worker) const { return !workers_.at(worker).replicas.empty(); }

  placementdriver::v1::HeartbeatRequest MakeHeartbeat(WorkerId id) {
    const Worker& worker = workers_[id];
    placementdriver::v1::HeartbeatRequest request;
    request.set_worker_id(std::to_string(id.value));
    request.set_cluster_id(cluster_id);
    request.set_assignments_epoch(worker.epoch);
    for (const auto& [replica, group] : worker.replicas) {
      AddReport(replica, group, *request.add_replicas());
    }
    for (const DoomedReplica& gone : worker.destroyed) {
      placementdriver::v1::ReplicaRef& ref = *request.add_destroyed();
      ref.set_group_id(gone.group.value);
      ref.set_replica_id(gone.replica.value);
    }
    return request;
  }
  absl::StatusOr<placementdriver::v1::HeartbeatResponse> Send(
      const placementdriver::v1::HeartbeatRequest& request) {
    Answer<placementdriver::v1::HeartbeatResponse> answer;
    service_.Heartbeat(request, answer.Callback());
    return answer.get();
  }
  // A heartbeat, and what its answer asks for.
  absl::Status Beat(WorkerId id) {
    const auto answer = Send(MakeHeartbeat(id));
    if (!answer.ok()) return answer.status();
    Worker& worker = workers_[id];
    worker.destroyed.clear();
    for (const auto& ref : answer->destroy()) {
      const ReplicaId replica{ref.replica_id()};
      worker.replicas.erase(replica);
      worker.destroyed.push_back({GroupId{ref.group_id()}, replica});
    }
    if (!answer->has_assignments()) return absl::OkStatus();
    worker.epoch = answer->assignments_epoch();
    for (const auto& assignment : answer->assignments().replicas()) {
      const GroupId group{assignment.group_id()};
      worker.replicas.emplace(ReplicaId{assignment.replica_id()}, group);
      Follow(id, assignment);
    }
    return absl::OkStatus();
  }
  // Time passes: everybody who is up sends heartbeats, the service ticks.
  void Run(int64_t millis) {
    for (int64_t passed = 0; passed < millis; passed += 500) {
      for (const auto& [id, worker] : std::map(workers_)) {
        if (worker.up) Beat(id).IgnoreError();
      }
      clock_.AdvanceMillis(500);
      service_.Tick();
    }
  }

  std::string cluster_id;
  ReplicaId wrong = {};  // says that it holds other points than all others

 private:
  struct Group {
    std::set<ReplicaId> voters;
    std::set<ReplicaId> learners;
  };
  struct Worker {
    bool up = true;
    uint64_t epoch = 0;
    std::map<ReplicaId, GroupId> replicas;
    std::vector<DoomedReplica> destroyed;
  };

  bool Has(ReplicaId replica) const {
    const auto worker = workers_.find(replica.node());
    return worker != workers_.end() && worker->second.up &&
           worker->second.replicas.contains(replica);
  }
  ReplicaId LeaderOf(const Group& group) const {
    for (const ReplicaId voter : group.voters) {
      if (Has(voter)) return voter;
    }
    return {};
  }
  // The leader of a group brings its membership to what it is told.
  void Follow(WorkerId id, const placementdriver::v1::ReplicaAssignment& assignment) {
    const auto [entry, first] = groups_.try_emplace(GroupId{assignment.group_id()});
    Group& group = entry->second;
    if (first) {
      for (const uint64_t founder : assignment.founders()) group.voters.insert({founder});
    }
    if (LeaderOf(group).node() != id) return;
    group.voters.clear();
    group.learners.clear();
    for (const auto& replica : assignment.replicas()) {
      if (replica.leaving()) continue;
      const bool voter = replica.role() == placementdriver::v1::REPLICA_ROLE_VOTER;
      (voter ? group.voters : group.learners).insert({replica.replica_id()});
    }
  }
  void AddReport(ReplicaId replica, GroupId id, placementdriver::v1::ReplicaReport& report) {
    const Group& group = groups_[id];
    report.set_group_id(id.value);
    report.set_replica_id(replica.value);
    report.set_health(placementdriver::v1::REPLICA_HEALTH_READY);
    report.set_shard_epoch(1);
    report.set_points(10);
    report.set_disk_bytes(1'000);
    report.set_applied_index(7);
    report.set_state_digest(replica == wrong ? 2 : 1);
    const ReplicaId leader = LeaderOf(group);
    report.set_leader_replica_id(leader.value);
    report.set_term(1);
    if (leader != replica) return;
    for (const auto* members : {&group.voters, &group.learners}) {
      for (const ReplicaId member : *members) {
        if (members == &group.voters) report.add_voters(member.value);
        if (members == &group.learners) report.add_learners(member.value);
        if (Has(member)) report.add_in_sync(member.value);
      }
    }
  }

  PlacementService& service_;
  ManualClock& clock_;
  std::map<WorkerId, Worker> workers_;
  std::map<GroupId, Group> groups_;
};

}  // namespace vectron::placement
