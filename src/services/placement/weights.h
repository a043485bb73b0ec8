#pragma once

// How full workers are and how well a shard's replicas are spread: the numbers behind the
// scheduler's choices, with everything under way counted as done.
//
// The load of a worker is the sum of its replicas' costs, each a weighted sum of the fractions of
// its disk, memory and processors that the shard takes as measured, and a small constant so that
// empty shards spread too. The spread of replicas is the number of pairs in one region, then in one
// zone of it, then in one rack of that: compared in this order, less is better.

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "model/ids.h"
#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "services/placement/options.h"

namespace vectron::placement {

// Confined to one run of the scheduler.
class Weights {
 public:
  Weights(const ClusterState& state, const ClusterLoad& load, const SchedulerOptions& options,
          uint64_t seed);

  double LoadOf(WorkerId worker) const { return At(worker).load; }
  double CpuPercentOf(WorkerId worker) const { return At(worker).cpu_percent; }
  size_t LeadersOf(WorkerId worker) const { return At(worker).leaders; }
  // Of one replica of the shard there.
  double Cost(const ShardRecord& shard, WorkerId worker) const;
  double CpuPercent(const ShardRecord& shard, WorkerId worker) const;

  // Of replicas on these workers.
  uint64_t Penalty(const std::vector<WorkerId>& workers) const;
  // Where the shard's voters are once what is under way is done.
  static std::vector<WorkerId> Final(const ShardRecord& shard);

  // Voters may be placed on it: eligible, alive, not search-only.
  bool CanVote(WorkerId worker) const { return At(worker).can_vote; }
  // CanVote, has no replica of the shard, has room for it and for another move.
  bool CanTake(const ShardRecord& shard, WorkerId worker) const;
  // The best worker to hold the shard beside `others`: the best spread, then the least load.
  std::optional<WorkerId> Best(const ShardRecord& shard, const std::vector<WorkerId>& others) const;
  // The same for a new, empty shard, over all that CanVote and are not among `others`; one whose
  // disk is full when there is no other.
  std::optional<WorkerId> BestForNew(const std::vector<WorkerId>& others) const;
  // Workers that CanVote.
  std::vector<WorkerId> Voting() const;
  // The same, those of one region, zone and rack together.
  std::vector<std::vector<WorkerId>> VotingByPlace() const;
  // Search-only ones that are eligible and alive.
  std::vector<WorkerId> SearchOnly() const;

  // Counts what was decided, so that the next decision sees it done.
  void CountMove(const ShardRecord& shard, WorkerId to, std::optional<WorkerId> from);
  void CountNew(WorkerId worker, bool leads);
  size_t moves() const { return moves_; }

 private:
  struct Worker {
    const WorkerRecord* record = nullptr;
    bool can_vote = false;
    double load = 0;
    double cpu_percent = 0;
    uint64_t free_bytes = ~uint64_t{0};
    bool is_full = false;  // its disk: upserts are refused there
    size_t replicas = 0;
    size_t leaders = 0;
    size_t moves = 0;  // to it
  };
  const Worker& At(WorkerId worker) const;
  void CountShard(const ShardRecord& shard);
  // Random but fixed for the seed: breaks ties.
  uint64_t Tie(GroupId group, WorkerId worker) const;

  const ClusterLoad& load_;
  const SchedulerOptions& options_;
  const uint64_t seed_;
  std::map<WorkerId, Worker> workers_;
  size_t moves_ = 0;  // replicas on their way to be voters
};

}  // namespace vectron::placement
