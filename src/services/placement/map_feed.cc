#include "services/placement/map_feed.h"

#include <algorithm>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

// A watcher that missed more removals than this gets the whole map.
constexpr size_t kRemovalsKept = 1'000;

constexpr uint64_t kDiffers = ~uint64_t{0};  // in a fingerprint; no id

uint64_t Mixed(uint64_t seed, uint64_t value) { return Mix64(seed ^ Mix64(value)); }

// Of everything that the message of a collection is made of.
uint64_t Fingerprint(const CollectionRecord& collection, const ClusterState& state,
                     const ClusterLoad& load) {
  uint64_t print = Mixed(1, collection.version);
  for (const GroupId group : collection.groups) {
    if (load.differing_groups.contains(group)) {
      print = Mixed(print, kDiffers);
      for (const ReplicaRecord& replica : state.FindShard(group)->replicas) {
        if (load.differing.contains(replica.id)) print = Mixed(print, replica.id.value);
      }
    }
    const ShardLoad* shard = load.Find(group);
    if (shard == nullptr) continue;
    print = Mixed(print, shard->leader.value);
    for (const ReplicaId replica : shard->in_sync) {
      if (!load.differing.contains(replica)) print = Mixed(print, replica.value);
    }
    print = Mixed(print, group.value);
  }
  return print;
}

pb::MapCollection ToWire(const CollectionRecord& collection, const ClusterState& state,
                         const ClusterLoad& load) {
  pb::MapCollection wire;
  wire.set_owner(collection.key.owner);
  wire.mutable_schema()->ParseFromString(collection.schema_bytes);
  wire.set_created_unix_ms(collection.created_unix_ms);
  for (const GroupId group : collection.groups) {
    const ShardRecord& record = *state.FindShard(group);
    pb::MapShard& shard = *wire.add_shards();
    shard.set_group_id(group.value);
    shard.set_ordinal(record.ordinal.value);
    shard.set_epoch(record.epoch);
    shard.set_differs(load.differing_groups.contains(group));
    for (const ReplicaRecord& replica : record.replicas) {
      DescribeReplica(state, replica, *shard.add_replicas());
      const bool outvoted = shard.differs() && load.differing.contains(replica.id);
      if (outvoted) shard.add_outvoted(replica.id.value);
    }
    const ShardLoad* measured = load.Find(group);
    if (measured == nullptr) continue;
    shard.set_leader_replica_id(measured->leader.value);
    shard.set_ready(measured->leader.value != 0);
    for (const ReplicaId replica : measured->in_sync) {
      const bool reads = record.Find(replica) != nullptr && !load.differing.contains(replica);
      if (reads) shard.add_in_sync(replica.value);
    }
  }
  return wire;
}

}  // namespace

void DescribeReplica(const ClusterState& state, const ReplicaRecord& replica,
                     pb::ReplicaDescriptor& wire) {
  wire.set_replica_id(replica.id.value);
  wire.set_worker_id(replica.worker.value);
  wire.set_role(replica.role == ReplicaRole::kVoter ? pb::REPLICA_ROLE_VOTER
                                                    : pb::REPLICA_ROLE_LEARNER);
  wire.set_leaving(replica.leaving);
  wire.set_search_only(replica.reason == MoveReason::kSearch);
  wire.set_replaces_replica_id(replica.replaces.value);
  wire.set_reason(std::string(MoveReasonName(replica.reason)));
  wire.set_since_unix_ms(replica.since_unix_ms);
  const WorkerRecord* worker = state.FindWorker(replica.worker);
  if (worker == nullptr) return;
  wire.set_grpc_address(worker->profile.grpc_address);
  wire.set_raft_address(worker->profile.raft_address);
}

pb::WorkerState StateOf(const WorkerRecord& worker) {
  if (worker.draining) return pb::WORKER_STATE_DRAINING;
  return worker.joined ? pb::WORKER_STATE_READY : pb::WORKER_STATE_JOINING;
}

void MapFeed::Removed(const CollectionKey& key) {
  removed_.emplace(++sequence_, key);
  if (removed_.size() <= kRemovalsKept) return;
  removed_from_ = removed_.begin()->first;
  removed_.erase(removed_.begin());
}

void MapFeed::UpdateWorkers(const ClusterState& state, const ClusterLoad& load) {
  std::vector<pb::MapWorker> workers;
  std::string bytes;
  for (const auto& [id, record] : state.workers()) {
    pb::MapWorker& wire = workers.emplace_back();
    wire.set_worker_id(id.value);
    wire.set_grpc_address(record.profile.grpc_address);
    wire.set_state(StateOf(record));
    wire.set_healthy(load.IsAlive(id));
    wire.set_search_only(record.profile.search_only);
    wire.set_region(record.profile.region);
    wire.set_zone(record.profile.zone);
    wire.set_rack(record.profile.rack);
    wire.AppendToString(&bytes);
  }
  if (bytes == workers_bytes_) return;
  workers_ = std::move(workers);
  workers_bytes_ = std::move(bytes);
  workers_sequence_ = ++sequence_;
}

void MapFeed::Update(const ClusterState& state, const ClusterLoad& load,
                     const std::string& leader_address) {
  const absl::MutexLock lock(&mutex_);
  cluster_id_ = state.cluster_id();
  leader_address_ = leader_address;
  version_ = state.version();
  for (const auto& [key, record] : state.collections()) {
    if (!record.visible) continue;
    const uint64_t fingerprint = Fingerprint(record, state, load);
    Collection& collection = collections_[key];
    if (collection.fingerprint == fingerprint) continue;
    collection = {fingerprint, ++sequence_, ToWire(record, state, load)};
  }
  for (auto it = collections_.begin(); it != collections_.end();) {
    const CollectionRecord* record = state.FindCollection(it->first);
    if (record != nullptr && record->visible) {
      ++it;
      continue;
    }
    Removed(it->first);
    it = collections_.erase(it);
  }
  UpdateWorkers(state, load);
}

pb::ClusterMap MapFeed::Since(uint64_t sequence) const {
  const bool full = sequence == 0 || sequence < removed_from_;
  if (full) sequence = 0;
  pb::ClusterMap map;
  map.set_cluster_id(cluster_id_);
  map.set_version(version_);
  map.set_full(full);
  map.set_leader_address(leader_address_);
  for (const auto& [key, collection] : collections_) {
    if (collection.sequence > sequence) *map.add_collections() = collection.wire;
  }
  for (auto it = removed_.upper_bound(sequence); !full && it != removed_.end(); ++it) {
    if (collections_.contains(it->second)) continue;  // made again since
    pb::CollectionKey& key = *map.add_removed();
    key.set_owner(it->second.owner);
    key.set_name(it->second.name);
  }
  if (workers_sequence_ > sequence) map.mutable_workers()->Add(workers_.begin(), workers_.end());
  return map;
}

pb::ClusterMap MapFeed::VersionAlone() const {
  pb::ClusterMap map;
  map.set_cluster_id(cluster_id_);
  map.set_version(version_);
  map.set_leader_address(leader_address_);
  return map;
}

pb::ClusterMap MapFeed::Full(uint64_t known_version) const {
  const absl::ReaderMutexLock lock(&mutex_);
  return known_version != 0 && known_version == version_ ? VersionAlone() : Since(0);
}

bool MapFeed::Send(Watcher& watcher) {
  if (watcher.versions_only) {
    if (watcher.version == version_ && watcher.sequence != 0) return true;
    if (watcher.stream.Write(VersionAlone())) {
      watcher.sequence = sequence_;
      watcher.version = version_;
    }
  } else if (watcher.sequence != sequence_) {
    if (watcher.stream.Write(Since(watcher.sequence))) watcher.sequence = sequence_;
  }
  return !watcher.stream.cancelled();
}

void MapFeed::Watch(Stream stream, bool versions_only) {
  {
    const absl::MutexLock lock(&mutex_);
    if (watchers_.size() >= kMaxWatchers) {
      std::erase_if(watchers_, [](const Watcher& watcher) { return watcher.stream.cancelled(); });
    }
    if (watchers_.size() < kMaxWatchers) {
      Watcher watcher{.stream = std::move(stream), .versions_only = versions_only};
      if (Send(watcher)) watchers_.push_back(std::move(watcher));
      return;
    }
  }
  stream.Finish(ResourceExhausted("{} watch the map, the most allowed", kMaxWatchers));
}

void MapFeed::Push() {
  const absl::MutexLock lock(&mutex_);
  std::erase_if(watchers_, [this](Watcher& watcher) {
    mutex_.AssertHeld();
    return !Send(watcher);
  });
}

void MapFeed::End(const absl::Status& status) {
  std::vector<Watcher> ended;
  {
    const absl::MutexLock lock(&mutex_);
    ended.swap(watchers_);
  }
  for (Watcher& watcher : ended) watcher.stream.Finish(status);
}

size_t MapFeed::watchers() const {
  const absl::ReaderMutexLock lock(&mutex_);
  return watchers_.size();
}

}  // namespace vectron::placement
