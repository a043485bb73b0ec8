#include "services/worker/report.h"

#include <utility>

#include "base/status.h"
#include "services/worker/membership.h"

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;

constexpr double kNanosPerSecond = 1e9;
constexpr double kNanosPerMilli = 1e6;

pb::ReplicaHealth HealthOf(const ShardReport& shard) {
  const bool group_well = !shard.group.has_value() || !shard.group->quarantined;
  if (shard.state.ok() && group_well) {
    return shard.group.has_value() && shard.group->lacks_state ? pb::REPLICA_HEALTH_COPYING
                                                               : pb::REPLICA_HEALTH_READY;
  }
  return absl::IsUnavailable(shard.state) ? pb::REPLICA_HEALTH_STARTING : pb::REPLICA_HEALTH_FAILED;
}

void FillMembership(const shard::GroupView& view, pb::ReplicaReport& report) {
  for (const uint64_t voter : view.membership.voters) {
    report.add_voters(voter);
    if (IsInSync(view, voter)) report.add_in_sync(voter);
  }
  for (const uint64_t learner : view.membership.learners) {
    report.add_learners(learner);
    if (IsInSync(view, learner)) report.add_in_sync(learner);
  }
}

float PerSecond(uint64_t now, uint64_t before, int64_t nanos) {
  if (nanos <= 0 || now < before) return 0;
  return static_cast<float>(static_cast<double>(now - before) * kNanosPerSecond /
                            static_cast<double>(nanos));
}

// Of the searches that ended since; 0: none did, or the counters began anew.
float MeanMillis(const shard::ShardStats& now, uint64_t ended_before, uint64_t nanos_before) {
  if (now.searches_ended <= ended_before || now.search_nanos < nanos_before) return 0;
  return static_cast<float>(static_cast<double>(now.search_nanos - nanos_before) /
                            static_cast<double>(now.searches_ended - ended_before) /
                            kNanosPerMilli);
}

float Percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return 0;
  return static_cast<float>(100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

void Reporter::Fill(const std::vector<ShardReport>& shards, const MachineLoad& load,
                    int64_t now_nanos, pb::HeartbeatRequest& request) {
  uint64_t points = 0;
  std::map<uint64_t, Before> gone = std::exchange(before_, {});
  for (const ShardReport& shard : shards) {
    if (auto before = gone.extract(shard.assignment.group.value)) {
      before_.insert(std::move(before));
    }
    FillReplica(shard, now_nanos, request);
    points += shard.stats.points;
  }
  float searches = 0;
  for (const pb::ReplicaReport& replica : request.replicas()) {
    searches += replica.searches_per_second();
  }
  request.set_vector_count(static_cast<int64_t>(points));
  request.set_memory_bytes(static_cast<int64_t>(load.memory_bytes));
  request.set_memory_total_bytes(load.memory_total_bytes);
  request.set_memory_usage_percent(Percent(load.memory_bytes, load.memory_total_bytes));
  request.set_cpu_usage_percent(static_cast<float>(load.cpu_percent));
  request.set_disk_total_bytes(load.disk_total_bytes);
  request.set_disk_free_bytes(load.disk_free_bytes);
  request.set_disk_usage_percent(
      Percent(load.disk_total_bytes - load.disk_free_bytes, load.disk_total_bytes));
  request.set_queries_per_second(searches);
  request.set_active_shards(static_cast<int64_t>(shards.size()));
}

void Reporter::FillReplica(const ShardReport& shard, int64_t now_nanos,
                           pb::HeartbeatRequest& request) {
  const uint64_t group = shard.assignment.group.value;
  pb::ReplicaReport& report = *request.add_replicas();
  report.set_group_id(group);
  report.set_replica_id(shard.assignment.replica);
  report.set_health(HealthOf(shard));
  if (!shard.state.ok()) {
    report.set_problem(std::string(MessageOf(shard.state)));
  } else if (!shard.stats.damage.empty()) {  // it serves what is whole
    report.set_problem(shard.stats.damage);
  }
  report.set_shard_epoch(shard.assignment.epoch);
  report.set_applied_index(shard.stats.applied_index);
  report.set_state_digest(shard.stats.digest);
  report.set_points(shard.stats.points);
  report.set_indexed(shard.stats.indexed);
  report.set_disk_bytes(shard.stats.disk_bytes);
  report.set_memory_bytes(shard.stats.memory_bytes);
  Before& before = before_[group];
  if (before.at_nanos != 0) {
    const int64_t nanos = now_nanos - before.at_nanos;
    report.set_searches_per_second(PerSecond(shard.stats.searches, before.searches, nanos));
    report.set_writes_per_second(PerSecond(shard.stats.writes, before.writes, nanos));
    report.set_avg_latency_ms(MeanMillis(shard.stats, before.searches_ended, before.search_nanos));
  }
  before = {.searches = shard.stats.searches,
            .searches_ended = shard.stats.searches_ended,
            .search_nanos = shard.stats.search_nanos,
            .writes = shard.stats.writes,
            .at_nanos = now_nanos};
  if (shard.group.has_value()) {
    report.set_term(shard.group->term);
    report.set_leader_replica_id(shard.group->leader.value);
    report.set_committed_index(shard.group->committed_index);
    if (shard.group->is_leader) FillMembership(*shard.group, report);
    pb::ShardLeaderInfo& leader = *request.add_shard_leader_info();
    leader.set_shard_id(group);
    leader.set_leader_id(shard.group->leader.node().value);
  }
  request.add_running_shards(group);
  pb::ShardProgressInfo& progress = *request.add_shard_progress();
  progress.set_shard_id(group);
  progress.set_applied_index(shard.stats.applied_index);
  progress.set_shard_epoch(shard.assignment.epoch);
  pb::ShardMetrics& metrics = *request.add_shard_metrics();
  metrics.set_shard_id(group);
  metrics.set_vector_count(static_cast<int64_t>(shard.stats.points));
  metrics.set_queries_per_second(report.searches_per_second());
  metrics.set_avg_latency_ms(report.avg_latency_ms());
}

}  // namespace vectron::worker
