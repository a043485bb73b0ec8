#pragma once

// When a failed call is tried again, and after which pause. Pure.

#include <chrono>
#include <optional>

#include "errors.h"
#include "vectron/types.h"

namespace vectron::internal {

// A read changes nothing. A named write carries a request id, so that a repeat applies once. Any
// other write may have happened when its answer was lost.
enum class Kind { kRead, kNamedWrite, kOtherWrite };

// The pause before the next attempt; nullopt: give up. attempts: made so far, at least 1. jitter:
// in [0, 1).
std::optional<std::chrono::milliseconds> PauseBefore(const RetryPolicy& policy,
                                                     const Failure& failure, Kind kind,
                                                     int attempts,
                                                     std::chrono::milliseconds remaining,
                                                     double jitter);

}  // namespace vectron::internal
