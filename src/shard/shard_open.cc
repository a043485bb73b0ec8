#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/shard_impl.h"
#include "storage/layout.h"
#include "vectron/vectron.pb.h"

namespace vectron::shard {
namespace {

// What of a schema the stored data depends on.
absl::Status CheckSameSchema(const CollectionSchema& stored, const CollectionSchema& wanted) {
  const auto differs = [](std::string_view field, const auto& got, const auto& want) {
    return FailedPrecondition("shard was made with {} {}, opened with {}", field, got, want);
  };
  if (stored.dimension != wanted.dimension) {
    return differs("dimension", stored.dimension, wanted.dimension);
  }
  if (stored.metric != wanted.metric) {
    return differs("distance", MetricName(stored.metric), MetricName(wanted.metric));
  }
  if (stored.storage != wanted.storage) {
    return differs("storage", static_cast<int>(stored.storage), static_cast<int>(wanted.storage));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Shard>> OpenShard(const ShardOptions& options, const ShardDeps& deps,
                                                 const ShardParts& parts,
                                                 const Shard::Attach& attach) {
  ASSIGN_OR_RETURN(std::unique_ptr<ShardImpl> shard, ShardImpl::Make(options, deps, parts));
  RETURN_IF_ERROR(shard->Attach(attach));
  return std::unique_ptr<Shard>(std::move(shard));
}

ShardImpl::ShardImpl(const ShardOptions& options, const ShardDeps& deps, ShardParts parts)
    : options_(options),
      deps_(deps),
      parts_(std::move(parts)),
      own_timer_(deps.timer == nullptr ? std::make_unique<ThreadTimer>(*deps.clock) : nullptr),
      timer_(deps.timer == nullptr ? *own_timer_ : *deps.timer),
      checkpoints_(*deps.files, options.dir + "/index"),
      disk_(*deps.files, *deps.clock, options.dir),
      tasks_(std::make_shared<SerialTasks>(*deps.background_executor)),
      filter_tasks_(*deps.background_executor) {}

absl::StatusOr<std::unique_ptr<ShardImpl>> ShardImpl::Make(const ShardOptions& options,
                                                           const ShardDeps& deps,
                                                           ShardParts parts) {
  CHECK(deps.files != nullptr && deps.clock != nullptr && deps.read_executor != nullptr &&
        deps.background_executor != nullptr);
  std::unique_ptr<ShardImpl> shard(new ShardImpl(options, deps, std::move(parts)));
  shard->admission_ = std::make_shared<Admission>(
      *deps.clock, shard->timer_, [impl = shard.get()] { return impl->TailForAdmission(); });
  RETURN_IF_ERROR(shard->OpenState());
  return shard;
}

absl::Status ShardImpl::OpenState() {
  RETURN_IF_ERROR(deps_.files->MakeDirs(options_.dir));
  ASSIGN_OR_RETURN(kv_, parts_.open_store(options_.dir + "/store"));
  RETURN_IF_ERROR(CheckSchema());
  state_ = std::make_unique<StateMachine>(options_.schema, *kv_);
  RETURN_IF_ERROR(checkpoints_.Open());
  return RestoreNewestCheckpoint();
}

absl::Status ShardImpl::CheckSchema() {
  ASSIGN_OR_RETURN(const auto format, kv_->Get(storage::kMeta, storage::kFormatKey));
  ASSIGN_OR_RETURN(const auto bytes, kv_->Get(storage::kMeta, storage::kSchemaKey));
  v1::CreateCollectionRequest message;
  if (!format.has_value() || !bytes.has_value()) {
    storage::WriteBatch batch;
    batch.Put(storage::kMeta, std::string(storage::kFormatKey),
              storage::EncodeNumber(storage::kShardStoreFormat));
    SchemaToProto(options_.schema, message);
    batch.Put(storage::kMeta, std::string(storage::kSchemaKey), message.SerializeAsString());
    return kv_->Write(batch, storage::Kv::Durability::kBuffered);
  }
  ASSIGN_OR_RETURN(const uint64_t version, storage::DecodeNumber(*format));
  if (version > storage::kShardStoreFormat) {
    return FailedPrecondition("{}/store: format version {}, newest known {}", options_.dir, version,
                              storage::kShardStoreFormat);
  }
  if (!message.ParseFromString(*bytes))
    return DataLoss("{}/store: schema unreadable", options_.dir);
  ASSIGN_OR_RETURN(const CollectionSchema stored, SchemaFromProto(message, 1, 1));
  return Annotate(CheckSameSchema(stored, options_.schema), options_.dir);
}

absl::Status ShardImpl::TryCheckpoint(const CheckpointFolder::Found& checkpoint) {
  ASSIGN_OR_RETURN(const StateMachine::Image image, checkpoints_.ReadImage(checkpoint));
  ASSIGN_OR_RETURN(std::unique_ptr<index::VectorIndex> vectors,
                   parts_.open_index(checkpoint.index_dir, checkpoints_.NewWorkDir()));
  const uint64_t linked = vectors->stats().linked;
  RETURN_IF_ERROR(state_->Restore(std::move(vectors), image));
  checkpoint_index_ = image.applied_index;
  checkpoint_linked_ = linked;
  return absl::OkStatus();
}

absl::Status ShardImpl::RestoreNewestCheckpoint() {
  for (const CheckpointFolder::Found& checkpoint : checkpoints_.List()) {
    const absl::Status status = TryCheckpoint(checkpoint);
    if (status.ok()) return absl::OkStatus();
    if (absl::IsResourceExhausted(status)) return status;
    // The store is the truth: an index that cannot be used is made again.
    LogWarning("shard {}: index checkpoint dropped: {}", options_.dir, MessageOf(status));
    RETURN_IF_ERROR(checkpoints_.Remove(checkpoint));
  }
  return StartAnew();
}

absl::Status ShardImpl::StartAnew() {
  ASSIGN_OR_RETURN(std::unique_ptr<index::VectorIndex> vectors,
                   parts_.create_index(checkpoints_.NewWorkDir()));
  return state_->CatchUpWithStore(std::move(vectors), nullptr);
}

absl::Status ShardImpl::FallBackToStore() {
  const std::vector<CheckpointFolder::Found> found = checkpoints_.List();
  if (found.empty()) return StartAnew();
  ASSIGN_OR_RETURN(const StateMachine::Image image, checkpoints_.ReadImage(found.front()));
  ASSIGN_OR_RETURN(std::unique_ptr<index::VectorIndex> vectors,
                   parts_.open_index(found.front().index_dir, checkpoints_.NewWorkDir()));
  return state_->CatchUpWithStore(std::move(vectors), &image);
}

absl::Status ShardImpl::Attach(const Shard::Attach& attach) {
  const bool from_checkpoint = checkpoint_index_ != 0;
  absl::StatusOr<Replicator*> replicator = attach(*this, state_->published());
  if (!replicator.ok() && state_->published() < state_->store_applied()) {
    LogWarning("shard {}: {}; the index catches up with the store", options_.dir,
               MessageOf(replicator.status()));
    RETURN_IF_ERROR(FallBackToStore());
    replicator = attach(*this, state_->published());
  }
  if (!replicator.ok()) return replicator.status();
  replicator_ = *replicator;  // entries may come from other threads from here on
  attached_ = true;
  if (stalled_flag_) return ResourceExhausted("{}: no room to apply the log", options_.dir);
  if (state_->published() < state_->store_applied()) {
    return DataLoss("{}: the log ends at {}, the store has applied {}", options_.dir,
                    state_->published(), state_->store_applied());
  }
  {
    const absl::MutexLock lock(&apply_mutex_);
    RETURN_IF_ERROR(CheckOnceReplayed());
  }
  RefreshLoad();
  if (from_checkpoint) tasks_->Schedule([this] { VerifyIndex(); });
  ScheduleBuild();
  return absl::OkStatus();
}

absl::Status ShardImpl::CheckOnceReplayed() {
  if (replay_checked_ || state_->published() != state_->store_applied()) return absl::OkStatus();
  replay_checked_ = true;
  if (state_->AgreesWithStore()) return absl::OkStatus();
  LogError("shard {}: the index has {} points, the store another number; made again", options_.dir,
           state_->points());
  RETURN_IF_ERROR(checkpoints_.RemoveAll());
  ASSIGN_OR_RETURN(std::unique_ptr<index::VectorIndex> empty,
                   parts_.create_index(checkpoints_.NewWorkDir()));
  return state_->Rebuild(std::move(empty));
}

}  // namespace vectron::shard
