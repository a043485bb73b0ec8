#include "services/gateway/alert_rules.h"

#include <algorithm>

#include "base/check.h"
#include "base/status.h"

namespace vectron::gateway {
namespace {

using Stands = std::function<bool(AlertRule, std::string_view)>;

// A figure that must stay below two levels.
struct Limit {
  AlertRule rule;
  std::string subject;
  double value;
  double warning;
  double critical;
};

// The level it has reached, if any. What stands already ends only at a share of the first level.
std::optional<AlertLevel> LevelOf(const Limit& limit, const Stands& stands) {
  if (limit.value >= std::max(limit.critical, limit.warning)) return AlertLevel::kCritical;
  const double begin =
      stands(limit.rule, limit.subject) ? limit.warning * kAlertEndShare : limit.warning;
  if (limit.value >= begin) return AlertLevel::kWarning;
  return std::nullopt;
}

std::string WorkerName(WorkerId id) { return fmt::format("worker-{}", id.value); }

void CheckWorkers(const Measurements& measurements, const AlertThresholds& thresholds,
                  const Stands& stands, std::vector<AlertCondition>& found) {
  for (const rpc::WorkerDescription& worker : measurements.view->workers) {
    const std::string name = WorkerName(worker.id);
    if (!worker.healthy) {
      found.push_back(
          {.rule = AlertRule::kWorkerDown,
           .subject = name,
           .level = AlertLevel::kCritical,
           .title = fmt::format("{} is down", name),
           .message = fmt::format("{} ({}) sends no heartbeats", name, worker.grpc_address)});
      continue;  // its other figures are old
    }
    const auto total_disk = static_cast<double>(worker.disk_total_bytes);
    const double disk =
        total_disk > 0 ? 100 * (1 - static_cast<double>(worker.disk_free_bytes) / total_disk) : 0;
    if (const auto level = LevelOf({AlertRule::kDiskFull, name, disk, thresholds.disk_percent,
                                    thresholds.disk_critical_percent},
                                   stands);
        level && total_disk > 0) {
      found.push_back({.rule = AlertRule::kDiskFull,
                       .subject = name,
                       .level = *level,
                       .title = fmt::format("Disk of {} is {:.0f} % full", name, disk),
                       .message = fmt::format("{} of {} bytes are free; writes are refused when "
                                              "the reserve is reached",
                                              worker.disk_free_bytes, worker.disk_total_bytes)});
    }
    const auto total_memory = static_cast<double>(worker.memory_total_bytes);
    const double memory =
        total_memory > 0 ? 100 * static_cast<double>(worker.memory_bytes) / total_memory : 0;
    if (const auto level = LevelOf({AlertRule::kMemory, name, memory, thresholds.memory_percent,
                                    thresholds.memory_critical_percent},
                                   stands);
        level && total_memory > 0) {
      found.push_back({.rule = AlertRule::kMemory,
                       .subject = name,
                       .level = *level,
                       .title = fmt::format("{} takes {:.0f} % of its memory", name, memory),
                       .message = fmt::format("{} of {} bytes are resident", worker.memory_bytes,
                                              worker.memory_total_bytes)});
    }
  }
}

// Two owners may use one name.
std::string ShardName(const rpc::CollectionRecord& record, const ShardView& shard) {
  return fmt::format("collection {}{}{}, shard {}", record.schema.name,
                     record.owner.empty() ? "" : " of ", record.owner,
                     shard.placement.ordinal.value);
}

// As placement found it.
void CheckDifferences(const ClusterView& view, std::vector<AlertCondition>& found) {
  for (const CollectionView& collection : view.collections) {
    for (const ShardView& shard : collection.shards) {
      if (!shard.placement.differs) continue;
      const std::string subject = ShardName(*collection.record, shard);
      std::vector<std::string> wrong;
      for (const WorkerId worker : shard.placement.outvoted) wrong.push_back(WorkerName(worker));
      found.push_back(
          {.rule = AlertRule::kReplicasDiffer,
           .subject = subject,
           .level = AlertLevel::kCritical,
           .title = fmt::format("Replicas differ: {}", subject),
           .message =
               wrong.empty()
                   ? "they hold different points at one log entry, and no majority says which are "
                     "right, so nothing is touched; placement's log names them. Stop writes for a "
                     "moment, or drain the worker that you know to be bad. Ends once those left "
                     "agree"
                   : fmt::format("{} holds other points than most voters: reads that any replica "
                                 "may answer leave it out, and a fresh copy replaces it. Ends once "
                                 "it is gone or agrees",
                                 fmt::join(wrong, " and "))});
    }
  }
}

void CheckShards(const ClusterView& view, std::vector<AlertCondition>& found) {
  for (const CollectionView& collection : view.collections) {
    const rpc::CollectionRecord& record = *collection.record;
    for (const ShardView& shard : collection.shards) {
      const std::string subject = ShardName(record, shard);
      AlertCondition condition{.rule = AlertRule::kShardFailed,
                               .subject = subject,
                               .level = AlertLevel::kCritical,
                               .title = {},
                               .message = {}};
      switch (shard.state) {
        case ShardState::kReady:
        case ShardState::kUnknown:  // its worker's own alert tells
          continue;
        case ShardState::kUnderReplicated: {
          const auto serving = std::count_if(
              shard.replicas.begin(), shard.replicas.end(), [](const ReplicaView& replica) {
                return replica.worker_healthy && replica.known && replica.info.ready;
              });
          condition.rule = AlertRule::kShardUnderReplicated;
          condition.level = AlertLevel::kWarning;
          condition.title = fmt::format("Too few replicas: {}", subject);
          condition.message =
              fmt::format("{} of {} replicas serve", serving, record.schema.replication_factor);
          break;
        }
        case ShardState::kNoLeader:
          condition.rule = AlertRule::kShardNoLeader;
          condition.title = fmt::format("No leader: {}", subject);
          condition.message = "it takes neither writes nor fresh reads";
          break;
        case ShardState::kFailed:
          condition.title = fmt::format("Failed: {}", subject);
          condition.message = fmt::format("{} cannot serve it, or not all of it; its log says why",
                                          WorkerName(shard.placement.leader));
          break;
      }
      found.push_back(std::move(condition));
    }
  }
}

void CheckCalls(const Measurements& measurements, const AlertThresholds& thresholds,
                const Stands& stands, std::vector<AlertCondition>& found) {
  if (measurements.calls < std::max<uint64_t>(thresholds.min_calls, 1)) return;
  const std::string subject = "gateway";
  const double share =
      100 * static_cast<double>(measurements.faults) / static_cast<double>(measurements.calls);
  if (const auto level = LevelOf({AlertRule::kErrorRate, subject, share, thresholds.error_percent,
                                  thresholds.error_critical_percent},
                                 stands)) {
    found.push_back(
        {.rule = AlertRule::kErrorRate,
         .subject = subject,
         .level = *level,
         .title = fmt::format("{:.1f} % of the calls fail", share),
         .message = fmt::format("{} of {} calls of the last minute failed by a fault of "
                                "the system",
                                measurements.faults, measurements.calls)});
  }
  if (!measurements.p99_ms.has_value()) return;
  if (const auto level = LevelOf({AlertRule::kLatency, subject, *measurements.p99_ms,
                                  thresholds.latency_ms, thresholds.latency_critical_ms},
                                 stands)) {
    found.push_back({.rule = AlertRule::kLatency,
                     .subject = subject,
                     .level = *level,
                     .title = fmt::format("Calls are slow: p99 is {:.3g} ms", *measurements.p99_ms),
                     .message = fmt::format("of {} calls of the last minute", measurements.calls)});
  }
}

}  // namespace

std::string_view ServiceStateName(ServiceState state) {
  return state == ServiceState::kUp ? "up" : state == ServiceState::kDegraded ? "degraded" : "down";
}

std::vector<AlertCondition> FindAlertConditions(const Measurements& measurements,
                                                const AlertThresholds& thresholds,
                                                const Stands& stands) {
  CHECK(measurements.view != nullptr);
  std::vector<AlertCondition> found;
  for (const ServiceCheck& service : measurements.services) {
    if (service.state != ServiceState::kDown || service.worker) continue;
    found.push_back({.rule = AlertRule::kServiceDown,
                     .subject = service.name,
                     .level = service.essential ? AlertLevel::kCritical : AlertLevel::kWarning,
                     .title = fmt::format("{} does not answer", service.name),
                     .message = service.error});
  }
  CheckWorkers(measurements, thresholds, stands, found);
  CheckShards(*measurements.view, found);
  CheckDifferences(*measurements.view, found);
  CheckCalls(measurements, thresholds, stands, found);
  return found;
}

std::string_view OverallStatus(const std::vector<ServiceCheck>& services,
                               const std::vector<AlertRecord>& active, const ClusterView& view) {
  const bool no_worker =
      view.placement.status.ok() &&
      std::none_of(view.workers.begin(), view.workers.end(),
                   [](const rpc::WorkerDescription& worker) { return worker.healthy; });
  const bool critical =
      no_worker || std::any_of(active.begin(), active.end(), [](const AlertRecord& alert) {
        return alert.level == AlertLevel::kCritical;
      });
  if (critical) return "critical";
  const bool troubled =
      !view.placement.status.ok() ||
      std::any_of(active.begin(), active.end(),
                  [](const AlertRecord& alert) { return alert.level >= AlertLevel::kWarning; }) ||
      std::any_of(services.begin(), services.end(),
                  [](const ServiceCheck& service) { return service.state != ServiceState::kUp; });
  return troubled ? "degraded" : "healthy";
}

}  // namespace vectron::gateway
