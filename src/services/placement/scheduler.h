#pragma once

// Decides what is done next to the cluster's shards: a pure function of what is known. It looks at
// how things are, not at what it decided before, so it goes on wherever a leader before it stopped,
// and an empty answer means that nothing is left to do (or that nothing can be done: too few
// workers, no quorum).
//
// A shard has at most one replica on its way in or out:
//   add a learner -> it is in sync -> promote -> leave of the one it replaces -> gone
// Each step waits until the group's leader, having seen the step before, reports it done. A learner
// whose worker dies or drains, or that makes no progress, or that is no longer needed, leaves
// again; a voter that is to leave stays when another falls behind before it is out.
//
// What never happens: an in-sync voter leaves while another voter is not in sync, or while fewer
// than the wanted number would stay; anything happens to a group whose leader is not heard of.
// The one exception: a voter whose points differ from those of most voters (ClusterLoad::differing)
// makes room for its own successor where no other worker is there to hold one, as long as all
// others, two at least, are good; one shard of the cluster at a time. Nothing is copied from it: it
// hands its leadership over first.
//
// Order of need: steps under way, repair (the fewest good replicas first), drain, spread over
// failure domains, hot workers, balance, copies for search-only workers. A hot worker's shard moves
// only to where it makes no other worker hot; a move for spread makes no worker hot; a move for
// balance makes no worker hot and no spread worse, and leaves its target no fuller than its source.
// So (excess of hot workers, spread, sorted loads) falls with every move at equal measurements, and
// moves end.

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "services/placement/command.h"
#include "services/placement/options.h"

namespace vectron::placement {

struct ScheduleInput {
  const ClusterState& state;
  const ClusterLoad& load;
  const SchedulerOptions& options;
  int64_t now_unix_ms = 0;
  uint64_t seed = 0;   // breaks ties
  bool eager = false;  // an operator asked: without cool-down, down to small gaps
};

// The next commands: steps under way, as many repairs and drains as the budget takes, at most one
// move of each other kind.
std::vector<CommandBody> Schedule(const ScheduleInput& input);

// Workers for the replicas of a new collection's shards, the leader of each first.
// FailedPrecondition when fewer than `replication_factor` workers can take voters.
absl::StatusOr<std::vector<std::vector<WorkerId>>> PlaceNewShards(const ScheduleInput& input,
                                                                  size_t shard_count,
                                                                  size_t replication_factor);

// Leaderships that ought to go elsewhere: away from replicas that leave or differ from most voters,
// and from workers that drain or stop; from workers that lead two groups more than another that
// could. Wishes, not commands: they are told to the leaders with their heartbeats, and computed
// anew each time.
struct LeaderWish {
  GroupId group;
  ReplicaId from;
  ReplicaId to;
};
std::vector<LeaderWish> WishLeaders(const ScheduleInput& input);

// What Schedule would move if each move were done at once, in order; for a dry run. Of very many
// shards only the first moves.
std::vector<AddReplica> PlanMoves(const ScheduleInput& input);

// Whether `millis` have passed since `then_unix_ms`, which a leader's clock said. A time to come
// was said by a clock that is ahead, or has been set back since: it holds up nothing.
bool HasPassed(int64_t then_unix_ms, int64_t millis, const ScheduleInput& input);

// A shard as the scheduler sees it.
struct ShardHealth {
  size_t voters = 0;  // wanted: not leaving
  size_t good = 0;    // of them: alive, not failed and in sync
  size_t moving = 0;  // replicas on their way in or out
  bool has_leader = false;
};
ShardHealth HealthOf(const ShardRecord& shard, const ScheduleInput& input);

}  // namespace vectron::placement
