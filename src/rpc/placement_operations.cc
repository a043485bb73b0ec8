#include "rpc/placement_operations.h"

#include <charconv>
#include <string>
#include <string_view>
#include <utility>

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

std::string StateName(const pb::WorkerInfo& wire) {
  if (wire.dead()) return "DEAD";
  constexpr std::string_view kPrefix = "WORKER_STATE_";
  return pb::WorkerState_Name(wire.state()).substr(kPrefix.size());
}

}  // namespace

WorkerDescription FromWire(const pb::WorkerInfo& wire) {
  WorkerDescription worker;
  const std::string& id = wire.worker_id();
  std::from_chars(id.data(), id.data() + id.size(), worker.id.value);  // else 0: none
  worker.grpc_address = wire.grpc_address();
  worker.raft_address = wire.raft_address();
  worker.state = pb::WorkerState_IsValid(wire.state()) ? StateName(wire) : "UNKNOWN";
  worker.healthy = wire.healthy() && !wire.dead();
  worker.last_heartbeat_unix_ms = wire.last_heartbeat() * 1'000;
  worker.registered_unix_ms = wire.registered_unix_ms();
  worker.metadata = {wire.metadata().begin(), wire.metadata().end()};
  for (const auto& [key, value] :
       {std::pair{"region", &wire.region()}, std::pair{"zone", &wire.zone()},
        std::pair{"rack", &wire.rack()}}) {
    if (!value->empty()) worker.metadata[key] = *value;
  }
  if (wire.search_only()) worker.metadata["search_only"] = "true";
  worker.cpu_percent = wire.cpu_usage_percent();
  worker.memory_bytes = wire.memory_used_bytes();
  worker.memory_total_bytes = wire.memory_bytes();
  worker.disk_bytes = wire.disk_used_bytes();
  worker.disk_total_bytes = wire.disk_bytes();
  const double used = static_cast<double>(wire.disk_usage_percent()) / 100;
  worker.disk_free_bytes =
      static_cast<uint64_t>(static_cast<double>(wire.disk_bytes()) * (used < 1 ? 1 - used : 0));
  worker.requests_per_second = wire.queries_per_second();
  return worker;
}

void PlacementOperations::ListWorkers(
    std::function<void(absl::StatusOr<std::vector<WorkerDescription>>)> done) {
  placement_.ListWorkers(
      Deadline(),
      [done = std::move(done)](const PlacementCaller::Answer<pb::ListWorkersResponse>& answer) {
        if (!answer.response.ok()) return done(answer.response.status());
        std::vector<WorkerDescription> workers;
        for (const pb::WorkerInfo& wire : answer.response->workers()) {
          workers.push_back(FromWire(wire));
        }
        done(std::move(workers));
      });
}

void PlacementOperations::DrainWorker(WorkerId worker, DrainMode mode,
                                      std::function<void(absl::StatusOr<uint32_t>)> done) {
  pb::DrainWorkerRequest request;
  request.set_worker_id(std::to_string(worker.value));
  request.set_cancel(mode == DrainMode::kCancel);
  placement_.DrainWorker(
      std::move(request), Deadline(),
      [done = std::move(done)](const PlacementCaller::Answer<pb::DrainWorkerResponse>& answer) {
        if (!answer.response.ok()) return done(answer.response.status());
        done(answer.response->shards_left());
      });
}

void PlacementOperations::RemoveWorker(WorkerId worker, std::function<void(absl::Status)> done) {
  pb::RemoveWorkerRequest request;
  request.set_worker_id(std::to_string(worker.value));
  placement_.RemoveWorker(
      std::move(request), Deadline(),
      [done = std::move(done)](const PlacementCaller::Answer<pb::RemoveWorkerResponse>& answer) {
        done(answer.response.status());
      });
}

void PlacementOperations::Rebalance(
    RebalanceMode mode, std::function<void(absl::StatusOr<std::vector<PlannedMove>>)> done) {
  pb::RebalanceRequest request;
  request.set_dry_run(mode == RebalanceMode::kDryRun);
  placement_.Rebalance(
      std::move(request), Deadline(),
      [done = std::move(done)](const PlacementCaller::Answer<pb::RebalanceResponse>& answer) {
        if (!answer.response.ok()) return done(answer.response.status());
        std::vector<PlannedMove> moves;
        for (const pb::PlannedMove& wire : answer.response->moves()) {
          moves.push_back({.owner = wire.owner(),
                           .collection = wire.collection(),
                           .ordinal = ShardOrdinal{wire.ordinal()},
                           .from = WorkerId{wire.from_worker_id()},
                           .to = WorkerId{wire.to_worker_id()},
                           .reason = wire.reason(),
                           .size_bytes = wire.size_bytes()});
        }
        done(std::move(moves));
      });
}

}  // namespace vectron::rpc
