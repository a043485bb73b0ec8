#include "model/collection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/status.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;

v1::CreateCollectionRequest Request() {
  v1::CreateCollectionRequest request;
  request.set_name("docs");
  request.set_dimension(128);
  return request;
}

TEST(Schema, FillsInDefaults) {
  const auto schema = SchemaFromProto(Request(), 2, 3);
  ASSERT_TRUE(schema.ok()) << schema.status();
  EXPECT_EQ(schema->metric, Metric::kEuclidean);
  EXPECT_EQ(schema->shard_count, 2u);
  EXPECT_EQ(schema->replication_factor, 3u);
  EXPECT_EQ(schema->hnsw.m, 16u);
  EXPECT_EQ(schema->hnsw.ef_construct, 200u);
  EXPECT_EQ(schema->hnsw.ef_search, 0u);
  EXPECT_EQ(schema->default_consistency, Consistency::kStrong);
  EXPECT_EQ(schema->storage, VectorStorage::kF32);
  EXPECT_FALSE(schema->vectors_in_memory);
}

TEST(Schema, SurvivesTheWayToProtoAndBack) {
  v1::CreateCollectionRequest request = Request();
  request.set_distance("cosine");
  request.set_shard_count(5);
  request.set_replication_factor(1);
  request.mutable_hnsw()->set_m(32);
  request.mutable_hnsw()->set_ef_construct(100);
  request.mutable_hnsw()->set_ef_search(80);
  request.set_storage(v1::VECTOR_STORAGE_F16);
  request.set_default_consistency(v1::EVENTUAL);
  request.set_vectors_in_memory(true);
  auto* index = request.add_payload_indexes();
  index->set_field("a.b[].c");
  index->set_type(v1::DATETIME);
  const auto schema = SchemaFromProto(request, 1, 1);
  ASSERT_TRUE(schema.ok()) << schema.status();
  v1::CreateCollectionRequest back;
  SchemaToProto(*schema, back);
  EXPECT_EQ(back.SerializeAsString(), request.SerializeAsString());
}

TEST(Schema, RefusesEachBadFieldByName) {
  struct Case {
    std::function<void(v1::CreateCollectionRequest&)> spoil;
    const char* message;
  };
  const auto add_index = [](v1::CreateCollectionRequest& request, const char* field, int type) {
    auto* index = request.add_payload_indexes();
    index->set_field(field);
    index->set_type(static_cast<v1::PayloadType>(type));
  };
  const Case cases[] = {
      {[](auto& r) { r.set_name("a/b"); }, "collection name"},
      {[](auto& r) { r.set_dimension(0); }, "dimension is 0, wanted 1 to 65535"},
      {[](auto& r) { r.set_dimension(65536); }, "dimension is 65536"},
      {[](auto& r) { r.set_dimension(-1); }, "dimension is -1"},
      {[](auto& r) { r.set_distance("Cosine"); }, "distance is 'Cosine'"},
      {[](auto& r) { r.set_shard_count(1025); }, "shard_count is 1025"},
      {[](auto& r) { r.set_replication_factor(8); }, "replication_factor is 8"},
      {[](auto& r) { r.mutable_hnsw()->set_m(3); }, "hnsw.m is 3, wanted 4 to 64"},
      {[](auto& r) { r.mutable_hnsw()->set_ef_construct(5000); }, "hnsw.ef_construct is 5000"},
      {[](auto& r) { r.mutable_hnsw()->set_ef_search(70000); }, "hnsw.ef_search is 70000"},
      {[](auto& r) { r.set_storage(static_cast<v1::VectorStorage>(2)); }, "storage is 2"},
      {[](auto& r) { r.set_default_consistency(static_cast<v1::Consistency>(9)); },
       "default_consistency is 9"},
      {[&](auto& r) { add_index(r, "a", 0); }, "payload_indexes[0].type is 0"},
      {[&](auto& r) { add_index(r, "a..b", 1); }, "payload_indexes[0].field"},
      {[&](auto& r) {
         add_index(r, "a", 1);
         add_index(r, "a", 2);
       },
       "payload_indexes[1].field 'a' is listed twice"},
      {[&](auto& r) {
         for (int i = 0; i < 65; ++i) add_index(r, ("f" + std::to_string(i)).c_str(), 1);
       },
       "payload_indexes has 65"},
  };
  for (const Case& test : cases) {
    v1::CreateCollectionRequest request = Request();
    test.spoil(request);
    const auto schema = SchemaFromProto(request, 1, 1);
    ASSERT_EQ(schema.status().code(), absl::StatusCode::kInvalidArgument) << test.message;
    EXPECT_THAT(std::string(MessageOf(schema.status())), HasSubstr(test.message));
  }
}

TEST(Metric, NamesRoundTrip) {
  for (const Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDot}) {
    EXPECT_EQ(*ParseMetric(MetricName(metric)), metric);
  }
  EXPECT_EQ(*ParseMetric(""), Metric::kEuclidean);
  EXPECT_FALSE(ParseMetric("l2").ok());
}

TEST(CollectionSchema, KeepsItsRerankChoiceAndRefusesWrongOnes) {
  v1::CreateCollectionRequest request;
  request.set_name("c");
  request.set_dimension(2);
  request.mutable_rerank()->set_strategy("learned");
  request.mutable_rerank()->set_explore(false);
  const absl::StatusOr<CollectionSchema> schema = SchemaFromProto(request, 1, 1);
  ASSERT_TRUE(schema.ok()) << schema.status();
  v1::CreateCollectionRequest again;
  SchemaToProto(*schema, again);
  EXPECT_EQ(again.rerank().strategy(), "learned");
  EXPECT_TRUE(again.rerank().has_explore());
  EXPECT_FALSE(again.rerank().explore());
  request.mutable_rerank()->set_strategy("magic");
  EXPECT_TRUE(absl::IsInvalidArgument(SchemaFromProto(request, 1, 1).status()));
  request.mutable_rerank()->set_strategy("rule");
  request.mutable_rerank()->set_budget_ms(60'001);
  EXPECT_TRUE(absl::IsInvalidArgument(SchemaFromProto(request, 1, 1).status()));
}

}  // namespace
}  // namespace vectron
