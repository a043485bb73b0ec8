#pragma once

// What tests of ranking share: a reranker that turns lists round, and a gateway with a worker.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/temp_dir.h"
#include "model/payload.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/gateway.h"
#include "services/gateway/ranking.h"

namespace vectron::gateway {

// Turns the list round; answers at once or when told to.
class FakeReranker : public rpc::RerankerApi {
 public:
  bool silent = false;
  uint32_t budget = 0;
  absl::Status failure;
  std::vector<rpc::RerankCall> calls;
  std::vector<reranker::v1::LearnRecord> learned;
  uint64_t durable = 0;

  uint32_t budget_ms() const override { return budget; }
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
  // A point of those anew, with this payload.
  void Put(size_t number, const std::string& payload) {
    UpsertCall call;
    call.collection = "docs";
    call.points.dimension = 2;
    call.points.ids.push_back(fmt::format("p{}", number));
    call.points.vectors = {static_cast<float>(number), 1};
    call.points.payloads.push_back(payload);
    gateway_->Upsert(context_, std::move(call), [](const auto& r) { ASSERT_TRUE(r.ok()); });
  }
  static std::string LongPayload(size_t number, char filling = 'x') {
    return fmt::format(R"({{"n":{},"body":"{}","title":"x"}})", number,
                       std::string(8 * kExcerptBytes, filling));
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

}  // namespace vectron::gateway
