#pragma once

// What the builder has to do, in log order; the appender decides it, so that every replica does the
// same.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace vectron::index {

// Values are written to disk.
enum class WorkKind : uint32_t {
  kStartGraph = 0,  // train the first scale, encode all rows
  kLink = 1,        // link rows [first, first + count) of the log
  kRepair = 2,      // take removed rows out of the graph
  kDropFlat = 3,    // removed rows of an index without a graph
  kFreeze = 4,      // forget old sequences
};

struct Work {
  WorkKind kind = WorkKind::kLink;
  uint32_t cut_sequence = 0;  // removals after it are ignored
  uint64_t first = 0;
  uint32_t count = 0;
  std::vector<uint32_t> dead;  // slots, in log order
};

// Thread-safe.
class WorkQueue {
 public:
  void Push(Work work) {
    const absl::MutexLock lock(&mutex_);
    queue_.push_back(std::move(work));
    pushed_ += 1;
  }
  // The first piece due, which stays until Pop; null when there is none. For the builder.
  const Work* Front() const {
    const absl::MutexLock lock(&mutex_);
    if (queue_.empty() || popped_ >= barrier_) return nullptr;
    return &queue_.front();  // a deque's elements stay where they are
  }
  void Pop() {
    const absl::MutexLock lock(&mutex_);
    queue_.pop_front();
    popped_ += 1;
  }
  // Nothing pushed from now on is due until RemoveBarrier.
  void SetBarrier() {
    const absl::MutexLock lock(&mutex_);
    barrier_ = pushed_;
  }
  void RemoveBarrier() {
    const absl::MutexLock lock(&mutex_);
    barrier_ = kNoBarrier;
  }
  // All before the barrier.
  std::vector<Work> BeforeBarrier() const {
    const absl::MutexLock lock(&mutex_);
    std::vector<Work> before;
    for (const Work& work : queue_) {
      if (popped_ + before.size() >= barrier_) break;
      before.push_back(work);
    }
    return before;
  }

 private:
  static constexpr uint64_t kNoBarrier = ~uint64_t{0};

  mutable absl::Mutex mutex_;
  std::deque<Work> queue_ ABSL_GUARDED_BY(mutex_);
  uint64_t pushed_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t popped_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t barrier_ ABSL_GUARDED_BY(mutex_) = kNoBarrier;
};

}  // namespace vectron::index
