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

// The thread sleeps for a task that is taken back meanwhile; it must wake for those that come
// first, and go on to those that come later.
TEST(ThreadTimer, RunsTasksWhateverWasTakenBackBeforeThem) {
  const SystemClock clock;
  ThreadTimer timer(clock);
  constexpr int64_t kMilli = 1'000'000;
  for (int round = 0; round < 50; ++round) {
    const int64_t now = clock.MonotonicNanos();
    const Timer::Id gone = timer.At(now + round % 5 * kMilli, [] {});
    absl::Notification later;
    absl::Notification sooner;
    timer.At(now + 6 * kMilli, [&] { later.Notify(); });
    timer.Cancel(gone);
    timer.At(now + kMilli, [&] { sooner.Notify(); });
    later.WaitForNotification();
    EXPECT_TRUE(sooner.HasBeenNotified()) << "in order of time";
  }
}

}  // namespace
}  // namespace vectron
