#include "services/placement/local_catalog.h"

#include <filesystem>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::placement {
namespace {

constexpr WorkerId kOnlyWorker{1};

rpc::ShardAssignment AssignmentOf(const rpc::CollectionRecord& record,
                                  const rpc::ShardPlacement& shard) {
  return {.schema = record.schema,
          .group = shard.group,
          .ordinal = shard.ordinal,
          .epoch = shard.epoch};
}

}  // namespace

absl::StatusOr<std::unique_ptr<LocalCatalog>> LocalCatalog::Open(const std::string& path,
                                                                 const CatalogDeps& deps) {
  CHECK(deps.files != nullptr && deps.clock != nullptr);
  CHECK(deps.host != nullptr && deps.executor != nullptr);
  ASSIGN_OR_RETURN(const bool exists, deps.files->Exists(path));
  CatalogState state;
  if (exists) {
    ASSIGN_OR_RETURN(const std::string bytes, deps.files->ReadAll(path));
    absl::StatusOr<CatalogState> decoded = CatalogState::Decode(bytes);
    if (!decoded.ok()) return Annotate(decoded.status(), path);
    state = *std::move(decoded);
  } else {
    ASSIGN_OR_RETURN(const std::vector<GroupId> stored, deps.host->StoredShards());
    if (!stored.empty()) {
      return DataLoss("{} is missing although {} shards are stored beside it", path, stored.size());
    }
    RETURN_IF_ERROR(deps.files->WriteAtomically(path, state.Encode()));
  }
  return std::unique_ptr<LocalCatalog>(new LocalCatalog(path, deps, std::move(state)));
}

LocalCatalog::LocalCatalog(std::string path, const CatalogDeps& deps, CatalogState state)
    : path_(std::move(path)), deps_(deps), state_(std::move(state)), changes_(*deps.executor) {
  const absl::MutexLock lock(&mutex_);
  for (const auto& [key, entry] : state_.entries()) {
    if (entry.visible) visible_.emplace(key, entry.record);
  }
}

LocalCatalog::~LocalCatalog() { changes_.Drain(); }

std::vector<rpc::ShardAssignment> LocalCatalog::Assignments() const {
  std::vector<rpc::ShardAssignment> assignments;
  const absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [key, record] : visible_) {
    for (const rpc::ShardPlacement& shard : record->shards) {
      assignments.push_back(AssignmentOf(*record, shard));
    }
  }
  return assignments;
}

absl::Status LocalCatalog::Reconcile() {
  std::vector<CatalogState::Key> unfinished;
  for (const auto& [key, entry] : state_.entries()) {
    if (!entry.visible) unfinished.push_back(key);
  }
  for (const CatalogState::Key& key : unfinished) {
    LogInfo("catalog: creation of collection '{}' was cut short; taking it back", key.second);
    RETURN_IF_ERROR(Remove(key));
  }
  return DestroyDoomed();
}

void LocalCatalog::CreateCollection(CollectionSchema schema, std::string owner,
                                    std::function<void(absl::Status)> done) {
  changes_.Schedule(
      [this, schema = std::move(schema), owner = std::move(owner),
       done = std::move(done)]() mutable { done(Create(std::move(schema), std::move(owner))); });
}

void LocalCatalog::DeleteCollection(std::string owner, std::string name,
                                    std::function<void(absl::Status)> done) {
  changes_.Schedule([this, key = CatalogState::Key{std::move(owner), std::move(name)},
                     done = std::move(done)] { done(Delete(key)); });
}

RecordPtr LocalCatalog::FindCollection(const std::string& owner, const std::string& name) {
  const CatalogState::Key key{owner, name};
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = visible_.find(key);
  return found == visible_.end() ? nullptr : found->second;
}

std::vector<RecordPtr> LocalCatalog::ListCollections(const std::string& owner) {
  std::vector<RecordPtr> records;
  const absl::ReaderMutexLock lock(&mutex_);
  for (auto it = visible_.lower_bound(CatalogState::Key{owner, ""});
       it != visible_.end() && it->first.first == owner; ++it) {
    records.push_back(it->second);
  }
  return records;
}

std::vector<RecordPtr> LocalCatalog::AllCollections() {
  std::vector<RecordPtr> records;
  const absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [key, record] : visible_) records.push_back(record);
  return records;
}

absl::Status LocalCatalog::Create(CollectionSchema schema, std::string owner) {
  const CatalogState::Key key{owner, schema.name};
  CatalogState next = state_;
  ASSIGN_OR_RETURN(const RecordPtr record,
                   next.BeginCreate(std::move(schema), std::move(owner), deps_.clock->UnixMillis(),
                                    kOnlyWorker));
  RETURN_IF_ERROR(Commit(std::move(next)));
  CrashPoint("catalog.create_begun");
  absl::Status result;
  for (const rpc::ShardPlacement& shard : record->shards) {
    result = deps_.host->CreateShard(AssignmentOf(*record, shard));
    if (!result.ok()) break;
  }
  CrashPoint("catalog.shards_made");
  if (result.ok()) {
    CatalogState finished = state_;
    CHECK_OK(finished.FinishCreate(key).status());
    result = Commit(std::move(finished));
  }
  if (!result.ok()) {
    const absl::Status undone = Remove(key);
    if (!undone.ok()) {  // the next start takes it back; until then the name stays taken
      LogError("catalog: collection '{}' could not be taken back: {}", key.second,
               MessageOf(undone));
    }
    return Annotate(result, fmt::format("collection '{}' was not created", key.second));
  }
  CrashPoint("catalog.create_done");
  const absl::MutexLock lock(&mutex_);
  visible_.emplace(key, record);
  return absl::OkStatus();
}

absl::Status LocalCatalog::Delete(const CatalogState::Key& key) {
  const auto found = state_.entries().find(key);
  if (found == state_.entries().end() || !found->second.visible) {
    return NotFound("collection '{}' does not exist", key.second);
  }
  return Remove(key);
}

absl::Status LocalCatalog::Remove(const CatalogState::Key& key) {
  CatalogState next = state_;
  RETURN_IF_ERROR(next.Remove(key).status());
  RETURN_IF_ERROR(Commit(std::move(next)));
  {
    const absl::MutexLock lock(&mutex_);
    visible_.erase(key);
  }
  CrashPoint("catalog.removed");
  const absl::Status destroyed = DestroyDoomed();
  if (!destroyed.ok()) {  // the collection is gone all the same; its groups stay doomed for the
                          // next change or start
    LogWarning("catalog: shards of deleted collection '{}' are not removed yet: {}", key.second,
               MessageOf(destroyed));
  }
  return absl::OkStatus();
}

absl::Status LocalCatalog::DestroyDoomed() {
  if (state_.doomed().empty()) return absl::OkStatus();
  CatalogState next = state_;
  absl::Status result;
  for (const GroupId group : state_.doomed()) {
    const absl::Status destroyed = deps_.host->DestroyShard(group);
    if (destroyed.ok()) {
      next.Forget(group);
    } else if (result.ok()) {
      result = Annotate(destroyed, fmt::format("shard group {}", group.value));
    }
    CrashPoint("catalog.shard_destroyed");
  }
  RETURN_IF_ERROR(Commit(std::move(next)));
  return result;
}

absl::Status LocalCatalog::Commit(CatalogState next) {
  const absl::Status written = deps_.files->WriteAtomically(path_, next.Encode());
  // What a failed sync left on disk is unknown, so nothing may be built on it: the process ends and
  // reads it anew.
  if (absl::IsDataLoss(written)) CHECK_OK(written);
  RETURN_IF_ERROR(written);
  state_ = std::move(next);
  return absl::OkStatus();
}

}  // namespace vectron::placement
