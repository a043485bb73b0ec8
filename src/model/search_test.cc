#include "model/search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "base/status.h"

namespace vectron {
namespace {

TEST(MergeAnswers, AgreesWithSortingAllHits) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const auto by_score_and_id = [](const SearchHit& a, const SearchHit& b) {
      return std::pair(a.score, a.id) < std::pair(b.score, b.id);
    };
    std::vector<SearchHit> all;
    std::vector<SearchAnswer> answers(random.Below(6));
    for (SearchAnswer& answer : answers) {
      for (uint64_t n = random.Below(8); n > 0; --n) {
        SearchHit hit;
        hit.id = "p" + std::to_string(all.size());
        hit.score = static_cast<float>(random.Below(4)) - 2;
        hit.payload = hit.id;
        answer.hits.push_back(hit);
        all.push_back(hit);
      }
      std::sort(answer.hits.begin(), answer.hits.end(), by_score_and_id);
    }
    std::sort(all.begin(), all.end(), by_score_and_id);
    const size_t k = random.Below(12);
    all.resize(std::min(all.size(), k));
    const SearchAnswer merged = MergeAnswers(std::move(answers), k);
    ASSERT_EQ(merged.hits.size(), all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(merged.hits[i].id, all[i].id);
      EXPECT_EQ(merged.hits[i].score, all[i].score);
      EXPECT_EQ(merged.hits[i].payload, all[i].id);
    }
  }
}

SearchAnswer Scored(const std::vector<std::pair<float, std::string>>& hits, size_t payload_bytes) {
  SearchAnswer answer;
  for (const auto& [score, id] : hits) {
    SearchHit hit;
    hit.id = id;
    hit.score = score;
    hit.payload = std::string(payload_bytes, 'x');
    answer.hits.push_back(std::move(hit));
  }
  return answer;
}

TEST(KeepWithin, DropsOnlyWhatIsNotAmongTheBest) {
  SearchAnswer a = Scored({{1, "a"}, {3, "b"}, {9, "c"}}, 99);
  SearchAnswer b = Scored({{2, "d"}, {3, "e"}, {4, "f"}}, 99);
  EXPECT_EQ(BytesOf(a), 300U);
  EXPECT_EQ(*KeepWithin(600, 3, {&a, &b}), 600U);
  EXPECT_EQ(a.hits.size() + b.hits.size(), 6U) << "they fit";
  EXPECT_EQ(*KeepWithin(599, 3, {&a, &b}), 300U);
  ASSERT_EQ(a.hits.size(), 2U);
  EXPECT_EQ(a.hits[1].id, "b") << "of equal scores the lower id is the better one";
  ASSERT_EQ(b.hits.size(), 1U);
  EXPECT_EQ(b.hits[0].id, "d");
  EXPECT_TRUE(absl::IsResourceExhausted(KeepWithin(299, 3, {&a, &b}).status()));
}

TEST(MergeAnswers, KeepsTheTracesInShardOrder) {
  std::vector<SearchAnswer> answers(3);
  for (uint32_t i = 0; i < 3; ++i)
    answers[i].traces.push_back({.shard_id = 2 - i, .plan = {}, .reason = {}});
  const SearchAnswer merged = MergeAnswers(std::move(answers), 10);
  ASSERT_EQ(merged.traces.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(merged.traces[i].shard_id, i);
}

TEST(AnswerTooLarge, IsKnownByItsWords) {
  EXPECT_TRUE(IsAnswerTooLarge(AnswerTooLarge(5)));
  EXPECT_TRUE(IsAnswerTooLarge(Annotate(AnswerTooLarge(5), "collection 'docs', shard 1")));
  EXPECT_FALSE(IsAnswerTooLarge(ResourceExhausted("too many requests")));
  EXPECT_FALSE(IsAnswerTooLarge(absl::OkStatus()));
}

}  // namespace
}  // namespace vectron
