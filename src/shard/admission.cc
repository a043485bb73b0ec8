#include "shard/admission.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// Hint in refusals: about what the builder needs to make room.
constexpr int64_t kRetryAfterMs = 1'000;

absl::Status QueueFull(size_t waiting) {
  return ResourceExhausted("{} writes wait for the index to catch up; retry after {} ms", waiting,
                           kRetryAfterMs);
}

}  // namespace

int64_t TailDelayNanos(uint64_t tail_bytes) {
  if (tail_bytes <= kTailFreeBytes) return 0;
  const uint64_t over = std::min(tail_bytes, kTailMaxBytes) - kTailFreeBytes;
  return static_cast<int64_t>(over * static_cast<uint64_t>(kTailMaxDelayMs * kNanosPerMilli) /
                              (kTailMaxBytes - kTailFreeBytes));
}

void Admission::Admit(Request request) {
  const uint64_t tail = tail_bytes_();
  absl::Status refused;
  {
    const absl::MutexLock lock(&mutex_);
    if (closed_) {
      refused = Unavailable("the shard is closing");
    } else if (queue_.empty() && tail <= kTailFreeBytes) {
      running_ += 1;
    } else if (queue_.size() >= kMaxQueuedWritesPerShard ||
               queued_bytes_ + request.bytes > kMaxQueuedWriteBytesPerShard) {
      refused = QueueFull(queue_.size());
    } else {
      queued_bytes_ += request.bytes;
      const int64_t not_before = clock_.MonotonicNanos() + TailDelayNanos(tail);
      queue_.push_back({std::move(request), not_before});
      request.start = nullptr;
    }
  }
  if (request.start == nullptr) {
    Pump();
    return;
  }
  request.start(refused);
  if (!refused.ok()) return;
  const absl::MutexLock lock(&mutex_);
  running_ -= 1;
}

bool Admission::TakeNext(Waiting& next, absl::Status& status) {
  if (queue_.empty()) return false;
  const int64_t now = clock_.MonotonicNanos();
  const auto late = std::find_if(queue_.begin(), queue_.end(), [now](const Waiting& waiting) {
    return waiting.request.deadline_nanos <= now;
  });
  auto taken = queue_.begin();
  if (late != queue_.end()) {
    taken = late;
    status = QueueFull(queue_.size());
  } else if (taken->not_before_nanos > now || tail_bytes_() >= kTailMaxBytes) {
    return false;
  } else {
    status = absl::OkStatus();
  }
  next = std::move(*taken);
  queue_.erase(taken);
  queued_bytes_ -= next.request.bytes;
  running_ += 1;
  return true;
}

void Admission::SetTimer() {
  if (closed_ || queue_.empty()) return;
  int64_t at = std::numeric_limits<int64_t>::max();
  for (const Waiting& waiting : queue_) at = std::min(at, waiting.request.deadline_nanos);
  const int64_t now = clock_.MonotonicNanos();
  const int64_t not_before = queue_.front().not_before_nanos;
  at = std::min(at, not_before > now ? not_before : now + kLookAgainMs * kNanosPerMilli);
  if (timer_id_ != 0) {
    if (timer_at_nanos_ <= at) return;
    timer_.Cancel(timer_id_);
  }
  timer_at_nanos_ = at;
  timer_id_ = timer_.At(at, [weak = weak_from_this()] {
    const std::shared_ptr<Admission> self = weak.lock();
    if (self == nullptr) return;
    {
      const absl::MutexLock lock(&self->mutex_);
      self->timer_id_ = 0;
    }
    self->Pump();
  });
}

void Admission::Pump() {
  {
    const absl::MutexLock lock(&mutex_);
    if (pumping_ || closed_) return;
    pumping_ = true;
  }
  while (true) {
    Waiting next;
    absl::Status status;
    {
      const absl::MutexLock lock(&mutex_);
      if (closed_ || !TakeNext(next, status)) {
        pumping_ = false;
        SetTimer();
        return;
      }
    }
    next.request.start(status);
    const absl::MutexLock lock(&mutex_);
    running_ -= 1;
  }
}

void Admission::Poll() {
  {
    const absl::MutexLock lock(&mutex_);
    if (queue_.empty()) return;
  }
  Pump();
}

void Admission::Close() {
  std::deque<Waiting> refused;
  {
    const absl::MutexLock lock(&mutex_);
    closed_ = true;
    refused.swap(queue_);
    queued_bytes_ = 0;
    if (timer_id_ != 0) timer_.Cancel(timer_id_);
    timer_id_ = 0;
  }
  for (const Waiting& waiting : refused) waiting.request.start(Unavailable("the shard is closing"));
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Admission::Quiet));
}

size_t Admission::waiting() const {
  const absl::MutexLock lock(&mutex_);
  return queue_.size();
}

absl::Status DiskReserve::Check() {
  const int64_t now = clock_.MonotonicNanos();
  {
    const absl::MutexLock lock(&mutex_);
    if (now < next_check_nanos_) return status_;
    next_check_nanos_ = now + kCheckMillis * kNanosPerMilli;
  }
  absl::Status status;
  const absl::StatusOr<FileSystem::Space> space = files_.FreeSpace(path_);
  if (space.ok()) {
    const uint64_t reserve = std::min(kDiskReserveBytes, space->total_bytes / 20);
    if (space->free_bytes < reserve) {
      status = ResourceExhausted(
          "disk nearly full: {} MiB free, {} MiB are kept in reserve; deletes go on; retry after "
          "{} ms",
          space->free_bytes >> 20, reserve >> 20, kRetryAfterMs);
    }
  }
  const absl::MutexLock lock(&mutex_);
  status_ = status;
  return status;
}

}  // namespace vectron::shard
