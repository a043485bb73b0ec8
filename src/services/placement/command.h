#pragma once

// What one entry of placement's log asks the state machine to do, and its bytes
// (docs/formats/placement-command.md).
//
// Commands that change a shard name the version of it that they were decided on; when it has
// changed since, they are refused as Aborted. So a decision of a leader that lags does nothing.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "model/ids.h"
#include "services/placement/cluster_state.h"

namespace vectron::placement {

// Gives the cluster its name; the first command of a log. AlreadyExists afterwards.
struct FoundCluster {
  std::string cluster_id = {};
};
// A new worker, or one that comes back with its id or its uid. FailedPrecondition: it was removed.
struct RegisterWorker {
  WorkerId known = {};  // 0: it has no id yet
  WorkerProfile profile = {};
  int64_t now_unix_ms = 0;
};
enum class WorkerChange : uint8_t {
  kJoined = 1,  // its first heartbeat came
  kDrain = 2,
  kCancelDrain = 3,
  kDead = 4,
  kAlive = 5,
};
// NotFound.
struct ChangeWorker {
  WorkerId worker = {};
  WorkerChange change = WorkerChange::kJoined;
};
// NotFound; FailedPrecondition with the number of shards it still holds.
struct RemoveWorker {
  WorkerId worker = {};
};
struct RegisterReranker {
  // Its id is given by the state; one of the same address keeps its own.
  RerankerRecord reranker = {};
};
struct RemoveReranker {
  RerankerId reranker = {};
};
// A collection with the workers of each shard's replicas, the first of each being asked to lead.
// AlreadyExists (also while its creation is under way), FailedPrecondition (a worker that is not
// eligible), ResourceExhausted (kMaxClusterShards).
struct BeginCreate {
  CollectionKey key = {};
  std::string schema_bytes = {};
  uint32_t replication_factor = 1;
  int64_t now_unix_ms = 0;
  std::vector<std::vector<WorkerId>> shards = {};
};
// NotFound.
struct FinishCreate {
  CollectionKey key = {};
};
// NotFound. With only_unfinished: FailedPrecondition when it is visible.
struct DropCollection {
  CollectionKey key = {};
  bool only_unfinished = false;
};
// Adds a learner. Aborted, FailedPrecondition (the worker is not eligible, or holds one).
struct AddReplica {
  GroupId group = {};
  uint64_t shard_version = 0;
  WorkerId worker = {};
  ReplicaId replaces = {};
  MoveReason reason = MoveReason::kRepair;
  int64_t now_unix_ms = 0;
};
enum class ReplicaStep : uint8_t {
  kPromote = 1,  // learner to voter
  kLeave = 2,    // to be taken out of the membership
  kGone = 3,     // it is out of the membership: doomed
  kStay = 4,     // leaves no more
};
// Aborted, FailedPrecondition (a step out of order; the last replica never leaves).
struct StepReplica {
  GroupId group = {};
  uint64_t shard_version = 0;
  ReplicaId replica = {};
  ReplicaStep step = ReplicaStep::kPromote;
  int64_t now_unix_ms = 0;
};
// Their workers destroyed them. Unknown ones are passed over.
struct ConfirmDestroyed {
  std::vector<DoomedReplica> replicas = {};
};

// In the order of their numbers on disk, from 1; append only.
using CommandBody = std::variant<FoundCluster, RegisterWorker, ChangeWorker, RemoveWorker,
                                 RegisterReranker, RemoveReranker, BeginCreate, FinishCreate,
                                 DropCollection, AddReplica, StepReplica, ConfirmDestroyed>;

struct Command {
  uint64_t proposal = 0;  // names it to whoever waits for its outcome; 0: nobody
  CommandBody body;
};

std::string EncodeCommand(const Command& command);
// DataLoss; FailedPrecondition (of a newer version).
absl::StatusOr<Command> DecodeCommand(std::string_view bytes);
// A line for logs and people.
std::string Describe(const CommandBody& body);

}  // namespace vectron::placement
