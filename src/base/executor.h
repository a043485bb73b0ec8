#pragma once

// Where work runs. Threads are born here and in `apps` only.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace vectron {

// Thread-safe.
class Executor {
 public:
  virtual ~Executor() = default;
  // Runs `task` later (or now, for an inline executor). Tasks do not throw.
  virtual void Schedule(std::function<void()> task) = 0;
  // Tasks that may run at once.
  virtual size_t parallelism() const = 0;
};

// Runs each task in the caller, at once.
class InlineExecutor : public Executor {
 public:
  void Schedule(std::function<void()> task) override { task(); }
  size_t parallelism() const override { return 1; }
};

// A fixed number of threads over one first-in first-out queue. The destructor runs what is queued,
// then joins.
class ThreadPool : public Executor {
 public:
  // name: at most 12 characters, shown by top and gdb. threads >= 1.
  ThreadPool(const std::string& name, size_t threads);
  ~ThreadPool() override;
  void Schedule(std::function<void()> task) override;
  size_t parallelism() const override;
  // Blocks until nothing is left to do, what tasks schedule included. Not from a task of its own.
  void Drain();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Runs tasks one at a time and in order on another executor. Thread-safe. `executor` outlives it;
// the destructor waits for what is queued.
class SerialExecutor : public Executor {
 public:
  explicit SerialExecutor(Executor& executor);
  ~SerialExecutor() override;
  void Schedule(std::function<void()> task) override;
  size_t parallelism() const override { return 1; }
  // Blocks until everything scheduled before the call has run. Not from a task of its own.
  void Drain();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the task under way, which may outlast a Drain
};

// Calls body(i) for each i in [0, count), on the executor and in the caller, which returns when all
// are done. Which thread runs which index is not fixed, so the result must not depend on it. The
// caller may itself run on `executor`.
void ParallelFor(Executor& executor, size_t count, const std::function<void(size_t)>& body);

}  // namespace vectron
