#include "services/placement/describe.h"

#include <set>
#include <string>

#include "services/placement/map_feed.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

void DescribeMeasured(const pb::HeartbeatRequest& heartbeat, pb::WorkerInfo& wire) {
  wire.set_cpu_usage_percent(heartbeat.cpu_usage_percent());
  wire.set_memory_usage_percent(heartbeat.memory_usage_percent());
  wire.set_disk_usage_percent(heartbeat.disk_usage_percent());
  wire.set_queries_per_second(heartbeat.queries_per_second());
  wire.set_memory_used_bytes(static_cast<uint64_t>(heartbeat.memory_bytes()));
  uint64_t points = 0;
  uint64_t disk_bytes = 0;
  uint32_t leaders = 0;
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    points += report.points();
    disk_bytes += report.disk_bytes();
    leaders += report.leader_replica_id() == report.replica_id() ? 1 : 0;
  }
  wire.set_points(points);
  wire.set_disk_used_bytes(disk_bytes);
  wire.set_leaders(leaders);
}

}  // namespace

void DescribeWorker(const WorkerRecord& worker, const ClusterState& state, const Tracker& tracker,
                    int64_t now_nanos, pb::WorkerInfo& wire) {
  wire.set_worker_id(std::to_string(worker.id.value));
  wire.set_grpc_address(worker.profile.grpc_address);
  wire.set_raft_address(worker.profile.raft_address);
  wire.set_last_heartbeat(tracker.LastUnixMillis(worker.id) / 1'000);
  wire.set_healthy(tracker.IsHealthy(worker.id, now_nanos));
  wire.set_state(StateOf(worker));
  wire.set_dead(worker.dead);
  wire.set_search_only(worker.profile.search_only);
  wire.set_region(worker.profile.region);
  wire.set_zone(worker.profile.zone);
  wire.set_rack(worker.profile.rack);
  wire.set_cpu_cores(worker.profile.cpu_cores);
  wire.set_memory_bytes(worker.profile.memory_bytes);
  wire.set_disk_bytes(worker.profile.disk_bytes);
  wire.set_registered_unix_ms(worker.registered_unix_ms);
  std::set<std::string> collections;
  uint32_t replicas = 0;
  for (const auto& [group, shard] : state.shards()) {
    if (shard.On(worker.id) == nullptr) continue;
    collections.insert(shard.collection.name);
    ++replicas;
  }
  wire.set_replicas(replicas);
  for (const std::string& name : collections) wire.add_collections(name);
  const pb::HeartbeatRequest* heartbeat = tracker.LastHeartbeat(worker.id);
  if (heartbeat != nullptr) DescribeMeasured(*heartbeat, wire);
}

void DescribeShard(const ShardRecord& shard, uint32_t shard_count, const ClusterState& state,
                   const ClusterLoad& load, pb::ShardStatus& wire) {
  const uint32_t ordinal = shard.ordinal.value;
  wire.set_shard_id(static_cast<uint32_t>(shard.group.value));
  wire.set_ordinal(ordinal);
  wire.set_shard_epoch(shard.epoch);
  wire.set_key_range_start(ShardRangeStart(shard.ordinal, shard_count));
  wire.set_key_range_end(ordinal + 1 == shard_count
                             ? ~uint64_t{0}
                             : ShardRangeStart(ShardOrdinal{ordinal + 1}, shard_count) - 1);
  for (const ReplicaRecord& replica : shard.replicas) {
    wire.add_replicas(replica.worker.value);
    const WorkerRecord* worker = state.FindWorker(replica.worker);
    wire.add_replica_grpc_addresses(worker == nullptr ? "" : worker->profile.grpc_address);
    DescribeReplica(state, replica, *wire.add_members());
  }
  const ShardLoad* measured = load.Find(shard.group);
  if (measured == nullptr) return;
  const WorkerRecord* leader = state.FindWorker(measured->leader.node());
  if (leader != nullptr) {
    wire.set_leader_id(leader->id.value);
    wire.set_leader_grpc_address(leader->profile.grpc_address);
    wire.set_ready(true);
  }
  wire.set_points(measured->points);
  wire.set_indexed(measured->indexed);
  wire.set_disk_bytes(measured->disk_bytes);
  wire.set_memory_bytes(measured->memory_bytes);
  uint32_t in_sync = 0;
  for (const ReplicaId replica : measured->in_sync) {
    in_sync += shard.Find(replica) != nullptr && load.IsAlive(replica.node()) ? 1 : 0;
  }
  wire.set_replicas_in_sync(in_sync);
}

}  // namespace vectron::placement
