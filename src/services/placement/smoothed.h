#pragma once

// A measurement averaged over about the last minute, whatever the pace of its samples: what loads
// are on the whole, not what they are just now, so that shards do not follow every wave of
// requests.

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace vectron::placement {

// Thread-compatible.
class Smoothed {
 public:
  static constexpr double kMemoryNanos = 60e9;

  // Time is monotonic.
  void Add(double value, int64_t now_nanos) {
    ++samples_;
    const double passed = static_cast<double>(now_nanos - at_nanos_);
    // The plain average until there are samples of as long as the memory.
    const double share = std::max(1 / samples_, 1 - std::exp(-passed / kMemoryNanos));
    value_ += std::min(1.0, share) * (value - value_);
    at_nanos_ = now_nanos;
  }
  double value() const { return value_; }

 private:
  double samples_ = 0;
  double value_ = 0;
  int64_t at_nanos_ = 0;
};

}  // namespace vectron::placement
