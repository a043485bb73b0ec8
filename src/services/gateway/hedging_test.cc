#include "services/gateway/hedging.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kMilli = 1'000'000;

TEST(HedgeOptions, AreOffAutoOrMilliseconds) {
  EXPECT_EQ(ParseHedgeOptions("off")->mode, HedgeOptions::Mode::kOff);
  EXPECT_EQ(ParseHedgeOptions("auto")->mode, HedgeOptions::Mode::kMeasured);
  EXPECT_EQ(ParseHedgeOptions("25")->delay_ms, 25);
  for (const char* wrong : {"", "0", "-1", "60001", "5ms", "on"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseHedgeOptions(wrong).status())) << wrong;
  }
}

TEST(Hedging, DelaysWhatNineteenOfTwentyReadsOfTheKindTake) {
  Hedging hedging({.mode = HedgeOptions::Mode::kMeasured});
  Random random(3);
  for (int i = 0; i < 99; ++i) hedging.Note(ReadKind::kGet, 10 * kMilli);
  EXPECT_EQ(hedging.DelayNanos(ReadKind::kGet), 0) << "too little is known";
  for (int i = 0; i < 5'000; ++i) {  // 3 to 4 ms, one in fifty 200 ms
    const auto time = random.OneIn(50) ? 200 * kMilli : 3 * kMilli + i % 1'000 * 1'000;
    hedging.Note(ReadKind::kGet, time);
  }
  EXPECT_GE(hedging.DelayNanos(ReadKind::kGet), 38 * kMilli / 10);
  EXPECT_LE(hedging.DelayNanos(ReadKind::kGet), 5 * kMilli);
  EXPECT_EQ(hedging.DelayNanos(ReadKind::kSearch), 0);
  // What was long ago is forgotten.
  for (int i = 0; i < 40'000; ++i) hedging.Note(ReadKind::kGet, 80 * kMilli);
  EXPECT_GE(hedging.DelayNanos(ReadKind::kGet), 80 * kMilli);
  for (int i = 0; i < 200; ++i) hedging.Note(ReadKind::kScan, 1'000);
  EXPECT_EQ(hedging.DelayNanos(ReadKind::kScan), kMilli) << "not at once";
}

}  // namespace
}  // namespace vectron::gateway
