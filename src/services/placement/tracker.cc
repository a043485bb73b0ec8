#include "services/placement/tracker.h"

#include <algorithm>

#include "base/status.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

int64_t MillisSince(int64_t then_nanos, int64_t now_nanos) {
  return (now_nanos - then_nanos) / 1'000'000;
}

std::set<ReplicaId> IdsOf(const google::protobuf::RepeatedField<uint64_t>& values) {
  std::set<ReplicaId> ids;
  for (const uint64_t value : values) ids.insert(ReplicaId{value});
  return ids;
}

// Why a report does not count; "" when it does.
std::string FaultOf(const pb::ReplicaReport& report, WorkerId worker, const ClusterState& state) {
  const ShardRecord* shard = state.FindShard(GroupId{report.group_id()});
  const ReplicaRecord* replica =
      shard == nullptr ? nullptr : shard->Find(ReplicaId{report.replica_id()});
  if (replica == nullptr || replica->worker != worker) {
    return fmt::format("replica {} of group {} is none of the cluster's", report.replica_id(),
                       report.group_id());
  }
  if (report.shard_epoch() > shard->epoch) {
    return fmt::format("group {} has epoch {} here, not {}", report.group_id(), shard->epoch,
                       report.shard_epoch());
  }
  return {};
}

}  // namespace

void Tracker::Restart(int64_t began_nanos) {
  began_nanos_ = began_nanos;
  workers_.clear();
  rerankers_.clear();
  progress_.clear();
  held_.clear();
  differing_.clear();
  outvoted_.clear();
}

void Tracker::PassOver(int64_t nanos, int64_t now_nanos) {
  const auto shift = [nanos, now_nanos](int64_t& at) { at = std::min(at + nanos, now_nanos); };
  if (began_nanos_ != kNotBegun) shift(began_nanos_);
  for (auto& [worker, heard] : workers_) shift(heard.at_nanos);
  for (auto& [reranker, heard] : rerankers_) shift(heard.first);
  for (auto& [replica, progress] : progress_) shift(progress.since_nanos);
}

std::vector<std::string> Tracker::Take(WorkerId worker, pb::HeartbeatRequest heartbeat,
                                       const ClusterState& state, int64_t now_nanos,
                                       int64_t now_unix_ms) {
  std::vector<std::string> faults;
  auto* reports = heartbeat.mutable_replicas();
  const auto dropped =
      std::remove_if(reports->begin(), reports->end(), [&](const pb::ReplicaReport& report) {
        std::string fault = FaultOf(report, worker, state);
        if (fault.empty()) return false;
        faults.push_back(std::move(fault));
        return true;
      });
  reports->erase(dropped, reports->end());
  NoteProgress(heartbeat, now_nanos);
  NoteStates(heartbeat, state);
  NoteCpu(state.FindWorker(worker), heartbeat, now_nanos);
  Heard& heard = workers_[worker];
  heard.cpu_percent.Add(heartbeat.cpu_usage_percent(), now_nanos);
  heard.at_nanos = now_nanos;
  heard.at_unix_ms = now_unix_ms;
  heard.heartbeat = std::move(heartbeat);
  return faults;
}

void Tracker::NoteProgress(const pb::HeartbeatRequest& heartbeat, int64_t now_nanos) {
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    const auto [entry, first] = progress_.try_emplace(ReplicaId{report.replica_id()});
    Progress& progress = entry->second;
    if (!first && progress.applied_index == report.applied_index()) continue;
    progress.applied_index = report.applied_index();
    progress.since_nanos = now_nanos;
  }
  // What is in sync has nothing to get on with: it is not stuck when it falls behind later.
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    if (report.leader_replica_id() != report.replica_id()) continue;
    for (const uint64_t replica : report.in_sync()) {
      const auto progress = progress_.find(ReplicaId{replica});
      if (progress != progress_.end()) progress->second.since_nanos = now_nanos;
    }
  }
}

// Replicas are compared when they stand at the same entry, as they do whenever nothing is written.
void Tracker::NoteStates(const pb::HeartbeatRequest& heartbeat, const ClusterState& state) {
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    if (report.state_digest() == 0) continue;
    const GroupId group{report.group_id()};
    const ReplicaId self{report.replica_id()};
    const Held now{report.applied_index(), report.state_digest()};
    std::map<ReplicaId, Held>& replicas = held_[group];
    replicas[self] = now;
    const auto rival = std::find_if(replicas.begin(), replicas.end(), [now](const auto& other) {
      return other.second.index == now.index && other.second.digest != now.digest;
    });
    const bool all_agree = std::all_of(replicas.begin(), replicas.end(),
                                       [now](const auto& other) { return other.second == now; });
    if (rival != replicas.end() && differing_.insert(group).second) {
      differences_.push_back(fmt::format(
          "group {}: replica {} on worker {} and replica {} on worker {} hold different "
          "points at entry {}",
          group.value, self.value, self.node().value, rival->first.value, rival->first.node().value,
          now.index));
    }
    if (all_agree) differing_.erase(group);
    if (const ShardRecord* shard = state.FindShard(group)) JudgeStates(*shard, now.index);
  }
}

// Which of those that stand at an entry are wrong: two at least, and most of the shard's voters,
// hold the same; who holds something else is outvoted until he agrees at some later entry. Without
// such a majority nothing is known.
void Tracker::JudgeStates(const ShardRecord& shard, uint64_t index) {
  const std::map<ReplicaId, Held>& replicas = held_[shard.group];
  std::map<uint64_t, size_t> votes;  // by digest
  size_t voters = 0;
  for (const ReplicaRecord& replica : shard.replicas) {
    if (replica.role != ReplicaRole::kVoter) continue;
    ++voters;
    const auto held = replicas.find(replica.id);
    if (held != replicas.end() && held->second.index == index) ++votes[held->second.digest];
  }
  for (const auto& [digest, count] : votes) {
    if (count < 2 || count <= voters / 2) continue;
    for (const auto& [replica, held] : replicas) {
      if (held.index != index) continue;
      held.digest == digest ? static_cast<void>(outvoted_.erase(replica))
                            : static_cast<void>(outvoted_.insert(replica));
    }
  }
}

bool Tracker::AnyDiffers(const std::map<ReplicaId, Held>& replicas) const {
  std::map<uint64_t, uint64_t> digests;  // by entry
  return std::any_of(replicas.begin(), replicas.end(), [&](const auto& replica) {
    const auto& [id, held] = replica;
    return outvoted_.contains(id) ||
           digests.try_emplace(held.index, held.digest).first->second != held.digest;
  });
}

// What its replicas take of a worker's processors: as they say or, when none does, the worker's use
// by their shares of its requests.
void Tracker::NoteCpu(const WorkerRecord* worker, const pb::HeartbeatRequest& heartbeat,
                      int64_t now_nanos) {
  const auto rate = [](const pb::ReplicaReport& report) -> double {
    return report.searches_per_second() + report.writes_per_second();
  };
  double said = 0;
  double requests = 0;
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    said += report.cpu_cores();
    requests += rate(report);
  }
  const double used = heartbeat.cpu_usage_percent();
  const double all = worker == nullptr ? 0 : used / 100 * worker->profile.cpu_cores;
  for (const pb::ReplicaReport& report : heartbeat.replicas()) {
    const double shared = requests > 0 ? all * rate(report) / requests : 0;
    progress_[ReplicaId{report.replica_id()}].cpu_cores.Add(said > 0 ? report.cpu_cores() : shared,
                                                            now_nanos);
  }
}

void Tracker::TakeReranker(RerankerId reranker, int64_t now_nanos, int64_t now_unix_ms) {
  rerankers_[reranker] = {now_nanos, now_unix_ms};
}

void Tracker::Forget(const ClusterState& state) {
  std::erase_if(workers_,
                [&state](const auto& heard) { return state.FindWorker(heard.first) == nullptr; });
  std::erase_if(rerankers_,
                [&state](const auto& heard) { return !state.rerankers().contains(heard.first); });
  std::set<ReplicaId> known;
  for (const auto& [group, shard] : state.shards()) {
    for (const ReplicaRecord& replica : shard.replicas) known.insert(replica.id);
  }
  const auto is_unknown = [&known](const auto& replica) { return !known.contains(replica.first); };
  std::erase_if(progress_, is_unknown);
  std::erase_if(outvoted_, [&known](ReplicaId replica) { return !known.contains(replica); });
  for (auto& [group, replicas] : held_) {
    // The one that differed may be gone; if not, it is found again.
    if (std::erase_if(replicas, is_unknown) > 0 && !AnyDiffers(replicas)) differing_.erase(group);
  }
  std::erase_if(held_, [](const auto& group) { return group.second.empty(); });
  std::erase_if(differing_, [this](GroupId group) { return !held_.contains(group); });
}

bool Tracker::IsHealthy(WorkerId worker, int64_t now_nanos) const {
  const auto found = workers_.find(worker);
  return found != workers_.end() && now_nanos - found->second.at_nanos <= healthy_nanos_;
}

bool Tracker::IsHealthy(RerankerId reranker, int64_t now_nanos) const {
  const auto found = rerankers_.find(reranker);
  return found != rerankers_.end() && now_nanos - found->second.first <= healthy_nanos_;
}

bool Tracker::MayStillBeHeard(WorkerId worker, int64_t now_nanos) const {
  return now_nanos - began_nanos_ <= healthy_nanos_ && !workers_.contains(worker);
}

int64_t Tracker::SilentMillis(WorkerId worker, int64_t now_nanos) const {
  const auto found = workers_.find(worker);
  return MillisSince(found == workers_.end() ? began_nanos_ : found->second.at_nanos, now_nanos);
}

int64_t Tracker::SilentMillis(RerankerId reranker, int64_t now_nanos) const {
  const auto found = rerankers_.find(reranker);
  return MillisSince(found == rerankers_.end() ? began_nanos_ : found->second.first, now_nanos);
}

const pb::HeartbeatRequest* Tracker::LastHeartbeat(WorkerId worker) const {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? nullptr : &found->second.heartbeat;
}

int64_t Tracker::LastUnixMillis(WorkerId worker) const {
  const auto found = workers_.find(worker);
  return found == workers_.end() ? 0 : found->second.at_unix_ms;
}

int64_t Tracker::LastUnixMillis(RerankerId reranker) const {
  const auto found = rerankers_.find(reranker);
  return found == rerankers_.end() ? 0 : found->second.second;
}

void Tracker::AddReport(const pb::ReplicaReport& report, const ShardRecord& shard,
                        const Heard& heard, ClusterLoad& load) const {
  ShardLoad& of_shard = load.shards[shard.group];
  of_shard.points = std::max<uint64_t>(of_shard.points, report.points());
  of_shard.indexed = std::max<uint64_t>(of_shard.indexed, report.indexed());
  of_shard.disk_bytes = std::max<uint64_t>(of_shard.disk_bytes, report.disk_bytes());
  of_shard.memory_bytes = std::max<uint64_t>(of_shard.memory_bytes, report.memory_bytes());
  const ReplicaId replica{report.replica_id()};
  const auto progress = progress_.find(replica);
  if (progress != progress_.end()) {
    of_shard.cpu_cores = std::max(of_shard.cpu_cores, progress->second.cpu_cores.value());
  }
  if (report.health() == pb::REPLICA_HEALTH_FAILED) load.failed.insert(replica);
  const bool leads = report.leader_replica_id() == report.replica_id();
  if (!leads || (of_shard.leader.value != 0 && report.term() <= of_shard.term)) return;
  of_shard.leader = replica;
  of_shard.term = report.term();
  of_shard.acted_on_version = heard.heartbeat.assignments_epoch();
  of_shard.membership_pending = report.membership_pending();
  of_shard.voters = IdsOf(report.voters());
  of_shard.learners = IdsOf(report.learners());
  of_shard.in_sync = IdsOf(report.in_sync());
}

ClusterLoad Tracker::Load(const ClusterState& state, int64_t now_nanos) const {
  ClusterLoad load;
  for (const auto& [id, record] : state.workers()) {
    const auto found = workers_.find(id);
    WorkerLoad& worker = load.workers[id];
    if (found == workers_.end()) continue;
    const Heard& heard = found->second;
    worker.alive = IsHealthy(id, now_nanos) && !record.dead;
    worker.stopping = heard.heartbeat.stopping();
    worker.cpu_percent = heard.cpu_percent.value();
    worker.disk_total_bytes = heard.heartbeat.disk_total_bytes();
    worker.disk_free_bytes = heard.heartbeat.disk_free_bytes();
    if (!worker.alive) continue;
    for (const pb::ReplicaReport& report : heard.heartbeat.replicas()) {
      const ShardRecord* shard = state.FindShard(GroupId{report.group_id()});
      if (shard == nullptr || shard->Find(ReplicaId{report.replica_id()}) == nullptr) continue;
      AddReport(report, *shard, heard, load);
    }
  }
  for (const auto& [replica, progress] : progress_) {
    load.stuck_ms[replica] = MillisSince(progress.since_nanos, now_nanos);
  }
  load.differing = outvoted_;
  load.differing_groups = differing_;
  load.failed.insert(outvoted_.begin(), outvoted_.end());
  return load;
}

}  // namespace vectron::placement
