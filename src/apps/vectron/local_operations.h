#pragma once

// What operators ask of the control plane, where there is none: everything is in this process.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/operations_api.h"
#include "services/worker/worker.h"

namespace vectron {

// The one worker of a single process, measured when asked for. Thread-safe.
class LocalOperations : public rpc::OperationsApi {
 public:
  // What it borrows; all outlive it.
  struct Deps {
    const worker::Worker* worker = nullptr;
    const Clock* clock = nullptr;
    FileSystem* files = nullptr;
    std::string data_dir;
  };
  explicit LocalOperations(Deps deps);

  void ListWorkers(
      std::function<void(absl::StatusOr<std::vector<rpc::WorkerDescription>>)> done) override;
  // FailedPrecondition: its shards have nowhere to go.
  void DrainWorker(WorkerId worker, rpc::DrainMode mode,
                   std::function<void(absl::StatusOr<uint32_t>)> done) override;
  void RemoveWorker(WorkerId worker, std::function<void(absl::Status)> done) override;
  void Rebalance(rpc::RebalanceMode mode,
                 std::function<void(absl::StatusOr<std::vector<rpc::PlannedMove>>)> done) override;

 private:
  // Rates are over the time between two measurements, which are at least kMinSpanNanos apart.
  static constexpr int64_t kMinSpanNanos = 1'000'000'000;
  struct Measured {
    int64_t nanos = 0;
    double cpu_seconds = 0;
    uint64_t requests = 0;
    double cpu_percent = 0;
    double requests_per_second = 0;
  };
  Measured Measure(const ProcessUsage& usage, uint64_t requests);

  const Deps deps_;
  const int64_t start_unix_ms_;
  absl::Mutex mutex_;
  Measured last_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron
