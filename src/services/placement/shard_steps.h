#pragma once

// The next step of one shard: what follows from its replicas and from what their leader says.

#include <optional>
#include <vector>

#include "services/placement/scheduler.h"
#include "services/placement/weights.h"

namespace vectron::placement {

// Thread-compatible; lives for one run of the scheduler.
class ShardSteps {
 public:
  ShardSteps(const ScheduleInput& input, const ShardRecord& shard);

  // Finishes what is under way: a step for a replica that is there. Nullopt: nothing to do, or to
  // wait for.
  std::optional<StepReplica> Next(const Weights& weights) const;
  // Nothing is under way, and the leader has the membership that is wanted.
  bool Idle() const;

  // What an idle shard lacks, in order of need. `replaces` 0: it has too few voters.
  struct Need {
    MoveReason reason = MoveReason::kRepair;
    ReplicaId replaces = {};
    size_t good = 0;  // voters in sync
  };
  std::optional<Need> Lacks() const;
  // No voter is missing, or on its way in or out.
  bool Whole() const;
  // Takes a differing voter out whose successor has no place but its own (scheduler.h).
  std::optional<StepReplica> MakeRoom(ReplicaId replaced, const Weights& weights) const;
  // Idle, and its voters are as many as wanted and all in sync: it may be moved for its
  // surroundings.
  bool Movable() const;

  const std::vector<const ReplicaRecord*>& voters() const { return voters_; }
  ShardHealth health() const;
  // Alive, in sync, not failed.
  bool Good(const ReplicaRecord& replica) const;

 private:
  // Will not come to be good by waiting.
  bool Bad(const ReplicaRecord& replica) const;
  // Its worker is not to hold voters.
  bool Misplaced(const ReplicaRecord& replica) const;
  // The leader knows the shard as it is now and has no change of its own under way.
  bool LeaderIsCurrent() const;
  bool MayLeave(const ReplicaRecord& voter) const;
  std::optional<StepReplica> StepLearners() const;
  std::optional<StepReplica> StepSurplus(const Weights& weights) const;
  bool HasRoomAgain(WorkerId worker) const;
  bool LearnerIsPointless(const ReplicaRecord& learner) const;
  StepReplica Step(const ReplicaRecord& replica, ReplicaStep step) const;

  const ScheduleInput& input_;
  const ShardRecord& shard_;
  const size_t wanted_;
  const ShardLoad* load_;                       // null: its leader is not heard of
  std::vector<const ReplicaRecord*> voters_;    // not leaving
  std::vector<const ReplicaRecord*> learners_;  // on their way to be voters
  std::vector<const ReplicaRecord*> copies_;    // learners for reads
  std::vector<const ReplicaRecord*> leaving_;
};

}  // namespace vectron::placement
