#pragma once

// The settings of placement; equal on all its nodes, since any of them may come to lead.

#include <cstddef>
#include <cstdint>

namespace vectron::placement {

struct SchedulerOptions {
  size_t max_moves = 8;             // replicas on their way, over the cluster
  size_t max_moves_per_worker = 2;  // of those, to one worker
  // A worker is relieved when it is loaded more than this fraction of the mean above another.
  double balance_gap = 0.2;
  double hot_cpu_percent = 80;         // past it a worker's hottest shard is looked at
  int64_t move_cooldown_ms = 300'000;  // a shard is not moved again for balance before
  int64_t stuck_learner_ms = 600'000;  // a learner without progress for this long is given up
};

struct PlacementOptions {
  int64_t heartbeat_interval_ms = 5'000;
  int64_t busy_heartbeat_ms = 200;  // asked of workers that have something to do
  // A worker silent for this long is dead: its replicas are replaced. Well above a restart.
  int64_t dead_after_ms = 300'000;
  int64_t create_timeout_ms = 30'000;  // a collection that has no leaders by then is taken back
  uint32_t default_shard_count = 1;
  uint32_t default_replication_factor = 3;  // at most as many as there are workers
  int64_t schedule_interval_ms = 500;
  SchedulerOptions scheduler;
};

}  // namespace vectron::placement
