#pragma once

// The RPCs of vectron.worker.v1.WorkerService over a Worker.
//
// shard_id of the wire is a group; an epoch of 0 stands for whatever the worker has. The RPCs of
// the contract (StoreVector and so on) and those that gateways use (UpsertPoints and so on) do the
// same things; the latter take several points or shards at once and give hints.
//
// StreamHNSWSnapshot sends the shard's points; StreamHNSWUpdates the writes that follow, as long as
// the log has them (else OUT_OF_RANGE: take a snapshot again). A chunk's data is an
// HNSWUpdateBatch, an update's value a Vector. Their timestamps are log indexes: they grow with
// every write, are equal on all replicas, and that of a snapshot begins the updates without a gap.
// An update tells of a point as it is by the time of sending.

#include <memory>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/timer.h"
#include "rpc/rpc_registry.h"
#include "services/worker/worker.h"

namespace vectron::worker {

// What the service borrows; all outlive it.
struct WorkerServiceDeps {
  Worker* worker = nullptr;
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  Executor* background_executor = nullptr;    // flushes, snapshots
  size_t max_answer_bytes = kMaxAnswerBytes;  // of one search, all its shards together
};

// Thread-safe. Outlives the servers that call it.
class WorkerService {
 public:
  explicit WorkerService(const WorkerServiceDeps& deps);
  absl::Status Register(rpc::RpcRegistry& registry);

 private:
  void RegisterPoints(rpc::RpcRegistry& registry);  // service.cc: what gateways use
  void RegisterShards(rpc::RpcRegistry& registry);
  void RegisterVectors(rpc::RpcRegistry& registry);  // vectors.cc: single vectors and searches
  void RegisterSearches(rpc::RpcRegistry& registry);
  void RegisterKeys(rpc::RpcRegistry& registry);     // keys.cc: keys, status and flush
  void RegisterStreams(rpc::RpcRegistry& registry);  // streams.cc

  const WorkerServiceDeps deps_;
};

}  // namespace vectron::worker
