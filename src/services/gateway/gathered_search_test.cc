// Strong searches of several shards that one worker answers.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/status.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/gateway.h"

namespace vectron::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class BusyWorker : public FakeWorker {
 public:
  size_t load() const override { return busy; }
  size_t busy = 0;
};

// A collection "docs" with a shard per element of `leaders`.
class GatheredSearchTest : public testing::Test {
 protected:
  void Place(const std::vector<uint64_t>& leaders, const std::vector<uint64_t>& replicas) {
    auto record = std::make_shared<rpc::CollectionRecord>();
    record->schema.name = "docs";
    record->schema.dimension = 2;
    record->schema.shard_count = static_cast<uint32_t>(leaders.size());
    for (size_t i = 0; i < leaders.size(); ++i) {
      rpc::ShardPlacement& shard = record->shards.emplace_back();
      shard.group = GroupId{i + 1};
      shard.ordinal = ShardOrdinal{static_cast<uint32_t>(i)};
      for (const uint64_t id : replicas) shard.replicas.push_back(WorkerId{id});
      shard.leader = WorkerId{leaders[i]};
      shard.ready = true;
    }
    record_ = record;
    placement_.Put(record);
  }
  static SearchCall Query(Consistency consistency) {
    SearchCall call;
    call.collection = "docs";
    call.query.vector = {0, 1};
    call.query.k = call.top_k = 5;
    call.query.consistency = consistency;
    return call;
  }
  // Searches once; the workers that were asked.
  std::vector<uint64_t> AskedBySearch(Consistency consistency = Consistency::kStrong) {
    return AskedBy(Query(consistency));
  }
  std::vector<uint64_t> AskedBy(SearchCall call) {
    for (auto& [id, worker] : workers_) worker.searched.clear();
    status_ = absl::UnknownError("no answer yet");
    gateway_.Search({}, std::move(call), [this](auto reply) { status_ = reply.status(); });
    return Asked();
  }
  std::vector<uint64_t> Asked() const {
    std::vector<uint64_t> asked;
    for (const auto& [id, worker] : workers_) {
      if (!worker.searched.empty()) asked.push_back(id);
    }
    return asked;
  }

  ManualClock clock_;
  ManualTimer timer_{clock_};
  FakePlacement placement_;
  std::map<uint64_t, BusyWorker> workers_ = [] {
    std::map<uint64_t, BusyWorker> workers;
    for (uint64_t id = 1; id <= 5; ++id) workers[id];
    return workers;
  }();
  std::shared_ptr<rpc::CollectionRecord> record_;  // the newest that was placed
  Gateway gateway_{{.placement = &placement_,
                    .worker_of = [this](WorkerId id) -> rpc::WorkerApi* {
                      const auto found = workers_.find(id.value);
                      return found == workers_.end() ? nullptr : &found->second;
                    },
                    .clock = &clock_,
                    .timer = &timer_,
                    .seed = 1,
                    .patience_ms = 1'000}};
  absl::Status status_;
};

TEST_F(GatheredSearchTest, AskTheWorkerThatLeadsMostOfTheShards) {
  Place({2, 3, 3}, {1, 2, 3});
  workers_[3].busy = 8;
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(3));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_THAT(workers_[3].searched, SizeIs(3));
}

TEST_F(GatheredSearchTest, AskNobodyWhoIsMuchBusierThanAnother) {
  Place({2, 3, 3}, {1, 2, 3});
  workers_[3].busy = 9;
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(2));
  workers_[2].busy = 9;
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(1));
  workers_[1].busy = 1;
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(3));
}

TEST_F(GatheredSearchTest, AskTheLessBusyOfThoseThatLeadAsMany) {
  Place({2, 3}, {1, 2, 3});
  workers_[2].busy = 1;
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(3));
  workers_[2].busy = workers_[3].busy = 0;
  std::set<uint64_t> asked;
  for (int i = 0; i < 50; ++i) {
    const std::vector<uint64_t> ids = AskedBySearch();
    ASSERT_THAT(ids, SizeIs(1));
    asked.insert(ids[0]);
  }
  EXPECT_THAT(asked, ElementsAre(2, 3));
}

TEST_F(GatheredSearchTest, AskNobodyWhoIsBehindOrUnknown) {
  Place({2, 3}, {1, 2, 3});
  for (rpc::ShardPlacement& shard : record_->shards) shard.readers = {WorkerId{1}, WorkerId{3}};
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(3));
  workers_.erase(3);
  EXPECT_THAT(AskedBySearch(), ElementsAre(1));
}

TEST_F(GatheredSearchTest, AskTheLeadersWhereOneWorkerHasNotAll) {
  Place({1, 4}, {1, 2, 3});
  record_->shards[1].replicas = {WorkerId{4}, WorkerId{5}};
  EXPECT_THAT(AskedBySearch(), ElementsAre(1, 4));
}

TEST_F(GatheredSearchTest, AskTheLeadersWhereTheyAreMany) {
  Place({1, 2, 3, 1, 2}, {1, 2, 3});
  EXPECT_THAT(AskedBySearch(), ElementsAre(1, 2, 3));
  Place({1, 2}, {1, 2, 3, 4, 5});
  EXPECT_THAT(AskedBySearch(), ElementsAre(1, 2));
  Place({2}, {1, 2, 3});
  EXPECT_THAT(AskedBySearch(), ElementsAre(2));
}

TEST_F(GatheredSearchTest, AskTheLeaderOfAShardThatTheOneCannotAnswerFor) {
  Place({1, 1, 3}, {1, 2, 3});
  workers_[1].failing[GroupId{3}] = Unavailable("this replica is behind; ask another one");
  EXPECT_THAT(AskedBySearch(), ElementsAre(1, 3));
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_THAT(workers_[3].searched, ElementsAre(GroupId{3}));
  // And nothing of that one for a while.
  for (int i = 0; i < 10; ++i) EXPECT_THAT(AskedBySearch(), ElementsAre(3));
  timer_.AdvanceMillis(kGatherAvoidMs);
  EXPECT_THAT(AskedBySearch(), ElementsAre(1, 3));
}

TEST_F(GatheredSearchTest, BlameNobodyForWhatLiesInTheSearch) {
  Place({1, 1, 3}, {1, 2, 3});
  workers_[1].failing[GroupId{3}] = ResourceExhausted("too many hits");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(AskedBySearch(), ElementsAre(1));
    EXPECT_TRUE(absl::IsResourceExhausted(status_)) << status_;
  }
}

TEST_F(GatheredSearchTest, AskTheLeadersOfWhatIsNotAnsweredInTime) {
  Place({1, 2, 2, 3}, {1, 2, 3});
  workers_[2].silent = {GroupId{1}, GroupId{3}, GroupId{4}};
  EXPECT_THAT(AskedBySearch(), ElementsAre(2));
  timer_.AdvanceMillis(kGatherPatienceMs - 1);
  EXPECT_THAT(Asked(), ElementsAre(2));
  timer_.AdvanceMillis(1);
  EXPECT_THAT(Asked(), ElementsAre(1, 2, 3));
  EXPECT_THAT(workers_[1].searched, ElementsAre(GroupId{1}));
  EXPECT_THAT(workers_[3].searched, ElementsAre(GroupId{4}));
  EXPECT_TRUE(absl::IsUnknown(status_)) << "it leads the third shard itself";
  workers_[2].AnswerLate();
  EXPECT_TRUE(status_.ok()) << status_;
  EXPECT_EQ(timer_.waiting(), 0U);
  EXPECT_THAT(AskedBySearch(), ElementsAre(testing::AnyOf(1, 3))) << "it was late";
}

// Where each shard's answer is worth something by itself.
TEST_F(GatheredSearchTest, AskTheLeadersWhenPartsWillDo) {
  Place({1, 2}, {1, 2, 3});
  SearchCall call = Query(Consistency::kStrong);
  call.timeout_ms = 100;
  EXPECT_THAT(AskedBy(call), ElementsAre(1, 2));
  for (auto& [id, worker] : workers_) worker.searched.clear();
  int parts = 0;
  gateway_.SearchStream(
      {}, Query(Consistency::kStrong), [&parts](const SearchReply&) { return ++parts > 0; },
      [](const auto&) {});
  EXPECT_THAT(Asked(), ElementsAre(1, 2));
  EXPECT_EQ(parts, 1);
}

TEST_F(GatheredSearchTest, LeaveSearchesThatNeedNotBeFreshAsTheyAre) {
  Place({1, 1}, {1, 2, 3});
  std::set<uint64_t> asked;
  for (int i = 0; i < 50; ++i) {
    for (const uint64_t id : AskedBySearch(Consistency::kEventual)) asked.insert(id);
  }
  EXPECT_THAT(asked, ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace vectron::gateway
