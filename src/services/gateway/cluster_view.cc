#include "services/gateway/cluster_view.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "services/gateway/fan_in.h"

namespace vectron::gateway {
namespace {

using Infos = std::vector<rpc::ShardInfo>;
using Workers = std::vector<rpc::WorkerDescription>;
using ReplicaKey = std::pair<WorkerId, GroupId>;

ShardState StateOf(const ShardView& shard, uint32_t wanted_replicas) {
  const ReplicaView* leader = nullptr;
  uint32_t serving = 0;
  for (const ReplicaView& replica : shard.replicas) {
    if (replica.worker == shard.placement.leader) leader = &replica;
    if (replica.worker_healthy && replica.known && replica.info.ready) ++serving;
  }
  if (leader == nullptr || !leader->worker_healthy) return ShardState::kNoLeader;
  if (!leader->known) return ShardState::kUnknown;
  if (!leader->info.ready) return ShardState::kFailed;
  return serving < wanted_replicas ? ShardState::kUnderReplicated : ShardState::kReady;
}

void FillCollections(ClusterView& view, const std::map<ReplicaKey, rpc::ShardInfo>& infos,
                     const std::vector<std::shared_ptr<const rpc::CollectionRecord>>& records) {
  std::map<WorkerId, bool> healthy;
  for (const rpc::WorkerDescription& worker : view.workers) healthy[worker.id] = worker.healthy;
  for (const auto& record : records) {
    CollectionView collection{.record = record, .shards = {}};
    for (const rpc::ShardPlacement& placement : record->shards) {
      ShardView shard{.placement = placement, .replicas = {}};
      for (const WorkerId worker : placement.replicas) {
        ReplicaView replica{.worker = worker, .worker_healthy = healthy[worker], .info = {}};
        const auto info = infos.find({worker, placement.group});
        replica.known = info != infos.end();
        if (replica.known) replica.info = info->second;
        shard.replicas.push_back(replica);
      }
      shard.state = StateOf(shard, std::max(record->schema.replication_factor, 1u));
      collection.shards.push_back(std::move(shard));
    }
    view.collections.push_back(std::move(collection));
  }
}

double MillisSince(const Clock& clock, int64_t start_nanos) {
  return static_cast<double>(clock.MonotonicNanos() - start_nanos) * 1e-6;
}

struct TimedInfos {
  Infos infos;
  SourceAnswer answer;
};

// Second half: the workers are known, each is asked for its replicas.
void DescribeReplicas(const ClusterSources& sources, SourceAnswer placement, Workers workers,
                      std::function<void(ClusterViewPtr)> done) {
  auto view = std::make_shared<ClusterView>();
  view->placement = std::move(placement);
  view->workers = std::move(workers);
  std::sort(view->workers.begin(), view->workers.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  auto records = sources.placement->AllCollections();
  std::map<WorkerId, std::vector<GroupId>> groups_of;
  for (const rpc::WorkerDescription& worker : view->workers) groups_of[worker.id];
  for (const auto& record : records) {
    for (const rpc::ShardPlacement& shard : record->shards) {
      for (const WorkerId worker : shard.replicas) groups_of[worker].push_back(shard.group);
    }
  }
  std::vector<std::pair<WorkerId, rpc::WorkerApi*>> asked;
  for (const auto& [id, groups] : groups_of) {
    if (rpc::WorkerApi* worker = sources.worker_of(id)) asked.emplace_back(id, worker);
  }
  const auto finish = [view, records = std::move(records), asked, clock = sources.clock,
                       done = std::move(done)](FanIn<TimedInfos>::Results results) {
    std::map<ReplicaKey, rpc::ShardInfo> infos;
    for (size_t i = 0; i < results.size(); ++i) {
      const WorkerId worker = asked[i].first;
      for (const rpc::ShardInfo& info : results[i]->infos) infos[{worker, info.group}] = info;
      view->answers[worker] = std::move(results[i]->answer);
    }
    FillCollections(*view, infos, records);
    view->unix_ms = clock->UnixMillis();
    done(view);
  };
  if (asked.empty()) return finish({});
  const int64_t start = sources.clock->MonotonicNanos();
  const auto all =
      std::make_shared<FanIn<TimedInfos>>(asked.size(), finish);  // shared by callbacks
  for (size_t i = 0; i < asked.size(); ++i) {
    asked[i].second->Describe(
        groups_of.at(asked[i].first), start + kDescribeTimeoutMs * 1'000'000,
        [all, i, start, clock = sources.clock](absl::StatusOr<Infos> infos) {
          TimedInfos timed{
              .infos = {},
              .answer = {.status = infos.status(), .milliseconds = MillisSince(*clock, start)}};
          if (infos.ok()) timed.infos = *std::move(infos);
          all->Set(i, std::move(timed));
        });
  }
}

}  // namespace

std::string_view ShardStateName(ShardState state) {
  switch (state) {
    case ShardState::kReady:
      return "ready";
    case ShardState::kUnderReplicated:
      return "under_replicated";
    case ShardState::kNoLeader:
      return "no_leader";
    case ShardState::kFailed:
      return "failed";
    case ShardState::kUnknown:
      break;
  }
  return "unknown";
}

const ReplicaView* ShardView::figures() const {
  const ReplicaView* best = nullptr;
  for (const ReplicaView& replica : replicas) {
    if (!replica.known) continue;
    if (replica.worker == placement.leader) return &replica;
    if (best == nullptr) best = &replica;
  }
  return best;
}

ClusterTotals TotalsOf(const ClusterView& view) {
  ClusterTotals totals;
  totals.collections = view.collections.size();
  for (const CollectionView& collection : view.collections) {
    for (const ShardView& shard : collection.shards) {
      const ReplicaView* const figures = shard.figures();
      if (figures != nullptr) totals.points += figures->info.points;
      if (figures == nullptr) totals.points_known = false;
      for (const ReplicaView& replica : shard.replicas) {
        if (replica.known) totals.disk_bytes += replica.info.disk_bytes;
      }
    }
  }
  bool free_known = false;
  for (const rpc::WorkerDescription& worker : view.workers) {
    if (!worker.healthy) continue;
    ++totals.healthy_workers;
    totals.memory_bytes += worker.memory_bytes;
    totals.cpu_percent += worker.cpu_percent;
    if (worker.disk_total_bytes == 0) continue;
    totals.least_free_bytes = free_known ? std::min(totals.least_free_bytes, worker.disk_free_bytes)
                                         : worker.disk_free_bytes;
    free_known = true;
  }
  if (totals.healthy_workers > 0) {
    totals.cpu_percent /= static_cast<double>(totals.healthy_workers);
  }
  return totals;
}

void TakeClusterView(const ClusterSources& sources, std::function<void(ClusterViewPtr)> done) {
  CHECK(sources.placement != nullptr && sources.operations != nullptr);
  CHECK(sources.worker_of != nullptr && sources.clock != nullptr);
  const int64_t start = sources.clock->MonotonicNanos();
  sources.operations->ListWorkers(
      [sources, start, done = std::move(done)](absl::StatusOr<Workers> workers) {
        SourceAnswer placement{.status = workers.status(),
                               .milliseconds = MillisSince(*sources.clock, start)};
        DescribeReplicas(sources, std::move(placement),
                         workers.ok() ? *std::move(workers) : Workers(), done);
      });
}

}  // namespace vectron::gateway
