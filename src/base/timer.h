#pragma once

// Tasks at points in time, so that waiting blocks no thread.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/clock.h"

namespace vectron {

// Thread-safe.
class Timer {
 public:
  virtual ~Timer() = default;
  using Id = uint64_t;

  // Calls `task` once, at `at_nanos` of the monotonic clock or soon after. All tasks of a timer run
  // one after the other on its thread, so they are short: those with more to do schedule it on an
  // executor.
  virtual Id At(int64_t at_nanos, std::function<void()> task) = 0;
  // Takes a task back. False when it has run or is running.
  virtual bool Cancel(Id id) = 0;
};

// A timer with a thread of its own. What is still waiting at its end is dropped.
class ThreadTimer : public Timer {
 public:
  explicit ThreadTimer(const Clock& clock);
  ~ThreadTimer() override;
  Id At(int64_t at_nanos, std::function<void()> task) override;
  bool Cancel(Id id) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A timer that runs its tasks when told that time passes; for tests. Thread-compatible.
class ManualTimer : public Timer {
 public:
  explicit ManualTimer(ManualClock& clock) : clock_(clock) {}
  Id At(int64_t at_nanos, std::function<void()> task) override;
  bool Cancel(Id id) override;
  // Moves the clock on and runs what falls due, in order of time, each at its time.
  void AdvanceMillis(int64_t millis);
  size_t waiting() const { return tasks_.size(); }

 private:
  ManualClock& clock_;
  Id next_id_ = 1;
  std::map<std::pair<int64_t, Id>, std::function<void()>> tasks_;
};

}  // namespace vectron
