#pragma once

// Keeps what others can cause at will from filling the log.

#include <atomic>
#include <cstdint>
#include <optional>

namespace vectron {

// Lets one event pass per interval. Thread-safe.
class LogThrottle {
 public:
  explicit LogThrottle(int64_t interval_nanos) : interval_nanos_(interval_nanos) {}

  // Whether an event at this time is to be logged: how many were left out since the last one that
  // was; nullopt: it is left out.
  std::optional<uint64_t> Pass(int64_t now_nanos);

 private:
  const int64_t interval_nanos_;
  std::atomic<int64_t> next_nanos_{INT64_MIN};
  std::atomic<uint64_t> left_out_{0};
};

}  // namespace vectron
