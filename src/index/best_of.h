#pragma once

// The `capacity` nearest of a stream of rows. Collects up to twice as many and halves by selection,
// so it costs about one comparison a row and suits any capacity. Confined to one thread.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "index/select.h"

namespace vectron::index {

class BestOf {
 public:
  void Reset(size_t capacity) {
    capacity_ = capacity;
    found_.clear();
    bound_ = std::numeric_limits<int32_t>::max();
  }
  // A row at this distance or farther is of no use.
  int32_t bound() const { return bound_; }
  void Add(int32_t distance, uint32_t slot) {
    found_.push_back({.distance = distance, .slot = slot});
    if (found_.size() >= 2 * capacity_ + 16) Halve();
  }
  // The nearest, in order; at most `capacity`.
  const std::vector<Candidate>& Sorted() {
    if (found_.size() > capacity_) Halve();
    std::sort(found_.begin(), found_.end(), Nearer);
    return found_;
  }

 private:
  static bool Nearer(const Candidate& a, const Candidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.slot < b.slot;
  }
  void Halve() {
    const auto last = found_.begin() + static_cast<ptrdiff_t>(capacity_) - 1;
    std::nth_element(found_.begin(), last, found_.end(), Nearer);
    bound_ = last->distance;
    found_.resize(capacity_);
  }

  size_t capacity_ = 0;
  int32_t bound_ = 0;
  std::vector<Candidate> found_;
};

}  // namespace vectron::index
