#include "model/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;

CollectionSchema Schema(Metric metric) {
  CollectionSchema schema;
  schema.name = "docs";
  schema.dimension = 3;
  schema.metric = metric;
  return schema;
}

PointBatch Batch() {
  return PointBatch{.dimension = 3,
                    .ids = {"p0", "p1"},
                    .vectors = {1, 2, 3, 0, 0, 0},
                    .payloads = {"", R"({"a":1})"}};
}

std::string ErrorOf(const absl::Status& status) {
  if (status.ok()) return "accepted";
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(MessageOf(status));
}

TEST(CheckPoints, AcceptsGoodOnesAndNone) {
  EXPECT_TRUE(CheckPoints(Batch(), Schema(Metric::kEuclidean)).ok());
  EXPECT_TRUE(CheckPoints(PointBatch(), Schema(Metric::kCosine)).ok());
}

TEST(CheckPoints, NamesPointFieldGotAndWanted) {
  const auto error = [](Metric metric, const std::function<void(PointBatch&)>& spoil) {
    PointBatch batch = Batch();
    spoil(batch);
    return ErrorOf(CheckPoints(batch, Schema(metric)));
  };
  EXPECT_THAT(error(Metric::kCosine, [](PointBatch&) {}),
              HasSubstr("points[1] (id 'p1'): vector is all zeros, collection 'docs'"));
  EXPECT_THAT(error(Metric::kDot, [](PointBatch& b) { b.vectors[5] = std::nanf(""); }),
              HasSubstr("points[1] (id 'p1'): vector[2] is NaN, wanted a finite number"));
  EXPECT_THAT(error(Metric::kDot, [](PointBatch& b) { b.vectors[0] = -HUGE_VALF; }),
              HasSubstr("points[0] (id 'p0'): vector[0] is infinite"));
  EXPECT_THAT(error(Metric::kDot, [](PointBatch& b) { b.ids[1] = "a\nb"; }),
              HasSubstr("points[1]: id 'a\\x0ab' has a control character"));
  EXPECT_THAT(error(Metric::kDot, [](PointBatch& b) { b.ids[0] = ""; }),
              HasSubstr("points[0]: id is empty"));
  EXPECT_THAT(error(Metric::kDot,
                    [](PointBatch& b) {
                      b.dimension = 2;
                      b.vectors.resize(4);
                    }),
              HasSubstr("points[0] (id 'p0'): vector has 2 components, collection 'docs' wants 3"));
  EXPECT_THAT(error(Metric::kDot,
                    [](PointBatch& b) { b.payloads[0] = std::string(kMaxPayloadBytes + 1, 'x'); }),
              HasSubstr("points[0] (id 'p0'): payload has 1048577 bytes"));
}

TEST(CheckPoints, NamesWhatF16StorageCannotKeep) {
  CollectionSchema schema = Schema(Metric::kEuclidean);
  const auto error = [&](std::vector<float> vector) {
    PointBatch batch = Batch();
    std::copy(vector.begin(), vector.end(), batch.vectors.begin() + 3);
    return ErrorOf(CheckPoints(batch, schema));
  };
  EXPECT_EQ(error({70'000, 1, 1}), "accepted");
  schema.storage = VectorStorage::kF16;
  EXPECT_EQ(error({65'504, -65'504, 1}), "accepted");
  EXPECT_EQ(error({1e-9F, 0, 0}), "accepted");
  EXPECT_EQ(
      error({1, -70'000, 1}),
      "points[1] (id 'p1'): vector[1] is -70000, collection 'docs' wants -65504 to 65504 (the "
      "range of its f16 storage)");
  schema.metric = Metric::kCosine;
  EXPECT_EQ(error({0, 6e-8F, 0}), "accepted");
  EXPECT_THAT(
      error({1e-9F, 0, -2e-8F}),
      HasSubstr("points[1] (id 'p1'): vector is all zeros in f16 storage, collection 'docs'"));
}

TEST(CheckPoints, BoundsTheLengthWhereDistancesWouldOverflow) {
  for (const Metric metric : {Metric::kEuclidean, Metric::kDot, Metric::kCosine}) {
    const auto error = [&](float component) {
      PointBatch batch = Batch();
      batch.vectors = {1, 2, 3, component, component, -component};
      return ErrorOf(CheckPoints(batch, Schema(metric)));
    };
    EXPECT_EQ(error(5e18F), "accepted");
    if (metric == Metric::kCosine) {
      EXPECT_EQ(error(1e38F), "accepted");
    } else {
      EXPECT_THAT(error(1e38F), HasSubstr("points[1] (id 'p1'): vector has the length 1.73e+38, at "
                                          "most 9e+18 is allowed in collection 'docs'"));
      SearchQuery query;
      query.vector = {1e38F, 1e38F, 1e38F};
      EXPECT_THAT(ErrorOf(CheckQuery(query, Schema(metric))),
                  HasSubstr("vector has the length 1.73e+38, at most 9e+18"));
    }
  }
}

TEST(CheckOddLength, BlamesThePointThatDiffersFromTheCollection) {
  const CollectionSchema schema = Schema(Metric::kDot);
  EXPECT_TRUE(CheckOddLength(std::nullopt, schema).ok());
  EXPECT_EQ(ErrorOf(CheckOddLength(OddLength{.index = 4, .id = "odd", .components = 2}, schema)),
            "points[4] (id 'odd'): vector has 2 components, collection 'docs' wants 3");
}

TEST(CheckPoints, BoundsTheBatch) {
  PointBatch batch;
  batch.dimension = 3;
  batch.ids.assign(kMaxUpsertPoints + 1, "a");
  batch.payloads.assign(kMaxUpsertPoints + 1, "");
  batch.vectors.assign(3 * (kMaxUpsertPoints + 1), 1.0f);
  EXPECT_THAT(ErrorOf(CheckPoints(batch, Schema(Metric::kDot))), HasSubstr("has 100001 entries"));
  batch.ids.assign(64, "a");
  batch.payloads.assign(64, std::string(kMaxPayloadBytes, 'x'));
  batch.vectors.assign(3 * 64, 1.0f);
  EXPECT_THAT(ErrorOf(CheckPoints(batch, Schema(Metric::kDot))), HasSubstr("at most 67108864"));
}

TEST(CheckQuery, NamesFieldGotAndWanted) {
  const auto error = [](const std::function<void(SearchQuery&)>& spoil) {
    SearchQuery query;
    query.vector = {1, 2, 3};
    spoil(query);
    return ErrorOf(CheckQuery(query, Schema(Metric::kCosine)));
  };
  EXPECT_EQ(error([](SearchQuery&) {}), "accepted");
  EXPECT_THAT(error([](SearchQuery& q) { q.vector.pop_back(); }),
              HasSubstr("vector has 2 components, collection 'docs' wants 3"));
  EXPECT_THAT(error([](SearchQuery& q) { q.vector[1] = std::nanf(""); }),
              HasSubstr("vector[1] is NaN"));
  EXPECT_THAT(error([](SearchQuery& q) { q.vector = {0, -0.0f, 0}; }), HasSubstr("all zeros"));
  EXPECT_THAT(error([](SearchQuery& q) { q.k = 0; }), HasSubstr("offset + top_k is 0"));
  EXPECT_THAT(error([](SearchQuery& q) { q.k = kMaxTopK + 1; }), HasSubstr("is 16385"));
  EXPECT_THAT(error([](SearchQuery& q) { q.ef = kMaxEf + 1; }), HasSubstr("params.ef is 65537"));
}

TEST(KeepLastOfEachId, KeepsTheLastInTheOrderOfTheLastOnes) {
  PointBatch batch{.dimension = 1,
                   .ids = {"a", "b", "a", "c", "b"},
                   .vectors = {1, 2, 3, 4, 5},
                   .payloads = {"1", "2", "3", "4", "5"}};
  const PointBatch kept = KeepLastOfEachId(std::move(batch));
  EXPECT_EQ(kept.ids, (std::vector<std::string>{"a", "c", "b"}));
  EXPECT_EQ(kept.vectors, (std::vector<float>{3, 4, 5}));
  EXPECT_EQ(kept.payloads, (std::vector<std::string>{"3", "4", "5"}));
}

TEST(KeepLastOfEachId, LeavesUniqueBatchesAlone) {
  const PointBatch kept = KeepLastOfEachId(Batch());
  EXPECT_EQ(kept.ids, Batch().ids);
  EXPECT_EQ(kept.vectors, Batch().vectors);
}

}  // namespace
}  // namespace vectron
