#pragma once

// Whether an Auth service that is elsewhere lets anybody in: asked once a second, so that /readyz
// of a gateway tells before its callers do.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace vectron {

// Thread-safe, but for Tick.
class AuthWatch {
 public:
  // Asks the service, and calls `done` once, on any thread, within a few seconds.
  using Check = std::function<void(std::function<void(absl::Status)> done)>;

  // `clock` outlives it.
  AuthWatch(Check check, const Clock& clock);
  // Waits for the answer that is due.
  ~AuthWatch();
  AuthWatch(const AuthWatch&) = delete;
  AuthWatch& operator=(const AuthWatch&) = delete;

  // About once a second, by one thread at a time: asks, unless an answer is due.
  void Tick();
  // Why nobody is let in, for everyone to read; "" while somebody may be. A service that has begun
  // to fail is told when no verdict that it gave can be remembered any longer.
  std::string Problem() const;

 private:
  void Take(int64_t asked_nanos, const absl::Status& status);

  const Check check_;
  const Clock& clock_;
  mutable absl::Mutex mutex_;
  bool asking_ ABSL_GUARDED_BY(mutex_) = false;
  bool failing_ ABSL_GUARDED_BY(mutex_) = false;               // the last answer was an error
  std::optional<int64_t> well_nanos_ ABSL_GUARDED_BY(mutex_);  // when a good answer was asked for
};

}  // namespace vectron
