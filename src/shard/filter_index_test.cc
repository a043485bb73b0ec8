#include "shard/filter_index.h"

#include <set>

#include "base/check.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "shard/filter_testing.h"

namespace vectron::shard {
namespace {

const FilterIndex::IdResolver kNoIds = [](const HasIdTest&) { return Roaring(); };

Filter ParseFilter(const std::string& text) {
  absl::StatusOr<Filter> filter = FilterFromJson(text);
  CHECK_OK(filter.status());
  return *std::move(filter);
}

TEST(ConditionKey, TellsConditionsApart) {
  std::set<std::string> keys;
  const char* const conditions[] = {
      R"({"field":"a","match":1})",        R"({"field":"a","match":1.5})",
      R"({"field":"a","match":"1"})",      R"({"field":"a","match":true})",
      R"({"field":"a","match":[1,"1"]})",  R"({"field":"b","match":1})",
      R"({"field":"a","range":{"gt":1}})", R"({"field":"a","range":{"gte":1}})",
      R"({"field":"a","range":{"lt":1}})", R"({"field":"a","range":{"gt":"2024-01-01T00:00:00Z"}})",
      R"({"field":"a","exists":true})",    R"({"field":"a","exists":false})",
      R"({"field":"a","is_empty":true})"};
  for (const char* condition : conditions) {
    const Filter filter = ParseFilter(std::string("{\"must\":[") + condition + "]}");
    EXPECT_TRUE(keys.insert(ConditionKey(filter.must[0])).second) << condition;
    EXPECT_EQ(ConditionKey(filter.must[0]),
              ConditionKey(ParseFilter(std::string("{\"must\":[") + condition + "]}").must[0]));
  }
}

// Whatever is declared or kept, the bounds hold the truth between them, and all is exact once every
// leaf is kept.
TEST(FilterIndex, BoundsAgreeWithAPlainScan) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    RandomFilters filters(random);
    std::vector<PayloadIndexSpec> declared;
    for (const PayloadIndexSpec& field : FilterFields()) {
      if (random.OneIn(2)) declared.push_back(field);
    }
    FilterIndex index(declared);
    std::vector<std::string> payloads;
    const auto add = [&] {
      payloads.push_back(filters.Payload());
      index.Add(static_cast<uint32_t>(payloads.size() - 1), "p", payloads.back());
    };
    for (int i = 0; i < 100; ++i) add();
    for (int round = 0; round < 10; ++round) {
      const std::string text = filters.Filter(0, 1);
      SCOPED_TRACE(text);
      const Filter filter = ParseFilter(text);
      for (const bool keep : {false, true}) {
        const FilterIndex::Query query{1, static_cast<uint32_t>(payloads.size()), kNoIds};
        std::vector<const Condition*> unsure;
        const Bounds bounds = index.Evaluate(filter, query, &unsure);
        for (uint32_t slot = 0; slot < payloads.size(); ++slot) {
          // has_id tests are answered by the resolver, which knows no ids.
          const bool passes = Matches(filter, "none", PayloadTree(payloads[slot]));
          ASSERT_TRUE(!bounds.lower.contains(slot) || passes) << payloads[slot];
          ASSERT_TRUE(bounds.highest().contains(slot) || !passes) << payloads[slot];
        }
        EXPECT_TRUE(bounds.exact || !keep);
        for (const Condition* leaf : unsure) {
          const auto kept = index.Register(*leaf);
          if (kept == nullptr) continue;  // the same leaf twice
          Roaring slots;
          for (uint32_t slot = 0; slot < payloads.size(); ++slot) {
            if (MatchesCondition(*leaf, "p", PayloadTree(payloads[slot]))) slots.add(slot);
          }
          index.Publish(kept, slots, 1);
        }
        add();
      }
    }
  }
}

TEST(FilterIndex, KeptConditionsAreBoundedAndNotUsedTooEarly) {
  FilterIndex index({});
  for (int i = 0; i < 200; ++i) {
    const Filter filter = ParseFilter(fmt::format(R"({{"must":[{{"field":"n","match":{}}}]}})", i));
    const auto kept = index.Register(filter.must[0]);
    ASSERT_NE(kept, nullptr);
    EXPECT_FALSE(index.UsableFrom(filter.must[0]).has_value());
    index.Publish(kept, Roaring(), 10);
    EXPECT_EQ(index.UsableFrom(filter.must[0]), 10u);
    EXPECT_FALSE(index.Evaluate(filter, {9, 5, kNoIds}, nullptr).exact);
    EXPECT_TRUE(index.Evaluate(filter, {10, 5, kNoIds}, nullptr).exact);
    EXPECT_LE(index.kept_conditions(), kMaxKeptConditions);
  }
}

TEST(FilterIndex, CountsNoEvaluationsOfAConditionTooLongToKeep) {
  FilterIndex index({});
  const auto matching = [](size_t bytes) {
    return ParseFilter(
        fmt::format(R"({{"must":[{{"field":"n","match":["{}"]}}]}})", std::string(bytes, 'x')));
  };
  const Filter usual = matching(100);
  EXPECT_EQ(index.CountEvaluations(usual.must[0], 7), 7u);
  EXPECT_EQ(index.CountEvaluations(usual.must[0], 7), 14u);
  const Filter long_one = matching(kMaxKeptKeyBytes);
  EXPECT_EQ(index.Register(long_one.must[0]), nullptr);
  EXPECT_EQ(index.CountEvaluations(long_one.must[0], 7), 0u);
}

}  // namespace
}  // namespace vectron::shard
