#include "base/nearest.h"

#include <gtest/gtest.h>

namespace vectron {
namespace {

TEST(NearestName, IsTheOneWithTheFewestEdits) {
  const std::vector<std::string> known = {"strategy", "budget_ms", "rule"};
  EXPECT_EQ(NearestName("stratgy", known), "strategy");
  EXPECT_EQ(NearestName("budget-ms", known), "budget_ms");
  EXPECT_EQ(NearestName("rules", known), "rule");
  EXPECT_EQ(NearestName("frobnicate", known), "") << "nothing is near";
  EXPECT_EQ(NearestName("x", {}), "");
  EXPECT_EQ(NearestName("stratgi", known, 2), "strategy");
  EXPECT_EQ(NearestName("stratgi", known, 1), "");
}

}  // namespace
}  // namespace vectron
