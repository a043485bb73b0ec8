#pragma once

// When a piece of work that looks at many rows stops before its end: its time is up, or nobody
// wants its answer any more.

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/status.h"

namespace vectron {

// Thread-safe when called_off is.
class WorkLimit {
 public:
  // Rows, or stored payloads, that are looked at between two checks: a few ten microseconds of work
  // either way, beside which a check costs nothing.
  static constexpr size_t kRowsPerCheck = 256;
  static constexpr size_t kPayloadsPerCheck = 64;

  WorkLimit() = default;  // none
  // deadline_nanos: on the monotonic clock, 0 for none. called_off: true once nobody wants the
  // answer; may be null. The clock outlives the limit.
  WorkLimit(const Clock& clock, int64_t deadline_nanos, std::function<bool()> called_off = nullptr)
      : clock_(&clock), deadline_nanos_(deadline_nanos), called_off_(std::move(called_off)) {}

  // OK: go on. Errors: DeadlineExceeded, Cancelled.
  absl::Status Check() const {
    if (deadline_nanos_ != 0 && clock_->MonotonicNanos() >= deadline_nanos_) {
      return DeadlineExceeded("the time for the call ran out before the work was done");
    }
    if (called_off_ && called_off_()) return Cancelled("nobody waits for the answer any more");
    return absl::OkStatus();
  }

 private:
  const Clock* clock_ = nullptr;
  int64_t deadline_nanos_ = 0;
  std::function<bool()> called_off_;
};

}  // namespace vectron
