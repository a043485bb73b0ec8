#include "services/worker/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "absl/synchronization/notification.h"
#include "base/executor_testing.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "services/worker/report.h"
#include "services/worker/worker_testing.h"
#include "storage/layout.h"
#include "storage/rocks_kv.h"

namespace vectron::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WorkerTest : public testing::Test, protected TestWorker {
 protected:
  static rpc::ShardAssignment Assignment(uint64_t group, uint64_t epoch = 1) {
    return TestWorker::Assignment(group, 3, epoch);
  }
  absl::StatusOr<rpc::WriteAck> Upsert(rpc::ShardTarget target, const std::vector<std::string>& ids,
                                       float x = 1) {
    rpc::ShardUpsert request{
        .target = target, .points = {}, .request_id = "", .insert_only = false};
    request.points.dimension = kDimension;
    for (const std::string& id : ids) {
      request.points.ids.push_back(id);
      request.points.vectors.insert(request.points.vectors.end(), {x, x, x, x});
      request.points.payloads.push_back(fmt::format("{{\"n\":{}}}", request.points.ids.size()));
    }
    return Await<absl::StatusOr<rpc::WriteAck>>(
        [&](auto done) { worker().Upsert(std::move(request), 0, done); });
  }
  absl::StatusOr<std::optional<PointRecord>> Get(rpc::ShardTarget target, const std::string& id) {
    return Await<absl::StatusOr<std::optional<PointRecord>>>(
        [&](auto done) { worker().Get({.target = target, .id = id}, 0, done); });
  }
  absl::StatusOr<rpc::ScanPage> Scan(rpc::ShardScan request) {
    return Await<absl::StatusOr<rpc::ScanPage>>(
        [&](auto done) { worker().Scan(std::move(request), 0, done); });
  }
  // The answers of all targets, checked to come one at a time and once each.
  std::map<uint64_t, absl::StatusOr<SearchAnswer>> Search(std::vector<rpc::ShardTarget> targets) {
    std::map<uint64_t, absl::StatusOr<SearchAnswer>> answers;
    std::atomic<int> inside{0};
    absl::Notification all;
    const size_t wanted = targets.size();
    SearchQuery query;
    query.vector = {1, 1, 1, 1};
    query.k = 100;
    worker().Search(
        {.targets = std::move(targets), .query = std::move(query)}, 0,
        [&](rpc::ShardAnswer answer) {
          EXPECT_EQ(inside.fetch_add(1), 0);
          EXPECT_TRUE(answers.emplace(answer.group.value, std::move(answer.answer)).second);
          const bool complete = answers.size() == wanted;
          inside.fetch_sub(1);
          if (complete) all.Notify();
        });
    all.WaitForNotification();
    return answers;
  }
};

TEST_F(WorkerTest, ServesAShardFromItsCreationToItsDestruction) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(worker().CreateShard(Assignment(1))));
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  ASSERT_TRUE(Upsert(target, {"a", "b"}).ok());
  const auto point = Get(target, "b");
  ASSERT_TRUE(point.ok() && point->has_value());
  EXPECT_EQ((*point)->payload, "{\"n\":2}");
  EXPECT_THAT(*worker().StoredShards(), ElementsAre(GroupId{1}));
  ASSERT_TRUE(worker().DestroyShard(GroupId{1}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Get(target, "b").status()));
  EXPECT_THAT(*worker().StoredShards(), IsEmpty());
  EXPECT_TRUE(worker().DestroyShard(GroupId{1}).ok());
}

TEST_F(WorkerTest, RefusesOldEpochsAndUnknownGroups) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1, 5)).ok());
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Upsert({.group = GroupId{1}, .epoch = 4}, {"a"}).status()));
  EXPECT_TRUE(Upsert({.group = GroupId{1}, .epoch = 5}, {"a"}).ok());
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Upsert({.group = GroupId{2}, .epoch = 1}, {"a"}).status()));
  const auto answers =
      Search({{.group = GroupId{1}, .epoch = 5}, {.group = GroupId{2}, .epoch = 1}});
  EXPECT_TRUE(answers.at(1).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(answers.at(2).status()));
}

// A gateway may hear of a change before the worker does; who may write is the group's to say.
TEST_F(WorkerTest, ServesAnEpochThatItHasNotHeardOfYet) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1, 5)).ok());
  EXPECT_TRUE(Upsert({.group = GroupId{1}, .epoch = 6}, {"a"}).ok());
  EXPECT_TRUE(Upsert({.group = GroupId{1}, .epoch = 5}, {"a"}).ok())
      << "what a caller says teaches it nothing";
}

TEST_F(WorkerTest, OpensItsShardsAgainWithEverythingInThem) {
  for (uint64_t group = 1; group <= 3; ++group) {
    ASSERT_TRUE(worker().CreateShard(Assignment(group)).ok());
    ASSERT_TRUE(Upsert({.group = GroupId{group}, .epoch = 1}, {fmt::format("p{}", group)}).ok());
  }
  Stop();
  Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(Get({.group = GroupId{1}, .epoch = 1}, "p1").status()));
  worker().OpenShards({Assignment(1), Assignment(2), Assignment(3)}, search);
  std::vector<rpc::ShardTarget> targets;
  for (uint64_t group = 1; group <= 3; ++group)
    targets.push_back({.group = GroupId{group}, .epoch = 1});
  for (int round = 0; round < 20; ++round) {
    for (const auto& [group, answer] : Search(targets)) {
      ASSERT_TRUE(answer.ok()) << answer.status();
      ASSERT_EQ(answer->hits.size(), 1U);
      EXPECT_EQ(answer->hits[0].id, fmt::format("p{}", group));
    }
  }
}

TEST_F(WorkerTest, NeverBeginsALostShardAnewAndServesTheOthers) {
  for (uint64_t group = 1; group <= 2; ++group) {
    ASSERT_TRUE(worker().CreateShard(Assignment(group)).ok());
    ASSERT_TRUE(Upsert({.group = GroupId{group}, .epoch = 1}, {"a"}).ok());
  }
  Stop();
  ASSERT_TRUE(files->RemoveTree(dir / "shards/1").ok());
  Start();
  worker().OpenShards({Assignment(1), Assignment(2)}, search);
  const auto lost = Get({.group = GroupId{1}, .epoch = 1}, "a");
  EXPECT_EQ(lost.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(MessageOf(lost.status())), HasSubstr("shards/1"));
  EXPECT_TRUE(Get({.group = GroupId{2}, .epoch = 1}, "a").ok());
  const std::vector<ShardReport> report = worker().Report();
  ASSERT_EQ(report.size(), 2U);
  EXPECT_FALSE(report[0].state.ok());
  EXPECT_TRUE(report[1].state.ok());
  EXPECT_EQ(report[1].stats.points, 1U);
  worker().Describe({GroupId{1}, GroupId{2}}, 0,
                    [](absl::StatusOr<std::vector<rpc::ShardInfo>> infos) {
                      ASSERT_TRUE(infos.ok());
                      EXPECT_FALSE((*infos)[0].ready);
                      EXPECT_TRUE((*infos)[1].ready);
                    });
  EXPECT_TRUE(worker().DestroyShard(GroupId{1}).ok());
}

TEST_F(WorkerTest, RemovesWhatIsLeftOfAnEarlierAttempt) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  ASSERT_TRUE(Upsert({.group = GroupId{1}, .epoch = 1}, {"old"}).ok());
  Stop();
  Start();
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  const auto point = Get({.group = GroupId{1}, .epoch = 1}, "old");
  ASSERT_TRUE(point.ok());
  EXPECT_FALSE(point->has_value());
}

TEST_F(WorkerTest, MakesNoMoreShardsThanItMayOpenFilesFor) {
  Stop();
  max_open_files = kOpenFilesReserved + 2 * kOpenFilesPerShard + 1;
  Start();
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  ASSERT_TRUE(worker().CreateShard(Assignment(2)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(worker().CreateShard(Assignment(3))));
  ASSERT_TRUE(worker().DestroyShard(GroupId{1}).ok());
  EXPECT_TRUE(worker().CreateShard(Assignment(3)).ok());
}

TEST_F(WorkerTest, ScansInPagesThatMissNothing) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  std::vector<std::string> ids;
  for (int i = 0; i < 500; ++i) ids.push_back(fmt::format("p{:03}", i));
  ASSERT_TRUE(Upsert(target, ids).ok());
  const auto odd = std::make_shared<const Filter>(
      *FilterFromJson(R"({"must":[{"field":"n","range":{"gt":100,"lte":321}}]})"));
  for (const bool filtered : {false, true}) {
    std::vector<std::string> want;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!filtered || (i + 1 > 100 && i + 1 <= 321)) want.push_back(ids[i]);
    }
    std::vector<std::string> seen;
    rpc::ShardScan request;
    request.target = target;
    request.filter = filtered ? odd : nullptr;
    while (true) {
      request.limit = 1 + static_cast<uint32_t>(random.Below(90));
      request.max_bytes = random.OneIn(2) ? 200 : 1 << 20;
      const auto page = Scan(request);
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_LE(page->points.size(), request.limit);
      for (const PointRecord& point : page->points) seen.push_back(point.id);
      if (page->end) break;
      EXPECT_GT(page->scanned_to, request.after_id);
      request.after_id = page->scanned_to;
    }
    EXPECT_EQ(seen, want);
  }
}

TEST_F(WorkerTest, FinishesRequestsBeforeADestructionTakesTheShardAway) {
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
    const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
    std::atomic<int> answered{0};
    constexpr int kRequests = 50;
    absl::Notification all;
    for (int i = 0; i < kRequests; ++i) {
      rpc::ShardUpsert request{
          .target = target, .points = {}, .request_id = "", .insert_only = false};
      request.points = {.dimension = kDimension,
                        .ids = {fmt::format("p{}", i)},
                        .vectors = {1, 2, 3, 4},
                        .payloads = {""}};
      worker().Upsert(std::move(request), 0, [&](const absl::StatusOr<rpc::WriteAck>& ack) {
        EXPECT_TRUE(ack.ok() || absl::IsFailedPrecondition(ack.status())) << ack.status();
        if (answered.fetch_add(1) + 1 == kRequests) all.Notify();
      });
    }
    ASSERT_TRUE(worker().DestroyShard(GroupId{1}).ok());
    all.WaitForNotification();
  }
}

TEST_F(WorkerTest, AnswersNoReadPastItsDeadline) {
  constexpr int64_t kPast = 1;
  for (uint64_t group = 1; group <= 2; ++group) {
    ASSERT_TRUE(worker().CreateShard(Assignment(group)).ok());
    ASSERT_TRUE(Upsert({.group = GroupId{group}, .epoch = 1}, {"a"}).ok());
  }
  for (const uint64_t shards : {1U, 2U}) {
    rpc::ShardsSearch request;
    for (uint64_t group = 1; group <= shards; ++group) {
      request.targets.push_back({.group = GroupId{group}, .epoch = 1});
    }
    request.query.vector = {1, 1, 1, 1};
    uint64_t answers = 0;
    absl::Notification all;
    worker().Search(std::move(request), kPast, [&](const rpc::ShardAnswer& answer) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(answer.answer.status())) << answer.answer.status();
      if (++answers == shards) all.Notify();
    });
    all.WaitForNotification();
  }
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  const auto got = Await<absl::StatusOr<std::optional<PointRecord>>>(
      [&](auto done) { worker().Get({.target = target, .id = "a"}, kPast, done); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(got.status())) << got.status();
  rpc::ShardScan scan;
  scan.target = target;
  const auto page =
      Await<absl::StatusOr<rpc::ScanPage>>([&](auto done) { worker().Scan(scan, kPast, done); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(page.status())) << page.status();
  const auto infos = Await<absl::StatusOr<std::vector<rpc::ShardInfo>>>(
      [&](auto done) { worker().Describe({GroupId{1}}, kPast, done); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(infos.status())) << infos.status();
}

TEST_F(WorkerTest, StopsAPageThatIsCalledOff) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  ASSERT_TRUE(Upsert(target, {"a"}).ok());
  const auto cancellation = std::make_shared<rpc::Cancellation>();
  rpc::ShardScan request;
  request.target = target;
  request.cancellation = cancellation;
  EXPECT_TRUE(Scan(request).ok());
  cancellation->Cancel();
  EXPECT_TRUE(absl::IsCancelled(Scan(request).status()));
}

// Whoever reads requests would keep all its callers waiting.
TEST_F(WorkerTest, RunsALongSearchElsewhereAndAShortOneAtOnce) {
  Stop();
  HeldExecutor held;
  search_executor = &held;
  Start();
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  std::vector<std::string> ids;
  for (int i = 0; i < 1'000; ++i) ids.push_back(fmt::format("p{}", i));
  ASSERT_TRUE(Upsert(target, ids).ok());
  int answers = 0;
  const auto ask = [&](std::shared_ptr<const Filter> filter) {
    rpc::ShardsSearch request;
    request.targets = {target};
    request.query.vector = {1, 1, 1, 1};
    request.query.filter = std::move(filter);
    worker().Search(std::move(request), 0, [&](const rpc::ShardAnswer& answer) {
      EXPECT_TRUE(answer.answer.ok()) << answer.answer.status();
      ++answers;
    });
  };
  ask(nullptr);
  EXPECT_EQ(answers, 1);
  ask(std::make_shared<const Filter>(
      *FilterFromJson(R"({"must":[{"field":"n","range":{"gt":100}}]})")));
  EXPECT_EQ(answers, 1) << "payloads without an index were read in the caller";
  ask(nullptr);
  EXPECT_EQ(answers, 2);
  held.RunHeld();
  EXPECT_EQ(answers, 3);
  Stop();
}

TEST_F(WorkerTest, TellsOfDamageThatAReadMetAndServesTheRest) {
  ASSERT_TRUE(worker().CreateShard(Assignment(1)).ok());
  const rpc::ShardTarget target{.group = GroupId{1}, .epoch = 1};
  ASSERT_TRUE(Upsert(target, {"a", "b"}).ok());
  Stop();
  {
    storage::RocksResources resources;
    const auto store = storage::OpenRocksKv({.dir = dir / "shards/1/store",
                                             .columns = storage::ShardStoreColumns(),
                                             .write_ahead_log = storage::WriteAheadLog::kOff},
                                            resources);
    ASSERT_TRUE(store.ok()) << store.status();
    storage::WriteBatch damage;
    damage.Put(storage::kPoints, "a", "short");
    ASSERT_TRUE((*store)->Write(damage, storage::Kv::Durability::kBuffered).ok());
    ASSERT_TRUE((*store)->Flush().ok());
  }
  Start();
  worker().OpenShards({Assignment(1)}, search);
  const auto is_ready = [&] {
    const auto infos = Await<absl::StatusOr<std::vector<rpc::ShardInfo>>>(
        [&](auto done) { worker().Describe({GroupId{1}}, 0, done); });
    return infos.ok() && infos->at(0).ready;
  };
  EXPECT_TRUE(is_ready()) << "nobody knows yet";
  EXPECT_TRUE(absl::IsDataLoss(Get(target, "a").status()));
  EXPECT_FALSE(is_ready());
  EXPECT_TRUE(Get(target, "b").ok());
  placementdriver::v1::HeartbeatRequest heartbeat;
  Reporter().Fill(worker().Report(), {}, 1, heartbeat);
  ASSERT_EQ(heartbeat.replicas_size(), 1);
  EXPECT_THAT(heartbeat.replicas(0).problem(), HasSubstr("5 bytes"));
  EXPECT_EQ(heartbeat.replicas(0).health(), placementdriver::v1::REPLICA_HEALTH_READY);
}

}  // namespace
}  // namespace vectron::worker
