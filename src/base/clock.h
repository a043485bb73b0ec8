#pragma once

// Time as a dependency: code below `apps` never reads a clock on its own.

#include <cstdint>

namespace vectron {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Nanoseconds since an arbitrary start; never goes back. For time-outs and durations.
  virtual int64_t MonotonicNanos() const = 0;
  // Milliseconds since the Unix epoch; may jump. For people only.
  virtual int64_t UnixMillis() const = 0;

  int64_t MonotonicMicros() const { return MonotonicNanos() / 1000; }
  int64_t MonotonicMillis() const { return MonotonicNanos() / 1'000'000; }
};

class SystemClock : public Clock {
 public:
  int64_t MonotonicNanos() const override;
  int64_t UnixMillis() const override;
};

// A clock that moves when told to; for tests and simulation. Thread-compatible.
class ManualClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return nanos_; }
  int64_t UnixMillis() const override { return unix_millis_ + nanos_ / 1'000'000; }
  void AdvanceMillis(int64_t millis) { nanos_ += millis * 1'000'000; }
  void SetUnixMillis(int64_t millis) { unix_millis_ = millis - nanos_ / 1'000'000; }

 private:
  int64_t nanos_ = 1;
  int64_t unix_millis_ = 0;
};

}  // namespace vectron
