#include "services/placement/cluster_state.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/status.h"
#include "services/placement/codec.h"
#include "services/placement/record_fields.h"
#include "services/placement/sealed_state.h"

namespace vectron::placement {
namespace {

constexpr std::string_view kMagic("VECTPLAC", 8);

// How far the other nodes can have been ahead of one that goes on alone.
constexpr uint64_t kLostWorkers = 1'000;  // of 24 bits
constexpr uint64_t kLostRerankers = 1'000;
constexpr uint64_t kLostGroups = 1'000'000;
constexpr uint64_t kLostEpochs = 1'000'000;
// A replica's serial has 40 bits; those from here on count the recoveries.
constexpr int kSerialBits = 32;

uint64_t SerialOf(ReplicaId id) { return id.value - ReplicaId::Make(id.node(), 0).value; }

absl::Status Damaged(std::string_view what) {
  return DataLoss("placement state is damaged: {}", what);
}

}  // namespace

std::string_view MoveReasonName(MoveReason reason) {
  switch (reason) {
    case MoveReason::kFound:
      return "founding";
    case MoveReason::kRepair:
      return "repair";
    case MoveReason::kDrain:
      return "drain";
    case MoveReason::kSpread:
      return "spread";
    case MoveReason::kBalance:
      return "balance";
    case MoveReason::kHotShard:
      return "hot shard";
    case MoveReason::kSearch:
      return "search copy";
  }
  return "unknown";
}

const ReplicaRecord* ShardRecord::Find(ReplicaId id) const {
  for (const ReplicaRecord& replica : replicas) {
    if (replica.id == id) return &replica;
  }
  return nullptr;
}

const ReplicaRecord* ShardRecord::On(WorkerId worker) const {
  for (const ReplicaRecord& replica : replicas) {
    if (replica.worker == worker) return &replica;
  }
  return nullptr;
}

const WorkerRecord* ClusterState::FindWorker(WorkerId id) const {
  const auto found = workers_.find(id);
  return found == workers_.end() ? nullptr : &found->second;
}

const CollectionRecord* ClusterState::FindCollection(const CollectionKey& key) const {
  const auto found = collections_.find(key);
  return found == collections_.end() ? nullptr : &found->second;
}

const ShardRecord* ClusterState::FindShard(GroupId group) const {
  const auto found = shards_.find(group);
  return found == shards_.end() ? nullptr : &found->second;
}

bool ClusterState::WasGivenOut(ReplicaId id) const {
  const uint64_t serial = SerialOf(id);
  const bool since_recovery = serial >> kSerialBits == next_serial_ >> kSerialBits;
  return serial != 0 && since_recovery && serial < next_serial_ && id.node().value < next_worker_;
}

void ClusterState::GoOnAlone(uint64_t index) {
  applied_index_ = version_ = index;
  next_worker_ += kLostWorkers;
  next_group_ += kLostGroups;
  next_serial_ = ((next_serial_ >> kSerialBits) + 1) << kSerialBits;
  next_reranker_ += kLostRerankers;
  for (auto& [id, worker] : workers_) worker.assignments_version = index;
  for (auto& [key, collection] : collections_) collection.version = index;
  for (auto& [group, shard] : shards_) {
    shard.version = index;
    shard.epoch += kLostEpochs;
  }
}

size_t ClusterState::ReplicasOn(WorkerId worker) const {
  size_t count = 0;
  for (const auto& [group, shard] : shards_) count += shard.On(worker) != nullptr ? 1 : 0;
  return count;
}

std::string ClusterState::Encode() const {
  Encoder encoder;
  encoder(cluster_id_, applied_index_, version_, next_worker_, next_group_, next_serial_,
          next_reranker_, workers_, collections_, shards_, doomed_, rerankers_);
  return Seal(kMagic, encoder.Take());
}

absl::StatusOr<ClusterState> ClusterState::Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::string_view body, Unseal(kMagic, "placement state", bytes));
  ClusterState state;
  Decoder decoder(body);
  decoder(state.cluster_id_, state.applied_index_, state.version_, state.next_worker_,
          state.next_group_, state.next_serial_, state.next_reranker_, state.workers_,
          state.collections_, state.shards_, state.doomed_, state.rerankers_);
  if (!decoder.done()) return Damaged("its records");
  return state;
}

void ClusterState::CheckInvariants() const {
  std::set<ReplicaId> seen;
  for (const auto& [group, shard] : shards_) {
    CHECK_LT(group.value, next_group_);
    const CollectionRecord* collection = FindCollection(shard.collection);
    CHECK(collection != nullptr);
    CHECK_LT(shard.ordinal.value, collection->groups.size());
    CHECK(collection->groups[shard.ordinal.value] == group);
    CHECK(!shard.replicas.empty());
    std::set<WorkerId> workers;
    for (const ReplicaRecord& replica : shard.replicas) {
      CHECK_LT(SerialOf(replica.id), next_serial_);
      CHECK_LT(replica.worker.value, next_worker_);
      CHECK(replica.id.node() == replica.worker);
      CHECK(FindWorker(replica.worker) != nullptr);
      CHECK(workers.insert(replica.worker).second);
      CHECK(seen.insert(replica.id).second);
    }
  }
  size_t groups = 0;
  for (const auto& [key, collection] : collections_) groups += collection.groups.size();
  CHECK_EQ(groups, shards_.size());
  for (const auto& [doomed, worker] : doomed_) {
    CHECK(FindWorker(worker) != nullptr);
    CHECK(seen.insert(doomed.replica).second);
  }
}

}  // namespace vectron::placement
