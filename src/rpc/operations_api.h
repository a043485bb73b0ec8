#pragma once

// What operators ask of the control plane through the gateway. Two implementations: the single
// process, and a client of vectron.placementdriver.v1.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/ids.h"

namespace vectron::rpc {

// One worker: in a cluster as of its last heartbeat, in one process as it is now.
struct WorkerDescription {
  WorkerId id;
  std::string grpc_address;
  std::string raft_address;
  std::string state;     // "JOINING", "READY", "DRAINING", "DEAD"
  bool healthy = false;  // it answers
  int64_t last_heartbeat_unix_ms = 0;
  int64_t registered_unix_ms = 0;
  std::map<std::string, std::string> metadata;  // region, zone, rack and the like, where given
  double cpu_percent = 0;                       // of its processors, 0-100
  uint64_t memory_bytes = 0;                    // resident
  uint64_t memory_total_bytes = 0;              // of its machine or container
  uint64_t disk_bytes = 0;                      // of its replicas
  uint64_t disk_free_bytes = 0;
  uint64_t disk_total_bytes = 0;  // of its file system; 0: not known
  double requests_per_second = 0;
};

struct PlannedMove {
  std::string owner;
  std::string collection;
  ShardOrdinal ordinal;
  WorkerId from;  // 0: nothing is taken away
  WorkerId to;    // 0: nothing is added
  std::string reason;
  uint64_t size_bytes = 0;
};

enum class DrainMode : uint8_t { kStart, kCancel };
enum class RebalanceMode : uint8_t { kDryRun, kStart };

// Thread-safe. Callbacks are called once, on any thread, maybe before the call returns; they must
// not block. All may fail with Unavailable (the control plane does not answer).
class OperationsApi {
 public:
  virtual ~OperationsApi() = default;
  virtual void ListWorkers(
      std::function<void(absl::StatusOr<std::vector<WorkerDescription>>)> done) = 0;
  // Answers with the number of shards left to move. NotFound, FailedPrecondition.
  virtual void DrainWorker(WorkerId worker, DrainMode mode,
                           std::function<void(absl::StatusOr<uint32_t>)> done) = 0;
  // NotFound, FailedPrecondition (it holds shards).
  virtual void RemoveWorker(WorkerId worker, std::function<void(absl::Status)> done) = 0;
  // What is moved, or would be; empty: balanced.
  virtual void Rebalance(RebalanceMode mode,
                         std::function<void(absl::StatusOr<std::vector<PlannedMove>>)> done) = 0;
};

}  // namespace vectron::rpc
