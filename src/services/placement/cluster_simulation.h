#pragma once

// A cluster for tests of the scheduler: workers that die, get stuck and come back, groups whose
// leaders work towards the wanted membership one change at a time, reports that arrive late, loads
// that change, wall clocks that jump. Everything follows from one seed. The state machine is the
// real one; consensus is played by rules: a group has a leader while most of its voters live; a
// change needs most of the old voters; the leader itself takes no in-sync voter out while another
// is behind.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "services/placement/command.h"
#include "services/placement/scheduler.h"
#include "services/placement/smoothed.h"

namespace vectron::placement {

class ClusterSimulation {
 public:
  explicit ClusterSimulation(uint64_t seed) : random_(seed), seed_(seed) {
    Must(FoundCluster{"simulated"});
  }

  // --- what the test does ---
  WorkerId AddWorker(WorkerProfile profile = {}) {
    profile.node_uid = fmt::format("uid-{}", ++uids_);
    const WorkerId id{Must(RegisterWorker{.known = {}, .profile = profile}).id};
    Must(ChangeWorker{id, WorkerChange::kJoined});
    up_.insert(id);
    Report();
    return id;
  }
  absl::Status Create(const std::string& name, size_t shards, size_t replicas) {
    const auto placed = PlaceNewShards(Input(), shards, replicas);
    if (!placed.ok()) return placed.status();
    Must(BeginCreate{.key = {"", name},
                     .schema_bytes = "s",
                     .replication_factor = static_cast<uint32_t>(replicas),
                     .now_unix_ms = now_ms_,
                     .shards = *placed});
    Must(FinishCreate{{"", name}});
    for (const auto& [group, shard] : state_.shards()) {
      Group& made = groups_[group];
      if (!made.voters.empty()) continue;
      for (const ReplicaId founder : shard.founders) {
        made.voters.insert(founder);
        made.complete.insert(founder);
      }
      made.disk_bytes = random_.Below(uint64_t{4} << 30);
      made.cpu_cores = random_.Uniform() * 0.5;
    }
    Report();
    return absl::OkStatus();
  }
  void Drop(const CollectionKey& key) { Must(DropCollection{key}); }
  void Crash(WorkerId worker) { up_.erase(worker); }
  void Return(WorkerId worker) { up_.insert(worker); }
  // Its replicas live and get no further, until Unstick.
  void Stick(WorkerId worker) { stuck_since_ms_.try_emplace(worker, passed_ms_); }
  void Unstick(WorkerId worker) { stuck_since_ms_.erase(worker); }
  // It was found to hold other points than most.
  void Differ(ReplicaId replica) {
    load_.differing.insert(replica);
    load_.failed.insert(replica);
  }
  // Removed for good, as far as placement allows it.
  absl::Status Remove(WorkerId worker) {
    absl::Status status = Apply(RemoveWorker{worker}).status;
    if (status.ok()) {
      up_.erase(worker);
      load_.workers.erase(worker);
    }
    return status;
  }
  // It registers anew, as something else.
  void Reregister(WorkerId worker, bool search_only) {
    WorkerProfile profile = state_.FindWorker(worker)->profile;
    profile.search_only = search_only;
    Must(RegisterWorker{.known = worker, .profile = profile});
  }
  // The wall clock of placement's leader is set forwards or back; no time passes.
  void SetClock(int64_t by_ms) {
    now_ms_ += by_ms;
    clock_was_set_ = true;
  }
  void Change(WorkerId worker, WorkerChange change) { Must(ChangeWorker{worker, change}); }
  Outcome Apply(CommandBody body) {
    return state_.Apply(++index_, {.proposal = 0, .body = std::move(body)});
  }
  void SetSize(GroupId group, uint64_t disk_bytes, double cpu_cores) {
    Group& sim = groups_[group];
    sim.disk_bytes = disk_bytes;
    sim.cpu_cores = cpu_cores;
    sim.measured_cores = {};  // it has been so for long
    sim.measured_cores.Add(cpu_cores, passed_ms_ * 1'000'000);
  }
  // What it takes from now on; the measurement follows.
  void SetCores(GroupId group, double cpu_cores) { groups_[group].cpu_cores = cpu_cores; }

  // --- the passing of time ---
  // A round: groups do some of their work, some reports arrive, the scheduler decides. Returns
  // whether it wanted anything.
  bool Round() {
    now_ms_ += kRoundMs;
    passed_ms_ += kRoundMs;
    for (auto& [group, sim] : groups_) {
      sim.measured_cores.Add(sim.cpu_cores, passed_ms_ * 1'000'000);
      Work(group, sim);
    }
    ReportSome();
    Destroy();
    const std::vector<CommandBody> commands = Schedule(Input());
    for (const CommandBody& command : commands) {
      CheckCommand(command);
      const Outcome outcome = Apply(command);
      EXPECT_TRUE(outcome.status.ok()) << Describe(command) << ": " << outcome.status;
    }
    state_.CheckInvariants();
    CheckNothingIsLost();
    return !commands.empty();
  }
  // Rounds, with reports in time, until the scheduler had nothing to say for longer than any
  // cool-down; false when that did not come within `rounds`.
  bool Settle(int rounds) {
    late_reports_ = false;
    const int wanted = static_cast<int>(options_.move_cooldown_ms / kRoundMs) + 30;
    int quiet = 0;
    for (int i = 0; i < rounds && quiet < wanted; ++i) quiet = Round() ? 0 : quiet + 1;
    return quiet >= wanted;
  }

  // --- what is ---
  ScheduleInput Input() {
    return {.state = state_,
            .load = load_,
            .options = options_,
            .now_unix_ms = now_ms_,
            .seed = seed_,
            .eager = eager_};
  }
  const ClusterState& state() const { return state_; }
  const ClusterLoad& load() const { return load_; }
  SchedulerOptions& options() { return options_; }
  void SetEager(bool eager) { eager_ = eager; }
  bool IsUp(WorkerId worker) const { return up_.contains(worker); }
  size_t moves() const { return moves_; }
  // Most of the group's voters live, so it works.
  bool HasQuorum(GroupId group) {
    return Alive(groups_[group].voters) > groups_[group].voters.size() / 2;
  }
  // Reports of everybody, now.
  void Report() {
    for (auto& [group, sim] : groups_) ReportGroup(group, sim);
    ReportWorkers();
  }

 private:
  static constexpr int64_t kRoundMs = 5'000;

  struct Group {
    std::set<ReplicaId> voters;
    std::set<ReplicaId> learners;
    std::set<ReplicaId> complete;  // hold everything that was acknowledged
    std::set<ReplicaId> destroyed;
    ReplicaId leader;
    uint64_t term = 0;
    uint64_t acted_on = 0;
    uint64_t disk_bytes = 0;
    double cpu_cores = 0;
    Smoothed measured_cores;
  };

  Outcome Must(CommandBody body) {
    const std::string words = Describe(body);
    Outcome outcome = Apply(std::move(body));
    EXPECT_TRUE(outcome.status.ok()) << words << ": " << outcome.status;
    return outcome;
  }
  size_t Alive(const std::set<ReplicaId>& replicas) const {
    size_t alive = 0;
    for (const ReplicaId replica : replicas) alive += up_.contains(replica.node()) ? 1 : 0;
    return alive;
  }
  bool Works(const Group& sim, ReplicaId replica) const {
    return up_.contains(replica.node()) && !sim.destroyed.contains(replica);
  }

  // One step of what a group does by itself.
  void Work(GroupId group, Group& sim) {
    const ShardRecord* shard = state_.FindShard(group);
    if (shard == nullptr) return;
    Elect(sim);
    if (sim.leader.value == 0) return;
    Replicate(sim);
    if (random_.OneIn(3)) return;  // it takes its time
    sim.acted_on = state_.version();
    for (const ReplicaRecord& wanted : shard->replicas) {
      if (wanted.leaving) continue;
      const bool known = sim.voters.contains(wanted.id) || sim.learners.contains(wanted.id);
      if (!known) {
        sim.learners.insert(wanted.id);
        return;
      }
      if (wanted.role == ReplicaRole::kVoter && sim.learners.contains(wanted.id) &&
          sim.complete.contains(wanted.id)) {
        sim.learners.erase(wanted.id);
        sim.voters.insert(wanted.id);
        return;
      }
    }
    TakeOut(*shard, sim);
  }
  void Elect(Group& sim) {
    const bool quorum = Alive(sim.voters) > sim.voters.size() / 2;
    if (!quorum) {
      sim.leader = {};
      return;
    }
    if (sim.voters.contains(sim.leader) && Works(sim, sim.leader)) return;
    sim.leader = {};
    for (const ReplicaId voter : sim.voters) {
      if (Works(sim, voter) && sim.complete.contains(voter)) sim.leader = voter;
    }
    ++sim.term;
  }
  bool GetsOn(const Group& sim, ReplicaId replica) const {
    return Works(sim, replica) &&
           (replica == sim.leader || !stuck_since_ms_.contains(replica.node()));
  }
  // While most voters get on, writes do, so those that are down or stuck fall behind; the others
  // catch up in time.
  void Replicate(Group& sim) {
    size_t holding = 0;
    for (const ReplicaId voter : sim.voters) {
      holding += sim.complete.contains(voter) && GetsOn(sim, voter) ? 1 : 0;
    }
    const bool writes = holding > sim.voters.size() / 2;
    for (const auto* members : {&sim.voters, &sim.learners}) {
      for (const ReplicaId member : *members) {
        if (!GetsOn(sim, member)) {
          if (writes) sim.complete.erase(member);
        } else if (random_.OneIn(4)) {
          sim.complete.insert(member);
        }
      }
    }
  }
  void TakeOut(const ShardRecord& shard, Group& sim) {
    for (auto* members : {&sim.learners, &sim.voters}) {
      for (const ReplicaId member : std::set<ReplicaId>(*members)) {
        const ReplicaRecord* wanted = shard.Find(member);
        if (wanted != nullptr && !wanted->leaving) continue;
        if (members == &sim.voters && !MayTakeOut(sim, member)) continue;
        if (member == sim.leader) {  // it hands over first
          for (const ReplicaId other : sim.voters) {
            if (other != member && sim.complete.contains(other)) sim.leader = other;
          }
          ++sim.term;
          return;
        }
        members->erase(member);
        return;
      }
    }
  }
  bool MayTakeOut(const Group& sim, ReplicaId member) const {
    if (sim.voters.size() == 1) return false;
    size_t behind = 0;
    for (const ReplicaId other : sim.voters) {
      if (other != member && !(Works(sim, other) && sim.complete.contains(other))) ++behind;
    }
    if (sim.complete.contains(member)) return behind == 0;
    return behind < (sim.voters.size() - 1 + 1) / 2;
  }

  void ReportSome() {
    for (auto& [group, sim] : groups_) {
      if (!late_reports_ || random_.OneIn(2)) ReportGroup(group, sim);
    }
    ReportWorkers();
  }
  void ReportGroup(GroupId group, Group& sim) {
    if (state_.FindShard(group) == nullptr) {
      load_.shards.erase(group);
      return;
    }
    Elect(sim);
    ShardLoad& load = load_.shards[group];
    load = {.leader = sim.leader,
            .term = sim.term,
            .acted_on_version = sim.acted_on,
            .voters = sim.voters,
            .learners = sim.learners,
            .disk_bytes = sim.disk_bytes,
            .memory_bytes = sim.disk_bytes / 8,
            .cpu_cores = sim.measured_cores.value()};
    for (const ReplicaId replica : sim.complete) {
      if (Works(sim, replica)) load.in_sync.insert(replica);
    }
  }
  void ReportWorkers() {
    load_.stuck_ms.clear();
    for (const auto& [id, worker] : state_.workers()) {
      WorkerLoad& load = load_.workers[id];
      load.alive = up_.contains(id);
      load.cpu_percent = 0;
      for (const auto& [group, shard] : state_.shards()) {
        const ReplicaRecord* replica = shard.On(id);
        if (replica == nullptr) continue;
        const auto stuck = stuck_since_ms_.find(id);
        load_.stuck_ms[replica->id] =
            stuck == stuck_since_ms_.end() ? 0 : passed_ms_ - stuck->second;
        if (replica->role != ReplicaRole::kVoter) continue;
        load.cpu_percent += 100 * groups_[group].measured_cores.value() /
                            (worker.profile.cpu_cores > 0 ? worker.profile.cpu_cores : 8);
      }
    }
  }
  // Workers do away with what is doomed, when they are up.
  void Destroy() {
    ConfirmDestroyed confirm;
    for (const auto& [doomed, worker] : state_.doomed()) {
      if (!up_.contains(worker)) continue;
      groups_[doomed.group].destroyed.insert(doomed.replica);
      groups_[doomed.group].complete.erase(doomed.replica);
      confirm.replicas.push_back(doomed);
    }
    if (!confirm.replicas.empty()) Must(confirm);
  }

  // The scheduler's promise, by what it was told.
  void CheckCommand(const CommandBody& command) {
    if (const auto* add = std::get_if<AddReplica>(&command)) CheckAdded(*add);
    const auto* step = std::get_if<StepReplica>(&command);
    if (step == nullptr) return;
    const ShardRecord& shard = *state_.FindShard(step->group);
    const bool voter = shard.Find(step->replica)->role == ReplicaRole::kVoter;
    if (voter && step->step == ReplicaStep::kGone) moved_ms_[step->group] = passed_ms_;
    if (step->step == ReplicaStep::kLeave) CheckLeaving(*step, shard);
  }
  // However loads change, a shard that has moved rests before it moves for their sake.
  void CheckAdded(const AddReplica& add) {
    ++moves_;
    const bool for_load = add.reason == MoveReason::kBalance || add.reason == MoveReason::kHotShard;
    const auto moved = moved_ms_.find(add.group);
    if (!for_load || eager_ || clock_was_set_ || moved == moved_ms_.end()) return;
    EXPECT_GE(passed_ms_ - moved->second, options_.move_cooldown_ms) << "seed " << seed_;
  }
  void CheckLeaving(const StepReplica& leave, const ShardRecord& shard) {
    const ShardLoad& load = load_.shards[leave.group];
    if (shard.Find(leave.replica)->role != ReplicaRole::kVoter) return;
    if (!load.in_sync.contains(leave.replica)) return;
    size_t staying = 0;
    for (const ReplicaRecord& replica : shard.replicas) {
      if (replica.id == leave.replica || replica.role != ReplicaRole::kVoter) continue;
      EXPECT_TRUE(load.in_sync.contains(replica.id)) << "seed " << seed_;
      ++staying;
    }
    if (load_.differing.contains(leave.replica)) ++staying;  // its successor may come after it
    EXPECT_GE(staying, state_.FindCollection(shard.collection)->replication_factor);
  }
  // Acknowledged writes are on most of the voters; at least one of those exists, complete or down.
  void CheckNothingIsLost() {
    for (const auto& [group, shard] : state_.shards()) {
      const Group& sim = groups_[group];
      size_t kept = 0;
      for (const ReplicaId voter : sim.voters) kept += sim.destroyed.contains(voter) ? 0 : 1;
      ASSERT_GT(kept, sim.voters.size() / 2) << "seed " << seed_ << " group " << group.value;
      if (sim.leader.value != 0) {
        ASSERT_FALSE(sim.complete.empty()) << "seed " << seed_;
      }
    }
  }

  Random random_;
  const uint64_t seed_;
  SchedulerOptions options_;
  bool eager_ = false;
  bool late_reports_ = true;
  int uids_ = 0;
  uint64_t index_ = 0;
  int64_t now_ms_ = 1'000'000;
  int64_t passed_ms_ = 0;
  bool clock_was_set_ = false;
  std::map<WorkerId, int64_t> stuck_since_ms_;
  std::map<GroupId, int64_t> moved_ms_;  // when a voter of it last went
  size_t moves_ = 0;
  ClusterState state_;
  ClusterLoad load_;
  std::set<WorkerId> up_;
  std::map<GroupId, Group> groups_;
};

}  // namespace vectron::placement
