#include "model/ids.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/random.h"
#include "model/text.h"

namespace vectron {
namespace {

TEST(CollectionName, AcceptsWhatTheContractAllows) {
  for (const char* name : {"a", "0", "Docs_2-b", "x---", "A1"}) {
    EXPECT_TRUE(CheckCollectionName(name).ok()) << name;
  }
  EXPECT_TRUE(CheckCollectionName(std::string(128, 'a')).ok());
}

TEST(CollectionName, RefusesEverythingElse) {
  for (const char* name : {"", "-a", "_a", "a b", "a/b", "a.b", "\xc3\xa9", "a\n"}) {
    EXPECT_EQ(CheckCollectionName(name).code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_FALSE(CheckCollectionName(std::string(129, 'a')).ok());
}

TEST(PointId, AcceptsAnyPrintableUtf8) {
  for (const char* id : {"a", " ", "a/b", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xc2\xa0", "\\\"'"}) {
    EXPECT_TRUE(CheckPointId(id).ok()) << id;
  }
  EXPECT_TRUE(CheckPointId(std::string(256, 'x')).ok());
}

TEST(PointId, RefusesControlCharactersBadUtf8AndWrongLengths) {
  const std::string with_nul("a\0b", 3);
  const std::string bad[] = {"",
                             with_nul,
                             "a\n",
                             "\x7f",
                             "\xc2\x80",
                             "\xc2\x9f",
                             "\xff",
                             "\xc3",
                             "\xed\xa0\x80",
                             "\xc0\x80",
                             "a\xe2\x82",
                             "\xf5\x80\x80\x80",
                             std::string(257, 'x')};
  for (const std::string& id : bad) {
    const absl::Status status = CheckPointId(id);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << Quote(id);
    EXPECT_EQ(ValidUtf8Length(std::string_view(status.message().data(), status.message().size())),
              status.message().size());
  }
}

TEST(PointHash, IsXxh3AndNeverChanges) {
  EXPECT_EQ(PointHash(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(PointHash("p0"), PointHash(std::string("p") + "0"));
}

TEST(ShardOf, SpreadsNumberedIds) {
  std::set<uint32_t> shards;
  for (int i = 0; i < 10; ++i) shards.insert(ShardOf("p" + std::to_string(i), 16).value);
  EXPECT_GE(shards.size(), 5u);
}

TEST(ShardOf, AgreesWithTheRangeStarts) {
  const uint64_t seed = 20260101;
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  for (const uint32_t count : {1u, 2u, 3u, 7u, 16u, 1000u, 1024u}) {
    EXPECT_EQ(ShardRangeStart({0}, count), 0u);
    for (int i = 0; i < 200; ++i) {
      const std::string id = "id" + std::to_string(random.Next());
      const uint32_t shard = ShardOf(id, count).value;
      ASSERT_LT(shard, count);
      EXPECT_GE(PointHash(id), ShardRangeStart({shard}, count));
      if (shard + 1 < count) {
        EXPECT_LT(PointHash(id), ShardRangeStart({shard + 1}, count));
      }
    }
  }
}

TEST(Quote, EscapesWhatCannotBePrinted) {
  EXPECT_EQ(Quote("a'b"), "'a'b'");
  EXPECT_EQ(Quote("a\n\xff\xc2\x80"), "'a\\x0a\\xff\\xc2\\x80'");
  EXPECT_EQ(Quote(std::string(65, 'x')), "'" + std::string(64, 'x') + "...'");
}

}  // namespace
}  // namespace vectron
