#include "base/log_throttle.h"

namespace vectron {

std::optional<uint64_t> LogThrottle::Pass(int64_t now_nanos) {
  int64_t next = next_nanos_.load();
  if (now_nanos < next || !next_nanos_.compare_exchange_strong(next, now_nanos + interval_nanos_)) {
    ++left_out_;
    return std::nullopt;
  }
  return left_out_.exchange(0);
}

}  // namespace vectron
