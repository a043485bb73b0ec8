#include "services/gateway/routing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "services/gateway/fakes_for_test.h"

namespace vectron::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;
using ::testing::SizeIs;

// A map of one collection with one shard, and what a refresh makes of it.
class MapOfOne : public FakePlacement {
 public:
  void Set(uint64_t epoch, const std::vector<uint64_t>& workers, uint64_t leader,
           const std::vector<uint64_t>& readers = {}) {
    auto record = std::make_shared<rpc::CollectionRecord>();
    record->schema.name = "docs";
    rpc::ShardPlacement& shard = record->shards.emplace_back();
    shard.group = GroupId{7};
    shard.epoch = epoch;
    for (const uint64_t id : workers) shard.replicas.push_back(WorkerId{id});
    for (const uint64_t id : readers) shard.readers.push_back(WorkerId{id});
    shard.leader = WorkerId{leader};
    record_ = std::move(record);
  }
  RecordPtr FindCollection(const std::string&, const std::string&) override { return record_; }
  void Refresh(std::function<void()> done) override {
    ++refreshes;
    if (on_refresh) on_refresh();
    done();
  }
  void Drop() { record_ = nullptr; }

  int refreshes = 0;
  std::function<void()> on_refresh;

 private:
  RecordPtr record_;
};

class RoutingTest : public testing::Test {
 protected:
  RoutingTest() { map_.Set(1, {1, 2, 3}, 1); }

  RouterDeps Hedged(int64_t delay_ms) {
    RouterDeps deps = Deps(1'000);
    deps.hedge = {.mode = HedgeOptions::Mode::kFixed, .delay_ms = delay_ms};
    return deps;
  }
  RouterDeps Deps(int64_t patience_ms) {
    return {.placement = &map_,
            .worker_of = [this](WorkerId id) -> rpc::WorkerApi* {
              const auto found = workers_.find(id.value);
              return found == workers_.end() ? nullptr : &found->second;
            },
            .clock = &clock_,
            .timer = &timer_,
            .patience_ms = patience_ms,
            .seed = 1};
  }
  // Sends a part; what each worker answers is in answers_, by id.
  void Send(Router& router, RouteTo to = RouteTo::kLeader, int64_t deadline_nanos = 0) {
    router.Send({.record = map_.FindCollection("", "docs"),
                 .ordinal = ShardOrdinal{0},
                 .to = to,
                 .write = to == RouteTo::kLeader,
                 .read = to == RouteTo::kLeader ? std::nullopt : std::optional(ReadKind::kGet),
                 .deadline_nanos = deadline_nanos,
                 .send = [this](PartCall call) { OnSent(std::move(call)); },
                 .done =
                     [this](const absl::Status& status, const RecordPtr&) {
                       EXPECT_FALSE(done_) << "answered twice";
                       done_ = true;
                       status_ = status;
                     }});
  }

  void OnSent(PartCall call) {
    for (auto& [id, known] : workers_) {
      if (&known != &call.worker) continue;
      asked_.push_back(id);
      epochs_.push_back(call.target.epoch);
      if (call.cancellation != nullptr) {
        call.cancellation->SetHook([this, id = id] { called_off_.push_back(id); });
      }
      if (!silent_) return call.ended(answers_[id], [this, id = id] { kept_.push_back(id); });
      under_way_.emplace(id, std::move(call));
    }
  }
  // The answer of a worker that was silent.
  void Answer(uint64_t id, const absl::Status& status) {
    const auto call = under_way_.find(id);
    ASSERT_NE(call, under_way_.end());
    const auto ended = std::move(call->second.ended);
    under_way_.erase(call);
    ended(status, [this, id] { kept_.push_back(id); });
  }

  ManualClock clock_;
  ManualTimer timer_{clock_};
  MapOfOne map_;
  std::map<uint64_t, FakeWorker> workers_ = [] {
    std::map<uint64_t, FakeWorker> workers;
    for (uint64_t id = 1; id <= 3; ++id) workers[id];
    return workers;
  }();
  std::map<uint64_t, absl::Status> answers_;
  std::vector<uint64_t> asked_;
  std::vector<uint64_t> epochs_;
  bool silent_ = false;  // nobody answers but by Answer
  std::map<uint64_t, PartCall> under_way_;
  std::vector<uint64_t> kept_;        // whose answers counted
  std::vector<uint64_t> called_off_;  // whose calls were
  bool done_ = false;
  absl::Status status_;
};

TEST_F(RoutingTest, RefreshesAStaleMapAndSendsOnceMore) {
  for (const int64_t patience_ms : {0, 1'000}) {  // in a single process too
    map_.Set(1, {1, 2, 3}, 1);
    asked_.clear();
    done_ = false;
    Router router(Deps(patience_ms));
    answers_[1] = FailedPrecondition("epoch 1 is old");
    map_.on_refresh = [this] {
      map_.Set(2, {2, 3}, 2);
      answers_[2] = absl::OkStatus();
    };
    Send(router);
    ASSERT_TRUE(done_);
    EXPECT_TRUE(status_.ok()) << status_;
    EXPECT_THAT(asked_, ElementsAre(1, 2));
    EXPECT_EQ(epochs_.back(), 2U);
  }
}

TEST_F(RoutingTest, GivesUpWhenARefreshChangesNothing) {
  Router router(Deps(0));
  answers_[1] = FailedPrecondition("not here");
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status_));
  EXPECT_THAT(asked_, ElementsAre(1));
  EXPECT_EQ(map_.refreshes, 1);
}

TEST_F(RoutingTest, StopsRefreshingAfterAFewTimes) {
  Router router(Deps(60'000));
  for (uint64_t id = 1; id <= 3; ++id) answers_[id] = FailedPrecondition("not here");
  uint64_t epoch = 1;
  map_.on_refresh = [&] { map_.Set(++epoch, {1, 2, 3}, 1); };
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status_));
  EXPECT_EQ(map_.refreshes, kMaxMapRefreshes);
}

TEST_F(RoutingTest, TellsThatTheCollectionIsGone) {
  Router router(Deps(1'000));
  answers_[1] = FailedPrecondition("not here");
  map_.on_refresh = [this] { map_.Drop(); };
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(absl::IsFailedPrecondition(status_));
}

TEST_F(RoutingTest, FollowsTheHintAndRemembersTheLeader) {
  Router router(Deps(1'000));
  answers_[1] = rpc::WithLeaderHint(Unavailable("not the leader"), WorkerId{3});
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(status_.ok());
  EXPECT_THAT(asked_, ElementsAre(1, 3));
  done_ = false;
  Send(router);
  EXPECT_THAT(asked_, ElementsAre(1, 3, 3));
  // It steps down: what was learned is forgotten, the others are tried.
  answers_[3] = Unavailable("not reached");
  answers_[1] = absl::OkStatus();
  done_ = false;
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(status_.ok());
  EXPECT_THAT(asked_, ElementsAre(1, 3, 3, 3, 1));
}

TEST_F(RoutingTest, IsNotFooledByReplicasThatNameEachOther) {
  Router router(Deps(1'000));
  answers_[1] = rpc::WithLeaderHint(Unavailable("not the leader"), WorkerId{2});
  answers_[2] = rpc::WithLeaderHint(Unavailable("not the leader"), WorkerId{1});
  answers_[3] = absl::OkStatus();
  Send(router);
  ASSERT_TRUE(done_);
  EXPECT_TRUE(status_.ok());
  EXPECT_THAT(asked_, SizeIs(Le(7)));
}

TEST_F(RoutingTest, WaitsForALeaderUntilThereIsOne) {
  Router router(Deps(10'000));
  for (uint64_t id = 1; id <= 3; ++id) answers_[id] = Unavailable("no leader");
  Send(router);
  EXPECT_FALSE(done_);
  timer_.AdvanceMillis(2'000);
  EXPECT_FALSE(done_);
  EXPECT_THAT(asked_, SizeIs(Le(60)));  // pauses grow
  EXPECT_THAT(asked_, SizeIs(Ge(15)));
  answers_[2] = absl::OkStatus();
  timer_.AdvanceMillis(kRouteMaxPauseMs);
  EXPECT_TRUE(done_);
  EXPECT_TRUE(status_.ok());
  EXPECT_EQ(timer_.waiting(), 0U);
}

TEST_F(RoutingTest, EndsWithTheLastErrorAtItsDeadlineOrWhenPatienceEnds) {
  for (uint64_t id = 1; id <= 3; ++id) answers_[id] = Unavailable("no leader");
  Router router(Deps(10'000));
  Send(router, RouteTo::kLeader, clock_.MonotonicNanos() + 500'000'000);
  timer_.AdvanceMillis(501);
  EXPECT_TRUE(done_);
  EXPECT_TRUE(absl::IsUnavailable(status_));
  done_ = false;
  Send(router);
  timer_.AdvanceMillis(9'000);
  EXPECT_FALSE(done_);
  timer_.AdvanceMillis(1'001);
  EXPECT_TRUE(done_);
  EXPECT_TRUE(absl::IsUnavailable(status_));
}

TEST_F(RoutingTest, TriesNobodyTwiceInASingleProcess) {
  Router router(Deps(0));
  answers_[1] = Unavailable("opening");
  Send(router);
  EXPECT_TRUE(done_);
  EXPECT_TRUE(absl::IsUnavailable(status_));
  EXPECT_THAT(asked_, ElementsAre(1));
}

TEST_F(RoutingTest, PassesOnWhatNoOtherReplicaWouldSayBetter) {
  for (const absl::Status& error : {ResourceExhausted("slow down"), InvalidArgument("x"),
                                    AlreadyExists("x"), absl::Status(DeadlineExceeded("late"))}) {
    Router router(Deps(10'000));
    answers_[1] = error;
    done_ = false;
    asked_.clear();
    Send(router);
    EXPECT_TRUE(done_);
    EXPECT_EQ(status_, error);
    EXPECT_THAT(asked_, ElementsAre(1));
  }
}

TEST_F(RoutingTest, ClaimsNotThatNothingWasDoneForWhatItTriedSeveralTimes) {
  Router router(Deps(1'000));
  answers_[1] = Unavailable("lost");
  answers_[2] = answers_[3] = rpc::WithNothingDone(Unavailable("cannot be reached"));
  Send(router, RouteTo::kLeader, clock_.MonotonicNanos() + 1);
  ASSERT_TRUE(done_);
  EXPECT_EQ(status_.message(), "cannot be reached");
  EXPECT_FALSE(rpc::NothingWasDone(status_));
}

TEST_F(RoutingTest, SpreadsReadsThatNeedNotBeFresh) {
  Router router(Deps(10'000));
  std::map<uint64_t, int> counts;
  for (int i = 0; i < 300; ++i) {
    done_ = false;
    Send(router, RouteTo::kAnyReplica);
    ++counts[asked_.back()];
  }
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_GT(counts[id], 50) << id;
  // One that fails is passed over.
  answers_[2] = DataLoss("quarantined");
  for (int i = 0; i < 20; ++i) {
    done_ = false;
    Send(router, RouteTo::kAnyReplica);
    EXPECT_TRUE(done_);
    EXPECT_TRUE(status_.ok());
  }
}

TEST_F(RoutingTest, FindsTheCopyThatIsLeftForAReadThatNeedsNoLeader) {
  for (const uint64_t seed : {1, 2, 3, 4}) {
    map_.Set(1, {1, 2}, 1, {1, 2, 3});  // 3 does not vote
    for (const uint64_t id : {1, 2}) answers_[id] = Unavailable("gone");
    answers_[3] = absl::OkStatus();
    asked_.clear();
    done_ = false;
    RouterDeps deps = Deps(1'000);
    deps.seed = seed;
    Router router(deps);
    Send(router, RouteTo::kAnyReplica);
    ASSERT_TRUE(done_);
    EXPECT_TRUE(status_.ok()) << status_;
    EXPECT_EQ(asked_.back(), 3U);
  }
}

TEST_F(RoutingTest, AsksASecondReplicaForAReadThatIsSlow) {
  Router router(Hedged(30));
  silent_ = true;
  Send(router, RouteTo::kAnyReplica);
  timer_.AdvanceMillis(29);
  ASSERT_THAT(asked_, SizeIs(1));
  timer_.AdvanceMillis(1);
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_NE(asked_[0], asked_[1]);
  timer_.AdvanceMillis(10'000);
  EXPECT_THAT(asked_, SizeIs(2)) << "once";
  EXPECT_FALSE(done_);
  Answer(asked_[1], absl::OkStatus());
  EXPECT_TRUE(done_);
  EXPECT_TRUE(status_.ok());
  EXPECT_THAT(kept_, ElementsAre(asked_[1]));
  EXPECT_THAT(called_off_, testing::Contains(asked_[0]));
  Answer(asked_[0], absl::OkStatus());  // too late, and not looked at
  EXPECT_THAT(kept_, SizeIs(1));
}

TEST_F(RoutingTest, TakesTheFirstAnswerOfTwoAndNoErrorOfTheSecond) {
  Router router(Hedged(30));
  silent_ = true;
  Send(router, RouteTo::kAnyReplica);
  timer_.AdvanceMillis(30);
  Answer(asked_[1], Unavailable("not reached"));
  EXPECT_FALSE(done_);
  Answer(asked_[0], absl::OkStatus());
  EXPECT_TRUE(done_);
  EXPECT_THAT(kept_, ElementsAre(asked_[0]));

  // The first fails while the second is under way.
  asked_.clear();
  kept_.clear();
  done_ = false;
  Send(router, RouteTo::kAnyReplica);
  timer_.AdvanceMillis(30);
  Answer(asked_[0], ResourceExhausted("slow down"));
  EXPECT_FALSE(done_);
  Answer(asked_[1], absl::OkStatus());
  EXPECT_TRUE(done_);
  EXPECT_TRUE(status_.ok());

  // Both fail: the first one's error is the part's.
  asked_.clear();
  done_ = false;
  Send(router, RouteTo::kAnyReplica);
  timer_.AdvanceMillis(30);
  Answer(asked_[0], ResourceExhausted("slow down"));
  Answer(asked_[1], DataLoss("quarantined"));
  EXPECT_TRUE(done_);
  EXPECT_TRUE(absl::IsResourceExhausted(status_));
}

TEST_F(RoutingTest, HedgesNeitherWritesNorFastReadsNorPastTheBudget) {
  Router router(Hedged(30));
  silent_ = true;
  Send(router, RouteTo::kLeader);
  timer_.AdvanceMillis(100);
  EXPECT_THAT(asked_, ElementsAre(1));
  Answer(1, absl::OkStatus());
  silent_ = false;
  done_ = false;
  Send(router, RouteTo::kAnyReplica);
  EXPECT_TRUE(done_);
  EXPECT_EQ(timer_.waiting(), 0U);

  silent_ = true;
  asked_.clear();
  clock_.AdvanceMillis(1'000);
  const rpc::ShardPlacement shard = map_.FindCollection("", "docs")->shards[0];
  for (int64_t i = 0; i < kMaxRetriesPerSecond; ++i) {
    ASSERT_TRUE(router.ChooseSecond(shard, WorkerId{1}).has_value());
  }
  done_ = false;
  Send(router, RouteTo::kAnyReplica);
  timer_.AdvanceMillis(30);
  EXPECT_THAT(asked_, SizeIs(1));
  Answer(asked_[0], absl::OkStatus());
}

TEST_F(RoutingTest, KeepsRetriesWithinTheirBudget) {
  RetryBudget budget(clock_, 10);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += budget.Take() ? 1 : 0;
  EXPECT_EQ(taken, 10);
  clock_.AdvanceMillis(1'000);
  EXPECT_TRUE(budget.Take());
}

TEST_F(RoutingTest, ManyPartsTogetherKeepWithinTheBudget) {
  constexpr int64_t kParts = 2 * kMaxRetriesPerSecond;
  constexpr int64_t kSeconds = 3;
  Router router(Deps(60'000));
  for (const bool stale : {false, true}) {
    // Nobody leads; or each refresh brings a map that is old again.
    for (uint64_t id = 1; id <= 3; ++id) {
      answers_[id] = stale ? FailedPrecondition("epoch is old") : Unavailable("no leader");
    }
    uint64_t epoch = 1;
    if (stale) map_.on_refresh = [this, &epoch] { map_.Set(++epoch, {1, 2, 3}, 1); };
    asked_.clear();
    int64_t ended = 0;
    const int64_t deadline_nanos = clock_.MonotonicNanos() + kSeconds * 1'000'000'000;
    for (int64_t part = 0; part < kParts; ++part) {
      router.Send({.record = map_.FindCollection("", "docs"),
                   .ordinal = ShardOrdinal{0},
                   .write = true,
                   .deadline_nanos = deadline_nanos,
                   .send = [this](PartCall call) { OnSent(std::move(call)); },
                   .done = [&ended](const absl::Status&, const RecordPtr&) { ++ended; }});
    }
    timer_.AdvanceMillis(kSeconds * 1'000);
    EXPECT_EQ(ended, kParts);
    EXPECT_THAT(asked_, SizeIs(Ge(static_cast<size_t>(kParts))));
    // Of each second of the clock that it touches, the first sendings aside.
    EXPECT_THAT(asked_,
                SizeIs(Le(static_cast<size_t>(kParts + (kSeconds + 1) * kMaxRetriesPerSecond))));
  }
}

TEST(RouteOf, GoesByTheRequestElseTheCollection) {
  CollectionSchema schema;
  EXPECT_EQ(RouteOf(Consistency::kUnspecified, schema), RouteTo::kLeader);
  EXPECT_EQ(RouteOf(Consistency::kEventual, schema), RouteTo::kAnyReplica);
  EXPECT_EQ(RouteOf(Consistency::kBounded, schema), RouteTo::kAnyReplica);
  schema.default_consistency = Consistency::kEventual;
  EXPECT_EQ(RouteOf(Consistency::kUnspecified, schema), RouteTo::kAnyReplica);
  EXPECT_EQ(RouteOf(Consistency::kStrong, schema), RouteTo::kLeader);
}

}  // namespace
}  // namespace vectron::gateway
