#pragma once

// What the roles share: how many threads, and a thread that ticks.

#include <functional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/cores.h"

namespace vectron {

inline constexpr int kExitExpelled = 3;  // placement does not want this node

inline size_t ThreadCount(size_t wanted) { return wanted != 0 ? wanted : UsableCores(); }

// Calls `tick` once a second on a thread of its own, from construction to destruction.
class Ticker {
 public:
  explicit Ticker(std::function<void()> tick)
      : tick_(std::move(tick)), thread_([this] { Run(); }) {}
  ~Ticker() {
    stop_.Notify();
    thread_.join();
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  void Run() {
    while (!stop_.WaitForNotificationWithTimeout(kInterval)) tick_();
  }

  const std::function<void()> tick_;
  absl::Notification stop_;
  std::thread thread_;  // last: it uses the above
};

}  // namespace vectron
