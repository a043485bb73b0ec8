#include <algorithm>
#include <map>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/status.h"
#include "services/worker/shard_source.h"

namespace vectron::worker {
namespace {

class LocalShards : public ShardSource {
 public:
  explicit LocalShards(const LocalShardsDeps& deps) : deps_(deps) {
    CHECK(deps.log != nullptr && deps.shard.files != nullptr);
  }

  absl::StatusOr<std::unique_ptr<shard::Shard>> Open(const rpc::ShardAssignment& assignment,
                                                     const std::string& dir) override {
    RETURN_IF_ERROR(deps_.shard.files->MakeDirs(dir));
    bool attached = false;
    const auto attach = [&](shard::Applier& applier, uint64_t applied) {
      absl::StatusOr<shard::Replicator*> replicator =
          deps_.log->Attach(assignment.group, applier, applied);
      attached = replicator.ok();
      if (attached) Remember(assignment.group, *replicator);
      return replicator;
    };
    absl::StatusOr<std::unique_ptr<shard::Shard>> opened =
        shard::Shard::Open({.schema = assignment.schema,
                            .group = assignment.group,
                            .ordinal = assignment.ordinal,
                            .dir = dir},
                           deps_.shard, attach);
    if (!opened.ok() && attached) deps_.log->Detach(assignment.group);
    return opened;
  }

  void Close(GroupId group, std::unique_ptr<shard::Shard> shard) override {
    shard.reset();
    {
      const absl::MutexLock lock(&mutex_);
      replicators_.erase(group);
    }
    deps_.log->Detach(group);
  }

  absl::Status Destroy(GroupId group, const std::string& dir,
                       std::unique_ptr<shard::Shard> shard) override {
    if (shard != nullptr) Close(group, std::move(shard));
    RETURN_IF_ERROR(deps_.shard.files->RemoveTree(dir));
    RETURN_IF_ERROR(deps_.shard.files->SyncDir(dir.substr(0, dir.rfind('/'))));
    return deps_.log->Destroy(group);
  }

  absl::Status Forget(const std::string&) override { return absl::OkStatus(); }
  std::vector<GroupId> LoggedGroups() const override { return deps_.log->Groups(); }
  absl::StatusOr<std::vector<shard::Entry>> ReadLog(GroupId group, uint64_t first,
                                                    uint64_t last) const override {
    const absl::MutexLock lock(&mutex_);  // Close takes it before the replicator ends
    const auto found = replicators_.find(group);
    if (found == replicators_.end()) return Unavailable("shard group {} is closed", group.value);
    absl::StatusOr<std::vector<shard::Entry>> entries = found->second->ReadEntries(first, last);
    if (!absl::IsNotFound(entries.status())) return entries;
    return OutOfRange("the log begins after index {}; take a snapshot", first);
  }
  bool CanRefill() const override { return false; }
  std::optional<shard::GroupView> View(GroupId) const override { return std::nullopt; }

 private:
  void Remember(GroupId group, const shard::Replicator* replicator) {
    const absl::MutexLock lock(&mutex_);
    replicators_[group] = replicator;
  }

  const LocalShardsDeps deps_;
  mutable absl::Mutex mutex_;
  std::map<GroupId, const shard::Replicator*> replicators_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<ShardSource> MakeLocalShards(const LocalShardsDeps& deps) {
  return std::make_unique<LocalShards>(deps);
}

}  // namespace vectron::worker
