#include "services/gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "rpc/error_table.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/split.h"

namespace vectron::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class GatewayTest : public testing::Test {
 protected:
  // A collection of 2 dimensions.
  void Create(const std::string& name, uint32_t shards = 1) {
    v1::CreateCollectionRequest request;
    request.set_name(name);
    request.set_dimension(2);
    request.set_shard_count(shards);
    absl::Status result = Internal("not called");
    gateway_.CreateCollection(context_, request,
                              [&](absl::Status status) { result = std::move(status); });
    ASSERT_TRUE(result.ok()) << result;
  }
  static UpsertCall Points(const std::string& collection, const std::vector<std::string>& ids,
                           float x = 0) {
    UpsertCall call;
    call.collection = collection;
    call.points.dimension = 2;
    for (const std::string& id : ids) {
      call.points.ids.push_back(id);
      call.points.vectors.insert(call.points.vectors.end(), {x++, 1});
      call.points.payloads.push_back("{\"x\":" + std::to_string(static_cast<int>(x)) + "}");
    }
    return call;
  }
  absl::StatusOr<UpsertReply> Upsert(UpsertCall call) {
    absl::StatusOr<UpsertReply> result = Internal("not called");
    gateway_.Upsert(context_, std::move(call), [&](auto reply) { result = std::move(reply); });
    return result;
  }
  static SearchCall Query(const std::string& collection, uint32_t top_k, uint32_t offset = 0) {
    SearchCall call;
    call.collection = collection;
    call.query.vector = {0, 1};
    call.query.k = offset + top_k;
    call.top_k = top_k;
    call.offset = offset;
    return call;
  }
  absl::StatusOr<SearchReply> Search(SearchCall call) {
    absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
    gateway_.Search(context_, std::move(call), [&](auto reply) { result = std::move(reply); });
    return result;
  }
  absl::StatusOr<PointRecord> Get(const std::string& collection, const std::string& id) {
    v1::GetRequest request;
    request.set_collection(collection);
    request.set_id(id);
    absl::StatusOr<PointRecord> result = Internal("not called");
    gateway_.Get(context_, request, [&](auto point) { result = std::move(point); });
    return result;
  }
  absl::StatusOr<uint64_t> Delete(const std::string& collection, const std::string& id,
                                  const std::string& request_id = "") {
    v1::DeleteRequest request;
    request.set_collection(collection);
    request.set_id(id);
    request.set_request_id(request_id);
    absl::StatusOr<uint64_t> result = Internal("not called");
    gateway_.Delete(context_, request, [&](auto version) { result = version; });
    return result;
  }
  absl::StatusOr<ScrollReply> Scroll(ScrollCall call) {
    absl::StatusOr<ScrollReply> result = Internal("not called");
    gateway_.Scroll(context_, std::move(call), [&](auto reply) { result = std::move(reply); });
    return result;
  }
  GroupId GroupOf(const std::string& collection, uint32_t ordinal) {
    return placement_.FindCollection("", collection)->shards[ordinal].group;
  }
  static std::vector<std::string> Ids(const SearchReply& reply) {
    std::vector<std::string> ids;
    for (const SearchHit& hit : reply.hits) ids.push_back(hit.id);
    return ids;
  }

  ManualClock clock_;
  ManualTimer timer_{clock_};
  FakePlacement placement_;
  FakeWorker worker_;
  Gateway gateway_{{.placement = &placement_,
                    .worker_of = [this](WorkerId) { return &worker_; },
                    .clock = &clock_,
                    .timer = &timer_,
                    .seed = 1}};
  rpc::CallContext context_;
};

TEST_F(GatewayTest, AnswersNotFoundForAnUnknownCollectionEverywhere) {
  EXPECT_TRUE(absl::IsNotFound(Upsert(Points("none", {"a"})).status()));
  EXPECT_TRUE(absl::IsNotFound(Search(Query("none", 1)).status()));
  EXPECT_TRUE(absl::IsNotFound(Get("none", "a").status()));
  EXPECT_TRUE(absl::IsNotFound(Delete("none", "a").status()));
  ScrollCall scroll;
  scroll.collection = "none";
  EXPECT_TRUE(absl::IsNotFound(Scroll(scroll).status()));
}

TEST_F(GatewayTest, GivesTheSameAnswersWhateverTheNumberOfShards) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  Create("one", 1);
  Create("many", 7);
  for (int step = 0; step < 60; ++step) {
    std::vector<std::string> ids;
    for (uint64_t i = 0; i < 1 + random.Below(5); ++i)
      ids.push_back(fmt::format("p{}", random.Below(100)));
    const auto x = static_cast<float>(random.Below(50));
    ASSERT_TRUE(Upsert(Points("one", ids, x)).ok());
    ASSERT_TRUE(Upsert(Points("many", ids, x)).ok());
    const std::string victim = fmt::format("p{}", random.Below(100));
    ASSERT_TRUE(Delete("one", victim).ok());
    ASSERT_TRUE(Delete("many", victim).ok());
    const auto top_k = static_cast<uint32_t>(1 + random.Below(20));
    const auto offset = static_cast<uint32_t>(random.Below(20));
    const auto one = Search(Query("one", top_k, offset));
    const auto many = Search(Query("many", top_k, offset));
    ASSERT_TRUE(one.ok() && many.ok());
    EXPECT_EQ(Ids(*one), Ids(*many));
    EXPECT_LE(one->hits.size(), top_k);
  }
}

TEST_F(GatewayTest, KeepsTheLastOfTwoPointsWithOneIdAndCountsBoth) {
  Create("docs", 3);
  UpsertCall call = Points("docs", {"a", "b", "a"});
  call.return_versions = true;
  const auto reply = Upsert(std::move(call));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->upserted, 3U);
  ASSERT_THAT(reply->versions, SizeIs(3));
  EXPECT_EQ(reply->versions[0], reply->versions[2]);
  EXPECT_EQ(Get("docs", "a")->payload, "{\"x\":3}");
}

TEST_F(GatewayTest, GivesVersionsInTheOrderOfTheRequest) {
  Create("docs", 4);
  std::vector<std::string> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(fmt::format("p{}", i));
  ASSERT_TRUE(Upsert(Points("docs", {"p7"})).ok());  // the versions of shards differ from here on
  UpsertCall call = Points("docs", ids);
  call.return_versions = true;
  const auto reply = Upsert(std::move(call));
  ASSERT_TRUE(reply.ok());
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(reply->versions[i], Get("docs", ids[i])->version) << ids[i];
  }
}

TEST_F(GatewayTest, WritesNothingOfABatchWithOneBadPoint) {
  Create("docs", 4);
  UpsertCall call = Points("docs", {"a", "b", "c"});
  call.points.vectors[5] = std::numeric_limits<float>::quiet_NaN();
  const auto reply = Upsert(std::move(call));
  EXPECT_TRUE(absl::IsInvalidArgument(reply.status()));
  EXPECT_THAT(std::string(MessageOf(reply.status())), HasSubstr("points[2]"));
  EXPECT_TRUE(absl::IsNotFound(Get("docs", "a").status()));
}

TEST_F(GatewayTest, WritesNothingOfABatchThatF16CannotKeep) {
  v1::CreateCollectionRequest request;
  request.set_name("halves");
  request.set_dimension(2);
  request.set_shard_count(4);
  request.set_storage(v1::VECTOR_STORAGE_F16);
  gateway_.CreateCollection(context_, request, [](const absl::Status& made) { CHECK_OK(made); });
  UpsertCall call = Points("halves", {"a", "b", "c", "d", "e", "f"});
  call.points.vectors[7] = 70'000;
  const auto reply = Upsert(std::move(call));
  EXPECT_TRUE(absl::IsInvalidArgument(reply.status()));
  EXPECT_THAT(
      std::string(MessageOf(reply.status())),
      HasSubstr("points[3] (id 'd'): vector[1] is 70000, collection 'halves' wants -65504"));
  for (const char* id : {"a", "b", "c", "d", "e", "f"}) {
    EXPECT_TRUE(absl::IsNotFound(Get("halves", id).status())) << id;
  }
}

TEST_F(GatewayTest, BlamesThePointWhoseLengthIsNotTheCollections) {
  Create("docs");
  UpsertCall call = Points("docs", {"a", "b"});
  call.odd_length = OddLength{.index = 2, .id = "odd", .components = 3};
  EXPECT_THAT(
      std::string(MessageOf(Upsert(call).status())),
      HasSubstr("points[2] (id 'odd'): vector has 3 components, collection 'docs' wants 2"));
  call.points.dimension = 1;  // then those before it are wrong
  call.points.vectors.resize(2);
  EXPECT_THAT(std::string(MessageOf(Upsert(call).status())),
              HasSubstr("points[0] (id 'a'): vector has 1 components, collection 'docs' wants 2"));
  EXPECT_TRUE(absl::IsNotFound(Get("docs", "a").status()));
}

TEST_F(GatewayTest, NamesTheShardsThatFailedAndThoseThatWereWritten) {
  Create("docs", 2);
  worker_.failing[GroupOf("docs", 1)] = ResourceExhausted("tail is full");
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back(fmt::format("p{}", i));
  const auto reply = Upsert(Points("docs", ids));
  EXPECT_TRUE(absl::IsResourceExhausted(reply.status()));
  const std::string message(MessageOf(reply.status()));
  EXPECT_THAT(message, HasSubstr("tail is full"));
  EXPECT_THAT(message, HasSubstr("failed: 1; written: 0"));
  EXPECT_TRUE(rpc::RetryAfterMillis(reply.status()).has_value());
}

TEST_F(GatewayTest, BoundsRequestIds) {
  Create("docs");
  UpsertCall call = Points("docs", {"a"});
  call.request_id = std::string(kMaxRequestIdBytes + 1, 'r');
  EXPECT_TRUE(absl::IsInvalidArgument(Upsert(call).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Delete("docs", "a", call.request_id).status()));
  call.request_id.pop_back();
  EXPECT_TRUE(Upsert(call).ok());
  EXPECT_THAT(worker_.request_ids, ElementsAre(call.request_id));
}

TEST_F(GatewayTest, FailsASearchWhenAShardFails) {
  Create("docs", 2);
  worker_.failing[GroupOf("docs", 1)] = DataLoss("000012.sst is damaged");
  const auto reply = Search(Query("docs", 3));
  EXPECT_EQ(reply.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(MessageOf(reply.status())), HasSubstr("collection 'docs', shard 1"));
}

TEST_F(GatewayTest, GivesAPartialReplyWhenTimeRunsOut) {
  Create("docs", 3);
  std::vector<std::string> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(fmt::format("p{}", i));
  ASSERT_TRUE(Upsert(Points("docs", ids)).ok());
  worker_.silent = {GroupOf("docs", 1)};
  SearchCall call = Query("docs", 30);
  call.timeout_ms = 50;
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  gateway_.Search(context_, call, [&](auto r) { reply = std::move(r); });
  timer_.AdvanceMillis(49);
  EXPECT_TRUE(absl::IsUnknown(reply.status()));
  timer_.AdvanceMillis(1);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_TRUE(reply->partial);
  EXPECT_THAT(reply->missing_shards, ElementsAre(1U));
  EXPECT_FALSE(reply->hits.empty());
  EXPECT_LT(reply->hits.size(), 30U);
  worker_.AnswerLate();  // goes nowhere
}

TEST_F(GatewayTest, TakesTheTimerBackWhenAllShardsAnswer) {
  Create("docs", 2);
  worker_.silent = {GroupOf("docs", 0)};
  SearchCall call = Query("docs", 1);
  call.timeout_ms = 50;
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  gateway_.Search(context_, call, [&](auto r) { reply = std::move(r); });
  EXPECT_EQ(timer_.waiting(), 1U);
  worker_.AnswerLate();
  ASSERT_TRUE(reply.ok());
  EXPECT_FALSE(reply->partial);
  EXPECT_EQ(timer_.waiting(), 0U);
}

TEST_F(GatewayTest, IsLateWhenNoShardAnswersInTime) {
  Create("docs", 1);
  worker_.silent = {GroupOf("docs", 0)};
  SearchCall call = Query("docs", 1);
  call.timeout_ms = 5;
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  gateway_.Search(context_, call, [&](auto r) { reply = std::move(r); });
  timer_.AdvanceMillis(5);
  EXPECT_TRUE(absl::IsDeadlineExceeded(reply.status()));
}

TEST_F(GatewayTest, ObeysTheCallersDeadlineWithoutAPartialReply) {
  Create("docs", 2);
  worker_.silent = {GroupOf("docs", 0)};
  context_.deadline_nanos = clock_.MonotonicNanos() + 10'000'000;
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  gateway_.Search(context_, Query("docs", 1), [&](auto r) { reply = std::move(r); });
  timer_.AdvanceMillis(10);
  EXPECT_TRUE(absl::IsDeadlineExceeded(reply.status()));
}

TEST_F(GatewayTest, StreamsTheBestSoFarAndMarksTheLast) {
  Create("docs", 3);
  std::vector<std::string> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(fmt::format("p{}", i));
  ASSERT_TRUE(Upsert(Points("docs", ids)).ok());
  std::vector<SearchReply> replies;
  gateway_.SearchStream(
      context_, Query("docs", 5),
      [&](SearchReply reply) {
        replies.push_back(std::move(reply));
        return true;
      },
      [&](auto reply) { replies.push_back(*std::move(reply)); });
  ASSERT_THAT(replies, SizeIs(3));
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_FALSE(replies[i].last);
    EXPECT_THAT(replies[i].missing_shards, SizeIs(2 - i));
    EXPECT_EQ(replies[i].query_id, replies[2].query_id);
  }
  EXPECT_TRUE(replies[2].last);
  EXPECT_EQ(Ids(replies[2]), Ids(*Search(Query("docs", 5))));
}

TEST_F(GatewayTest, SaysNotFoundWhenTheCollectionGoesDuringTheRequest) {
  Create("docs");
  worker_.failing[GroupOf("docs", 0)] = FailedPrecondition("not on this worker");
  EXPECT_TRUE(absl::IsFailedPrecondition(Get("docs", "a").status()));
  class Deleting : public FakeWorker {
   public:
    explicit Deleting(FakePlacement& placement) : placement_(placement) {}
    void Get(rpc::ShardGet, int64_t,
             std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override {
      placement_.DeleteCollection("", "docs", [](const absl::Status&) {});
      done(FailedPrecondition("not on this worker"));
    }

   private:
    FakePlacement& placement_;
  } deleting(placement_);
  Gateway gateway({.placement = &placement_,
                   .worker_of = [&](WorkerId) { return &deleting; },
                   .clock = &clock_,
                   .timer = &timer_,
                   .seed = 1});
  v1::GetRequest request;
  request.set_collection("docs");
  request.set_id("a");
  absl::StatusOr<PointRecord> point = Internal("not called");
  gateway.Get(context_, request, [&](auto p) { point = std::move(p); });
  EXPECT_TRUE(absl::IsNotFound(point.status()));
}

TEST_F(GatewayTest, RefusesWhatIsNotThereYet) {
  Create("docs");
  SearchCall call = Query("docs", 1);
  call.rerank.emplace().strategy = "none";
  EXPECT_TRUE(Search(call).ok());
  call.rerank->strategy = "rule";
  EXPECT_TRUE(absl::IsUnimplemented(Search(call).status()));
  call.rerank.reset();
  call.target_recall = 0.9F;
  EXPECT_TRUE(absl::IsUnimplemented(Search(call).status()));
}

TEST_F(GatewayTest, NamesEveryAnswerDifferently) {
  Create("docs");
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = Search(Query("docs", 1))->query_id;
    EXPECT_THAT(id, testing::MatchesRegex(
                        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST_F(GatewayTest, ScrollsEveryPointOnceInOrder) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (const uint32_t shards : {1U, 2U, 9U}) {
    const std::string name = fmt::format("docs{}", shards);
    Create(name, shards);
    std::vector<std::string> ids;
    for (int i = 0; i < 300; ++i) ids.push_back(fmt::format("p{:03}", i));
    ASSERT_TRUE(Upsert(Points(name, ids)).ok());
    std::vector<std::string> seen;
    ScrollCall call;
    call.collection = name;
    do {
      call.limit = static_cast<uint32_t>(1 + random.Below(70));
      const auto reply = Scroll(call);
      ASSERT_TRUE(reply.ok()) << reply.status();
      EXPECT_LE(reply->points.size(), call.limit);
      for (const PointRecord& point : reply->points) seen.push_back(point.id);
      call.after_id = reply->next_after_id;
    } while (!call.after_id.empty());
    EXPECT_EQ(seen, ids);
  }
}

TEST_F(GatewayTest, ScrollsOnlyWhatPassesTheFilter) {
  Create("docs", 4);
  ASSERT_TRUE(Upsert(Points("docs", {"a", "b", "c", "d", "e"})).ok());
  ScrollCall call;
  call.collection = "docs";
  call.filter = std::make_shared<const Filter>(
      *FilterFromJson(R"({"must":[{"field":"x","range":{"gte":2,"lt":5}}]})"));
  call.include_payload = false;
  const auto reply = Scroll(call);
  ASSERT_TRUE(reply.ok());
  ASSERT_THAT(reply->points, SizeIs(3));
  EXPECT_EQ(reply->points[0].id, "b");
  EXPECT_EQ(reply->points[0].payload, "");
  EXPECT_EQ(reply->next_after_id, "");
}

TEST_F(GatewayTest, DescribesACollection) {
  Create("docs", 3);
  ASSERT_TRUE(Upsert(Points("docs", {"a", "b"})).ok());
  worker_.failing[GroupOf("docs", 2)] = DataLoss("gone");
  absl::StatusOr<v1::GetCollectionStatusResponse> status = Internal("not called");
  gateway_.GetCollectionStatus(context_, "docs", [&](auto s) { status = std::move(s); });
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(status->point_count(), 2U);
  EXPECT_EQ(status->distance(), "euclidean");
  EXPECT_EQ(status->options().shard_count(), 3U);
  ASSERT_EQ(status->shards_size(), 3);
  EXPECT_TRUE(status->shards(0).ready());
  EXPECT_FALSE(status->shards(2).ready());
  std::vector<std::string> listed;
  gateway_.ListCollections(context_, [&](auto names) { listed = std::move(names); });
  EXPECT_THAT(listed, ElementsAre("docs"));
}

TEST_F(GatewayTest, DeletesAndInsertsOnly) {
  Create("docs");
  ASSERT_TRUE(Upsert(Points("docs", {"a"})).ok());
  UpsertCall call = Points("docs", {"a", "b"});
  call.insert_only = true;
  EXPECT_TRUE(absl::IsAlreadyExists(Upsert(call).status()));
  EXPECT_TRUE(absl::IsNotFound(Get("docs", "b").status()));
  EXPECT_TRUE(Delete("docs", "a").ok());
  EXPECT_TRUE(Delete("docs", "a").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Delete("docs", "").status()));
  EXPECT_TRUE(Upsert(call).ok());
}

TEST(SplitByShard, LosesNothingAndKeepsTheOrder) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (const uint32_t shard_count : {1U, 2U, 5U, 64U}) {
    PointBatch batch;
    batch.dimension = 3;
    for (uint64_t i = 0; i < 1 + random.Below(50); ++i) {
      batch.ids.push_back(fmt::format("p{}", i));
      batch.payloads.push_back(fmt::format("{{\"i\":{}}}", i));
      for (int d = 0; d < 3; ++d) batch.vectors.push_back(static_cast<float>(i));
    }
    const PointBatch before = batch;
    const std::vector<ShardOrdinal> shards = ShardsOf(batch.ids, shard_count);
    size_t total = 0;
    for (const ShardPart& part : SplitByShard(std::move(batch), shards, shard_count)) {
      size_t last = 0;
      for (size_t i = 0; i < part.points.size(); ++i) {
        const auto at = static_cast<size_t>(part.points.vector(i)[0]);
        EXPECT_TRUE(i == 0 || at > last);
        last = at;
        EXPECT_EQ(part.points.ids[i], before.ids[at]);
        EXPECT_EQ(part.points.payloads[i], before.payloads[at]);
        EXPECT_EQ(shards[at], part.ordinal);
      }
      EXPECT_GT(part.points.size(), 0U);
      total += part.points.size();
    }
    EXPECT_EQ(total, before.size());
  }
}

TEST_F(GatewayTest, AsksASecondReplicaForShardsThatAreSlow) {
  placement_.replicas = {WorkerId{1}, WorkerId{2}};
  Create("docs", 3);
  ASSERT_TRUE(Upsert(Points("docs", {"a", "b", "c", "d", "e", "f"})).ok());
  FakeWorker second = worker_;
  Gateway hedged({.placement = &placement_,
                  .worker_of = [&](WorkerId id) { return id.value == 1 ? &worker_ : &second; },
                  .clock = &clock_,
                  .timer = &timer_,
                  .seed = 1,
                  .patience_ms = 1'000,
                  .hedge = {.mode = HedgeOptions::Mode::kFixed, .delay_ms = 20}});
  worker_.silent = {GroupOf("docs", 1)};
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  const auto search = [&] {
    reply = absl::UnknownError("no answer yet");
    hedged.Search(context_, Query("docs", 10), [&](auto answer) { reply = std::move(answer); });
  };
  search();
  timer_.AdvanceMillis(19);
  EXPECT_TRUE(absl::IsUnknown(reply.status()));
  EXPECT_THAT(second.searched, IsEmpty());
  timer_.AdvanceMillis(1);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(reply->hits, SizeIs(6));
  EXPECT_THAT(second.searched, ElementsAre(GroupOf("docs", 1)));
  EXPECT_EQ(worker_.called_off, 1);
  EXPECT_EQ(timer_.waiting(), 0U);
  worker_.AnswerLate();  // nobody listens any more

  // A second replica that fails takes nothing from the first.
  second.failing[GroupOf("docs", 1)] = Unavailable("opening");
  search();
  timer_.AdvanceMillis(20);
  EXPECT_TRUE(absl::IsUnknown(reply.status()));
  worker_.AnswerLate();
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(reply->hits, SizeIs(6));
}

TEST_F(GatewayTest, KeepsTheBestOfWhatIsTooMuchAndRefusesWhenTheyAreTooMuch) {
  Create("docs", 3);
  std::vector<std::string> ids;
  for (int i = 0; i < 30; ++i) ids.push_back(fmt::format("p{:02}", i));
  UpsertCall points = Points("docs", ids);
  const std::string payload = fmt::format(R"({{"x":"{}"}})", std::string(89, 'a'));
  for (std::string& one : points.points.payloads) one = payload;  // 97 bytes, ids have 3
  ASSERT_TRUE(Upsert(std::move(points)).ok());
  const auto wanted = Search(Query("docs", 5));
  ASSERT_TRUE(wanted.ok());
  absl::StatusOr<SearchReply> reply = absl::UnknownError("no answer yet");
  const auto search_within = [&](size_t max_answer_bytes) {
    Gateway small({.placement = &placement_,
                   .worker_of = [&](WorkerId) { return &worker_; },
                   .clock = &clock_,
                   .timer = &timer_,
                   .max_answer_bytes = max_answer_bytes});
    small.Search(context_, Query("docs", 5), [&](auto answer) { reply = std::move(answer); });
  };
  search_within(500);  // of the 15 hits of 100 bytes that the shards give
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_THAT(reply->hits, SizeIs(5));
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(reply->hits[i].id, wanted->hits[i].id);
  search_within(499);
  EXPECT_TRUE(absl::IsResourceExhausted(reply.status())) << reply.status();
}

TEST_F(GatewayTest, AnAnswerTooLargeIsNeitherMissingNorAskedForAgain) {
  Create("docs", 2);
  worker_.failing[GroupOf("docs", 1)] = AnswerTooLarge(1'000);
  SearchCall call = Query("docs", 5);
  call.timeout_ms = 1'000;
  const auto reply = Search(std::move(call));
  EXPECT_TRUE(absl::IsResourceExhausted(reply.status())) << reply.status();
  EXPECT_THAT(std::string(MessageOf(reply.status())), HasSubstr("top_k"));
  EXPECT_FALSE(rpc::RetryAfterMillis(reply.status()).has_value());
}

}  // namespace
}  // namespace vectron::gateway
