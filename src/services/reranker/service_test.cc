#include "services/reranker/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::reranker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class RerankerTest : public testing::Test {
 protected:
  std::unique_ptr<Reranker> Make(const RankingConfig& config = {}) {
    auto made = Reranker::Make(config, dir_ / "models",
                               {.files = files_.get(), .clock = &clock_, .metrics = &metrics_});
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
  static rpc::RerankCall Call(const std::string& strategy, size_t count = 12) {
    rpc::RerankCall call;
    call.tenant = "t";
    call.collection = "c";
    call.query = "red apple";
    call.strategy = strategy;
    call.first_page = true;
    call.now_s = 1'767'225'600;
    call.top_n = 10;
    for (size_t i = 0; i < count; ++i) {
      call.items.push_back({.id = fmt::format("d{}", i),
                            .distance = 0.1f + 0.01f * static_cast<float>(i),
                            .payload = fmt::format(R"({{"title":"{}","kind":"k{}"}})",
                                                   i % 3 == 0 ? "red apple" : "pear", i % 4)});
    }
    return call;
  }
  static absl::StatusOr<rpc::RerankReply> Rank(Reranker& reranker, rpc::RerankCall call) {
    absl::StatusOr<rpc::RerankReply> result = Internal("not called");
    reranker.Rerank(std::move(call), [&](auto reply) { result = std::move(reply); });
    return result;
  }
  static v1::LearnFeedbackResponse Learn(Reranker& reranker, v1::LearnFeedbackRequest request) {
    v1::LearnFeedbackResponse marks;
    reranker.Learn(std::move(request), [&](auto reply) { marks = *std::move(reply); });
    return marks;
  }
  // Clicks on one result of an answer, by a user of their own.
  static v1::LearnRecord Click(uint64_t number, const std::string& impression,
                               const std::string& id) {
    v1::LearnRecord record;
    record.set_number(number);
    record.set_tenant("t");
    record.set_collection("c");
    record.set_end_user(fmt::format("u{}", number));
    record.set_impression(impression);
    v1::LearnItem& item = *record.add_items();
    item.set_id(id);
    item.set_clicked(true);
    return record;
  }
  // Feeds clicks on the last shown result.
  void Teach(Reranker& reranker, uint64_t from, uint64_t count) {
    for (uint64_t number = from; number < from + count; ++number) {
      rpc::RerankCall call = Call("learned");
      call.vector_hash = number;
      const absl::StatusOr<rpc::RerankReply> reply = Rank(reranker, call);
      ASSERT_TRUE(reply.ok()) << reply.status();
      v1::LearnFeedbackRequest request;
      request.set_source("s");
      *request.add_records() =
          Click(number, reply->impression, call.items[reply->items.back().index].id);
      EXPECT_EQ(Learn(reranker, request).applied_through(), number);
    }
  }
  static v1::ModelStatus Status(Reranker& reranker) {
    v1::GetModelRequest request;
    request.set_tenant("t");
    request.set_collection("c");
    v1::ModelStatus status;
    reranker.GetModel(request, [&](auto reply) { status = *std::move(reply); });
    return status;
  }
  static absl::StatusOr<v1::ModelStatus> Control(Reranker& reranker, v1::ModelAction action,
                                                 uint64_t version = 0) {
    v1::ControlModelRequest request;
    request.set_tenant("t");
    request.set_collection("c");
    request.set_action(action);
    request.set_version(version);
    absl::StatusOr<v1::ModelStatus> result = Internal("not called");
    reranker.ControlModel(request, [&](auto reply) { result = std::move(reply); });
    return result;
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  ManualClock clock_;
  Metrics metrics_;
};

TEST_F(RerankerTest, RefusesBadCalls) {
  const auto reranker = Make();
  const auto refused = [&](const auto& change) {
    rpc::RerankCall call = Call("rule");
    change(call);
    return absl::IsInvalidArgument(Rank(*reranker, std::move(call)).status());
  };
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.items.clear(); }));
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.top_n = 0; }));
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.items[3].id = " "; }));
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.items[3].distance = NAN; }));
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.strategy = "magic"; }));
  EXPECT_TRUE(refused([](rpc::RerankCall& call) { call.items[0].payload = "{"; }));
}

TEST_F(RerankerTest, OrdersByRuleAndRemembersTheAnswer) {
  const auto reranker = Make();
  rpc::RerankCall call = Call("rule");
  call.explain = true;
  const auto first = Rank(*reranker, call);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->strategy_used, "rule");
  EXPECT_FALSE(first->from_cache);
  ASSERT_EQ(first->items.size(), 10u);
  EXPECT_EQ(first->items[0].index, 0u);
  EXPECT_EQ(first->items[1].index, 3u);
  EXPECT_THAT(first->items[0].explanation, HasSubstr("bm25"));
  for (size_t i = 1; i < 10; ++i) EXPECT_LE(first->items[i].score, first->items[i - 1].score);
  const auto second = Rank(*reranker, call);
  EXPECT_TRUE(second->from_cache);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(second->items[i].index, first->items[i].index);
    EXPECT_EQ(second->items[i].score, first->items[i].score);
    EXPECT_EQ(second->items[i].explanation, first->items[i].explanation);
  }
}

TEST_F(RerankerTest, TakesNothingFromTheCacheThatAnotherQuestionPutThere) {
  const auto reranker = Make();
  rpc::RerankCall dated = Call("rule");
  dated.items[2].payload = R"({"title":"pear","created_at":"2026-01-01T00:00:00Z"})";
  ASSERT_TRUE(Rank(*reranker, dated).ok());
  EXPECT_TRUE(Rank(*reranker, dated)->from_cache);
  const auto fresh = [&](const auto& change) {
    rpc::RerankCall call = dated;
    change(call);
    return !Rank(*reranker, std::move(call))->from_cache;
  };
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.tenant = "u"; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.collection = "d"; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.query = "apple red"; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.strategy = "learned"; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.metric = Metric::kDot; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.items[1].distance += 0.001f; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.items[1].payload = R"({"title":"x"})"; }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.items.pop_back(); }));
  EXPECT_TRUE(fresh([](rpc::RerankCall& call) { call.now_s += 60; }));
  EXPECT_FALSE(fresh([](rpc::RerankCall& call) { call.now_s += 59; }));  // the same minute
}

TEST_F(RerankerTest, InvalidatesByQueryAndByCandidate) {
  const auto reranker = Make();
  const auto invalidate = [&](const std::string& query, const std::string& id) {
    v1::InvalidateCacheRequest request;
    request.set_query(query);
    if (!id.empty()) request.add_candidate_ids(id);
    return reranker->InvalidateCache(request);
  };
  EXPECT_TRUE(absl::IsInvalidArgument(invalidate("", "").status()));
  ASSERT_TRUE(Rank(*reranker, Call("rule")).ok());
  EXPECT_EQ(*invalidate("another", ""), 0u);
  EXPECT_EQ(*invalidate("red apple", "unknown"), 0u);
  EXPECT_EQ(*invalidate("red apple", "d3"), 1u);
  EXPECT_FALSE(Rank(*reranker, Call("rule"))->from_cache);
  EXPECT_EQ(*invalidate("", "d11"), 1u);
}

TEST_F(RerankerTest, ForgetsAfterAMinute) {
  const auto reranker = Make();
  ASSERT_TRUE(Rank(*reranker, Call("rule")).ok());
  clock_.AdvanceMillis(59'000);
  EXPECT_TRUE(Rank(*reranker, Call("rule"))->from_cache);
  clock_.AdvanceMillis(2'000);
  EXPECT_FALSE(Rank(*reranker, Call("rule"))->from_cache);
}

TEST_F(RerankerTest, ServesTheRuleUntilTheModelIsPromotedThenTheModel) {
  const auto reranker = Make();
  rpc::RerankCall plain = Call("learned");
  plain.explore = false;
  const auto before = Rank(*reranker, plain);
  EXPECT_EQ(before->strategy_used, "rule");
  EXPECT_FALSE(before->impression.empty());
  EXPECT_TRUE(absl::IsFailedPrecondition(Control(*reranker, v1::MODEL_PROMOTE).status()));
  Teach(*reranker, 1, 300);
  EXPECT_EQ(Rank(*reranker, plain)->strategy_used, "rule");
  const auto promoted = Control(*reranker, v1::MODEL_PROMOTE);
  ASSERT_TRUE(promoted.ok()) << promoted.status();
  EXPECT_EQ(promoted->state(), "learned");
  const auto after = Rank(*reranker, plain);
  EXPECT_EQ(after->strategy_used, "learned");
  EXPECT_NE(after->items[0].index, before->items[0].index);
  EXPECT_EQ(Control(*reranker, v1::MODEL_ROLLBACK)->state(), "rule");
  EXPECT_EQ(Rank(*reranker, plain)->strategy_used, "rule");
}

TEST_F(RerankerTest, ExploresSomeFirstPagesUnlessToldNotTo) {
  const auto reranker = Make();
  size_t explored = 0;
  for (uint64_t i = 0; i < 400; ++i) {
    rpc::RerankCall call = Call("learned");
    call.vector_hash = i;
    const auto reply = Rank(*reranker, call);
    explored += reply->explored ? 1 : 0;
    for (size_t p = 1; p < reply->items.size(); ++p) {
      EXPECT_LE(reply->items[p].score, reply->items[p - 1].score);
    }
    EXPECT_EQ(Rank(*reranker, call)->items[0].index,
              reply->items[0].index);  // the same within the hour
    call.explore = false;
    EXPECT_FALSE(Rank(*reranker, call)->explored);
    call.explore.reset();
    call.first_page = false;
    EXPECT_TRUE(Rank(*reranker, call)->impression.empty());
  }
  EXPECT_NEAR(static_cast<double>(explored) / 400, 0.3, 0.1);
}

TEST_F(RerankerTest, LearnsEachRecordOnceAndKeepsItOverARestart) {
  std::string weights;
  {
    const auto reranker = Make();
    Teach(*reranker, 1, 120);
    EXPECT_EQ(Status(*reranker).events(), 120u);
    v1::LearnFeedbackRequest again;  // a repeat
    again.set_source("s");
    *again.add_records() = Click(60, "anything", "d1");
    EXPECT_EQ(Learn(*reranker, again).applied_through(), 120u);
    EXPECT_EQ(Status(*reranker).events(), 120u);
    weights = Status(*reranker).weights(0).ShortDebugString();
  }
  const auto reranker = Make();
  EXPECT_EQ(Status(*reranker).events(), 120u);
  EXPECT_EQ(Status(*reranker).weights(0).ShortDebugString(), weights);
  v1::LearnFeedbackRequest ask;
  ask.set_source("s");
  EXPECT_EQ(Learn(*reranker, ask).applied_through(), 120u);
  EXPECT_EQ(Learn(*reranker, ask).durable_through(), 120u);
}

TEST_F(RerankerTest, SkipsWhatIsNoImpressionAndStillCountsIt) {
  const auto reranker = Make();
  v1::LearnFeedbackRequest request;
  request.set_source("s");
  *request.add_records() = Click(7, "no impression", "d1");
  EXPECT_EQ(Learn(*reranker, request).applied_through(), 7u);
  EXPECT_EQ(Status(*reranker).events(), 0u);
}

TEST_F(RerankerTest, FallsBackToTheVersionBeforeADamagedOne) {
  std::string folder;
  {
    const auto reranker = Make();
    Teach(*reranker, 1, 20);
    ASSERT_TRUE(Control(*reranker, v1::MODEL_PROMOTE).ok());   // saves
    ASSERT_TRUE(Control(*reranker, v1::MODEL_ROLLBACK).ok());  // saves again
    EXPECT_EQ(Status(*reranker).versions_size(), 2);
  }
  const std::vector<std::string> names = *files_->List(dir_ / "models");
  for (const std::string& name : names) {
    if (name != "marks") folder = dir_ / ("models/" + name);
  }
  const auto damage = [&](const std::string& name) {
    std::string bytes = *files_->ReadAll(folder + "/" + name);
    bytes[bytes.size() / 2] ^= 1;
    ASSERT_TRUE(files_->WriteAtomically(folder + "/" + name, bytes).ok());
  };
  const std::vector<std::string> versions = *files_->List(folder);
  ASSERT_EQ(versions.size(), 2u);
  damage(versions[1]);
  EXPECT_EQ(Status(*Make()).state(), "learned");  // as the older version has it
  damage(versions[0]);
  EXPECT_EQ(Status(*Make()).state(), "rule");
  EXPECT_EQ(Status(*Make()).events(), 0u);
}

TEST_F(RerankerTest, RestoresASavedVersion) {
  const auto reranker = Make();
  Teach(*reranker, 1, 20);
  ASSERT_TRUE(Control(*reranker, v1::MODEL_PROMOTE).ok());
  Teach(*reranker, 21, 20);
  ASSERT_TRUE(Control(*reranker, v1::MODEL_ROLLBACK).ok());
  EXPECT_EQ(Status(*reranker).events(), 40u);
  const absl::Status unknown = Control(*reranker, v1::MODEL_RESTORE, 99).status();
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_THAT(std::string(MessageOf(unknown)), HasSubstr("version 99"));
  EXPECT_THAT(std::string(MessageOf(unknown)), Not(HasSubstr("/"))) << "no path of the server";
  const auto restored = Control(*reranker, v1::MODEL_RESTORE, 1);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->events(), 20u);
  EXPECT_EQ(restored->state(), "learned");
  EXPECT_EQ(Control(*reranker, v1::MODEL_RESET)->events(), 0u);
}

TEST(RankingConfig, TakesTheDocumentedFormAndRefusesOthers) {
  const auto config = ParseRankingConfig(R"(
    [rerank]
    strategy = "learned"
    budget_ms = 50
    [rerank.rule]
    weights = { similarity = 1, bm25 = 0.5 }
    boosts = [ { field = "pinned", equals = "true", factor = 0.2 } ]
    fields.name = { weight = 2.0, b = 0.5, bytes = 128 }
    [rerank.learned]
    explore = 0.1
  )");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->strategy, "learned");
  EXPECT_EQ(config->rule.fields.size(), 1u);
  EXPECT_EQ(config->rule.boosts[0].field, "pinned");
  EXPECT_NE(ConfigHash(*config), ConfigHash(RankingConfig()));
  for (const char* bad : {"[rerank]\nstrategy = \"magic\"", "[rerank]\nstrategy = \"llm\"",
                          "[rerank]\nspeed = 1", "[rank]\n", "[rerank.learned]\nexplore = 0.4",
                          "[rerank.rule]\nk1 = 0", "[rerank", "x = 1", "[rerank]\nbudget_ms = 75.5",
                          "[rerank.rule]\nboosts = [ { factor = 0.95, field = \"a\" } ]",
                          "[rerank.rule]\nweights = { similarity = nan }"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseRankingConfig(bad).status())) << bad;
  }
}

TEST(RankingConfig, NamesTheNearestKnownKey) {
  const auto said = [](const char* toml) {
    return std::string(MessageOf(ParseRankingConfig(toml).status()));
  };
  EXPECT_EQ(said("[rerank]\nstratgy = \"rule\""),
            "rerank.stratgy: is not known; did you mean \"strategy\"?");
  EXPECT_EQ(said("[rerank.rule.weights]\nsimilar = 1"),
            "rerank.rule.weights.similar: is not known; did you mean \"similarity\"?");
  EXPECT_EQ(said("[rank]"), "rank: is not known; did you mean \"rerank\"?");
  EXPECT_EQ(said("[rerank]\nfrobnicated = 1"), "rerank.frobnicated: is not known");
}

TEST(RankingConfig, ItsReferenceHasEveryKeyWithItsDefault) {
  const std::string reference = RankingReference();
  for (const char* row :
       {"| `rerank.strategy` | `\"rule\"` |", "| `rerank.budget_ms` | `75` |",
        "| `rerank.rule.weights.bm25` | `0.25` |", "| `rerank.learned.auto_promote` | `true` |",
        "| `rerank.llm.usd_per_mtok.in` | `0` |", "| `rerank.cache.megabytes` | `64` |"})
    EXPECT_THAT(reference, HasSubstr(row));
}

}  // namespace
}  // namespace vectron::reranker
