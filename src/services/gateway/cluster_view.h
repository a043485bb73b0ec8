#pragma once

// The whole system at one moment, as operators see it: workers, collections, shards, replicas.
//
// Put together from placement's map, the list of workers and what every worker says of its
// replicas. What could not be learnt in time is marked as unknown, never guessed.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "rpc/operations_api.h"
#include "rpc/placement_api.h"
#include "rpc/worker_api.h"

namespace vectron::gateway {

struct ReplicaView {
  WorkerId worker;
  bool worker_healthy = false;
  bool known = false;   // the worker has described it
  rpc::ShardInfo info;  // when known
};

enum class ShardState : uint8_t {
  kReady,
  kUnderReplicated,  // it works, with fewer replicas than wanted
  kNoLeader,
  kFailed,  // its leader cannot use it
  kUnknown  // its leader did not answer
};
// "ready", "under_replicated", "no_leader", "failed", "unknown"
std::string_view ShardStateName(ShardState state);

struct ShardView {
  rpc::ShardPlacement placement;
  std::vector<ReplicaView> replicas;  // as placed
  ShardState state = ShardState::kUnknown;

  // The replica whose figures stand for the shard: the leader's, else that of the first known one;
  // null when none is known.
  const ReplicaView* figures() const;
};

struct CollectionView {
  std::shared_ptr<const rpc::CollectionRecord> record;  // shared with the map
  std::vector<ShardView> shards;                        // by ordinal
};

// How one party answered while a view was taken.
struct SourceAnswer {
  absl::Status status;
  double milliseconds = 0;
};

struct ClusterView {
  int64_t unix_ms = 0;                          // when it was complete
  SourceAnswer placement;                       // not OK: why `workers` is empty
  std::map<WorkerId, SourceAnswer> answers;     // of the workers that were asked
  std::vector<rpc::WorkerDescription> workers;  // by id
  std::vector<CollectionView> collections;      // by owner and name
};
using ClusterViewPtr = std::shared_ptr<const ClusterView>;  // shared by the requests that show it

// Sums over a view.
struct ClusterTotals {
  uint64_t points = 0;       // one replica of each shard
  bool points_known = true;  // else nobody told of some shard
  uint64_t collections = 0;
  uint64_t healthy_workers = 0;
  uint64_t disk_bytes = 0;        // all replicas
  uint64_t memory_bytes = 0;      // resident, of the workers
  double cpu_percent = 0;         // mean over the healthy workers
  uint64_t least_free_bytes = 0;  // of the healthy workers' file systems; 0: not known
};
ClusterTotals TotalsOf(const ClusterView& view);

// What a view is made from; all outlive the call.
struct ClusterSources {
  rpc::PlacementApi* placement = nullptr;
  rpc::OperationsApi* operations = nullptr;
  std::function<rpc::WorkerApi*(WorkerId)> worker_of;  // null when there is none of that id
  const Clock* clock = nullptr;
  std::string placement_endpoint;  // address, for people
};
// A worker that takes longer is as one that is silent.
inline constexpr int64_t kDescribeTimeoutMs = 2'000;

// Asks all sources and gives the view to `done`, on any thread, maybe before it returns. It waits
// for every worker's answer or error; workers are asked with a deadline of kDescribeTimeoutMs.
void TakeClusterView(const ClusterSources& sources, std::function<void(ClusterViewPtr)> done);

}  // namespace vectron::gateway
