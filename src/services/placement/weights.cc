#include "services/placement/weights.h"

#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"

namespace vectron::placement {
namespace {

// What a worker is taken to have when it does not say.
constexpr double kUsualCores = 8;
constexpr double kUsualMemoryBytes = 64.0 * (uint64_t{1} << 30);
constexpr double kUsualDiskBytes = 1024.0 * (uint64_t{1} << 30);

constexpr double kDiskWeight = 0.35;
constexpr double kMemoryWeight = 0.35;
constexpr double kCpuWeight = 0.3;
// Of an empty shard on a worker of usual size: 500 of them fill it.
constexpr double kShardCost = 0.002;

// A pair in one region weighs more than all pairs of a shard in one zone, and so on; a shard has at
// most kMaxReplicationFactor + 1 voters.
constexpr uint64_t kPairs = (kMaxReplicationFactor + 1) * (kMaxReplicationFactor + 1);

double Or(double value, double usual) { return value > 0 ? value : usual; }

double Cores(const WorkerRecord& worker) { return Or(worker.profile.cpu_cores, kUsualCores); }

}  // namespace

Weights::Weights(const ClusterState& state, const ClusterLoad& load,
                 const SchedulerOptions& options, uint64_t seed)
    : load_(load), options_(options), seed_(seed) {
  for (const auto& [id, record] : state.workers()) {
    Worker& worker = workers_[id];
    worker.record = &record;
    worker.can_vote = record.eligible() && !record.profile.search_only && load.IsAlive(id);
    const auto measured = load.workers.find(id);
    if (measured == load.workers.end()) continue;
    worker.cpu_percent = measured->second.cpu_percent;
    const uint64_t disk_bytes = measured->second.disk_total_bytes;
    if (disk_bytes == 0) continue;
    worker.free_bytes = measured->second.disk_free_bytes;
    worker.is_full = worker.free_bytes < std::min(kDiskReserveBytes, disk_bytes / 20);
  }
  for (const auto& [group, shard] : state.shards()) CountShard(shard);
}

void Weights::CountShard(const ShardRecord& shard) {
  const ShardLoad* load = load_.Find(shard.group);
  for (const ReplicaRecord& replica : shard.replicas) {
    Worker& worker = workers_.at(replica.worker);
    ++worker.replicas;
    if (load != nullptr && load->leader == replica.id) ++worker.leaders;
    const bool on_its_way = replica.role == ReplicaRole::kLearner && !replica.leaving &&
                            replica.reason != MoveReason::kSearch;
    if (on_its_way) {
      // What cannot get on, for want of a leader, must not keep others from moving.
      const size_t gets_on = load != nullptr && load->leader.value != 0 ? 1 : 0;
      moves_ += gets_on;
      worker.moves += gets_on;
      worker.cpu_percent += CpuPercent(shard, replica.worker);
    }
    const bool goes =
        replica.leaving ||
        std::any_of(shard.replicas.begin(), shard.replicas.end(), [&](const ReplicaRecord& other) {
          return other.replaces == replica.id && !other.leaving;
        });
    if (goes) {
      worker.cpu_percent -= CpuPercent(shard, replica.worker);
    } else {
      worker.load += Cost(shard, replica.worker);
    }
  }
}

const Weights::Worker& Weights::At(WorkerId worker) const {
  const auto found = workers_.find(worker);
  CHECK(found != workers_.end());
  return found->second;
}

double Weights::Cost(const ShardRecord& shard, WorkerId worker) const {
  const WorkerRecord& record = *At(worker).record;
  double cost = kShardCost * kUsualCores / Cores(record);
  const ShardLoad* load = load_.Find(shard.group);
  if (load == nullptr) return cost;
  const auto disk = static_cast<double>(record.profile.disk_bytes);
  const auto memory = static_cast<double>(record.profile.memory_bytes);
  cost += kDiskWeight * static_cast<double>(load->disk_bytes) / Or(disk, kUsualDiskBytes);
  cost += kMemoryWeight * static_cast<double>(load->memory_bytes) / Or(memory, kUsualMemoryBytes);
  return cost + kCpuWeight * load->cpu_cores / Cores(record);
}

double Weights::CpuPercent(const ShardRecord& shard, WorkerId worker) const {
  const ShardLoad* load = load_.Find(shard.group);
  return load == nullptr ? 0 : 100 * load->cpu_cores / Cores(*At(worker).record);
}

uint64_t Weights::Penalty(const std::vector<WorkerId>& workers) const {
  uint64_t penalty = 0;
  for (size_t i = 0; i < workers.size(); ++i) {
    const WorkerProfile& a = At(workers[i]).record->profile;
    for (size_t j = 0; j < i; ++j) {
      const WorkerProfile& b = At(workers[j]).record->profile;
      if (a.region != b.region) continue;
      penalty += kPairs * kPairs;
      if (a.zone != b.zone) continue;
      penalty += kPairs;
      if (a.rack == b.rack) ++penalty;
    }
  }
  return penalty;
}

std::vector<WorkerId> Weights::Final(const ShardRecord& shard) {
  std::vector<WorkerId> workers;
  for (const ReplicaRecord& replica : shard.replicas) {
    const bool replaced = std::any_of(shard.replicas.begin(), shard.replicas.end(),
                                      [&replica](const ReplicaRecord& other) {
                                        return other.replaces == replica.id && !other.leaving;
                                      });
    const bool votes = replica.role == ReplicaRole::kVoter || replica.reason != MoveReason::kSearch;
    if (votes && !replica.leaving && !replaced) workers.push_back(replica.worker);
  }
  return workers;
}

bool Weights::CanTake(const ShardRecord& shard, WorkerId id) const {
  const Worker& worker = At(id);
  if (!worker.can_vote || shard.On(id) != nullptr) return false;
  if (worker.moves >= options_.max_moves_per_worker || worker.replicas >= kMaxCollections) {
    return false;
  }
  const ShardLoad* load = load_.Find(shard.group);
  const uint64_t needed = load == nullptr ? 0 : load->disk_bytes;
  return worker.free_bytes >= needed + needed / 2 + kDiskReserveBytes / 2;
}

uint64_t Weights::Tie(GroupId group, WorkerId worker) const {
  return Mix64(seed_ ^ Mix64(group.value) ^ worker.value);
}

std::optional<WorkerId> Weights::Best(const ShardRecord& shard,
                                      const std::vector<WorkerId>& others) const {
  std::optional<WorkerId> best;
  std::tuple<uint64_t, double, uint64_t> best_key;
  std::vector<WorkerId> with = others;
  with.emplace_back();
  for (const auto& [id, worker] : workers_) {
    if (!CanTake(shard, id)) continue;
    with.back() = id;
    const std::tuple key{Penalty(with), worker.load + Cost(shard, id), Tie(shard.group, id)};
    if (best.has_value() && key >= best_key) continue;
    best = id;
    best_key = key;
  }
  return best;
}

std::optional<WorkerId> Weights::BestForNew(const std::vector<WorkerId>& others) const {
  std::optional<WorkerId> best;
  std::tuple<bool, uint64_t, double, uint64_t> best_key;
  std::vector<WorkerId> with = others;
  with.emplace_back();
  for (const auto& [id, worker] : workers_) {
    if (!worker.can_vote || worker.replicas >= kMaxCollections) continue;
    if (std::find(others.begin(), others.end(), id) != others.end()) continue;
    with.back() = id;
    const std::tuple key{worker.is_full, Penalty(with), worker.load, Tie({}, id)};
    if (best.has_value() && key >= best_key) continue;
    best = id;
    best_key = key;
  }
  return best;
}

std::vector<WorkerId> Weights::Voting() const {
  std::vector<WorkerId> ids;
  for (const auto& [id, worker] : workers_) {
    if (worker.can_vote) ids.push_back(id);
  }
  return ids;
}

std::vector<std::vector<WorkerId>> Weights::VotingByPlace() const {
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<WorkerId>> places;
  for (const auto& [id, worker] : workers_) {
    const WorkerProfile& profile = worker.record->profile;
    if (worker.can_vote) places[{profile.region, profile.zone, profile.rack}].push_back(id);
  }
  std::vector<std::vector<WorkerId>> result;
  for (auto& [place, workers] : places) result.push_back(std::move(workers));
  return result;
}

std::vector<WorkerId> Weights::SearchOnly() const {
  std::vector<WorkerId> ids;
  for (const auto& [id, worker] : workers_) {
    const WorkerRecord& record = *worker.record;
    if (record.profile.search_only && record.eligible() && load_.IsAlive(id) &&
        worker.replicas < kMaxCollections) {
      ids.push_back(id);
    }
  }
  return ids;
}

void Weights::CountMove(const ShardRecord& shard, WorkerId to, std::optional<WorkerId> from) {
  Worker& target = workers_.at(to);
  target.load += Cost(shard, to);
  target.cpu_percent += CpuPercent(shard, to);
  ++target.replicas;
  ++target.moves;
  ++moves_;
  if (!from.has_value()) return;
  Worker& source = workers_.at(*from);
  source.load -= Cost(shard, *from);
  source.cpu_percent -= CpuPercent(shard, *from);
}

void Weights::CountNew(WorkerId id, bool leads) {
  Worker& worker = workers_.at(id);
  worker.load += kShardCost * kUsualCores / Cores(*worker.record);
  ++worker.replicas;
  if (leads) ++worker.leaders;
}

}  // namespace vectron::placement
