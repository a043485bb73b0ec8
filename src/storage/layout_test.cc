#include "storage/layout.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace vectron::storage {
namespace {

TEST(Layout, PointValuesRoundTrip) {
  const std::string bytes = EncodePointValue(77, R"({"a":1})");
  const auto value = DecodePointValue(bytes);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->version, 77U);
  EXPECT_EQ(value->payload, R"({"a":1})");
  EXPECT_TRUE(absl::IsDataLoss(DecodePointValue(bytes.substr(0, 7)).status()));
}

TEST(Layout, NumbersRoundTrip) {
  EXPECT_EQ(DecodeNumber(EncodeNumber(~uint64_t{0})).value(), ~uint64_t{0});
  EXPECT_TRUE(absl::IsDataLoss(DecodeNumber("1234567").status()));
}

TEST(Layout, RequestsRoundTripAndTheirTwoKindsDoNotMix) {
  const std::string bytes = EncodeRequestValue({.index = 9, .fingerprint = 11});
  const auto value = DecodeRequestValue(bytes);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->index, 9U);
  EXPECT_EQ(value->fingerprint, 11U);
  // As an earlier version wrote it.
  EXPECT_EQ(DecodeRequestValue(EncodeNumber(9))->fingerprint, 0U);
  EXPECT_EQ(DecodeRequestValue(EncodeNumber(9))->index, 9U);
  EXPECT_EQ(ParseRequestKey(RequestKey("r")), "r");
  EXPECT_EQ(ParseRequestKey(RequestOrderKey(5)), std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(DecodeRequestValue("short").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeRequestValue(bytes + "x").status()));
  EXPECT_EQ(ParseRequestOrderKey(RequestOrderKey(5)), 5U);
  EXPECT_EQ(ParseRequestOrderKey(RequestKey("12345678")), std::nullopt);
  EXPECT_LT(RequestOrderKey(255), RequestOrderKey(256));
}

TEST(Layout, LogKeysSortByGroupThenIndex) {
  Random random(3);
  for (int i = 0; i < 1'000; ++i) {
    const LogPosition a{.group = random.Below(4), .index = random.Next() >> random.Below(64)};
    const LogPosition b{.group = random.Below(4), .index = random.Next() >> random.Below(64)};
    EXPECT_EQ(LogEntryKey(a) < LogEntryKey(b),
              std::pair(a.group, a.index) < std::pair(b.group, b.index));
    EXPECT_EQ(ParseLogEntryKey(LogEntryKey(a)), a);
  }
  EXPECT_EQ(ParseLogEntryKey("short"), std::nullopt);
}

TEST(Layout, LogValuesRoundTrip) {
  const std::string entry_bytes = EncodeLogEntryHeader({.term = 3, .bytes_before = 4}) + "command";
  const auto entry = DecodeLogEntryValue(entry_bytes);
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->header.term, 3U);
  EXPECT_EQ(entry->header.bytes_before, 4U);
  EXPECT_EQ(entry->command, "command");
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogEntryValue("short").status()));

  const LogGroupRecord record{
      .first_index = 2, .next_index = 9, .last_term = 1, .bytes_before = 5, .bytes_after = 50};
  const std::string bytes = EncodeLogGroupRecord(record);
  EXPECT_EQ(DecodeLogGroupRecord(bytes).value(), record);
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogGroupRecord(bytes + "x").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeLogGroupRecord(bytes.substr(1)).status()));
  EXPECT_TRUE(absl::IsDataLoss(
      DecodeLogGroupRecord(EncodeLogGroupRecord({.first_index = 3, .next_index = 2})).status()));
  EXPECT_EQ(ParseLogGroupKey(LogGroupKey(6)), 6U);
  EXPECT_EQ(ParseLogGroupKey(LogHardStateKey(6)), std::nullopt);
}

TEST(Layout, ThePrefixEndIsAboveEveryKeyWithThePrefix) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff"), "");
  EXPECT_EQ(PrefixEnd(""), "");
}

}  // namespace
}  // namespace vectron::storage
