#include "base/executor.h"

#include <pthread.h>

#include <atomic>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/check.h"

namespace vectron {

struct ThreadPool::State {
  absl::Mutex mutex;
  std::deque<std::function<void()>> queue ABSL_GUARDED_BY(mutex);
  size_t running ABSL_GUARDED_BY(mutex) = 0;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;

  bool Idle() const ABSL_SHARED_LOCKS_REQUIRED(mutex) { return queue.empty() && running == 0; }

  bool HasWorkOrStops() const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return stopping || !queue.empty();
  }
  void Run() {
    mutex.Lock();
    while (true) {
      mutex.Await(absl::Condition(this, &State::HasWorkOrStops));
      if (queue.empty()) break;
      std::function<void()> task = std::move(queue.front());
      queue.pop_front();
      ++running;
      mutex.Unlock();
      task();
      task = nullptr;  // what it holds goes before it counts as done
      mutex.Lock();
      --running;
    }
    mutex.Unlock();
  }
};

ThreadPool::ThreadPool(const std::string& name, size_t threads)
    : state_(std::make_unique<State>()) {
  CHECK_GE(threads, size_t{1});
  for (size_t i = 0; i < threads; ++i) {
    state_->threads.emplace_back([state = state_.get()] { state->Run(); });
    pthread_setname_np(state_->threads.back().native_handle(), name.substr(0, 15).c_str());
  }
}

ThreadPool::~ThreadPool() {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->stopping = true;
  }
  for (std::thread& thread : state_->threads) thread.join();
}

void ThreadPool::Schedule(std::function<void()> task) {
  const absl::MutexLock lock(&state_->mutex);
  state_->queue.push_back(std::move(task));
}

void ThreadPool::Drain() {
  const absl::MutexLock lock(&state_->mutex);
  state_->mutex.Await(absl::Condition(state_.get(), &State::Idle));
}

size_t ThreadPool::parallelism() const { return state_->threads.size(); }

struct SerialExecutor::State {
  explicit State(Executor& target) : executor(target) {}

  Executor& executor;
  absl::Mutex mutex;
  std::deque<std::function<void()>> queue ABSL_GUARDED_BY(mutex);
  bool running ABSL_GUARDED_BY(mutex) = false;

  bool Idle() const ABSL_SHARED_LOCKS_REQUIRED(mutex) { return !running; }
  // Runs queued tasks until none is left. Called by one thread at a time (`running`).
  void Run() {
    while (true) {
      std::function<void()> task;
      {
        const absl::MutexLock lock(&mutex);
        if (queue.empty()) {
          running = false;
          return;
        }
        task = std::move(queue.front());
        queue.pop_front();
      }
      task();
    }
  }
};

SerialExecutor::SerialExecutor(Executor& executor) : state_(std::make_shared<State>(executor)) {}

SerialExecutor::~SerialExecutor() { Drain(); }

void SerialExecutor::Schedule(std::function<void()> task) {
  {
    const absl::MutexLock lock(&state_->mutex);
    state_->queue.push_back(std::move(task));
    if (state_->running) return;
    state_->running = true;
  }
  state_->executor.Schedule([state = state_] { state->Run(); });
}

void SerialExecutor::Drain() {
  const absl::MutexLock lock(&state_->mutex);
  state_->mutex.Await(absl::Condition(state_.get(), &State::Idle));
}

namespace {

// Shared by the caller and its helpers of one ParallelFor; a helper that starts late finds nothing
// left.
struct Loop {
  Loop(size_t n, const std::function<void(size_t)>& f) : count(n), body(&f) {}

  const size_t count;
  const std::function<void(size_t)>* body;  // valid while done < count, which the caller waits for
  std::atomic<size_t> next{0};
  absl::Mutex mutex;
  size_t done ABSL_GUARDED_BY(mutex) = 0;

  bool Done() const ABSL_SHARED_LOCKS_REQUIRED(mutex) { return done == count; }
  void Run() {
    size_t mine = 0;
    for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1), ++mine) (*body)(i);
    const absl::MutexLock lock(&mutex);
    done += mine;
  }
};

}  // namespace

void ParallelFor(Executor& executor, size_t count, const std::function<void(size_t)>& body) {
  if (count == 0) return;
  const size_t helpers = std::min(executor.parallelism(), count) - 1;
  if (helpers == 0) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  auto loop = std::make_shared<Loop>(count, body);
  for (size_t i = 0; i < helpers; ++i) executor.Schedule([loop] { loop->Run(); });
  loop->Run();
  const absl::MutexLock lock(&loop->mutex);
  loop->mutex.Await(absl::Condition(loop.get(), &Loop::Done));
}

}  // namespace vectron
