#include "shard/serial_tasks.h"

#include <utility>

namespace vectron::shard {

void SerialTasks::Schedule(std::function<void()> task) {
  {
    const absl::MutexLock lock(&state_->mutex);
    if (state_->closed) return;
    state_->queue.push_back(std::move(task));
    if (state_->running) return;
    state_->running = true;
  }
  state_->executor.Schedule([state = state_] { RunOne(state); });
}

void SerialTasks::RunOne(const std::shared_ptr<State>& state) {
  std::function<void()> task;
  {
    const absl::MutexLock lock(&state->mutex);
    task = std::move(state->queue.front());
    state->queue.pop_front();
  }
  task();
  task = nullptr;  // what it holds goes before Drain returns
  {
    const absl::MutexLock lock(&state->mutex);
    if (state->queue.empty()) {
      state->running = false;
      return;
    }
  }
  state->executor.Schedule([state] { RunOne(state); });
}

void SerialTasks::Drain() {
  const absl::MutexLock lock(&state_->mutex);
  state_->mutex.Await(absl::Condition(state_.get(), &State::Idle));
}

void SerialTasks::Close() {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->closed = true;
  }
  Drain();
}

}  // namespace vectron::shard
