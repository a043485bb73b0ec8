#include "shard/search.h"

#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "base/executor_testing.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "shard/selection.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

std::shared_ptr<const Filter> ParseFilter(const std::string& text) {
  absl::StatusOr<Filter> filter = FilterFromJson(text);
  CHECK_OK(filter.status());
  return std::make_shared<const Filter>(*std::move(filter));
}

std::vector<std::string> Ids(const absl::StatusOr<SearchAnswer>& answer) {
  CHECK_OK(answer.status());
  std::vector<std::string> ids;
  for (const SearchHit& hit : answer->hits) ids.push_back(hit.id);
  return ids;
}

// Parallel vectors whose sums of products are not exact.
TEST(DistanceOf, CosineStaysWithinItsBounds) {
  Random random(1);
  for (int i = 0; i < 1'000; ++i) {
    std::vector<float> vector(50);
    std::vector<float> same(vector.size());
    std::vector<float> opposite(vector.size());
    for (size_t j = 0; j < vector.size(); ++j) {
      const auto whole = static_cast<double>(random.Below(1 << 20) + 1);
      vector[j] = static_cast<float>(std::ldexp(whole, -static_cast<int>(random.Below(40))));
      same[j] = 3 * vector[j];  // exactly
      opposite[j] = -same[j];
    }
    const double nearest = DistanceOf(Metric::kCosine, vector, same);
    EXPECT_GE(nearest, 0) << i;
    EXPECT_NEAR(nearest, 0, 1e-12) << i;
    const double farthest = DistanceOf(Metric::kCosine, vector, opposite);
    EXPECT_LE(farthest, 2) << i;
    EXPECT_NEAR(farthest, 2, 1e-12) << i;
  }
}

TEST(ShardSearch, ThresholdCutsAndFieldsAreSelected) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(test.Upsert({OnePoint(fmt::format("p{}", i), {static_cast<float>(i)},
                                      fmt::format(R"({{"a":{},"b":"x"}})", i)),
                             "", false})
                    .ok());
  }
  SearchQuery query = Nearest({0});
  query.score_threshold = 4.0F;
  query.payload_fields = {"a"};
  const auto found = test.Search(query);
  EXPECT_EQ(Ids(found), (std::vector<std::string>{"p0", "p1", "p2"}));
  EXPECT_EQ(found->hits[2].payload, R"({"a":2})");
  query.include_payload = false;
  EXPECT_EQ(test.Search(query)->hits[2].payload, "");
}

TEST(ShardSearch, ExcerptsAreOfLongPayloadsOnly) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  const auto payload = [](int i) {
    return fmt::format(R"({{"body":"{}","n":{}}})",
                       std::string(i % 2 == 0 ? 10 : 2 * kExcerptBytes, 'x'), i);
  };
  for (int i = 0; i < 80; ++i) {
    ASSERT_TRUE(
        test.Upsert({OnePoint(fmt::format("p{:02}", i), {static_cast<float>(i)}, payload(i)), "",
                     false})
            .ok());
  }
  SearchQuery query = Nearest({0}, 80);
  query.payload_excerpts = true;
  const auto found = test.Search(query);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), 80u);
  for (int i = 0; i < 80; ++i) {
    const SearchHit& hit = found->hits[static_cast<size_t>(i)];
    EXPECT_EQ(hit.is_excerpt, i % 2 == 1);
    EXPECT_EQ(hit.payload, i % 2 == 0 ? payload(i) : ExcerptPayload(payload(i)));
  }
}

TEST(ShardSearch, BadQueriesAreRefused) {
  TestShard test(TestSchema(2));
  ASSERT_TRUE(test.Open().ok());
  EXPECT_EQ(test.Search(Nearest({1})).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(test.Search(Nearest({1, NAN})).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShardSearch, ExplainsItself) {
  CollectionSchema schema = TestSchema(1);
  schema.payload_indexes = {{"n", PayloadType::kInteger}};
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(test.Upsert({OnePoint(fmt::format("p{}", i), {static_cast<float>(i)},
                                      fmt::format(R"({{"n":{},"m":{}}})", i % 3, i % 3)),
                             "", false})
                    .ok());
  }
  SearchQuery query = Nearest({0});
  query.explain = true;
  query.filter = ParseFilter(R"({"must":[{"field":"n","match":1}]})");
  auto found = test.Search(query);
  ASSERT_EQ(found->traces.size(), 1u);
  EXPECT_EQ(found->traces[0].points, 300u);
  EXPECT_EQ(found->traces[0].matches, 100u);
  EXPECT_NE(found->traces[0].reason.find("answered by bitmaps"), std::string::npos);
  // A trace tells the same, but for what costs a look at every row.
  query.explain = false;
  query.trace = true;
  const auto traced = test.Search(query);
  ASSERT_EQ(traced->traces.size(), 1u);
  EXPECT_EQ(traced->traces[0].plan, found->traces[0].plan);
  EXPECT_EQ(traced->traces[0].matches_estimated, found->traces[0].matches_estimated);
  EXPECT_EQ(traced->traces[0].matches, 0u);
  query.explain = true;
  // A field that is not declared: evaluated, until that has cost as much as a bitmap.
  query.filter = ParseFilter(R"({"must":[{"field":"n","match":1},{"field":"m","match":1}]})");
  found = test.Search(query);
  EXPECT_EQ(found->traces[0].matches, 100u);
  EXPECT_NE(found->traces[0].reason.find("100 payloads were evaluated"), std::string::npos)
      << found->traces[0].reason;
  test.Search(query).IgnoreError();
  found = test.Search(query);
  EXPECT_NE(found->traces[0].reason.find("bitmap was made"), std::string::npos)
      << found->traces[0].reason;
  found = test.Search(query);
  EXPECT_NE(found->traces[0].reason.find("answered by bitmaps"), std::string::npos)
      << found->traces[0].reason;
  // The bitmap follows the writes.
  ASSERT_TRUE(test.Upsert({OnePoint("p1", {1}, R"({"n":1,"m":2})"), "", false}).ok());
  ASSERT_TRUE(test.Upsert({OnePoint("new", {0}, R"({"n":1,"m":1.0})"), "", false}).ok());
  ASSERT_TRUE(test.Delete("p4").ok());
  EXPECT_EQ(Ids(test.Search(query))[0], "new");
  EXPECT_EQ(Ids(test.Search(query))[1], "p7");
}

TEST(ShardSearch, WithFewRowsInDoubtWaitsForNoBitmap) {
  CollectionSchema schema = TestSchema(1);
  schema.payload_indexes = {{"n", PayloadType::kInteger}};
  TestShard test(schema);
  ASSERT_TRUE(test.Open().ok());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(test.Upsert({OnePoint(fmt::format("p{}", i), {static_cast<float>(i)},
                                      fmt::format(R"({{"n":{},"m":1}})", i % 20)),
                             "", false})
                    .ok());
  }
  SearchQuery query = Nearest({0});
  query.explain = true;
  query.filter = ParseFilter(R"({"must":[{"field":"n","match":1},{"field":"m","match":1}]})");
  for (int i = 0; i < 20; ++i) {  // 15 rows each
    const auto found = test.Search(query);
    EXPECT_NE(found->traces[0].reason.find("15 payloads were evaluated"), std::string::npos)
        << found->traces[0].reason;
  }
  const auto found = test.Search(query);
  EXPECT_EQ(found->traces[0].matches, 15u);
  EXPECT_NE(found->traces[0].reason.find("answered by bitmaps"), std::string::npos)
      << found->traces[0].reason;
}

// Every read of payloads meets a newer version: the answer is then of the newer one, whole.
TEST(ShardSearch, RowsWrittenUnderASearchAreAnsweredWhole) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}, R"({"n":1})"), "", false}).ok());
  ASSERT_TRUE(test.Upsert({OnePoint("b", {2}, R"({"n":2})"), "", false}).ok());
  int n = 2;
  for (const bool filtered : {false, true}) {
    SearchQuery query = Nearest({0});
    if (filtered) query.filter = ParseFilter(R"({"must":[{"field":"n","range":{"gte":0}}]})");
    query.include_vectors = true;
    bool writing = false;
    test.before_multi_get = [&] {
      if (writing) return;
      writing = true;  // not from within itself
      ++n;
      ASSERT_TRUE(
          test.Upsert({OnePoint("b", {static_cast<float>(n)}, fmt::format(R"({{"n":{}}})", n)), "",
                       false})
              .ok());
      writing = false;
    };
    const auto found = test.Search(query);
    test.before_multi_get = nullptr;
    ASSERT_EQ(Ids(found), (std::vector<std::string>{"a", "b"}));
    const SearchHit& hit = found->hits[1];
    EXPECT_EQ(hit.payload, fmt::format(R"({{"n":{}}})", hit.vector[0]));
    EXPECT_EQ(hit.score, hit.vector[0] * hit.vector[0]);
    EXPECT_GT(hit.vector[0], 2);
  }
}

TEST(ShardSearch, RowsDeletedUnderASearchAreLeftOut) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(
        test.Upsert({OnePoint(fmt::format("p{:02}", i), {static_cast<float>(i)}, R"({"n":1})"), "",
                     false})
            .ok());
  }
  int next = 0;
  test.before_multi_get = [&] {
    if (next < 10) test.Delete(fmt::format("p{:02}", next++)).IgnoreError();
  };
  const auto ids = Ids(test.Search(Nearest({0}, 5)));
  ASSERT_EQ(ids.size(), 5u);
  EXPECT_EQ(ids[0], fmt::format("p{:02}", next));
}

// Points p0 ... with n = i % 3, which has an index, and m = i % 3, which has none.
void Fill(TestShard& test, int points) {
  PointBatch batch;
  batch.dimension = 1;
  for (int i = 0; i < points; ++i) {
    batch.ids.push_back(fmt::format("p{}", i));
    batch.vectors.push_back(static_cast<float>(i));
    batch.payloads.push_back(fmt::format(R"({{"n":{},"m":{}}})", i % 3, i % 3));
  }
  ASSERT_TRUE(test.Upsert({std::move(batch), "", false}).ok());
}

CollectionSchema HalfIndexed() {
  CollectionSchema schema = TestSchema(1);
  schema.payload_indexes = {{"n", PayloadType::kInteger}};
  return schema;
}

TEST(ShardSearch, StopsReadingPayloadsAtItsDeadline) {
  TestShard test(HalfIndexed());
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 1'000);
  SearchQuery query = Nearest({0});
  query.filter = ParseFilter(R"({"must":[{"field":"n","match":1},{"field":"m","match":1}]})");
  int reads = 0;
  test.before_multi_get = [&] {
    ++reads;
    test.clock().AdvanceMillis(1);
  };
  const int64_t deadline_nanos = test.clock().MonotonicNanos() + 1'000'000;
  const auto found = test.Search(query, {.deadline_nanos = deadline_nanos});
  EXPECT_TRUE(absl::IsDeadlineExceeded(found.status())) << found.status();
  EXPECT_EQ(reads, 1) << "333 payloads are read in two parts";
  EXPECT_TRUE(test.Search(query).ok());
}

TEST(ShardSearch, StopsAScanOnceItIsCalledOff) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 1'000);
  SearchQuery query = Nearest({0});
  query.exact = true;
  int checks = 0;
  const auto found = test.Search(query, {.called_off = [&checks] { return ++checks == 3; }});
  EXPECT_TRUE(absl::IsCancelled(found.status())) << found.status();
  EXPECT_EQ(checks, 3);
}

TEST(ShardSearch, BeginsNothingPastItsDeadline) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 3);
  const int64_t now = test.clock().MonotonicNanos();
  EXPECT_TRUE(
      absl::IsDeadlineExceeded(test.Search(Nearest({0}), {.deadline_nanos = now}).status()));
  EXPECT_TRUE(absl::IsDeadlineExceeded(test.Get("p1", {.deadline_nanos = now}).status()));
  EXPECT_TRUE(test.Get("p1", {.deadline_nanos = now + 1}).ok());
}

// Else a search with little time would fail each time it is repeated.
TEST(ShardSearch, AFilterThatRanOutOfTimeHasItsBitmapTheNextTime) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 1'000);
  SearchQuery query = Nearest({0});
  query.explain = true;
  query.filter = ParseFilter(R"({"must":[{"field":"m","match":1}]})");
  const auto a_milli_passes = [&test] {
    test.clock().AdvanceMillis(1);
    return false;
  };
  const int64_t deadline_nanos = test.clock().MonotonicNanos() + 4'000'000;
  const auto late =
      test.Search(query, {.deadline_nanos = deadline_nanos, .called_off = a_milli_passes});
  EXPECT_TRUE(absl::IsDeadlineExceeded(late.status())) << late.status();
  const auto found = test.Search(query);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->traces[0].matches, 333u);
  EXPECT_NE(found->traces[0].reason.find("answered by bitmaps"), std::string::npos)
      << found->traces[0].reason;
}

TEST(ShardSearch, HandsOverWhatTakesLongAndNothingElse) {
  TestShard test(HalfIndexed());
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 1'000);
  HeldExecutor held;
  int answers = 0;
  const auto search = [&](const SearchQuery& query) {
    test.shard().Search(query, {.for_long = &held},
                        [&](const absl::StatusOr<SearchAnswer>& answer) {
                          ASSERT_TRUE(answer.ok()) << answer.status();
                          EXPECT_EQ(answer->hits.size(), 10u);
                          ++answers;
                        });
  };
  SearchQuery query = Nearest({0});
  search(query);
  query.filter = ParseFilter(R"({"must":[{"field":"n","match":1}]})");
  search(query);
  EXPECT_EQ(answers, 2) << "short searches are answered at once";
  EXPECT_EQ(held.held(), 0u);
  query.filter = ParseFilter(R"({"must":[{"field":"m","match":1}]})");
  search(query);
  EXPECT_EQ(answers, 2) << "a thousand payloads were read in the caller";
  ASSERT_EQ(held.held(), 1u);
  held.RunHeld();
  EXPECT_EQ(answers, 3);
  search(query);
  EXPECT_EQ(answers, 4) << "the filter has its bitmap now";
}

TEST(ShardSearch, RefusesAnAnswerThatWouldHoldTooMuch) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  Fill(test, 300);  // each payload has 13 bytes, each vector 4
  SearchQuery query = Nearest({0}, 100);
  EXPECT_TRUE(test.Search(query, {.max_bytes = 1'300}).ok());
  const auto too_much = test.Search(query, {.max_bytes = 1'299});
  EXPECT_TRUE(absl::IsResourceExhausted(too_much.status())) << too_much.status();
  query.include_vectors = true;
  EXPECT_TRUE(absl::IsResourceExhausted(test.Search(query, {.max_bytes = 1'300}).status()));
  EXPECT_TRUE(test.Search(query, {.max_bytes = 1'700}).ok());
  query.payload_fields = {"n"};
  EXPECT_TRUE(test.Search(query, {.max_bytes = 1'300}).ok()) << "7 bytes of each are answered";
}

}  // namespace
}  // namespace vectron::shard
