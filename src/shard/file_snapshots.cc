#include "shard/file_snapshots.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/crash_point.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/incoming_snapshot.h"

namespace vectron::shard {
namespace {

class FileSnapshots : public SnapshotHandler {
 public:
  FileSnapshots(GroupId group, const std::string& dir, const FileSnapshotsDeps& deps,
                SnapshotState& state)
      : group_(group), dir_(dir), deps_(deps), state_(state) {}

  ~FileSnapshots() override {
    std::optional<std::string> fetching;
    {
      const absl::MutexLock lock(&mutex_);
      closing_ = true;
      if (fetching_) fetching = incoming_->token();
    }
    if (fetching) deps_.transport->CancelFetches({group_.value, *fetching});
    std::string offered;
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &FileSnapshots::Quiet));
      if (offer_) offered = offer_->token;
    }
    if (!offered.empty()) deps_.registry->Remove({group_.value, offered});
  }

  absl::Status Open() {
    RETURN_IF_ERROR(deps_.files->MakeDirs(dir_));
    RETURN_IF_ERROR(deps_.files->RemoveTree(dir_ + "/outgoing"));
    return deps_.files->RemoveTree(dir_ + "/incoming");
  }

  absl::StatusOr<Offer> MakeOffer(uint64_t min_index) override {
    bool makes = false;
    {
      const absl::MutexLock lock(&mutex_);
      if (offer_ && offer_->index >= min_index) return *offer_;
      if (closing_) return Unavailable("group {}: closing", group_.value);
      makes = !std::exchange(making_, true);
    }
    if (makes) deps_.background_executor->Schedule([this] { Make(); });
    return Unavailable("group {}: a snapshot is being made", group_.value);
  }

  void Fetch(WorkerId from, const std::string& token,
             std::function<void(absl::Status)> done) override {
    if (!BeginFetch(token)) {
      done(absl::UnavailableError("another snapshot is being brought"));
      return;
    }
    deps_.transport->Fetch(
        from.value, {group_.value, token}, *incoming_,
        [this, done = std::move(done)](absl::Status status) {
          deps_.background_executor->Schedule(
              [this, done, status = std::move(status)] { Fetched(status, done); });
        });
  }

  absl::Status Install(const std::string& token, uint64_t index) override {
    std::unique_ptr<IncomingSnapshot> incoming;
    {
      const absl::MutexLock lock(&mutex_);
      if (fetching_ || incoming_ == nullptr || incoming_->token() != token ||
          !incoming_->verified()) {
        return Internal("group {}: the files of snapshot '{}' are not here", group_.value, token);
      }
      incoming = std::move(incoming_);
    }
    RETURN_IF_ERROR(state_.InstallFiles(incoming->dir(), index));
    const absl::Status removed = deps_.files->RemoveTree(incoming->dir());
    if (!removed.ok()) {  // the state is taken over all the same; the next start removes them
      LogWarning("group {}: files left of a snapshot: {}", group_.value, MessageOf(removed));
    }
    return absl::OkStatus();
  }

 private:
  bool Quiet() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !making_ && !fetching_ && tasks_ == 0;
  }

  bool BeginFetch(const std::string& token) {
    const absl::MutexLock lock(&mutex_);
    if (closing_ || fetching_) return false;
    fetching_ = true;
    if (incoming_ == nullptr || incoming_->token() != token) {
      incoming_ = std::make_unique<IncomingSnapshot>(*deps_.files, dir_ + "/incoming", token);
    }
    return true;
  }

  void EndTask() {
    const absl::MutexLock lock(&mutex_);
    tasks_ -= 1;
  }

  void Make() {
    uint64_t number = 0;
    {
      const absl::MutexLock lock(&mutex_);
      number = ++made_;
    }
    const std::string name = fmt::format("{:x}-{}", deps_.life, number);
    const std::string dir = dir_ + "/outgoing/" + name;
    const absl::Status ready = deps_.files->MakeDirs(dir);
    if (!ready.ok()) {
      Made(name, ready);
      return;
    }
    state_.WriteFiles(
        dir, [this, name](absl::StatusOr<uint64_t> index) { Made(name, std::move(index)); });
  }

  void Made(const std::string& name, absl::StatusOr<uint64_t> index) {
    const std::string dir = dir_ + "/outgoing/" + name;
    absl::Status status = index.status();
    if (status.ok()) status = deps_.registry->Add({group_.value, name}, dir);
    std::optional<Offer> old;
    {
      const absl::MutexLock lock(&mutex_);
      if (status.ok()) old = std::exchange(offer_, Offer{*index, name});
    }
    if (old) deps_.registry->Remove({group_.value, old->token});
    const std::string useless = status.ok() ? (old ? dir_ + "/outgoing/" + old->token : "") : dir;
    if (!useless.empty()) {
      const absl::Status removed = deps_.files->RemoveTree(useless);
      if (status.ok()) status = removed;
    }
    if (!status.ok()) LogWarning("group {}: snapshot: {}", group_.value, MessageOf(status));
    const absl::MutexLock lock(&mutex_);
    making_ = false;
  }

  void Fetched(const absl::Status& status, const std::function<void(absl::Status)>& done) {
    absl::Status result = status;
    if (result.ok()) result = incoming_->Verify();
    CrashPoint("snapshot.fetched");
    {
      const absl::MutexLock lock(&mutex_);
      fetching_ = false;
      tasks_ += 1;
      // What does not check out is of no use; what was interrupted may go on.
      if (absl::IsDataLoss(result) || absl::IsNotFound(result)) incoming_.reset();
    }
    if (!result.ok())
      LogWarning("group {}: snapshot not brought: {}", group_.value, MessageOf(result));
    done(std::move(result));
    EndTask();
  }

  const GroupId group_;
  const std::string dir_;
  const FileSnapshotsDeps deps_;
  SnapshotState& state_;
  absl::Mutex mutex_;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  bool making_ ABSL_GUARDED_BY(mutex_) = false;
  bool fetching_ ABSL_GUARDED_BY(mutex_) = false;
  int tasks_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t made_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Offer> offer_ ABSL_GUARDED_BY(mutex_);
  // Replaced only while nothing is fetched; the fetch itself uses it without the lock.
  std::unique_ptr<IncomingSnapshot> incoming_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotHandler>> MakeFileSnapshots(GroupId group,
                                                                   const std::string& dir,
                                                                   const FileSnapshotsDeps& deps,
                                                                   SnapshotState& state) {
  CHECK(deps.files != nullptr && deps.background_executor != nullptr);
  CHECK(deps.transport != nullptr && deps.registry != nullptr);
  auto snapshots = std::make_unique<FileSnapshots>(group, dir, deps, state);
  RETURN_IF_ERROR(snapshots->Open());
  return snapshots;
}

}  // namespace vectron::shard
