#pragma once

// An executor for tests that say when its tasks run.

#include <deque>
#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"

namespace vectron {

// Thread-safe.
class HeldExecutor : public Executor {
 public:
  void Schedule(std::function<void()> task) override {
    const absl::MutexLock lock(&mutex_);
    tasks_.push_back(std::move(task));
  }
  size_t parallelism() const override { return 1; }

  size_t held() const {
    const absl::MutexLock lock(&mutex_);
    return tasks_.size();
  }
  // Runs what is held, in the caller; what that schedules is held.
  void RunHeld() {
    std::deque<std::function<void()>> tasks;
    {
      const absl::MutexLock lock(&mutex_);
      tasks.swap(tasks_);
    }
    for (const std::function<void()>& task : tasks) task();
  }

 private:
  mutable absl::Mutex mutex_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron
