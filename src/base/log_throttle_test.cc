#include "base/log_throttle.h"

#include <gtest/gtest.h>

namespace vectron {
namespace {

TEST(LogThrottle, LetsOnePassPerIntervalAndCountsTheOthers) {
  LogThrottle throttle(10);
  EXPECT_EQ(throttle.Pass(5), 0U);
  EXPECT_EQ(throttle.Pass(5), std::nullopt);
  EXPECT_EQ(throttle.Pass(14), std::nullopt);
  EXPECT_EQ(throttle.Pass(15), 2U);
  EXPECT_EQ(throttle.Pass(100), 0U);
}

}  // namespace
}  // namespace vectron
