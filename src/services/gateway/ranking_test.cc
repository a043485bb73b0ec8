#include "services/gateway/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "base/limits.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "rpc/error_table.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Turns the list round; answers at once or when told to.
class FakeReranker : public rpc::RerankerApi {
 public:
  bool silent = false;
  absl::Status failure;
  std::vector<rpc::RerankCall> calls;
  std::vector<reranker::v1::LearnRecord> learned;
  uint64_t durable = 0;

  void Rerank(rpc::RerankCall call,
              std::function<void(absl::StatusOr<rpc::RerankReply>)> done) override {
    calls.push_back(call);
    if (silent) return held_.push_back(std::move(done));
    if (!failure.ok()) return done(failure);
    done(Turned(call));
  }
  void Learn(
      reranker::v1::LearnFeedbackRequest request,
      std::function<void(absl::StatusOr<reranker::v1::LearnFeedbackResponse>)> done) override {
    if (!failure.ok()) return done(failure);
    for (const auto& record : request.records()) learned.push_back(record);
    reranker::v1::LearnFeedbackResponse marks;
    if (!learned.empty()) marks.set_applied_through(learned.back().number());
    marks.set_durable_through(durable);
    done(marks);
  }
  void GetModel(reranker::v1::GetModelRequest request,
                std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override {
    reranker::v1::ModelStatus status;
    status.set_collection(request.collection());
    done(status);
  }
  void ControlModel(reranker::v1::ControlModelRequest,
                    std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)> done) override {
    done(FailedPrecondition("nothing learned"));
  }
  void AnswerLate() {
    for (const auto& done : std::exchange(held_, {})) done(Turned(calls.back()));
  }

 private:
  static rpc::RerankReply Turned(const rpc::RerankCall& call) {
    rpc::RerankReply reply;
    const size_t count = call.items.size();
    for (size_t i = 0; i < std::min<size_t>(count, call.top_n); ++i) {
      reply.items.push_back({.index = static_cast<uint32_t>(count - 1 - i),
                             .score = 1.0f - static_cast<float>(i) / static_cast<float>(count),
                             .explanation = "turned"});
    }
    reply.strategy_used = call.strategy.empty() ? "rule" : call.strategy;
    if (call.first_page) reply.impression = "impression of " + call.query_id;
    return reply;
  }
  std::vector<std::function<void(absl::StatusOr<rpc::RerankReply>)>> held_;
};

class RankingTest : public testing::Test {
 protected:
  RankingTest() { Open(0); }
  void Open(uint64_t max_feedback_bytes) {
    gateway_.reset();
    ranking_.reset();
    FeedbackStoreOptions feedback;
    feedback.path = dir_ / "feedback.db";
    feedback.max_bytes = max_feedback_bytes;
    feedback.retention_days = 30;
    RankingDeps deps;
    deps.reranker = &reranker_;
    deps.placement = &placement_;
    deps.clock = &clock_;
    deps.timer = &timer_;
    deps.metrics = &metrics_;
    deps.executor = &inline_;
    deps.seed = ++seed_;  // no id twice
    auto opened = Ranking::Open(feedback, deps);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ranking_ = *std::move(opened);
    ranking_->Start();
    GatewayDeps gateway;
    gateway.placement = &placement_;
    gateway.worker_of = [this](WorkerId) { return &worker_; };
    gateway.clock = &clock_;
    gateway.timer = &timer_;
    gateway.ranking = ranking_.get();
    gateway_ = std::make_unique<Gateway>(gateway);
  }
  // Points p0..p(n-1) at distances 0, 1, 4, ...
  void Fill(size_t count, const std::string& strategy = "") {
    v1::CreateCollectionRequest request;
    request.set_name("docs");
    request.set_dimension(2);
    if (!strategy.empty()) request.mutable_rerank()->set_strategy(strategy);
    gateway_->CreateCollection(context_, request,
                               [](const absl::Status& s) { ASSERT_TRUE(s.ok()); });
    UpsertCall call;
    call.collection = "docs";
    call.points.dimension = 2;
    for (size_t i = 0; i < count; ++i) {
      call.points.ids.push_back(fmt::format("p{}", i));
      call.points.vectors.insert(call.points.vectors.end(), {static_cast<float>(i), 1});
      call.points.payloads.push_back(fmt::format(R"({{"n":{},"title":"x"}})", i));
    }
    gateway_->Upsert(context_, std::move(call), [](const auto& r) { ASSERT_TRUE(r.ok()); });
  }
  static SearchCall Query(uint32_t top_k, const std::string& text = "words", uint32_t offset = 0) {
    SearchCall call;
    call.collection = "docs";
    call.query.vector = {0, 1};
    call.query.k = offset + top_k;
    call.top_k = top_k;
    call.offset = offset;
    call.text = text;
    return call;
  }
  absl::StatusOr<SearchReply> Search(SearchCall call) {
    absl::StatusOr<SearchReply> result = absl::UnknownError("no answer yet");
    gateway_->Search(context_, std::move(call), [&](auto reply) { result = std::move(reply); });
    return result;
  }
  static std::vector<std::string> Ids(const SearchReply& reply) {
    std::vector<std::string> ids;
    for (const SearchHit& hit : reply.hits) ids.push_back(hit.id);
    return ids;
  }
  absl::StatusOr<v1::SubmitFeedbackResponse> Click(const std::string& query_id,
                                                   const std::string& id) {
    v1::SubmitFeedbackRequest request;
    request.set_collection("docs");
    request.set_query_id(query_id);
    v1::FeedbackItem& item = *request.add_feedback_items();
    item.set_result_id(id);
    item.set_clicked(true);
    return Submit(request);
  }
  absl::StatusOr<v1::SubmitFeedbackResponse> Submit(const v1::SubmitFeedbackRequest& request) {
    absl::StatusOr<v1::SubmitFeedbackResponse> result = absl::UnknownError("no answer yet");
    ranking_->Submit(context_, request, [&](auto reply) { result = std::move(reply); });
    return result;
  }
  v1::ListFeedbackResponse List(uint64_t after = 0, uint32_t limit = 0) {
    v1::ListFeedbackRequest request;
    request.set_collection("docs");
    request.set_after_number(after);
    request.set_limit(limit);
    v1::ListFeedbackResponse page;
    ranking_->List(context_, request, [&](auto reply) { page = *std::move(reply); });
    return page;
  }

  uint64_t seed_ = 0;
  TempDir dir_;
  ManualClock clock_;
  ManualTimer timer_{clock_};
  InlineExecutor inline_;
  Metrics metrics_;
  FakePlacement placement_;
  FakeWorker worker_;
  FakeReranker reranker_;
  rpc::CallContext context_;
  std::unique_ptr<Ranking> ranking_;
  std::unique_ptr<Gateway> gateway_;
};

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
  item.clear_comment();
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
