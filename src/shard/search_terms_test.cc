#include "shard/search_terms.h"

#include "gtest/gtest.h"

namespace vectron::shard {
namespace {

constexpr uint64_t kPoints = 1'000'000;

class IndexCost : public ::testing::Test {
 protected:
  IndexCost() {
    schema_.dimension = 384;
    query_.k = 10;
  }
  bool IsQuick(const IndexLoad& load, std::optional<uint64_t> matches = std::nullopt) const {
    return IndexCostNanos(schema_, query_, load, kPoints, matches) <= kQuickNanos;
  }

  CollectionSchema schema_;
  SearchQuery query_;
  const IndexLoad graph_{.has_graph = true, .tail_bytes = 0};
};

TEST_F(IndexCost, WalksAreQuickAndScansOfManyRowsAreNot) {
  EXPECT_TRUE(IsQuick(graph_));
  EXPECT_TRUE(IsQuick(graph_, kPoints / 2));
  EXPECT_FALSE(IsQuick({.has_graph = false, .tail_bytes = 0}));
  EXPECT_FALSE(IsQuick({.has_graph = true, .tail_bytes = uint64_t{1} << 30}));
}

TEST_F(IndexCost, ManyHitsAndWideWalksTakeLong) {
  query_.k = 5'000;
  EXPECT_FALSE(IsQuick(graph_));
  query_.k = 10;
  query_.ef = 10'000;
  EXPECT_FALSE(IsQuick(graph_));
}

TEST_F(IndexCost, AnExactSearchIsQuickAmongFewRows) {
  query_.exact = true;
  EXPECT_FALSE(IsQuick(graph_));
  EXPECT_FALSE(IsQuick(graph_, kPoints / 2));
  EXPECT_TRUE(IsQuick(graph_, 100));
}

}  // namespace
}  // namespace vectron::shard
