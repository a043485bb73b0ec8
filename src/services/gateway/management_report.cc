#include "services/gateway/management_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/status.h"

namespace vectron::gateway {
namespace {

namespace pb = management::v1;

double Number(uint64_t value) { return static_cast<double>(value); }
double Number(int64_t value) { return static_cast<double>(value); }

// The replicas of one worker and the names of their collections.
struct Held {
  std::vector<std::pair<const CollectionView*, const ShardView*>> shards;
};

const ReplicaView* ReplicaOn(const ShardView& shard, WorkerId worker) {
  for (const ReplicaView& replica : shard.replicas) {
    if (replica.worker == worker) return &replica;
  }
  return nullptr;
}

void FillWorkerShard(const CollectionView& collection, const ShardView& shard,
                     const ReplicaView& replica, pb::WorkerShard& proto) {
  proto.set_shard_id(shard.placement.ordinal.value);
  proto.set_collection(collection.record->schema.name);
  proto.set_is_leader(shard.placement.leader == replica.worker);
  proto.set_replica_count(static_cast<uint32_t>(shard.replicas.size()));
  proto.set_group_id(Number(shard.placement.group.value));
  proto.set_status(!replica.known ? "unknown" : replica.info.ready ? "ready" : "not_ready");
  if (!replica.known) return;
  proto.set_vector_count(Number(replica.info.points));
  proto.set_size_bytes(Number(replica.info.disk_bytes));
  proto.set_memory_bytes(Number(replica.info.memory_bytes));
  proto.set_indexed_count(Number(replica.info.indexed));
}

void FillWorkerStats(const rpc::WorkerDescription& worker, int64_t now_ms, pb::WorkerStats& stats) {
  stats.set_memory_bytes(Number(worker.memory_bytes));
  stats.set_memory_total_bytes(Number(worker.memory_total_bytes));
  stats.set_cpu_usage(worker.cpu_percent);
  stats.set_disk_bytes(Number(worker.disk_bytes));
  stats.set_disk_free_bytes(Number(worker.disk_free_bytes));
  stats.set_disk_total_bytes(Number(worker.disk_total_bytes));
  if (worker.disk_total_bytes > 0) {
    stats.set_disk_usage(100 *
                         (1 - Number(worker.disk_free_bytes) / Number(worker.disk_total_bytes)));
  }
  stats.set_requests_per_second(worker.requests_per_second);
  if (worker.registered_unix_ms > 0) {
    stats.set_uptime(Number(std::max<int64_t>(now_ms - worker.registered_unix_ms, 0)) * 1e-3);
  }
}

std::string_view CollectionStatus(const CollectionView& collection) {
  bool degraded = false;
  for (const ShardView& shard : collection.shards) {
    if (shard.state == ShardState::kUnderReplicated) {
      degraded = true;
    } else if (shard.state != ShardState::kReady) {
      return "unavailable";
    }
  }
  return degraded ? "degraded" : "ready";
}

void AddMove(const rpc::ReplicaMove& move, uint32_t shard, pb::ShardMove& proto) {
  proto.set_shard_id(shard);
  proto.set_from_worker(WorkerLabel(move.from));
  proto.set_to_worker(WorkerLabel(move.to));
  proto.set_reason(move.reason);
  proto.set_stage(move.stage == rpc::ReplicaMove::Stage::kCopying ? "copying" : "removing");
  proto.set_since(Number(move.since_unix_ms));
}

void FillCollection(const CollectionView& collection, int64_t now_ms, pb::Collection& proto) {
  const rpc::CollectionRecord& record = *collection.record;
  proto.set_name(record.schema.name);
  proto.set_owner(record.owner);
  proto.set_dimension(record.schema.dimension);
  proto.set_distance(std::string(MetricName(record.schema.metric)));
  proto.set_shard_count(static_cast<uint32_t>(collection.shards.size()));
  proto.set_replication_factor(record.schema.replication_factor);
  proto.set_created_at(Number(record.created_unix_ms));
  proto.set_status(std::string(CollectionStatus(collection)));
  rpc::ShardInfo sum;
  for (const ShardView& shard : collection.shards) {
    pb::CollectionShard& item = *proto.add_shards();
    item.set_shard_id(shard.placement.ordinal.value);
    item.set_leader_id(WorkerLabel(shard.placement.leader));
    for (const WorkerId worker : shard.placement.replicas) {
      item.add_worker_ids(WorkerLabel(worker));
    }
    item.set_ready(shard.state == ShardState::kReady ||
                   shard.state == ShardState::kUnderReplicated);
    item.set_status(std::string(ShardStateName(shard.state)));
    for (const rpc::ReplicaMove& move : shard.placement.moves) {
      AddMove(move, item.shard_id(), *proto.add_moves());
    }
    const ReplicaView* figures = shard.figures();
    if (figures == nullptr) continue;
    item.set_vector_count(Number(figures->info.points));
    item.set_size_bytes(Number(figures->info.disk_bytes));
    item.set_last_updated(Number(now_ms));
    sum.points += figures->info.points;
    sum.indexed += figures->info.indexed;
    sum.disk_bytes += figures->info.disk_bytes;
    sum.memory_bytes += figures->info.memory_bytes;
  }
  proto.set_vector_count(Number(sum.points));
  proto.set_indexed_count(Number(sum.indexed));
  proto.set_size_bytes(Number(sum.disk_bytes));
  proto.set_memory_bytes(Number(sum.memory_bytes));
}

}  // namespace

std::string WorkerLabel(WorkerId id) {
  return id.value == 0 ? std::string() : fmt::format("worker-{}", id.value);
}

void WorkersToProto(const ClusterView& view, pb::ListWorkersResponse& response) {
  std::map<WorkerId, Held> held;
  for (const CollectionView& collection : view.collections) {
    for (const ShardView& shard : collection.shards) {
      for (const ReplicaView& replica : shard.replicas) {
        held[replica.worker].shards.emplace_back(&collection, &shard);
      }
    }
  }
  for (const rpc::WorkerDescription& worker : view.workers) {
    pb::Worker& proto = *response.add_workers();
    proto.set_worker_id(std::to_string(worker.id.value));
    proto.set_grpc_address(worker.grpc_address);
    proto.set_raft_address(worker.raft_address);
    proto.set_healthy(worker.healthy);
    proto.set_state(worker.state);
    proto.set_last_heartbeat(Number(worker.last_heartbeat_unix_ms));
    proto.mutable_metadata()->insert(worker.metadata.begin(), worker.metadata.end());
    pb::WorkerStats& stats = *proto.mutable_stats();
    FillWorkerStats(worker, view.unix_ms, stats);
    double points = 0;
    std::string last_name;
    for (const auto& [collection, shard] : held[worker.id].shards) {
      const ReplicaView& replica = *ReplicaOn(*shard, worker.id);
      FillWorkerShard(*collection, *shard, replica, *stats.add_shard_info());
      points += replica.known ? Number(replica.info.points) : 0;
      const std::string& name = collection->record->schema.name;  // shards of one come together
      if (proto.collections_size() == 0 || name != last_name) proto.add_collections(name);
      last_name = name;
    }
    stats.set_vector_count(points);
  }
  response.set_count(static_cast<uint32_t>(response.workers_size()));
}

void CollectionsToProto(const ClusterView& view, pb::ListCollectionsResponse& response) {
  for (const CollectionView& collection : view.collections) {
    FillCollection(collection, view.unix_ms, *response.add_collections());
  }
  response.set_count(static_cast<uint32_t>(response.collections_size()));
}

void ServiceToProto(const ServiceCheck& service, pb::ServiceHealth& proto) {
  proto.set_name(service.name);
  proto.set_status(std::string(ServiceStateName(service.state)));
  proto.set_response_time(service.response_ms);
  proto.set_endpoint(service.endpoint);
  proto.set_last_check(Number(service.checked_unix_ms));
  proto.set_last_success(Number(service.succeeded_unix_ms));
  if (service.state != ServiceState::kUp) proto.set_error(service.error);
}

void AlertToProto(const AlertRecord& alert, pb::Alert& proto) {
  proto.set_id(std::to_string(alert.id));
  proto.set_level(std::string(AlertLevelName(alert.level)));
  proto.set_title(alert.title);
  proto.set_message(alert.message);
  proto.set_timestamp(Number(alert.raised_unix_ms));
  proto.set_resolved(alert.resolved_unix_ms != 0);
  proto.set_source(alert.subject);
  proto.set_rule(std::string(AlertRuleName(alert.rule)));
  proto.set_resolved_at(Number(alert.resolved_unix_ms));
  proto.set_resolved_by(alert.resolved_by);
}

void EndpointToProto(const CallStatistics::Endpoint& endpoint, pb::EndpointStats& proto) {
  const auto& route = endpoint.method->route();
  const CallTotals& totals = endpoint.totals;
  proto.set_path(route.verb().empty() ? endpoint.method->grpc_path() : route.path());
  proto.set_method(route.verb().empty() ? "GRPC" : route.verb());
  proto.set_rpc(endpoint.method->name());
  proto.set_count(Number(totals.count));
  proto.set_error_count(Number(totals.errors));
  if (totals.count > 0) {
    proto.set_avg_latency_ms(Number(totals.nanos) * 1e-6 / Number(totals.count));
  }
  proto.set_p50_ms(totals.QuantileMs(0.5).value_or(0));
  proto.set_p99_ms(totals.QuantileMs(0.99).value_or(0));
}

void SampleToProto(const SeriesSample& sample, pb::SeriesPoint& proto) {
  proto.set_timestamp(Number(sample.unix_ms));
  using Setter = void (pb::SeriesPoint::*)(double);
  constexpr std::array<Setter, kFigureCount> kSetters = {
      &pb::SeriesPoint::set_requests_per_second,
      &pb::SeriesPoint::set_errors_per_second,
      &pb::SeriesPoint::set_p50_ms,
      &pb::SeriesPoint::set_p99_ms,
      &pb::SeriesPoint::set_searches_per_second,
      &pb::SeriesPoint::set_writes_per_second,
      &pb::SeriesPoint::set_vectors,
      &pb::SeriesPoint::set_collections,
      &pb::SeriesPoint::set_healthy_workers,
      &pb::SeriesPoint::set_memory_bytes,
      &pb::SeriesPoint::set_cpu_percent,
      &pb::SeriesPoint::set_disk_bytes,
      &pb::SeriesPoint::set_disk_free_bytes,
      &pb::SeriesPoint::set_connections,
      &pb::SeriesPoint::set_received_bytes_per_second,
      &pb::SeriesPoint::set_sent_bytes_per_second,
      &pb::SeriesPoint::set_active_alerts};
  for (size_t i = 0; i < kFigureCount; ++i) {
    if (std::isfinite(sample.figures[i])) (proto.*kSetters[i])(sample.figures[i]);
  }
}

void MoveToProto(const rpc::PlannedMove& move, pb::PlannedMove& proto) {
  proto.set_owner(move.owner);
  proto.set_collection(move.collection);
  proto.set_shard_id(move.ordinal.value);
  if (move.from.value != 0) proto.set_from_worker_id(std::to_string(move.from.value));
  if (move.to.value != 0) proto.set_to_worker_id(std::to_string(move.to.value));
  proto.set_reason(move.reason);
  proto.set_size_bytes(Number(move.size_bytes));
}

}  // namespace vectron::gateway
