#include "services/gateway/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/limits.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/ranking_testing.h"

namespace vectron::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_F(RankingTest, FeedbackJoinsItsAnswerOncePerResult) {
  Fill(5, "learned");
  const auto reply = Search(Query(3));
  const auto first = Click(reply->query_id, "p4");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->learned_items(), 1u);
  EXPECT_THAT(first->feedback_id(), SizeIs(36));
  EXPECT_EQ(Click(reply->query_id, "p4")->learned_items(), 0u);   // has counted
  EXPECT_EQ(Click(reply->query_id, "p0")->learned_items(), 0u);   // was not shown
  EXPECT_EQ(Click("no such answer", "p4")->learned_items(), 0u);  // unknown
  EXPECT_EQ(Click(reply->query_id, "unknown")->learned_items(), 0u);
  timer_.AdvanceMillis(1'000);
  ASSERT_THAT(reranker_.learned, SizeIs(1));
  EXPECT_EQ(reranker_.learned[0].impression(), "impression of " + reply->query_id);
  EXPECT_EQ(reranker_.learned[0].items(0).id(), "p4");
  EXPECT_EQ(List().records_size(), 5);  // all of it is stored
}

TEST_F(RankingTest, FeedbackWithoutAQueryIdJoinsByWhatWasShown) {
  Fill(5, "learned");
  const auto reply = Search(Query(3));
  v1::SubmitFeedbackRequest request;
  request.set_collection("docs");
  request.set_query("words");
  for (const std::string& id : Ids(*reply)) request.add_result_ids(id);
  v1::FeedbackItem& item = *request.add_feedback_items();
  item.set_result_id("p3");
  item.set_relevance_score(5);
  EXPECT_EQ(Submit(request)->learned_items(), 1u);
  clock_.AdvanceMillis(kImpressionUnnamedLifeMs + 1);
  item.set_result_id("p2");
  EXPECT_EQ(Submit(request)->learned_items(), 0u);
  (*request.mutable_context())["query_id"] = reply->query_id;
  EXPECT_EQ(Submit(request)->learned_items(), 1u);
}

TEST_F(RankingTest, AnotherTenantsAnswerIsUnknown) {
  Fill(5, "learned");
  const auto reply = Search(Query(3));
  context_.tenant = "other";
  EXPECT_TRUE(absl::IsNotFound(Click(reply->query_id, "p4").status()));
}

TEST_F(RankingTest, RefusesBadFeedback) {
  Fill(1);
  v1::SubmitFeedbackRequest request;
  request.set_collection("nothing");
  EXPECT_TRUE(absl::IsNotFound(Submit(request).status()));
  request.set_collection("docs");
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));
  v1::FeedbackItem& item = *request.add_feedback_items();
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));  // no id
  item.set_result_id("p0");
  item.set_relevance_score(6);
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));
  item.set_relevance_score(-1);
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));
  item.set_relevance_score(5);
  EXPECT_TRUE(Submit(request).ok());
  item.set_comment(std::string(kMaxFeedbackBytes, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(Submit(request).status()));
}

TEST_F(RankingTest, FeedbackIsListedAsItCamePageByPage) {
  Fill(3);
  v1::SubmitFeedbackRequest request;
  request.set_collection("docs");
  request.set_query("päge \"1\"");
  request.set_query_id("q");
  request.add_result_ids("p\"0");
  (*request.mutable_context())["user_id"] = "u\n1";
  for (int i = 0; i < 2; ++i) {
    v1::FeedbackItem& item = *request.add_feedback_items();
    item.set_result_id(fmt::format("p{}", i));
    item.set_clicked(i == 0);
    item.set_relevance_score(i);
    item.set_position(i + 1);
    item.set_comment("good");
  }
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Submit(request).ok());
  const v1::ListFeedbackResponse first = List(0, 3);
  ASSERT_EQ(first.records_size(), 3);
  const v1::FeedbackRecord& record = first.records(0);
  EXPECT_EQ(record.query(), request.query());
  EXPECT_EQ(record.result_ids(0), request.result_ids(0));
  EXPECT_EQ(record.context().at("user_id"), "u\n1");
  ASSERT_EQ(record.feedback_items_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(record.feedback_items(i).SerializeAsString(),
              request.feedback_items(i).SerializeAsString());
  }
  const v1::ListFeedbackResponse rest = List(first.next_after_number(), 3);
  EXPECT_EQ(rest.records_size(), 2);
  EXPECT_EQ(rest.next_after_number(), 0u);
  EXPECT_EQ(first.total(), 5u);
  EXPECT_EQ(rest.total(), 5u);
}

TEST_F(RankingTest, AFullStoreRefusesAndGoesOnReading) {
  Open(64 << 10);
  Fill(1);
  v1::SubmitFeedbackRequest request;
  request.set_collection("docs");
  v1::FeedbackItem& item = *request.add_feedback_items();
  item.set_result_id("p0");
  item.set_comment(std::string(4'000, 'x'));
  absl::Status last;
  int stored = 0;
  for (; stored < 100 && last.ok(); ++stored) last = Submit(request).status();
  EXPECT_TRUE(absl::IsResourceExhausted(last)) << last;
  EXPECT_THAT(std::string(MessageOf(last)), HasSubstr("full"));
  EXPECT_GT(rpc::RetryAfterMillis(last).value_or(0), 0);
  EXPECT_EQ(List().records_size(), stored - 1);
  // What was not stored has not counted: the next try is learned from.
  const auto reply = Search(Query(1));
  ASSERT_TRUE(reply.ok()) << reply.status();
  request.set_query_id(reply->query_id);
  item.set_clicked(true);
  EXPECT_TRUE(absl::IsResourceExhausted(Submit(request).status()));
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((dir_ / "feedback.db").c_str(), &db), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(db, "DELETE FROM feedback_item; DELETE FROM feedback", nullptr, nullptr,
                         nullptr),
            SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
  const auto again = Submit(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->learned_items(), 1u);
  EXPECT_EQ(Submit(request)->learned_items(), 0u);
}

TEST_F(RankingTest, CallsAModelByTheNameOfItsCollection) {
  Fill(1);
  rpc::RpcRegistry registry(metrics_, clock_, {});
  ASSERT_TRUE(registry.AddService("vectron.v1.VectronService").ok());
  ranking_->Register(registry);
  const auto call = [&](const char* name, auto request) {
    request.set_collection("docs");
    reranker::v1::ModelStatus response;
    absl::StatusOr<reranker::v1::ModelStatus> result = absl::UnknownError("no answer yet");
    registry.Find(std::string("vectron.v1.VectronService.") + name)
        ->unary(context_, request, response, [&](const absl::Status& status) {
          result = status.ok() ? absl::StatusOr<reranker::v1::ModelStatus>(response) : status;
        });
    return result;
  };
  const auto model = call("GetRanking", v1::GetRankingRequest());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->collection(), "docs");
  const auto control = call("ControlRanking", v1::ControlRankingRequest());
  EXPECT_EQ(MessageOf(control.status()), "collection 'docs': nothing learned");
}

TEST_F(RankingTest, FeedbackWaitsForTheRerankerAcrossARestart) {
  Fill(5, "learned");
  reranker_.failure = absl::OkStatus();
  const std::string query_id = Search(Query(3))->query_id;
  reranker_.failure = Unavailable("down");
  ASSERT_TRUE(Click(query_id, "p4").ok());
  timer_.AdvanceMillis(5'000);
  EXPECT_THAT(reranker_.learned, SizeIs(0));
  Open(0);  // the gateway starts again
  reranker_.failure = absl::OkStatus();
  timer_.AdvanceMillis(1'000);
  ASSERT_THAT(reranker_.learned, SizeIs(1));
  // Not durable yet: a reranker that lost it is sent it again.
  reranker_.learned.clear();
  Open(0);
  timer_.AdvanceMillis(1'000);
  ASSERT_THAT(reranker_.learned, SizeIs(1));
  reranker_.durable = reranker_.learned[0].number();
  ASSERT_TRUE(Click(query_id, "p3").ok());
  reranker_.learned.clear();
  Open(0);
  timer_.AdvanceMillis(2'000);
  EXPECT_LE(reranker_.learned.size(), 1u);
}

TEST_F(RankingTest, OldFeedbackGoes) {
  Fill(1);
  ASSERT_TRUE(Click("q", "p0").ok());
  clock_.AdvanceMillis(int64_t{31} * 86'400'000);
  ASSERT_TRUE(Click("q", "p0").ok());
  timer_.AdvanceMillis(120'000);
  EXPECT_EQ(List().records_size(), 1);
}

TEST_F(RankingTest, FeedbackGoesWithItsCollection) {
  Fill(5, "learned");
  v1::SubmitFeedbackRequest request;
  request.set_collection("docs");
  request.set_query("planted-text");
  request.add_feedback_items()->set_result_id("p0");
  reranker_.failure = Unavailable("down");  // what is queued stays
  ASSERT_TRUE(Submit(request).ok());
  reranker_.failure = absl::OkStatus();
  const std::string query_id = Search(Query(3))->query_id;
  reranker_.failure = Unavailable("down");
  ASSERT_TRUE(Click(query_id, "p4").ok());
  const FeedbackSubject first = {
      .tenant = "",
      .collection = "docs",
      .made_unix_ms = placement_.FindCollection("", "docs")->created_unix_ms};
  ASSERT_EQ(List().records_size(), 2);
  placement_.DeleteCollection("", "docs", [](const absl::Status& s) { ASSERT_TRUE(s.ok()); });
  Fill(1);
  EXPECT_EQ(List().records_size(), 0) << "another collection of that name";
  ASSERT_TRUE(Click("q", "p0").ok());
  const auto stored = [&](const FeedbackSubject& subject) {
    const auto store = FeedbackStore::Open({.path = dir_ / "feedback.db"}, clock_, inline_);
    int records = -1;
    (*store)->List(subject, 0, 100, [&](auto page) { records = page->records_size(); });
    return records;
  };
  EXPECT_EQ(stored(first), 2);
  timer_.AdvanceMillis(180'000);
  EXPECT_EQ(stored(first), 0);
  EXPECT_EQ(List().records_size(), 1) << "that of the present one stays";
  reranker_.failure = absl::OkStatus();
  timer_.AdvanceMillis(5'000);
  EXPECT_THAT(reranker_.learned, SizeIs(0)) << "nor is anything learned of it any more";
}

TEST_F(RankingTest, AMapWithoutACollectionForAMomentCostsNoFeedback) {
  Fill(1);
  ASSERT_TRUE(Click("q", "p0").ok());
  const auto record = placement_.FindCollection("", "docs");
  placement_.DeleteCollection("", "docs", [](const absl::Status&) {});
  timer_.AdvanceMillis(59'000);
  placement_.Put(record);
  timer_.AdvanceMillis(180'000);
  EXPECT_EQ(List().records_size(), 1);
}

TEST(FeedbackStore, TakesAFileOfVersionOne) {
  const TempDir dir;
  ManualClock clock;
  InlineExecutor inline_executor;
  { ASSERT_TRUE(FeedbackStore::Open({.path = dir / "f.db"}, clock, inline_executor).ok()); }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((dir / "f.db").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(db,
                   "ALTER TABLE feedback DROP COLUMN made_unix_ms; PRAGMA user_version = 1;"
                   "INSERT INTO feedback VALUES (1, 'id', 5000, 't', 'c', 'q', '', '[]', '{}')",
                   nullptr, nullptr, nullptr),
      SQLITE_OK)
      << sqlite3_errmsg(db);
  sqlite3_close(db);
  const auto store = FeedbackStore::Open({.path = dir / "f.db"}, clock, inline_executor);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto listed = [&](int64_t made_unix_ms) {
    int records = -1;
    (*store)->List({.tenant = "t", .collection = "c", .made_unix_ms = made_unix_ms}, 0, 10,
                   [&](auto page) { records = page->records_size(); });
    return records;
  };
  EXPECT_EQ(listed(4'000), 1);
  EXPECT_EQ(listed(6'000), 0) << "of a collection that was there before";
}

TEST(Impressions, KeepToTheirBytes) {
  ManualClock clock;
  Impressions impressions(clock, 10'000);
  for (int i = 0; i < 100; ++i) {
    ShownAnswer answer;
    answer.query_id = fmt::format("q{}", i);
    answer.collection = "c";
    answer.ids = {"a"};
    answer.learnable = 1;
    answer.impression = std::string(500, 'x');
    impressions.Add(std::move(answer));
  }
  EXPECT_LT(impressions.size(), 15u);
  EXPECT_GT(impressions.size(), 8u);
  v1::SubmitFeedbackRequest request;
  request.set_collection("c");
  request.set_query_id("q0");
  request.add_feedback_items()->set_result_id("a");
  request.mutable_feedback_items(0)->set_clicked(true);
  EXPECT_FALSE(impressions.Join("", request).has_value());
  request.set_query_id("q99");
  EXPECT_TRUE(impressions.Join("", request).has_value());
}

}  // namespace
}  // namespace vectron::gateway
