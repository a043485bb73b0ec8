#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <ostream>

#include "base/random.h"
#include "model/filter.h"

namespace vectron {

void PrintTo(const Timestamp& time, std::ostream* out) {
  *out << time.seconds << " s " << time.nanos << " ns";
}

namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(Rfc3339, ReadsTheGrammarOfTheStandard) {
  const std::pair<const char*, Timestamp> cases[] = {
      {"1970-01-01T00:00:00Z", {0, 0}},
      {"1970-01-01t00:00:00z", {0, 0}},
      {"1970-01-01T00:00:00+00:00", {0, 0}},
      {"1970-01-01T00:00:00-00:00", {0, 0}},
      {"1970-01-01T01:00:00+01:00", {0, 0}},
      {"1969-12-31T23:30:00-00:30", {0, 0}},
      {"1970-01-01T00:00:00.5Z", {0, 500'000'000}},
      {"1970-01-01T00:00:00.000000001Z", {0, 1}},
      {"1970-01-01T00:00:00.0000000019Z", {0, 1}},
      {"1969-12-31T23:59:59.999999999Z", {-1, 999'999'999}},
      {"1985-04-12T23:20:50.52Z", {482196050, 520'000'000}},
      {"1996-12-19T16:39:57-08:00", {851042397, 0}},
      {"1990-12-31T23:59:60Z", {662688000, 0}},
      {"1990-12-31T15:59:60-08:00", {662688000, 0}},
      {"1990-12-31T23:59:60.25Z", {662688000, 250'000'000}},
      {"1937-01-01T12:00:27.87+00:20", {-1041337173, 870'000'000}},
      {"2000-02-29T00:00:00Z", {951782400, 0}},
      {"2026-11-25T22:35:00+14:00", {1795595700, 0}},
      {"1677-09-21T00:12:43.145224191Z", {-9223372037, 145'224'191}},
      {"2262-04-11T23:47:16.854775808Z", {9223372036, 854'775'808}},
      {"1500-06-01T00:00:00Z", {-14818723200, 0}},
      {"0000-01-01T00:00:00Z", {-62167219200, 0}},
      {"0000-01-01T00:00:00+23:59", {-62167219200 - 86'340, 0}},
      {"9999-12-31T23:59:59Z", {253402300799, 0}},
      {"9999-12-31T23:59:59.999999999-23:59", {253402300799 + 86'340, 999'999'999}},
  };
  for (const auto& [text, time] : cases) {
    const auto parsed = ParseRfc3339(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(*parsed, time) << text;
  }
}

TEST(Rfc3339, RefusesEverythingElse) {
  for (const char* text : {"",
                           "1970",
                           "1970-01-01",
                           "1970-01-01T00:00:00",
                           "1970-01-01 00:00:00Z",
                           "1970-01-01T00:00Z",
                           "1970-1-01T00:00:00Z",
                           "1970-00-01T00:00:00Z",
                           "1970-13-01T00:00:00Z",
                           "1970-01-00T00:00:00Z",
                           "1970-01-32T00:00:00Z",
                           "1970-04-31T00:00:00Z",
                           "1900-02-29T00:00:00Z",
                           "2023-02-29T00:00:00Z",
                           "1970-01-01T24:00:00Z",
                           "1970-01-01T00:60:00Z",
                           "1970-01-01T00:00:61Z",
                           "1990-12-31T22:59:60Z",
                           "1990-12-30T23:59:60Z",
                           "1990-12-31T23:59:60-08:00",
                           "1970-01-01T00:00:00.Z",
                           "1970-01-01T00:00:00,5Z",
                           "1970-01-01T00:00:00+0000",
                           "1970-01-01T00:00:00+24:00",
                           "1970-01-01T00:00:00+00:60",
                           "1970-01-01T00:00:00+1:00",
                           "1970-01-01T00:00:00ZZ",
                           " 1970-01-01T00:00:00Z",
                           "1970-01-01T00:00:00Z ",
                           "-970-01-01T00:00:00Z",
                           "+1970-01-01T00:00:00Z",
                           "1970-01-01T00:00:0\xc2\xb2Z",
                           "10000-01-01T00:00:00Z",
                           "9999-12-31T23:59:60-00:01"}) {
    EXPECT_FALSE(ParseRfc3339(text).has_value()) << text;
  }
}

TEST(Rfc3339, EveryDayOfTheRangeIsCountedInOrder) {
  // A twin of the calendar: days are counted one by one.
  int64_t day = 0;
  for (int year = 1970; year < 10'000; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; ++month) {
      for (int date = 1; date <= lengths[month - 1]; ++date, ++day) {
        const std::string text = fmt::format("{:04}-{:02}-{:02}T00:00:00Z", year, month, date);
        ASSERT_EQ(ParseRfc3339(text), (Timestamp{day * 86400, 0})) << text;
      }
    }
  }
}

TEST(Rfc3339, FormattedTimesReadBack) {
  const uint64_t seed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  EXPECT_EQ(FormatRfc3339({0, 0}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRfc3339({-1, 999'999'999}), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatRfc3339({0, 250'000'000}), "1970-01-01T00:00:00.25Z");
  const int64_t first = ParseRfc3339("0000-01-01T00:00:00+23:59")->seconds;
  const int64_t last = ParseRfc3339("9999-12-31T23:59:59-23:59")->seconds;
  for (int i = 0; i < 2000; ++i) {
    const Timestamp time{
        first + static_cast<int64_t>(random.Below(static_cast<uint64_t>(last - first + 1))),
        static_cast<uint32_t>(random.Below(1'000'000'000))};
    EXPECT_EQ(ParseRfc3339(FormatRfc3339(time)), time);
  }
  // Also what only an offset can write in four digits of a year.
  for (const char* text : {"0000-01-01T00:00:00Z", "0000-01-01T00:00:00+23:59",
                           "0000-01-01T00:00:00.5+00:01", "9999-12-31T23:59:59.999999999Z",
                           "9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999999-23:59"}) {
    const auto time = ParseRfc3339(text);
    ASSERT_TRUE(time.has_value()) << text;
    EXPECT_EQ(ParseRfc3339(FormatRfc3339(*time)), *time) << FormatRfc3339(*time);
  }
}

TEST(Rfc3339, NanosecondsKeepTheOrderAndEndAtTheirEnds) {
  const auto nanos = [](const char* text) { return SaturatedNanos(*ParseRfc3339(text)); };
  EXPECT_EQ(nanos("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(nanos("1970-01-01T00:00:01.5Z"), 1'500'000'000);
  EXPECT_EQ(nanos("1969-12-31T23:59:59.999999999Z"), -1);
  EXPECT_EQ(nanos("1969-12-31T23:59:59Z"), -1'000'000'000);
  EXPECT_EQ(nanos("1677-09-21T00:12:43.145224193Z"), kMin + 1);
  EXPECT_EQ(nanos("1677-09-21T00:12:43.145224192Z"), kMin);
  EXPECT_EQ(nanos("1677-09-21T00:12:43.145224191Z"), kMin);
  EXPECT_EQ(nanos("1677-09-21T00:12:42Z"), kMin);
  EXPECT_EQ(nanos("0000-01-01T00:00:00Z"), kMin);
  EXPECT_EQ(nanos("2262-04-11T23:47:16.854775806Z"), kMax - 1);
  EXPECT_EQ(nanos("2262-04-11T23:47:16.854775807Z"), kMax);
  EXPECT_EQ(nanos("2262-04-11T23:47:16.854775808Z"), kMax);
  EXPECT_EQ(nanos("2262-04-11T23:47:17Z"), kMax);
  EXPECT_EQ(nanos("9999-12-31T23:59:59Z"), kMax);
}

}  // namespace
}  // namespace vectron
