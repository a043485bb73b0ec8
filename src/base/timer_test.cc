#include "base/timer.h"

#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace vectron {
namespace {

TEST(ManualTimer, RunsTasksInOrderOfTimeAsTheClockMoves) {
  ManualClock clock;
  ManualTimer timer(clock);
  std::vector<int> ran;
  const int64_t start = clock.MonotonicNanos();
  timer.At(start + 20'000'000, [&] { ran.push_back(20); });
  timer.At(start + 10'000'000, [&] {
    ran.push_back(10);
    timer.At(start + 15'000'000, [&] { ran.push_back(15); });
  });
  const Timer::Id taken_back = timer.At(start + 12'000'000, [&] { ran.push_back(12); });
  EXPECT_TRUE(timer.Cancel(taken_back));
  timer.AdvanceMillis(9);
  EXPECT_TRUE(ran.empty());
  timer.AdvanceMillis(30);
  EXPECT_EQ(ran, (std::vector<int>{10, 15, 20}));
  EXPECT_EQ(timer.waiting(), 0u);
  EXPECT_FALSE(timer.Cancel(taken_back));
}

TEST(ThreadTimer, RunsDueTasksAndDropsTheRest) {
  const SystemClock clock;
  absl::Notification first;
  absl::Notification second;
  {
    ThreadTimer timer(clock);
    timer.At(clock.MonotonicNanos() + int64_t{3'600'000'000'000}, [] { FAIL(); });
    timer.At(clock.MonotonicNanos() + 1'000'000, [&] { first.Notify(); });
    timer.At(clock.MonotonicNanos(), [&] { second.Notify(); });
    first.WaitForNotification();
    second.WaitForNotification();
    const Timer::Id id =
        timer.At(clock.MonotonicNanos() + int64_t{3'600'000'000'000}, [] { FAIL(); });
    EXPECT_TRUE(timer.Cancel(id));
  }
}

}  // namespace
}  // namespace vectron
