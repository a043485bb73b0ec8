#pragma once

// The executor of searches and pages that take long, which counts them: while they keep it busy
// nothing short should queue behind them.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "base/executor.h"

namespace vectron::worker {

// Thread-safe.
class LongSearches : public Executor {
 public:
  // executor outlives it.
  explicit LongSearches(Executor& executor) : executor_(executor) {}

  void Schedule(std::function<void()> task) override {
    under_way_->fetch_add(1, std::memory_order_relaxed);
    executor_.Schedule([under_way = under_way_, task = std::move(task)] {
      task();
      under_way->fetch_sub(1, std::memory_order_relaxed);
    });
  }
  size_t parallelism() const override { return executor_.parallelism(); }
  // Scheduled and not ended.
  size_t under_way() const { return under_way_->load(std::memory_order_relaxed); }

 private:
  Executor& executor_;
  // Shared with the tasks, whose last step may come after the end of all that they were for.
  const std::shared_ptr<std::atomic<size_t>> under_way_ = std::make_shared<std::atomic<size_t>>(0);
};

}  // namespace vectron::worker
