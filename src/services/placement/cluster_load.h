#pragma once

// What is measured of the cluster, beside the state: who lives, who leads, who is in sync, what it
// costs. Comes from heartbeats, lives in the leader's memory, decides what the scheduler does next.

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "services/placement/cluster_state.h"

namespace vectron::placement {

struct WorkerLoad {
  bool alive = false;             // heard of lately
  bool stopping = false;          // shuts down; its leaderships go elsewhere
  double cpu_percent = 0;         // of all its cores, over the last minute
  uint64_t disk_total_bytes = 0;  // 0: not said
  uint64_t disk_free_bytes = 0;
};

// Of one shard. What its leader says is there only while the leader is heard of.
struct ShardLoad {
  ReplicaId leader = {};  // 0: none known
  uint64_t term = 0;
  // The leader acted on assignments as of this version of the state when it said the following.
  uint64_t acted_on_version = 0;
  bool membership_pending = false;  // a change is proposed and not applied
  std::set<ReplicaId> voters = {};  // as applied by the leader
  std::set<ReplicaId> learners = {};
  std::set<ReplicaId> in_sync = {};
  // Measured, the most that any replica reports.
  uint64_t points = 0;
  uint64_t indexed = 0;
  uint64_t disk_bytes = 0;
  uint64_t memory_bytes = 0;
  double cpu_cores = 0;  // over the last minute
};

struct ClusterLoad {
  std::map<WorkerId, WorkerLoad> workers = {};
  std::map<GroupId, ShardLoad> shards = {};
  // Quarantined or damaged, as their workers say, or of those that differ.
  std::set<ReplicaId> failed = {};
  // Held other points than most of their shard's voters when they stood at one entry with them.
  std::set<ReplicaId> differing = {};
  // Shards whose replicas hold different points at one entry, whoever is right.
  std::set<GroupId> differing_groups = {};
  // For how long a replica that is not in sync has applied nothing new; by a monotonic clock.
  std::map<ReplicaId, int64_t> stuck_ms = {};

  bool IsAlive(WorkerId worker) const {
    const auto found = workers.find(worker);
    return found != workers.end() && found->second.alive;
  }
  // Null when nothing is known of it.
  const ShardLoad* Find(GroupId group) const {
    const auto found = shards.find(group);
    return found == shards.end() ? nullptr : &found->second;
  }
};

}  // namespace vectron::placement
