#include "apps/vectron/local_operations.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/cores.h"
#include "base/status.h"
#include "index/available_memory.h"

namespace vectron {
namespace {

constexpr WorkerId kOnlyWorker{1};

absl::Status CheckKnown(WorkerId worker) {
  if (worker == kOnlyWorker) return absl::OkStatus();
  return NotFound("worker {} does not exist; the only one is {}", worker.value, kOnlyWorker.value);
}

}  // namespace

LocalOperations::LocalOperations(Deps deps)
    : deps_(std::move(deps)), start_unix_ms_(deps_.clock->UnixMillis()) {
  CHECK(deps_.worker != nullptr && deps_.files != nullptr);
  const absl::MutexLock lock(&mutex_);
  last_.nanos = deps_.clock->MonotonicNanos();
  last_.cpu_seconds = ReadProcessUsage().cpu_seconds;
}

LocalOperations::Measured LocalOperations::Measure(const ProcessUsage& usage, uint64_t requests) {
  const int64_t now = deps_.clock->MonotonicNanos();
  const absl::MutexLock lock(&mutex_);
  if (now - last_.nanos < kMinSpanNanos) return last_;
  const double seconds = static_cast<double>(now - last_.nanos) * 1e-9;
  const auto processors = static_cast<double>(UsableCores());
  last_ = {.nanos = now,
           .cpu_seconds = usage.cpu_seconds,
           .requests = requests,
           .cpu_percent = 100 * (usage.cpu_seconds - last_.cpu_seconds) / seconds / processors,
           // Counters of a shard that was deleted meanwhile are gone.
           .requests_per_second =
               static_cast<double>(requests - std::min(requests, last_.requests)) / seconds};
  return last_;
}

void LocalOperations::ListWorkers(
    std::function<void(absl::StatusOr<std::vector<rpc::WorkerDescription>>)> done) {
  rpc::WorkerDescription worker;
  worker.id = kOnlyWorker;
  worker.grpc_address = "in-process";
  worker.state = "READY";
  worker.healthy = true;
  worker.last_heartbeat_unix_ms = deps_.clock->UnixMillis();
  worker.registered_unix_ms = start_unix_ms_;
  uint64_t requests = 0;
  for (const worker::ShardReport& report : deps_.worker->Report()) {
    worker.disk_bytes += report.stats.disk_bytes;
    requests += report.stats.searches + report.stats.writes;
  }
  const ProcessUsage usage = ReadProcessUsage();
  const Measured measured = Measure(usage, requests);
  worker.cpu_percent = measured.cpu_percent;
  worker.requests_per_second = measured.requests_per_second;
  worker.memory_bytes = usage.resident_bytes;
  const uint64_t available = index::AvailableMemoryBytes();
  if (available != ~uint64_t{0}) worker.memory_total_bytes = usage.resident_bytes + available;
  const absl::StatusOr<FileSystem::Space> space = deps_.files->FreeSpace(deps_.data_dir);
  if (space.ok()) {
    worker.disk_free_bytes = space->free_bytes;
    worker.disk_total_bytes = space->total_bytes;
  }
  done(std::vector<rpc::WorkerDescription>{std::move(worker)});
}

void LocalOperations::DrainWorker(WorkerId worker, rpc::DrainMode mode,
                                  std::function<void(absl::StatusOr<uint32_t>)> done) {
  const absl::Status known = CheckKnown(worker);
  if (!known.ok()) return done(known);
  if (mode == rpc::DrainMode::kCancel) return done(0u);  // it never drains
  done(
      FailedPrecondition("worker {} is the only one: its shards have nowhere to go", worker.value));
}

void LocalOperations::RemoveWorker(WorkerId worker, std::function<void(absl::Status)> done) {
  const absl::Status known = CheckKnown(worker);
  if (!known.ok()) return done(known);
  done(FailedPrecondition("worker {} is this process itself and cannot be removed", worker.value));
}

void LocalOperations::Rebalance(
    rpc::RebalanceMode /*mode*/,
    std::function<void(absl::StatusOr<std::vector<rpc::PlannedMove>>)> done) {
  done(std::vector<rpc::PlannedMove>());  // one worker is always balanced
}

}  // namespace vectron
