#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "base/random.h"
#include "model/filter.h"

namespace vectron {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

TEST(Rfc3339, ReadsTheGrammarOfTheStandard) {
  const std::pair<const char*, int64_t> cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01t00:00:00z", 0},
      {"1970-01-01T00:00:00+00:00", 0},
      {"1970-01-01T00:00:00-00:00", 0},
      {"1970-01-01T01:00:00+01:00", 0},
      {"1969-12-31T23:30:00-00:30", 0},
      {"1970-01-01T00:00:00.5Z", kSecond / 2},
      {"1970-01-01T00:00:00.000000001Z", 1},
      {"1970-01-01T00:00:00.0000000019Z", 1},
      {"1969-12-31T23:59:59.999999999Z", -1},
      {"1985-04-12T23:20:50.52Z", 482196050 * kSecond + 520000000},
      {"1996-12-19T16:39:57-08:00", 851042397 * kSecond},
      {"1990-12-31T23:59:60Z", 662688000 * kSecond},
      {"1990-12-31T15:59:60-08:00", 662688000 * kSecond},
      {"1990-12-31T23:59:60.25Z", 662688000 * kSecond + kSecond / 4},
      {"1937-01-01T12:00:27.87+00:20", -1041337172LL * kSecond - 130000000},
      {"2000-02-29T00:00:00Z", 951782400 * kSecond},
      {"2026-11-25T22:35:00+14:00", 1795595700LL * kSecond},
      {"1677-09-21T00:12:43.145224192Z", std::numeric_limits<int64_t>::min()},
      {"2262-04-11T23:47:16.854775807Z", std::numeric_limits<int64_t>::max()},
  };
  for (const auto& [text, nanos] : cases) {
    const auto parsed = ParseRfc3339Nanos(text);
    ASSERT_TRUE(parsed.has_value()) << text;
    EXPECT_EQ(*parsed, nanos) << text;
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
                           "1677-09-21T00:12:43.145224191Z",
                           "2262-04-11T23:47:16.854775808Z",
                           "0000-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z"}) {
    EXPECT_FALSE(ParseRfc3339Nanos(text).has_value()) << text;
  }
}

TEST(Rfc3339, EveryDayOfTheRangeIsCountedInOrder) {
  // A twin of the calendar: days are counted one by one.
  int64_t day = 0;
  for (int year = 1970; year < 2262; ++year) {
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    const int lengths[] = {31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int month = 1; month <= 12; ++month) {
      for (int date = 1; date <= lengths[month - 1]; ++date, ++day) {
        const std::string text = fmt::format("{:04}-{:02}-{:02}T00:00:00Z", year, month, date);
        ASSERT_EQ(ParseRfc3339Nanos(text), day * 86400 * kSecond) << text;
      }
    }
  }
}

TEST(Rfc3339, FormattedTimesReadBack) {
  const uint64_t seed = 7;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  EXPECT_EQ(FormatRfc3339Nanos(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(FormatRfc3339Nanos(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatRfc3339Nanos(kSecond / 4), "1970-01-01T00:00:00.25Z");
  for (int i = 0; i < 2000; ++i) {
    const auto nanos = static_cast<int64_t>(random.Next());
    EXPECT_EQ(ParseRfc3339Nanos(FormatRfc3339Nanos(nanos)), nanos);
  }
  for (const int64_t edge :
       {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(ParseRfc3339Nanos(FormatRfc3339Nanos(edge)), edge);
  }
}

}  // namespace
}  // namespace vectron
