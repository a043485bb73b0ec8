#include "rpc/worker_codec.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/filter_testing.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

// Over the wire and back.
absl::StatusOr<Filter> Travelled(const Filter& filter) {
  worker::v1::ShardFilter sent;
  ToWire(filter, sent);
  worker::v1::ShardFilter received;
  CHECK(received.ParseFromString(sent.SerializeAsString()));
  return FromWire(received);
}

TEST(WorkerCodec, CarriesEveryFilter) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  int used = 0;
  for (int round = 0; round < 2'000; ++round) {
    v1::Filter wire;
    testing_filter::FillFilter(random, 3, wire);
    const absl::StatusOr<Filter> filter = FilterFromProto(wire);
    if (!filter.ok()) continue;
    ++used;
    const absl::StatusOr<Filter> back = Travelled(*filter);
    ASSERT_TRUE(back.ok()) << back.status();
    for (int i = 0; i < 20; ++i) {
      const Value payload = testing_filter::RandomPayload(random);
      const std::string id = "p" + std::to_string(random.Below(4));
      EXPECT_EQ(Matches(*filter, id, payload), Matches(*back, id, payload));
    }
  }
  EXPECT_GT(used, 500);
}

TEST(WorkerCodec, KeepsWholeNumbersWhole) {
  const absl::StatusOr<Filter> filter =
      FilterFromJson(R"({"must":[{"field":"n","match":9007199254740993}]})");
  ASSERT_TRUE(filter.ok());
  const absl::StatusOr<Filter> back = Travelled(*filter);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(Matches(*back, "a", *ParsePayload(R"({"n":9007199254740993})")));
  EXPECT_FALSE(Matches(*back, "a", *ParsePayload(R"({"n":9007199254740992})")));
}

TEST(WorkerCodec, RefusesFiltersBeyondTheirBounds) {
  worker::v1::ShardFilter deep;
  worker::v1::ShardFilter* inner = &deep;
  for (uint32_t depth = 0; depth <= kMaxFilterDepth; ++depth) {
    inner = inner->add_must()->mutable_filter();
  }
  EXPECT_TRUE(absl::IsInvalidArgument(FromWire(deep).status()));
  worker::v1::ShardFilter wide;
  for (size_t i = 0; i <= kMaxFilterConditions + 1; ++i) {
    wide.add_must()->set_path("a");
    wide.mutable_must(static_cast<int>(i))->set_exists(true);
  }
  EXPECT_TRUE(absl::IsInvalidArgument(FromWire(wide).status()));
  worker::v1::ShardFilter untested;
  untested.add_must()->set_path("a");
  EXPECT_TRUE(absl::IsInvalidArgument(FromWire(untested).status()));
  worker::v1::ShardFilter hungry;
  hungry.add_should()->mutable_has_id();
  hungry.set_min_should(2);
  EXPECT_TRUE(absl::IsInvalidArgument(FromWire(hungry).status()));
}

TEST(WorkerCodec, RefusesPointsThatContradictThemselves) {
  const auto read = [](auto change) {
    worker::v1::UpsertPointsRequest wire;
    wire.mutable_target()->set_group(1);
    worker::v1::PackedPoints& points = *wire.mutable_points();
    points.set_dimension(2);
    points.add_ids("a");
    points.add_vectors(1);
    points.add_vectors(2);
    change(points);
    return FromWire(wire).status();
  };
  EXPECT_TRUE(read([](worker::v1::PackedPoints&) {}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(read([](auto& points) { points.add_vectors(3); })));
  EXPECT_TRUE(absl::IsInvalidArgument(read([](auto& points) { points.add_ids("b"); })));
  EXPECT_TRUE(absl::IsInvalidArgument(read([](auto& points) { points.set_dimension(0); })));
  EXPECT_TRUE(absl::IsInvalidArgument(read([](auto& points) {
    points.add_payloads("");
    points.add_payloads("");
  })));
  EXPECT_TRUE(absl::IsInvalidArgument(read([](auto& points) {
    points.clear_ids();
    points.clear_vectors();
  })));
}

TEST(WorkerCodec, MakesAnAnswerThatContradictsItselfAnError) {
  worker::v1::ShardHits wire;
  wire.set_group(3);
  wire.add_ids("a");
  wire.add_scores(1);
  EXPECT_EQ(FromWire(wire).answer.status().code(), absl::StatusCode::kInternal);  // no version
  wire.add_versions(7);
  EXPECT_TRUE(FromWire(wire).answer.ok());
}

TEST(WorkerCodec, CarriesExcerptsAsSuch) {
  ShardsSearch search;
  search.targets.push_back({.group = GroupId{3}, .epoch = 1});
  search.query.vector = {1};
  search.query.payload_excerpts = true;
  worker::v1::SearchShardsRequest request;
  ToWire(std::move(search), request);
  EXPECT_TRUE(FromWire(request)->query.payload_excerpts);
  ShardAnswer answer{.group = GroupId{3}, .answer = SearchAnswer{}};
  for (const char* id : {"a", "b"}) {
    SearchHit& hit = answer.answer->hits.emplace_back();
    hit.id = id;
    hit.payload = R"({"n":1})";
    hit.is_excerpt = hit.id == "b";
  }
  worker::v1::ShardHits wire;
  ToWire(std::move(answer), wire);
  worker::v1::ShardHits bad = wire;
  const ShardAnswer back = FromWire(wire);
  ASSERT_TRUE(back.answer.ok());
  EXPECT_FALSE(back.answer->hits[0].is_excerpt);
  EXPECT_TRUE(back.answer->hits[1].is_excerpt);
  bad.add_excerpts(2);
  EXPECT_EQ(FromWire(bad).answer.status().code(), absl::StatusCode::kInternal);
}

TEST(WorkerCodec, CarriesErrorsWithTheirHints) {
  worker::v1::ShardError wire;
  ToWire(WithLeaderHint(WithRetryAfter(Unavailable("not the leader"), 30), WorkerId{4}), wire);
  const absl::Status back = FromWire(wire);
  EXPECT_TRUE(absl::IsUnavailable(back));
  EXPECT_EQ(RetryAfterMillis(back), 30);
  EXPECT_EQ(LeaderHint(back), WorkerId{4});
  wire.Clear();  // no status at all is no success
  EXPECT_EQ(FromWire(wire).code(), absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace vectron::rpc
