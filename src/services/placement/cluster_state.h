#pragma once

// What placement knows of the cluster, as a deterministic state machine: workers, collections,
// shards and their replicas, replicas that still have to be destroyed, rerankers. It changes by
// commands in log order and by nothing else; time and chance arrive inside them, so equal logs give
// equal states and equal bytes.
//
// Life of a replica: added as a learner, or as a founding voter of a new group -> promoted to voter
// -> leaving (the group's leader takes it out of the membership) -> doomed (no longer of the shard;
// its worker has to destroy it) -> gone once the worker confirms. Ids are never given out twice, so
// nothing that was said of a replica can be taken for another's.
//
// Thread-compatible.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/ids.h"
#include "shard/raft_state.h"

namespace vectron::placement {

using shard::ReplicaId;

struct RerankerId {
  uint64_t value = 0;
  auto operator<=>(const RerankerId&) const = default;
};

// Owner and name of a collection.
struct CollectionKey {
  std::string owner = {};
  std::string name = {};
  auto operator<=>(const CollectionKey&) const = default;
};

// What a worker says of itself when it registers.
struct WorkerProfile {
  std::string node_uid = {};
  std::string grpc_address = {};  // a hint: identity is the id
  std::string raft_address = {};
  std::vector<std::string> capabilities = {};
  uint32_t cpu_cores = 0;
  uint64_t memory_bytes = 0;
  uint64_t disk_bytes = 0;
  std::string region = {};
  std::string zone = {};
  std::string rack = {};
  bool search_only = false;  // holds learners for reads, never voters
  bool operator==(const WorkerProfile&) const = default;
};

struct WorkerRecord {
  WorkerId id = {};
  WorkerProfile profile = {};
  bool joined = false;    // it sent a heartbeat
  bool draining = false;  // its replicas move away; can be taken back
  bool dead = false;      // silent for so long that its replicas are replaced
  int64_t registered_unix_ms = 0;
  uint64_t assignments_version = 0;  // log index of the last change of what it holds

  // May be given new replicas.
  bool eligible() const { return joined && !draining && !dead; }
};

enum class ReplicaRole : uint8_t { kVoter = 1, kLearner = 2 };

// Why a replica was added; for people, and for taking back what is no longer needed.
enum class MoveReason : uint8_t {
  kFound = 1,    // made with its group
  kRepair = 2,   // too few good replicas
  kDrain = 3,    // its worker is to be emptied
  kSpread = 4,   // replicas share a failure domain
  kBalance = 5,  // workers are unevenly loaded
  kHotShard = 6,
  kSearch = 7,  // a learner for reads on a search-only worker
};
std::string_view MoveReasonName(MoveReason reason);

struct ReplicaRecord {
  ReplicaId id = {};
  WorkerId worker = {};
  ReplicaRole role = ReplicaRole::kVoter;
  bool leaving = false;
  ReplicaId replaces = {};  // meant to go once this one is a voter; 0: none
  MoveReason reason = MoveReason::kFound;
  int64_t since_unix_ms = 0;  // of its last step
};

struct ShardRecord {
  GroupId group = {};
  CollectionKey collection = {};
  ShardOrdinal ordinal = {};
  uint64_t epoch = 1;  // grows when a replica starts or stops counting for routes
  std::vector<ReplicaRecord> replicas = {};
  std::vector<ReplicaId> founders = {};
  ReplicaId preferred_leader = {};  // of the founders, campaigns first
  int64_t last_move_unix_ms = 0;    // end of the last replacement
  uint64_t version = 0;             // log index of the last change

  const ReplicaRecord* Find(ReplicaId id) const;
  const ReplicaRecord* On(WorkerId worker) const;
};

struct CollectionRecord {
  CollectionKey key = {};
  // Serialised vectron.v1.CreateCollectionRequest, defaults filled in.
  std::string schema_bytes = {};
  uint32_t replication_factor = 1;
  int64_t created_unix_ms = 0;
  bool visible = false;
  std::vector<GroupId> groups = {};  // by ordinal
  uint64_t version = 0;              // log index of the last change of it or of one of its shards
};

struct DoomedReplica {
  GroupId group = {};
  ReplicaId replica = {};
  auto operator<=>(const DoomedReplica&) const = default;
};

struct RerankerRecord {
  RerankerId id = {};
  std::string grpc_address = {};
  std::vector<std::string> capabilities = {};
  std::string region = {};
  std::string zone = {};
  std::string rack = {};
  int64_t registered_unix_ms = 0;
};

struct Command;

// What a command did. Errors are answers, not failures: every replica of placement gives the same.
struct Outcome {
  absl::Status status = {};
  uint64_t id = 0;  // of the worker or reranker that was registered
};

class ClusterState {
 public:
  // Applies the entry at `index`, which is higher than any before.
  Outcome Apply(uint64_t index, const Command& command);
  // An entry without a command.
  void Skip(uint64_t index) { applied_index_ = index; }
  // Makes this state of one node the whole group's, at `index`, when the others are lost for good.
  // They may have gone further: every id, epoch and version that is given out from now on lies
  // beyond what they can have used, and workers and gateways take what they are told as new.
  void GoOnAlone(uint64_t index);

  uint64_t applied_index() const { return applied_index_; }

  const std::string& cluster_id() const { return cluster_id_; }
  uint64_t version() const { return version_; }  // log index of the last change
  const std::map<WorkerId, WorkerRecord>& workers() const { return workers_; }
  const std::map<CollectionKey, CollectionRecord>& collections() const { return collections_; }
  const std::map<GroupId, ShardRecord>& shards() const { return shards_; }
  const std::map<DoomedReplica, WorkerId>& doomed() const { return doomed_; }
  const std::map<RerankerId, RerankerRecord>& rerankers() const { return rerankers_; }

  // Null when unknown.
  const WorkerRecord* FindWorker(WorkerId id) const;
  const CollectionRecord* FindCollection(const CollectionKey& key) const;
  const ShardRecord* FindShard(GroupId group) const;
  // Given out once, and no longer part of anything.
  bool WasRemoved(WorkerId id) const {
    return id.value < next_worker_ && FindWorker(id) == nullptr;
  }
  // Of replicas numbered before the last recovery nobody knows: false.
  bool WasGivenOut(ReplicaId id) const;
  // Replicas of shards that a worker holds or is about to hold, those that are leaving included.
  size_t ReplicasOn(WorkerId worker) const;

  // The bytes of docs/formats/placement-state.md. Decode: DataLoss (damaged), FailedPrecondition (a
  // newer version wrote it).
  std::string Encode() const;
  static absl::StatusOr<ClusterState> Decode(std::string_view bytes);
  // CHECKs what must hold between the records; for tests.
  void CheckInvariants() const;

 private:
  friend class StateChange;  // cluster_apply.cc: applies one command

  std::string cluster_id_ = {};
  uint64_t applied_index_ = 0;
  uint64_t version_ = 0;
  uint64_t next_worker_ = 1;
  uint64_t next_group_ = 1;
  uint64_t next_serial_ = 1;  // of replicas, over all workers
  uint64_t next_reranker_ = 1;
  std::map<WorkerId, WorkerRecord> workers_;
  std::map<CollectionKey, CollectionRecord> collections_;
  std::map<GroupId, ShardRecord> shards_;
  std::map<DoomedReplica, WorkerId> doomed_;
  std::map<RerankerId, RerankerRecord> rerankers_;
};

}  // namespace vectron::placement
