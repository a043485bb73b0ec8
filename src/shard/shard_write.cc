#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"
#include "model/text.h"
#include "model/validate.h"
#include "shard/shard_impl.h"

namespace vectron::shard {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// How often an apply that met a full disk is tried again.
constexpr int64_t kStallRetryMs = 200;
// Log bytes after which the index is checkpointed even under a steady stream of writes: what a
// restart replays at most.
constexpr uint64_t kCheckpointLogBytes = uint64_t{128} << 20;

bool CanRetry(const absl::Status& status) {
  return absl::IsResourceExhausted(status) || absl::IsUnavailable(status);
}

}  // namespace

absl::Status ShardImpl::WriteGate() const {
  if (closing_) return Unavailable("the shard is closing");
  if (quarantined_) {
    const absl::MutexLock lock(&mutex_);
    return problem_;
  }
  if (stalled_flag_) return ResourceExhausted("the disk is full: applied writes wait for room");
  return absl::OkStatus();
}

// Of what takes room on the disk.
absl::Status ShardImpl::RoomGate() {
  RETURN_IF_ERROR(WriteGate());
  RETURN_IF_ERROR(disk_.Check());
  if (!replicator_->nearly_full()) return absl::OkStatus();
  return ResourceExhausted("a disk of the group is nearly full; deletes go on");
}

absl::Status ShardImpl::CheckHalves(const PointBatch& points) const {
  for (size_t i = 0; i < points.size(); ++i) {
    const absl::Status good = CheckStorage(points.vector(i), options_.schema, "");
    if (!good.ok()) return Annotate(good, fmt::format("point {}", Quote(points.ids[i])));
  }
  return absl::OkStatus();
}

void ShardImpl::Upsert(UpsertWrite write, int64_t deadline_nanos, WriteCallback done) {
  absl::Status status = RoomGate();
  if (status.ok() && write.points.dimension != options_.schema.dimension) {
    status =
        InvalidArgument("vectors have {} components, collection '{}' wants {}",
                        write.points.dimension, options_.schema.name, options_.schema.dimension);
  }
  if (status.ok()) status = CheckHalves(write.points);
  if (!status.ok()) {
    done(status);
    return;
  }
  {
    const absl::MutexLock lock(&mutex_);
    writes_open_ += 1;
  }
  writes_.fetch_add(1, std::memory_order_relaxed);
  if (deadline_nanos == 0) {
    deadline_nanos = deps_.clock->MonotonicNanos() + kDefaultWriteDeadlineMs * kNanosPerMilli;
  }
  auto pending = std::make_shared<Write>(
      Write{EncodeUpsert(write), write.points.size(), std::move(done)});  // std::function copies
  const size_t bytes = pending->command.size();
  admission_->Admit({bytes, deadline_nanos, [this, pending](absl::Status admitted) {
                       if (admitted.ok()) {
                         Propose(std::move(*pending));
                         return;
                       }
                       pending->done(std::move(admitted));
                       EndWrite();
                     }});
}

void ShardImpl::Delete(DeleteWrite write, int64_t /*deadline_nanos*/, WriteCallback done) {
  const absl::Status status = WriteGate();
  if (!status.ok()) {
    done(status);
    return;
  }
  ProposeSmall(EncodeDelete(write), std::move(done));
}

void ShardImpl::WriteKey(KeyWrite write, WriteCallback done) {
  const absl::Status status = write.value.has_value() ? RoomGate() : WriteGate();
  if (!status.ok()) {
    done(status);
    return;
  }
  ProposeSmall(EncodeKey(write), std::move(done));
}

// A command that adds nothing to the index, so nothing to what admission bounds.
void ShardImpl::ProposeSmall(std::string command, WriteCallback done) {
  {
    const absl::MutexLock lock(&mutex_);
    writes_open_ += 1;
  }
  writes_.fetch_add(1, std::memory_order_relaxed);
  Propose({std::move(command), 0, std::move(done)});
}

void ShardImpl::Propose(Write write) {
  const uint64_t rows = write.rows;
  if (rows > 0) {
    const absl::Status reserved = state_->Reserve(rows);
    if (!reserved.ok()) {
      write.done(Annotate(reserved, "no room for the index"));
      EndWrite();
      return;
    }
  }
  in_flight_bytes_ += rows * options_.schema.dimension;
  {
    const absl::MutexLock lock(&mutex_);
    proposals_ += 1;
  }
  replicator_->Propose(std::move(write.command),
                       [this, rows, done = std::move(write.done)](absl::StatusOr<uint64_t> index) {
                         OnProposed(rows, done, std::move(index));
                       });
}

// The log may answer before the entry is applied or after; the outcome is delivered when both are
// known.
void ShardImpl::OnProposed(uint64_t rows, const WriteCallback& done,
                           absl::StatusOr<uint64_t> log_index) {
  if (rows > 0) state_->Release(rows);
  in_flight_bytes_ -= rows * options_.schema.dimension;
  std::optional<absl::StatusOr<WriteResult>> result;
  {
    const absl::MutexLock lock(&mutex_);
    proposals_ -= 1;
    if (!log_index.ok()) {
      result = log_index.status();
    } else if (const auto found = answers_.find(*log_index); found != answers_.end()) {
      result = std::move(found->second);
      answers_.erase(found);
    } else if (!problem_.ok()) {
      result = problem_;
    } else {
      waiters_.emplace(*log_index, done);
    }
    if (proposals_ == 0) answers_.clear();  // nobody is left to ask for them
  }
  if (!result.has_value()) return;
  done(*std::move(result));
  admission_->Poll();
  EndWrite();
}

void ShardImpl::EndWrite() {
  const absl::MutexLock lock(&mutex_);
  CHECK_GE(writes_open_, 1u);
  writes_open_ -= 1;
}

uint64_t ShardImpl::TailWith(uint64_t coming_bytes) const {
  if (!has_graph_.load(std::memory_order_relaxed)) {
    const uint64_t components = state_->points() * options_.schema.dimension + coming_bytes;
    if (components * sizeof(float) < index::kFlatBytes) return 0;
  }
  return tail_bytes_.load(std::memory_order_relaxed) + coming_bytes;
}

// The longer one of the own tail and that of the slowest of the replicas that make a majority.
uint64_t ShardImpl::TailForAdmission() const {
  return std::max(TailWith(in_flight_bytes_.load(std::memory_order_relaxed)),
                  replicator_->quorum_tail_bytes());
}

void ShardImpl::Apply(std::vector<Entry> entries) {
  {
    const absl::MutexLock lock(&apply_mutex_);
    if (quarantined_) return;
    if (is_stalled_) {
      stalled_.insert(stalled_.end(), std::make_move_iterator(entries.begin()),
                      std::make_move_iterator(entries.end()));
      return;
    }
    ApplyAll(std::move(entries));
  }
  AnswerWaiters();
}

void ShardImpl::ApplyAll(std::vector<Entry> entries) {
  std::span<const Entry> rest(entries);
  const uint64_t rows_before = state_->rows_applied();
  const auto unapplied = [&] {
    return std::vector<Entry>(entries.begin() + (rest.data() - entries.data()), entries.end());
  };
  while (!rest.empty()) {
    absl::Status status = CheckOnceReplayed();
    if (status.ok()) {
      const absl::StatusOr<size_t> count = state_->Prepare(rest);
      status = count.status();
      if (count.ok()) {
        for (const Entry& entry : rest.first(*count)) log_bytes_since_cut_ += entry.command.size();
        rest = rest.subspan(*count);
        status = state_->Finish();
      }
    }
    if (status.ok()) continue;
    if (CanRetry(status)) {
      Stall(unapplied(), status);
    } else {
      Quarantine(status);
    }
    return;
  }
  last_apply_nanos_ = deps_.clock->MonotonicNanos();
  tail_bytes_ += (state_->rows_applied() - rows_before) * options_.schema.dimension;
  ScheduleBuild();
  const uint64_t due = std::max(kCheckpointLogBytes, index_memory_bytes_.load() / 2);
  if (log_bytes_since_cut_ >= due) ScheduleCheckpoint();
}

void ShardImpl::Stall(std::vector<Entry> rest, const absl::Status& why) {
  if (!stalled_flag_) LogWarning("shard {}: applying waits: {}", options_.dir, MessageOf(why));
  is_stalled_ = true;
  stalled_flag_ = true;
  stalled_.insert(stalled_.begin(), std::make_move_iterator(rest.begin()),
                  std::make_move_iterator(rest.end()));
  state_->Halt(Unavailable("applying waits: {}", MessageOf(why)));
  if (closing_) return;
  stall_timer_ = timer_.At(deps_.clock->MonotonicNanos() + kStallRetryMs * kNanosPerMilli,
                           [this, weak = std::weak_ptr(tasks_)] {
                             const std::shared_ptr<SerialTasks> tasks = weak.lock();
                             if (tasks != nullptr) tasks->Schedule([this] { RetryStalled(); });
                           });
}

void ShardImpl::RetryStalled() {
  {
    const absl::MutexLock lock(&apply_mutex_);
    if (!is_stalled_ || quarantined_) return;
    is_stalled_ = false;
    const absl::Status status = state_->Finish();
    if (status.ok()) {
      std::vector<Entry> entries(std::make_move_iterator(stalled_.begin()),
                                 std::make_move_iterator(stalled_.end()));
      stalled_.clear();
      ApplyAll(std::move(entries));
    } else if (CanRetry(status)) {
      Stall({}, status);
    } else {
      Quarantine(status);
    }
    if (!is_stalled_ && !quarantined_) {
      stalled_flag_ = false;
      state_->Halt(absl::OkStatus());
      LogInfo("shard {}: applying goes on", options_.dir);
    }
  }
  AnswerWaiters();
}

void ShardImpl::Quarantine(const absl::Status& why) {
  const absl::Status problem =
      DataLoss("shard {} of '{}' is quarantined: {}", options_.ordinal.value, options_.schema.name,
               MessageOf(why));
  LogError("{}", MessageOf(problem));
  {
    const absl::MutexLock lock(&mutex_);
    problem_ = problem;
  }
  quarantined_ = true;
  stalled_.clear();
  state_->Halt(problem);
}

void ShardImpl::AnswerWaiters() {
  std::vector<std::pair<WriteCallback, absl::StatusOr<WriteResult>>> writes;
  std::vector<std::pair<Resume, absl::Status>> reads;
  {
    const absl::MutexLock apply_lock(&apply_mutex_);
    std::vector<StateMachine::Outcome> outcomes = state_->TakeOutcomes();
    const absl::MutexLock lock(&mutex_);
    for (StateMachine::Outcome& outcome : outcomes) {
      const auto found = waiters_.find(outcome.index);
      if (found != waiters_.end()) {
        writes.emplace_back(std::move(found->second), std::move(outcome.result));
        waiters_.erase(found);
      } else if (proposals_ > 0) {
        answers_.emplace(outcome.index, std::move(outcome.result));
      }
    }
    if (!problem_.ok()) {
      for (auto& [index, done] : waiters_) writes.emplace_back(std::move(done), problem_);
      waiters_.clear();
    }
    const auto end = problem_.ok() ? barriers_.upper_bound(state_->published()) : barriers_.end();
    for (auto it = barriers_.begin(); it != end; ++it) {
      reads.emplace_back(std::move(it->second), problem_);
    }
    barriers_.erase(barriers_.begin(), end);
  }
  for (auto& [resume, status] : reads) {
    {
      const absl::MutexLock lock(&ready_reads_->mutex);
      ready_reads_->queue.emplace_back(
          [resume = std::move(resume), status = std::move(status)] { resume(status); });
    }
    deps_.apply_executor->Schedule([ready = ready_reads_] { ready->RunOne(); });
  }
  // Once the last write is ended the shard may be gone.
  for (auto& [done, result] : writes) {
    done(std::move(result));
    EndWrite();
  }
}

}  // namespace vectron::shard
