#pragma once

// Who may propose a write, and when (DESIGN.md, section 3): the shard's tail, and that of the other
// replicas as far as a majority needs them, is bounded where writes enter. Up to kTailFreeBytes a
// write goes at once; from there to kTailMaxBytes it is delayed, linearly up to kTailMaxDelayMs;
// past that it waits for room in a bounded queue until its deadline. Nobody's thread waits.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/timer.h"

namespace vectron::shard {

// The delay of a write that finds a tail of so many bytes, below kTailMaxBytes.
int64_t TailDelayNanos(uint64_t tail_bytes);

// Thread-safe. First come, first served.
class Admission : public std::enable_shared_from_this<Admission> {
 public:
  static constexpr int64_t kLookAgainMs = 50;
  // OK: propose now. ResourceExhausted with a hint when to retry, or Unavailable after Close.
  using Start = std::function<void(absl::Status)>;

  // tail_bytes: of the index and of writes started and not applied yet; called often, and while a
  // write waits for room every kLookAgainMs, as others' tails shrink without a Poll. All are
  // borrowed until Close.
  Admission(const Clock& clock, Timer& timer, std::function<uint64_t()> tail_bytes)
      : clock_(clock), timer_(timer), tail_bytes_(std::move(tail_bytes)) {}

  struct Request {
    size_t bytes = 0;            // of memory while it waits
    int64_t deadline_nanos = 0;  // monotonic
    Start start;                 // called once, by any thread, maybe before Admit returns
  };
  void Admit(Request request);
  // The tail became shorter.
  void Poll();
  // Refuses what waits and what comes; no Start is running or will be called when it returns.
  void Close();

  size_t waiting() const;

 private:
  struct Waiting {
    Request request;
    int64_t not_before_nanos = 0;
  };

  // Starts what may go, refuses what is too late, sets the timer for the next.
  void Pump();
  bool TakeNext(Waiting& next, absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetTimer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Quiet() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return running_ == 0; }

  const Clock& clock_;
  Timer& timer_;
  const std::function<uint64_t()> tail_bytes_;
  mutable absl::Mutex mutex_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Timer::Id timer_id_ ABSL_GUARDED_BY(mutex_) = 0;  // 0: none set
  int64_t timer_at_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;  // Start calls under way
  bool pumping_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Refuses writes when a disk is nearly full. Thread-safe; looks at the disk at most every
// kCheckMillis.
class DiskReserve {
 public:
  static constexpr int64_t kCheckMillis = 250;

  DiskReserve(FileSystem& files, const Clock& clock, std::string path)
      : files_(files), clock_(clock), path_(std::move(path)) {}
  // OK, or ResourceExhausted with what is left and wanted.
  absl::Status Check();

 private:
  FileSystem& files_;
  const Clock& clock_;
  const std::string path_;
  absl::Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  int64_t next_check_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron::shard
