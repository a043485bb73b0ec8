#include "model/float_scan.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/random.h"

namespace vectron {
namespace {

bool Scan(const std::string& list, std::vector<float>& components) {
  const std::string text = list + "}1234567";
  return ScanFloats(text.c_str(), components) == text.c_str() + list.size();
}

TEST(ScanFloats, ReadsJsonNumbers) {
  std::vector<float> components = {7};
  EXPECT_TRUE(Scan("[ 1,-2.5 ,\t0,-0.0,\n1e2,1E-2,12.5e+1,0.1 ]", components));
  EXPECT_EQ(components, (std::vector<float>{7, 1, -2.5f, 0, 0, 100, 0.01f, 125, 0.1f}));
  EXPECT_TRUE(std::signbit(components[4]));
  EXPECT_TRUE(Scan("[]", components));
  EXPECT_TRUE(Scan("[ ]", components));
  EXPECT_EQ(components.size(), 9u);
}

TEST(ScanFloats, LeavesEverythingElseAlone) {
  for (const char* list :
       {"[1,]",    "[,1]",      "[1 2]", "[01]",  "[-]",    "[.5]",    "[1.]",  "[+1]",   "[1e]",
        "[1e+]",   "[1e99999]", "[--1]", "[NaN]", "[null]", "[\"1\"]", "[[1]]", "[1e39]", "[-1e39]",
        "[1e400]", "[1e-400]",  "[0x1]", "[1f]",  "[1",     "[1,",     "[",     "[1,2}"}) {
    std::vector<float> components = {7};
    EXPECT_FALSE(Scan(list, components)) << list;
    EXPECT_EQ(components.size(), 1u) << list;
  }
}

TEST(ScanFloats, AgreesWithTheStandardLibraryBitForBit) {
  const uint64_t seed = 5;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    switch (random.Below(5)) {
      case 0:
        text = fmt::format("{}", static_cast<float>(random.Uniform() - 0.5));
        break;
      case 1: {  // any double that fits a float
        const double value =
            std::ldexp(random.Uniform() - 0.5, static_cast<int>(random.Below(270)) - 145);
        text = fmt::format("{:.17g}", value);
        break;
      }
      case 2:  // more digits than a double holds
        text = fmt::format("{}.{}{}", random.Below(100), random.Next(), random.Next());
        break;
      case 3:
        text = fmt::format("-{}e{}", random.Next() >> random.Below(64),
                           static_cast<int>(random.Below(60)) - 42);
        break;
      default:
        text = std::to_string(random.Below(256));
    }
    const auto wanted = static_cast<float>(std::strtod(text.c_str(), nullptr));
    std::vector<float> components;
    const bool scanned = Scan("[" + text + "]", components);
    ASSERT_EQ(scanned, std::isfinite(wanted)) << text;
    if (!scanned) continue;
    ASSERT_EQ(std::memcmp(&components[0], &wanted, sizeof wanted), 0) << text;
  }
}

}  // namespace
}  // namespace vectron
