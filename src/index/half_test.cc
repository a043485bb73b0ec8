#include "index/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace vectron::index {
namespace {

// By the definition, in double precision.
double HalfValue(uint16_t half) {
  const double sign = (half & 0x8000) != 0 ? -1 : 1;
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, WidensEveryFiniteHalfExactlyAndBack) {
  for (uint32_t i = 0; i < 65536; ++i) {
    const auto half = static_cast<uint16_t>(i);
    if ((half & 0x7c00) == 0x7c00) continue;
    ASSERT_EQ(static_cast<double>(FromHalf(half)), HalfValue(half)) << i;
    ASSERT_EQ(ToHalf(FromHalf(half)), half) << i;
  }
  EXPECT_TRUE(std::isinf(FromHalf(0x7c00)));
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint16_t half = 0; half < 0x7bff; ++half) {
    const auto next = static_cast<uint16_t>(half + 1);
    const float low = FromHalf(half);
    const float high = FromHalf(next);
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(ToHalf(middle), half % 2 == 0 ? half : next) << half;
    ASSERT_EQ(ToHalf(std::nextafter(middle, low)), half) << half;
    ASSERT_EQ(ToHalf(std::nextafter(middle, high)), next) << half;
    ASSERT_EQ(ToHalf(-middle), ToHalf(middle) | 0x8000) << half;
  }
}

TEST(Half, WhatIsTooLargeStaysFinite) {
  EXPECT_EQ(FromHalf(ToHalf(1e30F)), kMaxHalf);
  EXPECT_EQ(FromHalf(ToHalf(-65520.0F)), -kMaxHalf);
}

TEST(Half, SpansAgreeWithSingleValues) {
  Random random(3);
  for (size_t size = 0; size < 40; ++size) {
    std::vector<float> values(size);
    for (float& value : values) {
      value = static_cast<float>(
          std::ldexp(random.Uniform() - 0.5, static_cast<int>(random.Below(60)) - 35));
    }
    std::vector<uint16_t> halves(size);
    ToHalf(values, halves.data());
    std::vector<float> back(size);
    FromHalf(halves.data(), back);
    for (size_t i = 0; i < size; ++i) {
      EXPECT_EQ(halves[i], ToHalf(values[i])) << values[i];
      EXPECT_EQ(back[i], FromHalf(halves[i]));
    }
  }
}

}  // namespace
}  // namespace vectron::index
