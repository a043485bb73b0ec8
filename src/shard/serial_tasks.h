#pragma once

// The background tasks of one shard: one at a time, in order, on an executor that it shares fairly:
// after each task the executor's other work has its turn.

#include <deque>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/executor.h"

namespace vectron::shard {

// Thread-safe.
class SerialTasks {
 public:
  // executor outlives it.
  explicit SerialTasks(Executor& executor) : state_(std::make_shared<State>(executor)) {}
  ~SerialTasks() { Close(); }

  void Schedule(std::function<void()> task);
  // Blocks until nothing is left to do, what tasks schedule included. Not from a task.
  void Drain();
  // Drops what is scheduled from now on, and drains.
  void Close();

 private:
  struct State {
    explicit State(Executor& e) : executor(e) {}
    bool Idle() const ABSL_SHARED_LOCKS_REQUIRED(mutex) { return !running; }

    Executor& executor;
    absl::Mutex mutex;
    std::deque<std::function<void()>> queue ABSL_GUARDED_BY(mutex);
    bool running ABSL_GUARDED_BY(mutex) = false;
    bool closed ABSL_GUARDED_BY(mutex) = false;
  };
  static void RunOne(const std::shared_ptr<State>& state);

  const std::shared_ptr<State>
      state_;  // shared with the task under way, whose last step follows a Drain
};

}  // namespace vectron::shard
