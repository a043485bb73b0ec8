#pragma once

// What operators ask of the control plane of a cluster: OperationsApi over
// vectron.placementdriver.v1.

#include <functional>
#include <vector>

#include "base/clock.h"
#include "rpc/operations_api.h"
#include "rpc/placement_caller.h"

namespace vectron::rpc {

// Thread-safe. Calls end within kOperationTimeoutMs; beside placement's own errors Unavailable when
// no leader is found by then.
class PlacementOperations : public OperationsApi {
 public:
  static constexpr int64_t kOperationTimeoutMs = 3'000;

  // Both outlive it.
  PlacementOperations(PlacementCaller& placement, const Clock& clock)
      : placement_(placement), clock_(clock) {}

  void ListWorkers(
      std::function<void(absl::StatusOr<std::vector<WorkerDescription>>)> done) override;
  void DrainWorker(WorkerId worker, DrainMode mode,
                   std::function<void(absl::StatusOr<uint32_t>)> done) override;
  void RemoveWorker(WorkerId worker, std::function<void(absl::Status)> done) override;
  void Rebalance(RebalanceMode mode,
                 std::function<void(absl::StatusOr<std::vector<PlannedMove>>)> done) override;

 private:
  int64_t Deadline() const { return clock_.MonotonicNanos() + kOperationTimeoutMs * 1'000'000; }

  PlacementCaller& placement_;
  const Clock& clock_;
};

// A worker as placement describes it.
WorkerDescription FromWire(const placementdriver::v1::WorkerInfo& wire);

}  // namespace vectron::rpc
