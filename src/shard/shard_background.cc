#include <algorithm>
#include <utility>

#include "absl/synchronization/notification.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/shard_impl.h"

namespace vectron::shard {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// How long a task builds before other shards have their turn.
constexpr int64_t kBuildSliceMs = 20;
// How old what admission knows of the index may be while it is being built.
constexpr int64_t kLoadRefreshMs = 100;
// A pause in writes that is used for a checkpoint.
constexpr int64_t kCheckpointPauseMs = 2'000;
// A closing shard with more index than this writes no checkpoint: the next open replays the log.
constexpr uint64_t kQuickCheckpointBytes = uint64_t{512} << 20;

}  // namespace

ShardImpl::~ShardImpl() {
  closing_ = true;
  if (state_ == nullptr || replicator_ == nullptr) {
    tasks_->Close();
    return;
  }
  admission_->Close();
  {
    const absl::MutexLock lock(&apply_mutex_);
    if (stall_timer_ != 0) timer_.Cancel(stall_timer_);
  }
  state_->Halt(Unavailable("the shard is closing"));
  tasks_->Drain();
  filter_tasks_.Close();
  {
    // What was proposed is answered by the log; what waits for a stalled apply is answered here.
    std::vector<WriteCallback> abandoned;
    mutex_.Lock();
    const auto only_waiters = [this]() {
      mutex_.AssertReaderHeld();
      return proposals_ == 0;
    };
    mutex_.Await(absl::Condition(&only_waiters));
    for (auto& [index, done] : waiters_) abandoned.push_back(std::move(done));
    waiters_.clear();
    mutex_.Unlock();
    for (const WriteCallback& done : abandoned) {
      done(Unavailable("the shard is closing; the write will be applied when it opens again"));
      EndWrite();
    }
    const auto nothing_open = [this]() {
      mutex_.AssertReaderHeld();
      return writes_open_ == 0;
    };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&nothing_open));
  }
  CloseReads();
  tasks_->Close();
  if (quarantined_ || stalled_flag_ || CheckpointIsCurrent()) return;
  const absl::Status status =
      state_->indexes()->vectors->stats().memory_bytes <= kQuickCheckpointBytes ? WriteCheckpoint()
                                                                                : kv_->Flush();
  if (!status.ok()) {
    LogWarning("shard {}: closing without a checkpoint: {}", options_.dir, MessageOf(status));
  }
}

void ShardImpl::ScheduleBuild() {
  if (closing_ || build_scheduled_.exchange(true)) return;
  tasks_->Schedule([this] { BuildSome(); });
}

void ShardImpl::BuildSome() {
  build_scheduled_ = false;
  const std::shared_ptr<Indexes> indexes = state_->indexes();
  const int64_t end = deps_.clock->MonotonicNanos() + kBuildSliceMs * kNanosPerMilli;
  bool more = true;
  while (more && !closing_ && !searches_refused_ && deps_.clock->MonotonicNanos() < end) {
    more = BuildStep(*indexes);
  }
  if (more) ScheduleBuild();
}

bool ShardImpl::BuildStep(Indexes& indexes) {
  const bool more = indexes.vectors->Build(*deps_.background_executor);
  const int64_t age = deps_.clock->MonotonicNanos() - load_refreshed_nanos_;
  if (!more || age > kLoadRefreshMs * kNanosPerMilli) {
    RefreshLoad();
  } else {
    const uint64_t built = uint64_t{index::kBuildBatchRows} * options_.schema.dimension;
    tail_bytes_ -= std::min(built, tail_bytes_.load());
  }
  admission_->Poll();
  return more;
}

void ShardImpl::RefreshLoad() {
  const index::IndexStats stats = state_->indexes()->vectors->stats();
  tail_bytes_ = stats.tail_bytes;
  has_graph_ = stats.has_graph;
  index_memory_bytes_ = stats.memory_bytes;
  load_refreshed_nanos_ = deps_.clock->MonotonicNanos();
}

bool ShardImpl::CheckpointIsCurrent() const {
  return state_->published() == checkpoint_index_ &&
         state_->indexes()->vectors->stats().linked == checkpoint_linked_;
}

void ShardImpl::ScheduleCheckpoint() {
  if (closing_ || !attached_ || checkpoint_scheduled_.exchange(true)) return;
  tasks_->Schedule([this] {
    checkpoint_scheduled_ = false;
    const absl::Status status = WriteCheckpoint();
    if (!status.ok()) {
      LogWarning("shard {}: checkpoint failed: {}", options_.dir, MessageOf(status));
    }
  });
}

absl::Status ShardImpl::WriteCheckpoint() {
  StateMachine::Cut cut;
  {
    const absl::MutexLock lock(&apply_mutex_);
    if (is_stalled_ || quarantined_ || searches_refused_) {
      return Unavailable("nothing is applied at the moment");
    }
    cut = state_->TakeCut();
    log_bytes_since_cut_ = 0;
  }
  const uint64_t linked = cut.indexes->vectors->stats().linked;
  const uint64_t flushed = state_->published();  // at least: it is in the store
  RETURN_IF_ERROR(kv_->Flush());
  CrashPoint("shard.checkpoint.store_flushed");
  replicator_->SetLogMarks(flushed, checkpoint_index_);
  RETURN_IF_ERROR(checkpoints_.Write(cut));
  cut.indexes->vectors->CheckpointPublished(cut.index);
  checkpoint_index_ = cut.image.applied_index;
  checkpoint_linked_ = linked;
  replicator_->SetLogMarks(flushed, cut.image.applied_index);
  CrashPoint("shard.checkpoint.log_marks_set");
  return absl::OkStatus();
}

// As a task of the builder's role, so that no checkpoint is written or removed meanwhile.
absl::StatusOr<uint64_t> ShardImpl::WriteCopyNow(const std::string& dir) {
  if (!CheckpointIsCurrent()) RETURN_IF_ERROR(WriteCheckpoint());
  RETURN_IF_ERROR(kv_->Flush());
  uint64_t index = 0;
  {
    const absl::MutexLock lock(&apply_mutex_);
    if (is_stalled_ || quarantined_ || searches_refused_) {
      return Unavailable("nothing is applied at the moment");
    }
    index = state_->published();
    RETURN_IF_ERROR(kv_->Checkpoint(dir + "/store"));
  }
  RETURN_IF_ERROR(checkpoints_.LinkNewest(dir + "/index"));
  return index;
}

void ShardImpl::WriteCopy(const std::string& dir,
                          std::function<void(absl::StatusOr<uint64_t>)> done) {
  tasks_->Schedule([this, dir, done = std::move(done)] { done(WriteCopyNow(dir)); });
}

absl::Status ShardImpl::FlushAll() {
  absl::Status status;
  absl::Notification written;
  tasks_->Schedule([&] {
    status = CheckpointIsCurrent() ? absl::OkStatus() : WriteCheckpoint();
    written.Notify();
  });
  written.WaitForNotification();
  return status;
}

void ShardImpl::Tick() {
  if (closing_ || quarantined_) return;
  KeepFresh();
  state_->indexes()->vectors->TrimResident();
  if (rebuild_wanted_.exchange(false)) tasks_->Schedule([this] { VerifyIndex(); });
  const int64_t pause = deps_.clock->MonotonicNanos() - last_apply_nanos_;
  if (pause < kCheckpointPauseMs * kNanosPerMilli || build_scheduled_) return;
  if (!CheckpointIsCurrent()) ScheduleCheckpoint();
}

void ShardImpl::WaitUntilIndexed() {
  bool more = true;
  while (more && !closing_) {
    absl::Notification turn;
    tasks_->Schedule([&] {
      more = BuildStep(*state_->indexes());
      turn.Notify();
    });
    turn.WaitForNotification();
  }
}

void ShardImpl::VerifyIndex() {
  if (closing_) return;
  const absl::Status status = searches_refused_ ? DataLoss("found damaged before")
                                                : state_->indexes()->vectors->VerifyAndAdopt();
  if (status.ok()) return;
  if (absl::IsResourceExhausted(status)) {
    LogWarning("shard {}: the index stays as mapped: {}", options_.dir, MessageOf(status));
    return;
  }
  LogError("shard {}: {}; the index is made again from the store", options_.dir, MessageOf(status));
  searches_refused_ = true;
  const absl::Status rebuilt = RebuildIndex();
  if (rebuilt.ok()) {
    searches_refused_ = false;
    ScheduleBuild();
    return;
  }
  if (absl::IsResourceExhausted(rebuilt) || absl::IsUnavailable(rebuilt)) {
    LogWarning("shard {}: {}; tried again", options_.dir, MessageOf(rebuilt));
    rebuild_wanted_ = true;
    return;
  }
  {
    const absl::MutexLock lock(&apply_mutex_);
    Quarantine(rebuilt);
  }
  AnswerWaiters();
}

absl::Status ShardImpl::RebuildIndex() {
  RETURN_IF_ERROR(checkpoints_.RemoveAll());
  checkpoint_index_ = 0;
  ASSIGN_OR_RETURN(std::unique_ptr<index::VectorIndex> empty,
                   parts_.create_index(checkpoints_.NewWorkDir()));
  const absl::MutexLock lock(&apply_mutex_);
  if (state_->has_prepared()) return Unavailable("applying waits");
  return state_->Rebuild(std::move(empty));
}

}  // namespace vectron::shard
