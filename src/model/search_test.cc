#include "model/search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

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

TEST(MergeAnswers, KeepsTheTracesInShardOrder) {
  std::vector<SearchAnswer> answers(3);
  for (uint32_t i = 0; i < 3; ++i)
    answers[i].traces.push_back({.shard_id = 2 - i, .plan = {}, .reason = {}});
  const SearchAnswer merged = MergeAnswers(std::move(answers), 10);
  ASSERT_EQ(merged.traces.size(), 3u);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(merged.traces[i].shard_id, i);
}

}  // namespace
}  // namespace vectron
