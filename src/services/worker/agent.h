#pragma once

// A worker's side of placement: registers, tells now and then how things are, and does what it is
// told to do.
//
// What it is told is everything it must hold (assignments, kept on disk so that a start without
// placement serves the same), replicas to destroy, and leaderships to pass on. Nothing is destroyed
// but what is named to be destroyed. Of the groups it leads it brings the membership, one step at a
// time, to what placement wants (membership.h).
//
// While placement is not reached, the shards go on being served.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/timer.h"
#include "services/worker/node_state.h"
#include "services/worker/report.h"
#include "services/worker/worker.h"
#include "shard/group_host.h"
#include "vectron/placement.pb.h"

namespace vectron::worker {

// What this node is, as others see it.
struct NodeProfile {
  std::string grpc_address;
  std::string raft_address;
  std::string rack;
  std::string zone;
  std::string region;
  int32_t cpu_cores = 0;
  int64_t memory_bytes = 0;
  int64_t disk_bytes = 0;
  bool search_only = false;
};

// Placement as the agent sees it. deadline_nanos: on the monotonic clock.
struct PlacementCalls {
  template <typename Response>
  using Done = std::function<void(absl::StatusOr<Response>)>;
  std::function<void(placementdriver::v1::RegisterWorkerRequest, int64_t deadline_nanos,
                     Done<placementdriver::v1::RegisterWorkerResponse>)>
      register_worker;
  std::function<void(placementdriver::v1::HeartbeatRequest, int64_t deadline_nanos,
                     Done<placementdriver::v1::HeartbeatResponse>)>
      heartbeat;
};

// All outlive the agent.
struct AgentDeps {
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  Executor* executor = nullptr;  // opening and destroying replicas; blocks
  Worker* worker = nullptr;
  shard::GroupHost* host = nullptr;
  NodeState* state = nullptr;  // the agent's alone while it lives
  PlacementCalls placement;
  std::function<MachineLoad()> load;
  // Placement does not want this node any more, or it is another cluster's: it must stop serving.
  std::function<void(const absl::Status&)> on_expelled;
};

// The registration of a node, as placement wants it.
placementdriver::v1::RegisterWorkerRequest Registration(const NodeProfile& profile,
                                                        const node::v1::Identity& identity,
                                                        int64_t unix_ms);

// What an assignment says of a shard. InvalidArgument: a schema that this version does not know.
absl::StatusOr<rpc::ShardAssignment> AssignmentOf(
    const placementdriver::v1::ReplicaAssignment& wire);

// Thread-safe.
class Agent {
 public:
  Agent(const NodeProfile& profile, const AgentDeps& deps);
  // Stops.
  ~Agent();

  // The shards to open before anything is served.
  std::vector<rpc::ShardAssignment> StoredAssignments() const;
  // Registers and begins to send heartbeats.
  void Start();
  // Placement has something new: time for a heartbeat.
  void Nudge();
  // Tells placement, as far as it is reached within a moment, that this node stops in good order,
  // and does nothing more.
  void Stop();

  // Where another node's consensus is, as the assignments tell; "" when unknown.
  std::string RaftAddressOf(WorkerId node) const;
  bool registered() const;

 private:
  // One round: a heartbeat (or a registration), what its answer asks for, and the next one's time.
  void Beat();
  void Register();
  void OnRegistered(const absl::StatusOr<placementdriver::v1::RegisterWorkerResponse>& response);
  void OnHeartbeat(absl::StatusOr<placementdriver::v1::HeartbeatResponse> response);
  void TakeAssignments(placementdriver::v1::HeartbeatResponse& response);
  void StartReplica(const placementdriver::v1::ReplicaAssignment& wire);
  void Destroy(const std::vector<placementdriver::v1::ReplicaRef>& refs);
  // Does the next step in every group this node leads; true when there was something to do.
  bool Steer();
  void SteerLater();
  void Take(const placementdriver::v1::ReplicaAssignment& wanted, const shard::GroupView& view);
  void Schedule(int64_t in_ms);
  void CancelTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether a new group that this node is to lead first should elect it now.
  bool ShouldUrge(GroupId group, const shard::GroupView& view);
  placementdriver::v1::HeartbeatRequest MakeHeartbeat(bool stopping);
  using AssignmentPtr = std::shared_ptr<const placementdriver::v1::ReplicaAssignment>;
  std::vector<AssignmentPtr> Assignments() const;

  const NodeProfile profile_;
  const AgentDeps deps_;
  Reporter reporter_;  // of Beat

  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;
  bool beating_ ABSL_GUARDED_BY(mutex_) = false;   // a round is under way
  bool nudged_ ABSL_GUARDED_BY(mutex_) = false;    // another is wanted right after it
  bool steering_ ABSL_GUARDED_BY(mutex_) = false;  // the steering timer runs
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t interval_ms_ ABSL_GUARDED_BY(mutex_) = 1'000;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;  // of assignments, told by placement in this run
  std::map<uint64_t, AssignmentPtr> assignments_ ABSL_GUARDED_BY(mutex_);  // shared with readers
  std::set<uint64_t> busy_ ABSL_GUARDED_BY(mutex_);  // groups being started or destroyed
  // Could not be started, and why.
  std::map<uint64_t, absl::Status> failed_ ABSL_GUARDED_BY(mutex_);
  struct Fresh {
    int64_t begun_nanos = 0;
    int64_t urged_nanos = 0;
  };
  // Groups begun here, to be led from here.
  std::map<uint64_t, Fresh> fresh_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<uint64_t, uint64_t>> destroyed_ ABSL_GUARDED_BY(mutex_);  // group, replica
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // tasks, calls and timers that use this
};

}  // namespace vectron::worker
