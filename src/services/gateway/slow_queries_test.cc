#include "services/gateway/slow_queries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "services/gateway/fakes_for_test.h"

namespace vectron::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;

class SlowQueriesTest : public testing::Test {
 protected:
  SlowQueriesTest() { Reopen(); }
  void Reopen() {
    log_.reset();
    auto log =
        SlowQueryLog::Open({.path = dir_ / "slow.jsonl", .threshold_ms = 100},
                           {.files = files_.get(), .clock = &clock_, .executor = &executor_});
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  // A search that takes so long and ends like that; what its caller sees.
  absl::StatusOr<SearchReply> Search(SearchCall call, int64_t millis,
                                     absl::StatusOr<SearchReply> end) {
    rpc::CallContext context;
    context.tenant = "user-1";
    context.start_nanos = clock_.MonotonicNanos();
    absl::StatusOr<SearchReply> seen = absl::UnknownError("");
    SlowQueryLog::Progress progress;
    SlowQueryLog::Done done = [&seen](absl::StatusOr<SearchReply> reply) {
      seen = std::move(reply);
    };
    log_->Watch(context, call, progress, done);
    traced_ = call.query.trace;
    clock_.AdvanceMillis(millis);
    done(std::move(end));
    return seen;
  }
  static SearchReply Reply(const std::string& query_id) {
    SearchReply reply;
    reply.query_id = query_id;
    reply.traces.push_back({.shard_id = 2, .plan = "graph", .reason = "no filter", .hops = 40});
    return reply;
  }
  static SearchCall Call(const std::string& collection) {
    SearchCall call;
    call.collection = collection;
    call.top_k = 7;
    return call;
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  ManualClock clock_;
  InlineExecutor executor_;
  std::unique_ptr<SlowQueryLog> log_;
  bool traced_ = false;
};

TEST_F(SlowQueriesTest, KeepsWhatWasSlowWithThePlanOfEveryShard) {
  ASSERT_TRUE(Search(Call("docs"), 99, Reply("quick")).ok());
  ASSERT_TRUE(Search(Call("docs"), 100, Reply("slow")).ok());
  EXPECT_TRUE(traced_);
  const auto newest = log_->Newest("", 10);
  ASSERT_EQ(newest.size(), 1u);
  EXPECT_EQ(newest[0].query_id(), "slow");
  EXPECT_EQ(newest[0].collection(), "docs");
  EXPECT_EQ(newest[0].owner(), "user-1");
  EXPECT_EQ(newest[0].top_k(), 7u);
  EXPECT_EQ(newest[0].duration_ms(), 100);
  ASSERT_EQ(newest[0].shards_size(), 1);
  EXPECT_EQ(newest[0].shards(0).plan(), "graph");
  EXPECT_EQ(newest[0].shards(0).hops(), 40u);
  EXPECT_EQ(log_->total(), 1u);
}

TEST_F(SlowQueriesTest, TheCallerSeesOnlyWhatItAskedFor) {
  SearchReply seen = *Search(Call("docs"), 500, Reply("a"));
  EXPECT_FALSE(seen.explain);
  EXPECT_TRUE(seen.traces.empty());
  SearchCall call = Call("docs");
  call.query.explain = true;
  seen = *Search(std::move(call), 500, Reply("b"));
  EXPECT_TRUE(seen.explain);
  EXPECT_EQ(seen.traces.size(), 1u);
}

TEST_F(SlowQueriesTest, ASlowFailureIsLoggedByItsCodeAlone) {
  const auto seen = Search(Call("docs"), 500, absl::UnavailableError("shard 3: secret"));
  EXPECT_TRUE(absl::IsUnavailable(seen.status()));
  EXPECT_EQ(log_->Newest("", 1)[0].error(), "Unavailable");
  EXPECT_THAT(*files_->ReadAll(dir_ / "slow.jsonl"), Not(HasSubstr("secret")));
}

TEST_F(SlowQueriesTest, FiltersAreShownWithoutTheirValues) {
  const auto filter = FilterFromJson(
      R"({"must":[{"field":"year","range":{"gte":1987}},{"field":"tags[]","match":"secret"}],)"
      R"("must_not":[{"field":"a.b","exists":true},{"has_id":["secret"]}]})");
  ASSERT_TRUE(filter.ok());
  EXPECT_EQ(FilterShape(*filter), "must: year range, tags[] match; must_not: a.b exists, has_id");
  std::string many = R"({"must":[)";
  for (int i = 0; i < 200; ++i) {
    many += (i == 0 ? "" : ",") + std::string(R"({"field":"fäld","exists":true})");
  }
  const auto large = FilterFromJson(many + "]}");
  ASSERT_TRUE(large.ok());
  EXPECT_LE(FilterShape(*large).size(), kMaxFilterShapeBytes + 3);
}

TEST_F(SlowQueriesTest, SurvivesARestartAndADamagedLine) {
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(Search(Call("c"), 500, Reply(fmt::format("q{}", i))).ok());
  std::string text = *files_->ReadAll(dir_ / "slow.jsonl");
  text.replace(text.find("\"q1\""), 4, "q1\"}\"");
  ASSERT_TRUE(files_->WriteAtomically(dir_ / "slow.jsonl", text).ok());
  Reopen();
  ASSERT_TRUE(Search(Call("d"), 500, Reply("q3")).ok());
  std::vector<std::string> ids;
  for (const auto& query : log_->Newest("", 10)) ids.push_back(query.query_id());
  EXPECT_THAT(ids, testing::ElementsAre("q3", "q2", "q0"));
  EXPECT_EQ(log_->Newest("d", 10).size(), 1u);
  EXPECT_EQ(log_->Newest("", 2).size(), 2u);
}

TEST_F(SlowQueriesTest, MemoryAndFilesStayBounded) {
  SearchReply reply = Reply("x");
  reply.traces.resize(400, reply.traces[0]);  // 100 KB of JSON each
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Search(Call("c"), 500, reply).ok());
  EXPECT_EQ(log_->total(), 300u);
  EXPECT_LE(files_->ReadAll(dir_ / "slow.jsonl")->size(), SlowQueryLog::kMaxFileBytes);
  EXPECT_LE(files_->ReadAll(dir_ / "slow.jsonl.1")->size(), SlowQueryLog::kMaxFileBytes);
  EXPECT_EQ(files_->List(dir_.path())->size(), 2u);
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(Search(Call("c"), 500, Reply("y")).ok());
  EXPECT_EQ(log_->Newest("", 10'000).size(), SlowQueryLog::kKept);
}

}  // namespace
}  // namespace vectron::gateway
