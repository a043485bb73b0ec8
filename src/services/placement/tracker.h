#pragma once

// What the leader of placement hears: the last heartbeat of every worker and reranker, and what
// follows from them for the scheduler. Not through the log: a new leader begins with nothing and
// takes nobody for dead before it has listened for as long as death takes.
//
// Thread-compatible. Time comes with the calls, monotonic.

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "services/placement/smoothed.h"
#include "vectron/placement.pb.h"

namespace vectron::placement {

class Tracker {
 public:
  // healthy_ms: how old a heartbeat may be for its sender to count as alive.
  explicit Tracker(int64_t healthy_ms) : healthy_nanos_(healthy_ms * 1'000'000) {}

  // Leadership began, or kNotBegun: it ended. What was heard before is forgotten.
  static constexpr int64_t kNotBegun = std::numeric_limits<int64_t>::max() / 2;
  void Restart(int64_t began_nanos);
  int64_t began_nanos() const { return began_nanos_; }

  // This node itself did not run for so long: nobody's silence.
  void PassOver(int64_t nanos, int64_t now_nanos);

  // Keeps what a worker says. Returns what was wrong with its reports of replicas, which are
  // dropped; for people.
  std::vector<std::string> Take(WorkerId worker, placementdriver::v1::HeartbeatRequest heartbeat,
                                const ClusterState& state, int64_t now_nanos, int64_t now_unix_ms);
  // Replicas of a group that said they stand at the same entry and hold other points: told once,
  // and again when they agreed in between. For people. Of the reports taken since the last call.
  std::vector<std::string> TakeDifferences() { return std::exchange(differences_, {}); }
  // Groups whose replicas were found to differ, and neither agreed since nor were replaced.
  size_t differing_groups() const { return differing_.size(); }
  void TakeReranker(RerankerId reranker, int64_t now_nanos, int64_t now_unix_ms);
  // Forgets those that are no longer in the state.
  void Forget(const ClusterState& state);

  bool IsHealthy(WorkerId worker, int64_t now_nanos) const;
  bool IsHealthy(RerankerId reranker, int64_t now_nanos) const;
  // Whether leadership is so young that a healthy worker need not have been heard, and this one has
  // not been.
  bool MayStillBeHeard(WorkerId worker, int64_t now_nanos) const;
  // Since it was last heard of, or since leadership began.
  int64_t SilentMillis(WorkerId worker, int64_t now_nanos) const;
  int64_t SilentMillis(RerankerId reranker, int64_t now_nanos) const;
  // Null when none was heard. Its reports are those that were not dropped.
  const placementdriver::v1::HeartbeatRequest* LastHeartbeat(WorkerId worker) const;
  int64_t LastUnixMillis(WorkerId worker) const;
  int64_t LastUnixMillis(RerankerId reranker) const;

  ClusterLoad Load(const ClusterState& state, int64_t now_nanos) const;

 private:
  struct Heard {
    int64_t at_nanos = 0;
    int64_t at_unix_ms = 0;
    Smoothed cpu_percent;
    placementdriver::v1::HeartbeatRequest heartbeat;
  };
  // What a replica said last of its points.
  struct Held {
    uint64_t index = 0;
    uint64_t digest = 0;
    bool operator==(const Held&) const = default;
  };
  // Of one replica, over its reports.
  struct Progress {
    uint64_t applied_index = 0;
    int64_t since_nanos = 0;
    Smoothed cpu_cores;
  };
  void NoteProgress(const placementdriver::v1::HeartbeatRequest& heartbeat, int64_t now_nanos);
  void NoteStates(const placementdriver::v1::HeartbeatRequest& heartbeat,
                  const ClusterState& state);
  void JudgeStates(const ShardRecord& shard, uint64_t index);
  // Whether one of them is outvoted, or two differ at one entry.
  bool AnyDiffers(const std::map<ReplicaId, Held>& replicas) const;
  void NoteCpu(const WorkerRecord* worker, const placementdriver::v1::HeartbeatRequest& heartbeat,
               int64_t now_nanos);
  void AddReport(const placementdriver::v1::ReplicaReport& report, const ShardRecord& shard,
                 const Heard& heard, ClusterLoad& load) const;

  const int64_t healthy_nanos_;
  int64_t began_nanos_ = kNotBegun;
  std::map<WorkerId, Heard> workers_;
  std::map<RerankerId, std::pair<int64_t, int64_t>> rerankers_;  // monotonic, Unix ms
  std::map<ReplicaId, Progress> progress_;
  std::map<GroupId, std::map<ReplicaId, Held>> held_;
  std::set<GroupId> differing_;
  std::set<ReplicaId> outvoted_;  // differ from most voters of their shards
  std::vector<std::string> differences_;
};

}  // namespace vectron::placement
