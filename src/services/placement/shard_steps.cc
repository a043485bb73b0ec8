#include "services/placement/shard_steps.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/limits.h"

namespace vectron::placement {
namespace {

size_t WantedVoters(const ScheduleInput& input, const ShardRecord& shard) {
  const CollectionRecord* collection = input.state.FindCollection(shard.collection);
  CHECK(collection != nullptr);
  return collection->replication_factor;
}

const ShardLoad* LedLoad(const ScheduleInput& input, const ShardRecord& shard) {
  const ShardLoad* load = input.load.Find(shard.group);
  return load != nullptr && load->leader.value != 0 ? load : nullptr;
}

}  // namespace

ShardSteps::ShardSteps(const ScheduleInput& input, const ShardRecord& shard)
    : input_(input),
      shard_(shard),
      wanted_(WantedVoters(input, shard)),
      load_(LedLoad(input, shard)) {
  for (const ReplicaRecord& replica : shard.replicas) {
    if (replica.leaving) {
      leaving_.push_back(&replica);
    } else if (replica.role == ReplicaRole::kVoter) {
      voters_.push_back(&replica);
    } else if (replica.reason == MoveReason::kSearch) {
      copies_.push_back(&replica);
    } else {
      learners_.push_back(&replica);
    }
  }
}

bool ShardSteps::Good(const ReplicaRecord& replica) const {
  return load_ != nullptr && input_.load.IsAlive(replica.worker) &&
         !input_.load.failed.contains(replica.id) && load_->in_sync.contains(replica.id);
}

bool ShardSteps::Bad(const ReplicaRecord& replica) const {
  const WorkerRecord* worker = input_.state.FindWorker(replica.worker);
  if (worker == nullptr || worker->dead || input_.load.failed.contains(replica.id)) return true;
  if (Good(replica)) return false;
  const auto stuck = input_.load.stuck_ms.find(replica.id);
  return input_.load.IsAlive(replica.worker) && stuck != input_.load.stuck_ms.end() &&
         stuck->second >= input_.options.stuck_learner_ms &&
         HasPassed(replica.since_unix_ms, input_.options.stuck_learner_ms, input_);
}

bool ShardSteps::Misplaced(const ReplicaRecord& replica) const {
  const WorkerRecord* worker = input_.state.FindWorker(replica.worker);
  return worker == nullptr || worker->draining || worker->profile.search_only;
}

bool ShardSteps::LeaderIsCurrent() const {
  return load_ != nullptr && load_->acted_on_version >= shard_.version &&
         !load_->membership_pending;
}

StepReplica ShardSteps::Step(const ReplicaRecord& replica, ReplicaStep step) const {
  return {.group = shard_.group,
          .shard_version = shard_.version,
          .replica = replica.id,
          .step = step,
          .now_unix_ms = input_.now_unix_ms};
}

std::optional<StepReplica> ShardSteps::Next(const Weights& weights) const {
  if (!LeaderIsCurrent()) return std::nullopt;
  for (const ReplicaRecord* replica : leaving_) {
    if (!load_->voters.contains(replica->id) && !load_->learners.contains(replica->id)) {
      return Step(*replica, ReplicaStep::kGone);
    }
    // Another voter fell behind meanwhile: this one is needed, and its leader keeps it for that.
    const bool all_good = health().good == voters_.size();
    if (replica->role == ReplicaRole::kVoter && Good(*replica) && !all_good) {
      return Step(*replica, ReplicaStep::kStay);
    }
  }
  if (!leaving_.empty()) return std::nullopt;
  for (const ReplicaRecord* voter : voters_) {  // promoted, but it went before that was done
    if (!load_->voters.contains(voter->id) && Bad(*voter) && voters_.size() > 1) {
      return Step(*voter, ReplicaStep::kLeave);
    }
  }
  std::optional<StepReplica> step = StepLearners();
  return step.has_value() || !learners_.empty() ? step : StepSurplus(weights);
}

std::optional<StepReplica> ShardSteps::StepLearners() const {
  for (const ReplicaRecord* copy : copies_) {
    const WorkerRecord* worker = input_.state.FindWorker(copy->worker);
    if (Bad(*copy) || worker->draining || !worker->profile.search_only) {
      return Step(*copy, ReplicaStep::kLeave);
    }
  }
  for (const ReplicaRecord* learner : learners_) {
    if (Bad(*learner) || Misplaced(*learner) || LearnerIsPointless(*learner)) {
      return Step(*learner, ReplicaStep::kLeave);
    }
    if (Good(*learner) && load_->learners.contains(learner->id)) {
      return Step(*learner, ReplicaStep::kPromote);
    }
  }
  return std::nullopt;
}

// What it was to replace is well again, or is gone while there are enough.
bool ShardSteps::LearnerIsPointless(const ReplicaRecord& learner) const {
  if (voters_.size() < wanted_) return false;
  for (const ReplicaRecord* voter : voters_) {
    if (!Good(*voter)) return false;
  }
  const ReplicaRecord* replaced = shard_.Find(learner.replaces);
  if (replaced == nullptr || replaced->leaving) return true;
  const bool mends = learner.reason == MoveReason::kRepair || learner.reason == MoveReason::kDrain;
  return mends && !Misplaced(*replaced);
}

// Whether the voters that stay make do without it.
bool ShardSteps::MayLeave(const ReplicaRecord& voter) const {
  size_t others_good = 0;
  for (const ReplicaRecord* other : voters_) {
    if (other != &voter && Good(*other)) ++others_good;
  }
  const size_t others = voters_.size() - 1;
  if (others < wanted_) return false;
  // A worker may be dead to placement alone: what its leader still finds in sync is a good copy.
  const bool is_copy = load_->in_sync.contains(voter.id) && !input_.load.failed.contains(voter.id);
  if (Bad(voter) && !is_copy) return others_good > others / 2;
  return others_good == others;
}

std::optional<StepReplica> ShardSteps::StepSurplus(const Weights& weights) const {
  if (voters_.size() <= wanted_) return std::nullopt;
  for (const ReplicaRecord* voter : voters_) {
    if (!load_->voters.contains(voter->id)) return std::nullopt;  // its promotion is under way
  }
  const auto replaced = [this](const ReplicaRecord& voter) {
    return std::any_of(voters_.begin(), voters_.end(), [&voter](const ReplicaRecord* other) {
      return other->replaces == voter.id;
    });
  };
  const ReplicaRecord* worst = nullptr;
  std::tuple<bool, bool, bool, uint64_t, double> worst_key;
  for (const ReplicaRecord* voter : voters_) {
    std::vector<WorkerId> others;
    for (const ReplicaRecord* other : voters_) {
      if (other != voter) others.push_back(other->worker);
    }
    // The less the others share, the better it is to let this one go.
    const std::tuple key{Bad(*voter), Misplaced(*voter), replaced(*voter), ~weights.Penalty(others),
                         weights.LoadOf(voter->worker)};
    if (worst != nullptr && key <= worst_key) continue;
    worst = voter;
    worst_key = key;
  }
  if (!MayLeave(*worst)) return std::nullopt;
  return Step(*worst, ReplicaStep::kLeave);
}

bool ShardSteps::Idle() const {
  if (!LeaderIsCurrent() || !leaving_.empty() || !learners_.empty()) return false;
  return voters_.size() == load_->voters.size() &&
         std::all_of(voters_.begin(), voters_.end(), [this](const ReplicaRecord* voter) {
           return load_->voters.contains(voter->id);
         });
}

std::optional<ShardSteps::Need> ShardSteps::Lacks() const {
  if (!Idle()) return std::nullopt;
  const size_t good = health().good;
  // The leader gives the copies; one whose points are wrong hands over first.
  if (good > 0 && input_.load.differing.contains(load_->leader)) return std::nullopt;
  if (voters_.size() < wanted_) return Need{.reason = MoveReason::kRepair, .good = good};
  if (voters_.size() > wanted_) return std::nullopt;
  for (const ReplicaRecord* voter : voters_) {
    if (Bad(*voter)) {
      return Need{.reason = MoveReason::kRepair, .replaces = voter->id, .good = good};
    }
  }
  for (const ReplicaRecord* voter : voters_) {
    if (Misplaced(*voter)) {
      return Need{.reason = MoveReason::kDrain, .replaces = voter->id, .good = good};
    }
  }
  return std::nullopt;
}

bool ShardSteps::Whole() const {
  return leaving_.empty() && learners_.empty() && voters_.size() >= wanted_;
}

std::optional<StepReplica> ShardSteps::MakeRoom(ReplicaId replaced, const Weights& weights) const {
  if (!input_.load.differing.contains(replaced)) return std::nullopt;
  const ReplicaRecord* const voter = shard_.Find(replaced);
  const size_t others = voters_.size() - 1;
  if (!Idle() || voter == nullptr || others < 2 || health().good != others) return std::nullopt;
  for (const WorkerId worker : weights.Voting()) {  // one that has no room now may have it soon
    if (shard_.On(worker) == nullptr) return std::nullopt;
  }
  if (!weights.CanVote(voter->worker) || !HasRoomAgain(voter->worker)) return std::nullopt;
  return Step(*voter, ReplicaStep::kLeave);
}

// Whether its successor finds room on its worker, once its own files are gone (Weights::CanTake).
bool ShardSteps::HasRoomAgain(WorkerId worker) const {
  const auto found = input_.load.workers.find(worker);
  if (found == input_.load.workers.end() || found->second.disk_total_bytes == 0) return true;
  return found->second.disk_free_bytes >= load_->disk_bytes / 2 + kDiskReserveBytes / 2;
}

bool ShardSteps::Movable() const {
  return Idle() && voters_.size() == wanted_ && health().good == wanted_;
}

ShardHealth ShardSteps::health() const {
  ShardHealth health{.voters = voters_.size(),
                     .moving = learners_.size() + leaving_.size(),
                     .has_leader = load_ != nullptr};
  for (const ReplicaRecord* voter : voters_) health.good += Good(*voter) ? 1 : 0;
  return health;
}

ShardHealth HealthOf(const ShardRecord& shard, const ScheduleInput& input) {
  return ShardSteps(input, shard).health();
}

}  // namespace vectron::placement
