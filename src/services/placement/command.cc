#include "services/placement/command.h"

#include <optional>

#include "base/status.h"
#include "services/placement/codec.h"
#include "services/placement/record_fields.h"

namespace vectron::placement {
// Outside the anonymous namespace, where the archives would not find them.
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, FoundCluster>& c) {
  archive(c.cluster_id);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, RegisterWorker>& c) {
  archive(c.known, c.profile, c.now_unix_ms);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, ChangeWorker>& c) {
  archive(c.worker, c.change);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, RemoveWorker>& c) {
  archive(c.worker);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, RegisterReranker>& c) {
  archive(c.reranker);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, RemoveReranker>& c) {
  archive(c.reranker);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, BeginCreate>& c) {
  archive(c.key, c.schema_bytes, c.replication_factor, c.now_unix_ms, c.shards);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, FinishCreate>& c) {
  archive(c.key);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, DropCollection>& c) {
  archive(c.key, c.only_unfinished);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, AddReplica>& c) {
  archive(c.group, c.shard_version, c.worker, c.replaces, c.reason, c.now_unix_ms);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, StepReplica>& c) {
  archive(c.group, c.shard_version, c.replica, c.step, c.now_unix_ms);
}
template <typename Archive>
void Fields(Archive& archive, FieldsOf<Archive, ConfirmDestroyed>& c) {
  archive(c.replicas);
}

namespace {

constexpr uint64_t kCommandVersion = 1;

// The body of the given number, its fields unread.
template <size_t kIndex = 0>
std::optional<CommandBody> BodyOfKind(uint64_t kind) {
  if constexpr (kIndex == std::variant_size_v<CommandBody>) {
    return std::nullopt;
  } else {
    if (kind == kIndex + 1) return CommandBody(std::in_place_index<kIndex>);
    return BodyOfKind<kIndex + 1>(kind);
  }
}

// Words for each body.
struct Words {
  std::string operator()(const FoundCluster& c) const {
    return fmt::format("found cluster {}", c.cluster_id);
  }
  std::string operator()(const RegisterWorker& c) const {
    return fmt::format("register worker {} at {}", c.known.value, c.profile.grpc_address);
  }
  std::string operator()(const ChangeWorker& c) const {
    static constexpr std::string_view kNames[] = {"joined", "drains", "drains no more", "is dead",
                                                  "is back"};
    return fmt::format("worker {} {}", c.worker.value, kNames[static_cast<int>(c.change) - 1]);
  }
  std::string operator()(const RemoveWorker& c) const {
    return fmt::format("remove worker {}", c.worker.value);
  }
  std::string operator()(const RegisterReranker& c) const {
    return fmt::format("register reranker at {}", c.reranker.grpc_address);
  }
  std::string operator()(const RemoveReranker& c) const {
    return fmt::format("remove reranker {}", c.reranker.value);
  }
  std::string operator()(const BeginCreate& c) const {
    return fmt::format("create collection '{}' of {} shards", c.key.name, c.shards.size());
  }
  std::string operator()(const FinishCreate& c) const {
    return fmt::format("collection '{}' is complete", c.key.name);
  }
  std::string operator()(const DropCollection& c) const {
    return fmt::format("drop collection '{}'", c.key.name);
  }
  std::string operator()(const AddReplica& c) const {
    return fmt::format("group {}: add a replica on worker {} ({})", c.group.value, c.worker.value,
                       MoveReasonName(c.reason));
  }
  std::string operator()(const StepReplica& c) const {
    static constexpr std::string_view kNames[] = {"becomes a voter", "leaves", "is gone", "stays"};
    return fmt::format("group {}: replica {} on worker {} {}", c.group.value, c.replica.value,
                       c.replica.node().value, kNames[static_cast<int>(c.step) - 1]);
  }
  std::string operator()(const ConfirmDestroyed& c) const {
    return fmt::format("{} replicas are destroyed", c.replicas.size());
  }
};

bool EnumsAreKnown(const CommandBody& body) {
  if (const auto* c = std::get_if<ChangeWorker>(&body)) {
    return c->change >= WorkerChange::kJoined && c->change <= WorkerChange::kAlive;
  }
  if (const auto* c = std::get_if<AddReplica>(&body)) {
    return c->reason >= MoveReason::kFound && c->reason <= MoveReason::kSearch;
  }
  if (const auto* c = std::get_if<StepReplica>(&body)) {
    return c->step >= ReplicaStep::kPromote && c->step <= ReplicaStep::kStay;
  }
  return true;
}

}  // namespace

std::string EncodeCommand(const Command& command) {
  Encoder encoder;
  encoder(kCommandVersion, command.proposal, uint64_t{command.body.index() + 1});
  std::visit([&encoder](const auto& body) { encoder(body); }, command.body);
  return encoder.Take();
}

absl::StatusOr<Command> DecodeCommand(std::string_view bytes) {
  Decoder decoder(bytes);
  uint64_t version = 0;
  uint64_t kind = 0;
  Command command;
  decoder(version, command.proposal, kind);
  if (!decoder.ok()) return DataLoss("a placement command cannot be read");
  std::optional<CommandBody> body = BodyOfKind(kind);
  if (version > kCommandVersion || !body.has_value()) {
    return FailedPrecondition(
        "placement command of version {} and kind {} is of a newer program than this", version,
        kind);
  }
  command.body = *std::move(body);
  std::visit([&decoder](auto& fields) { decoder(fields); }, command.body);
  if (!decoder.done() || !EnumsAreKnown(command.body)) {
    return DataLoss("a placement command of kind {} cannot be read", kind);
  }
  return command;
}

std::string Describe(const CommandBody& body) { return std::visit(Words{}, body); }

}  // namespace vectron::placement
