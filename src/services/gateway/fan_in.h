#pragma once

// Waits for a fixed number of parts of one request.

#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/check.h"

namespace vectron::gateway {

// Set is called once for each part, from any threads; the last one calls `done` with all, in order.
// Shared by the parts' callbacks.
template <typename T>
class FanIn {
 public:
  using Results = std::vector<absl::StatusOr<T>>;

  FanIn(size_t parts, std::function<void(Results)> done)
      : results_(parts), left_(parts), done_(std::move(done)) {
    CHECK_GT(parts, size_t{0});
  }

  void Set(size_t part, absl::StatusOr<T> result) {
    results_[part] = std::move(result);
    // Release: this part's result is seen by the last one. Acquire: the last one sees all.
    if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) done_(std::move(results_));
  }

 private:
  Results results_;
  std::atomic<size_t> left_;
  std::function<void(Results)> done_;
};

}  // namespace vectron::gateway
