// Searches that are reranked.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "base/status.h"
#include "services/gateway/ranking_testing.h"

namespace vectron::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(RankingTest, RerankedSearchesLookFurtherThanTheirPage) {
  Fill(20);
  const auto reply = Search(Query(3));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(Ids(*reply), ElementsAre("p19", "p18", "p17"));
  EXPECT_TRUE(reply->reranked);
  EXPECT_EQ(reply->rerank->strategy, "rule");
  EXPECT_FLOAT_EQ(reply->hits[0].score, 1);
  const auto page = Search(Query(3, "words", 2));
  EXPECT_THAT(Ids(*page), ElementsAre("p17", "p16", "p15"));
  EXPECT_FALSE(reranker_.calls.back().first_page);
  SearchCall narrow = Query(3);
  narrow.rerank.emplace().candidates = 4;
  EXPECT_THAT(Ids(*Search(narrow)), ElementsAre("p3", "p2", "p1"));
}

TEST_F(RankingTest, LeavesSearchesAloneThatDoNotAskForIt) {
  Fill(5);
  EXPECT_FALSE(Search(Query(3, ""))->rerank.has_value());
  SearchCall none = Query(3);
  none.rerank.emplace().strategy = "none";
  EXPECT_FALSE(Search(none)->reranked);
  EXPECT_TRUE(reranker_.calls.empty());
  SearchCall asked = Query(3, "");
  asked.rerank.emplace().strategy = "learned";
  EXPECT_EQ(Search(asked)->rerank->strategy, "learned");
}

TEST_F(RankingTest, TheCollectionsChoiceHoldsWhereTheSearchSaysNothing) {
  Fill(5, "learned");
  EXPECT_EQ(Search(Query(3))->rerank->strategy, "learned");
  SearchCall own = Query(3);
  own.rerank.emplace().strategy = "rule";
  EXPECT_EQ(Search(own)->rerank->strategy, "rule");
}

TEST_F(RankingTest, PayloadsAreReadForRankingAndReturnedAsAsked) {
  Fill(3);
  SearchCall call = Query(3);
  call.query.include_payload = false;
  EXPECT_EQ(Search(call)->hits[0].payload, "");
  EXPECT_THAT(reranker_.calls.back().items[0].payload, HasSubstr("title"));
  call.query.include_payload = true;
  call.query.payload_fields = {"n"};
  EXPECT_EQ(Search(call)->hits[0].payload, R"({"n":2})");
}

TEST_F(RankingTest, LongPayloadsAreReadWholeForThePageOnly) {
  Fill(20);
  for (size_t i = 0; i < 20; ++i) Put(i, LongPayload(i));
  const auto reply = Search(Query(2, "words", 1));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(Ids(*reply), ElementsAre("p18", "p17"));
  EXPECT_EQ(reply->hits[0].payload, LongPayload(18));
  EXPECT_EQ(reply->hits[1].payload, LongPayload(17));
  EXPECT_GT(reply->hits[0].score, reply->hits[1].score);  // those of the ranking
  ASSERT_THAT(reranker_.calls.back().items, SizeIs(20));
  for (const rpc::RerankItem& item : reranker_.calls.back().items) {
    EXPECT_LE(item.payload.size(), kExcerptBytes);
    EXPECT_THAT(item.payload, HasSubstr("title"));
  }
  ASSERT_THAT(worker_.queries, SizeIs(2));
  EXPECT_EQ(worker_.queries[1].k, 2u);
  SearchCall some = Query(2);
  some.query.payload_fields = {"n"};
  EXPECT_EQ(Search(some)->hits[0].payload, R"({"n":19})");
  EXPECT_THAT(worker_.queries.back().payload_fields, ElementsAre("n"));
  worker_.queries.clear();
  SearchCall none = Query(2);
  none.query.include_payload = false;
  EXPECT_EQ(Search(none)->hits[0].payload, "");
  EXPECT_THAT(worker_.queries, SizeIs(1));
}

TEST_F(RankingTest, PointsThatChangeBeforeTheirPayloadIsReadAreOfOneVersion) {
  Fill(6);
  for (size_t i = 2; i < 6; ++i) Put(i, LongPayload(i));
  reranker_.silent = true;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  SearchCall call = Query(4);
  call.query.filter =
      std::make_shared<const Filter>(*FilterFromJson(R"({"must":[{"field":"n","exists":true}]})"));
  gateway_->Search(context_, call, [&](auto reply) { result = std::move(reply); });
  Put(5, LongPayload(5, 'y'));
  Put(4, R"({"m":1})");  // does not pass any more
  v1::DeleteRequest gone;
  gone.set_collection("docs");
  gone.set_id("p3");
  gateway_->Delete(context_, gone, [](const auto& r) { ASSERT_TRUE(r.ok()); });
  reranker_.AnswerLate();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("p5", "p2"));
  EXPECT_EQ(result->hits[0].payload, LongPayload(5, 'y'));
  reranker_.silent = false;
  EXPECT_EQ(result->hits[0].version, Search(Query(1))->hits[0].version);
}

TEST_F(RankingTest, TheTimeOfReadingLongPayloadsIsTold) {
  Fill(3);
  Put(2, LongPayload(2));
  reranker_.silent = true;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  gateway_->Search(context_, Query(2), [&](auto reply) { result = std::move(reply); });
  worker_.silent = {GroupId{1}};
  reranker_.AnswerLate();
  timer_.AdvanceMillis(40);
  EXPECT_TRUE(absl::IsUnknown(result.status()));
  worker_.AnswerLate();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->hits[0].payload, LongPayload(2));
  EXPECT_EQ(result->rerank->time_us, 40'000u);
}

TEST_F(RankingTest, InTheVectorOrderLongPayloadsAreWholeToo) {
  Fill(3);
  Put(0, LongPayload(0));
  reranker_.failure = Unavailable("gone");
  const auto reply = Search(Query(2));
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_THAT(Ids(*reply), ElementsAre("p0", "p1"));
  EXPECT_EQ(reply->hits[0].payload, LongPayload(0));
  // Without them there is no answer.
  reranker_.silent = true;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  gateway_->Search(context_, Query(2), [&](auto late) { result = std::move(late); });
  worker_.failing[GroupId{1}] = DataLoss("gone");
  timer_.AdvanceMillis(76);
  EXPECT_TRUE(absl::IsDataLoss(result.status())) << result.status();
}

TEST_F(RankingTest, AfterTheStopNoSearchIsBegun) {
  Fill(3);
  Put(2, LongPayload(2));
  reranker_.silent = true;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  gateway_->Search(context_, Query(2), [&](auto reply) { result = std::move(reply); });
  ranking_->Stop();
  const size_t asked = worker_.queries.size();
  reranker_.AnswerLate();
  EXPECT_TRUE(absl::IsUnavailable(result.status())) << result.status();
  EXPECT_EQ(worker_.queries.size(), asked);
}

TEST_F(RankingTest, TheTimeoutOfASearchBoundsItsReranking) {
  Fill(3);
  Put(0, LongPayload(0));
  reranker_.silent = true;
  SearchCall call = Query(2);
  call.timeout_ms = 20;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  gateway_->Search(context_, call, [&](auto reply) { result = std::move(reply); });
  timer_.AdvanceMillis(21);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->reranked);
  EXPECT_FALSE(result->partial);
  ASSERT_THAT(Ids(*result), ElementsAre("p0", "p1"));
  EXPECT_EQ(result->hits[0].payload, LongPayload(0));
}

TEST_F(RankingTest, PastTheBudgetTheVectorOrderIsReturnedAndMarked) {
  Fill(5);
  reranker_.silent = true;
  absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
  int answers = 0;
  gateway_->Search(context_, Query(2), [&](auto reply) {
    result = std::move(reply);
    ++answers;
  });
  timer_.AdvanceMillis(74);
  EXPECT_TRUE(absl::IsUnknown(result.status()));
  timer_.AdvanceMillis(2);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(Ids(*result), ElementsAre("p0", "p1"));
  EXPECT_FALSE(result->reranked);
  EXPECT_EQ(result->rerank->strategy, "none");
  EXPECT_THAT(result->rerank->reason, HasSubstr("75 ms"));
  reranker_.AnswerLate();
  EXPECT_EQ(answers, 1);
}

TEST_F(RankingTest, WhereNobodySaysABudgetTheRerankersOwnHolds) {
  Fill(5);
  reranker_.budget = 3'000;
  const auto budget_of = [this](SearchCall call) {
    EXPECT_TRUE(Search(std::move(call)).ok());
    return (reranker_.calls.back().deadline_nanos - clock_.MonotonicNanos()) / 1'000'000;
  };
  EXPECT_EQ(budget_of(Query(2)), 3'000);
  SearchCall own = Query(2);
  own.rerank.emplace().budget_ms = 40;
  EXPECT_EQ(budget_of(own), 40);
  SearchCall hurried = Query(2);
  hurried.timeout_ms = 500;
  EXPECT_EQ(budget_of(hurried), 500);
  reranker_.budget = 0;  // not known yet
  EXPECT_EQ(budget_of(Query(2)), 75);
}

TEST_F(RankingTest, AFailedRerankerCostsNothingButTheOrder) {
  Fill(5);
  reranker_.failure = Unavailable("gone");
  const auto reply = Search(Query(2));
  ASSERT_TRUE(reply.ok());
  EXPECT_THAT(Ids(*reply), ElementsAre("p0", "p1"));
  EXPECT_EQ(reply->rerank->reason, "gone");
}

TEST_F(RankingTest, ExplainsEachPlace) {
  Fill(5);
  SearchCall call = Query(2, "words", 1);
  call.query.explain = true;
  const auto reply = Search(call);
  ASSERT_THAT(reply->rerank_explain, SizeIs(2));
  EXPECT_EQ(reply->rerank_explain[0].id, "p3");
  EXPECT_EQ(reply->rerank_explain[0].vector_rank, 4u);
  EXPECT_FLOAT_EQ(reply->rerank_explain[0].distance, 9);
}

TEST_F(RankingTest, RefusesBadOptions) {
  Fill(1);
  SearchCall call = Query(3);
  call.rerank.emplace().strategy = "magic";
  EXPECT_TRUE(absl::IsInvalidArgument(Search(call).status()));
  call = Query(kMaxRerankCandidates + 1);
  EXPECT_TRUE(Search(call).ok());  // not asked for by name: the vector order
  call.rerank.emplace().strategy = "rule";
  EXPECT_TRUE(absl::IsInvalidArgument(Search(call).status()));
}

}  // namespace
}  // namespace vectron::gateway
