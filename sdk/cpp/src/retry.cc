#include "retry.h"

#include <algorithm>
#include <cmath>

namespace vectron::internal {

std::optional<std::chrono::milliseconds> PauseBefore(const RetryPolicy& policy,
                                                     const Failure& failure, Kind kind,
                                                     int attempts,
                                                     std::chrono::milliseconds remaining,
                                                     double jitter) {
  bool worth = failure.code == Code::kResourceExhausted;
  if (kind != Kind::kOtherWrite) {
    worth = worth || failure.code == Code::kUnavailable || failure.code == Code::kDeadlineExceeded;
  }
  const bool paced =
      failure.code == Code::kResourceExhausted && failure.retry_after && policy.max_attempts > 1;
  if (!worth || TooLarge(failure) || (attempts >= policy.max_attempts && !paced))
    return std::nullopt;
  const double doubled =
      static_cast<double>(policy.initial_backoff.count()) * std::exp2(std::min(attempts - 1, 30));
  const double ceiling = std::min(static_cast<double>(policy.max_backoff.count()), doubled);
  double pause_ms = ceiling * (0.5 + 0.5 * jitter);
  if (failure.retry_after) {
    // Spread over a quarter more, so that all who were told the same do not come back at once.
    pause_ms =
        std::max(pause_ms, static_cast<double>(failure.retry_after->count()) * (1 + 0.25 * jitter));
  }
  const std::chrono::milliseconds pause(static_cast<int64_t>(std::ceil(pause_ms)));
  if (pause >= remaining) return std::nullopt;
  return pause;
}

}  // namespace vectron::internal
