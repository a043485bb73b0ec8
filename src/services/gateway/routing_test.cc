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
  void Set(uint64_t epoch, const std::vector<uint64_t>& replicas, uint64_t leader) {
    auto record = std::make_shared<rpc::CollectionRecord>();
    record->schema.name = "docs";
    rpc::ShardPlacement& shard = record->shards.emplace_back();
    shard.group = GroupId{7};
    shard.epoch = epoch;
    for (const uint64_t id : replicas) shard.replicas.push_back(WorkerId{id});
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
                 .deadline_nanos = deadline_nanos,
                 .send =
                     [this](rpc::WorkerApi& worker, const rpc::ShardTarget& target, int64_t,
                            const std::function<void(absl::Status)>& done) {
                       for (auto& [id, known] : workers_) {
                         if (&known != &worker) continue;
                         asked_.push_back(id);
                         epochs_.push_back(target.epoch);
                         done(answers_[id]);
                       }
                     },
                 .done =
                     [this](const absl::Status& status, const RecordPtr&) {
                       EXPECT_FALSE(done_) << "answered twice";
                       done_ = true;
                       status_ = status;
                     }});
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

TEST_F(RoutingTest, KeepsRetriesWithinTheirBudget) {
  RetryBudget budget(clock_, 10);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += budget.Take() ? 1 : 0;
  EXPECT_EQ(taken, 10);
  clock_.AdvanceMillis(1'000);
  EXPECT_TRUE(budget.Take());
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
