#include "base/timer.h"

#include <pthread.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace vectron {
namespace {

using TaskMap = std::map<std::pair<int64_t, Timer::Id>, std::function<void()>>;

bool Take(TaskMap& tasks, Timer::Id id) {
  const auto found = std::find_if(tasks.begin(), tasks.end(),
                                  [id](const auto& task) { return task.first.second == id; });
  if (found == tasks.end()) return false;
  tasks.erase(found);
  return true;
}

constexpr int64_t kAwake = std::numeric_limits<int64_t>::min();

}  // namespace

struct ThreadTimer::State {
  explicit State(const Clock& c) : clock(c) {}

  const Clock& clock;
  absl::Mutex mutex;
  absl::CondVar changed;
  TaskMap tasks ABSL_GUARDED_BY(mutex);
  Id next_id ABSL_GUARDED_BY(mutex) = 1;
  // When the thread looks at the tasks by itself; what is due later need not wake it, also when the
  // one it waits for was cancelled.
  int64_t wakes_at ABSL_GUARDED_BY(mutex) = kAwake;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::thread thread;

  void Run() {
    mutex.Lock();
    while (!stopping) {
      wakes_at = tasks.empty() ? std::numeric_limits<int64_t>::max() : tasks.begin()->first.first;
      if (tasks.empty()) {
        changed.Wait(&mutex);
        continue;
      }
      const int64_t wait_nanos = wakes_at - clock.MonotonicNanos();
      if (wait_nanos > 0) {
        changed.WaitWithTimeout(&mutex, absl::Nanoseconds(wait_nanos));
        continue;
      }
      wakes_at = kAwake;
      const std::function<void()> task = std::move(tasks.begin()->second);
      tasks.erase(tasks.begin());
      mutex.Unlock();
      task();
      mutex.Lock();
    }
    mutex.Unlock();
  }
};

ThreadTimer::ThreadTimer(const Clock& clock) : state_(std::make_unique<State>(clock)) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
  pthread_setname_np(state_->thread.native_handle(), "timer");
}

ThreadTimer::~ThreadTimer() {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->stopping = true;
    state_->changed.Signal();
  }
  state_->thread.join();
}

Timer::Id ThreadTimer::At(int64_t at_nanos, std::function<void()> task) {
  const absl::MutexLock lock(&state_->mutex);
  const Id id = state_->next_id++;
  state_->tasks.emplace(std::pair(at_nanos, id), std::move(task));
  if (at_nanos < state_->wakes_at) state_->changed.Signal();
  return id;
}

bool ThreadTimer::Cancel(Id id) {
  const absl::MutexLock lock(&state_->mutex);
  return Take(state_->tasks, id);
}

Timer::Id ManualTimer::At(int64_t at_nanos, std::function<void()> task) {
  const Id id = next_id_++;
  tasks_.emplace(std::pair(at_nanos, id), std::move(task));
  return id;
}

bool ManualTimer::Cancel(Id id) { return Take(tasks_, id); }

void ManualTimer::AdvanceMillis(int64_t millis) {
  int64_t left = millis;
  const int64_t end_nanos = clock_.MonotonicNanos() + millis * 1'000'000;
  while (!tasks_.empty() && tasks_.begin()->first.first <= end_nanos) {
    const int64_t ahead_nanos = tasks_.begin()->first.first - clock_.MonotonicNanos();
    const int64_t step = std::clamp<int64_t>((ahead_nanos + 999'999) / 1'000'000, 0, left);
    clock_.AdvanceMillis(step);
    left -= step;
    const std::function<void()> task = std::move(tasks_.begin()->second);
    tasks_.erase(tasks_.begin());
    task();
  }
  clock_.AdvanceMillis(left);
}

}  // namespace vectron
