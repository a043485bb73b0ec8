#include "services/placement/tracker.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "services/placement/command.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

constexpr int64_t kSecond = 1'000'000'000;

// Two workers of 8 processors and a collection of two shards on both.
class TrackerTest : public ::testing::Test {
 protected:
  TrackerTest() {
    for (const char* uid : {"a", "b"}) {
      const Outcome worker =
          Apply(RegisterWorker{.known = {}, .profile = {.node_uid = uid, .cpu_cores = 8}});
      Apply(ChangeWorker{WorkerId{worker.id}, WorkerChange::kJoined});
    }
    Apply(BeginCreate{.key = {"", "docs"},
                      .schema_bytes = "s",
                      .replication_factor = 2,
                      .shards = {{a_, b_}, {a_, b_}}});
    tracker_.Restart(0);
  }
  Outcome Apply(CommandBody body) {
    return state_.Apply(++index_, {.proposal = 0, .body = std::move(body)});
  }
  const ShardRecord& Shard(uint64_t group) { return *state_.FindShard(GroupId{group}); }
  pb::ReplicaReport& Add(pb::HeartbeatRequest& heartbeat, uint64_t group, WorkerId worker) {
    pb::ReplicaReport& report = *heartbeat.add_replicas();
    report.set_group_id(group);
    report.set_replica_id(Shard(group).On(worker)->id.value);
    return report;
  }
  ClusterLoad Load(int64_t now_nanos) { return tracker_.Load(state_, now_nanos); }

  const WorkerId a_{1};
  const WorkerId b_{2};
  uint64_t index_ = 0;
  ClusterState state_;
  Tracker tracker_{15'000};
};

TEST_F(TrackerTest, BelievesTheLeaderOfTheHighestTerm) {
  for (const auto& [worker, term] : {std::pair{a_, 7}, std::pair{b_, 5}}) {
    pb::HeartbeatRequest heartbeat;
    pb::ReplicaReport& report = Add(heartbeat, 1, worker);
    report.set_leader_replica_id(report.replica_id());
    report.set_term(static_cast<uint64_t>(term));
    tracker_.Take(worker, heartbeat, state_, kSecond, 0);
  }
  EXPECT_EQ(Load(2 * kSecond).Find(GroupId{1})->leader.node(), a_);
  // The newer one falls silent: what it said counts no more.
  tracker_.Take(b_, *tracker_.LastHeartbeat(b_), state_, 14 * kSecond, 0);
  EXPECT_EQ(Load(20 * kSecond).Find(GroupId{1})->leader.node(), b_);
  EXPECT_FALSE(Load(20 * kSecond).IsAlive(a_));
}

TEST_F(TrackerTest, FindsReplicasThatHoldDifferentPointsAtOneEntry) {
  const auto report = [&](WorkerId worker, uint64_t index, uint64_t digest) {
    pb::HeartbeatRequest heartbeat;
    pb::ReplicaReport& told = Add(heartbeat, 1, worker);
    told.set_applied_index(index);
    told.set_state_digest(digest);
    Add(heartbeat, 2, worker);  // does not know
    tracker_.Take(worker, heartbeat, state_, kSecond, 0);
    return tracker_.TakeDifferences();
  };
  EXPECT_THAT(report(a_, 5, 50), testing::IsEmpty());
  EXPECT_THAT(report(b_, 4, 40), testing::IsEmpty()) << "it is behind";
  EXPECT_THAT(report(b_, 5, 50), testing::IsEmpty());
  EXPECT_THAT(report(a_, 6, 60), testing::IsEmpty());
  const uint64_t on_a = Shard(1).On(a_)->id.value;
  const uint64_t on_b = Shard(1).On(b_)->id.value;
  const auto found = testing::ElementsAre(fmt::format(
      "group 1: replica {} on worker 2 and replica {} on worker 1 hold different points "
      "at entry 6",
      on_b, on_a));
  EXPECT_THAT(report(b_, 6, 61), found);
  EXPECT_THAT(report(a_, 6, 60), testing::IsEmpty()) << "it is known";
  EXPECT_THAT(report(a_, 7, 70), testing::IsEmpty());
  EXPECT_THAT(report(b_, 7, 71), testing::IsEmpty()) << "still";
  EXPECT_THAT(report(b_, 7, 70), testing::IsEmpty());
  EXPECT_THAT(report(a_, 6, 60), testing::IsEmpty());
  EXPECT_THAT(report(b_, 6, 61), found) << "again";
}

TEST_F(TrackerTest, OutvotesTheReplicaThatDiffersFromMostVoters) {
  const WorkerId c{
      Apply(RegisterWorker{.known = {}, .profile = {.node_uid = "c", .cpu_cores = 8}}).id};
  Apply(ChangeWorker{c, WorkerChange::kJoined});
  Apply(BeginCreate{
      .key = {"", "three"}, .schema_bytes = "s", .replication_factor = 3, .shards = {{a_, b_, c}}});
  const auto report = [&](WorkerId worker, uint64_t index, uint64_t digest) {
    pb::HeartbeatRequest heartbeat;
    pb::ReplicaReport& told = Add(heartbeat, 3, worker);
    told.set_applied_index(index);
    told.set_state_digest(digest);
    tracker_.Take(worker, heartbeat, state_, kSecond, 0);
  };
  const ReplicaId on_c = Shard(3).On(c)->id;
  report(b_, 5, 50);
  report(c, 5, 51);
  EXPECT_THAT(Load(kSecond).differing, testing::IsEmpty()) << "one against one";
  EXPECT_THAT(Load(kSecond).differing_groups, testing::ElementsAre(GroupId{3}));
  EXPECT_EQ(tracker_.differing_groups(), 1u);
  report(a_, 5, 50);
  EXPECT_THAT(Load(kSecond).differing, testing::ElementsAre(on_c));
  EXPECT_THAT(Load(kSecond).failed, testing::ElementsAre(on_c));
  report(c, 6, 61);
  EXPECT_THAT(Load(kSecond).differing, testing::ElementsAre(on_c)) << "nobody says otherwise";
  report(a_, 6, 60);
  report(b_, 6, 61);
  EXPECT_THAT(Load(kSecond).differing, testing::ElementsAre(Shard(3).On(a_)->id))
      << "at the newer entry it is of the majority";
  for (const WorkerId worker : {a_, b_, c}) report(worker, 7, 70);
  EXPECT_THAT(Load(kSecond).differing, testing::IsEmpty());
  EXPECT_THAT(Load(kSecond).differing_groups, testing::IsEmpty());
  EXPECT_EQ(tracker_.differing_groups(), 0u);
}

TEST_F(TrackerTest, ForgetsADifferenceWithTheReplicaThatDiffered) {
  for (const auto& [worker, digest] : {std::pair{a_, 50}, std::pair{b_, 51}}) {
    pb::HeartbeatRequest heartbeat;
    pb::ReplicaReport& told = Add(heartbeat, 1, worker);
    told.set_applied_index(5);
    told.set_state_digest(static_cast<uint64_t>(digest));
    tracker_.Take(worker, heartbeat, state_, kSecond, 0);
  }
  EXPECT_EQ(tracker_.differing_groups(), 1u);
  const ReplicaId on_b = Shard(1).On(b_)->id;
  for (const ReplicaStep step : {ReplicaStep::kLeave, ReplicaStep::kGone}) {
    tracker_.Forget(state_);
    EXPECT_EQ(tracker_.differing_groups(), 1u);
    const Outcome done = Apply(StepReplica{
        .group = GroupId{1}, .shard_version = Shard(1).version, .replica = on_b, .step = step});
    ASSERT_TRUE(done.status.ok()) << done.status;
  }
  tracker_.Forget(state_);
  EXPECT_EQ(tracker_.differing_groups(), 0u);
}

TEST_F(TrackerTest, SharesAWorkersProcessorsByRequests) {
  pb::HeartbeatRequest heartbeat;
  heartbeat.set_cpu_usage_percent(50);
  Add(heartbeat, 1, a_).set_searches_per_second(300);
  Add(heartbeat, 2, a_).set_writes_per_second(100);
  tracker_.Take(a_, heartbeat, state_, kSecond, 0);
  EXPECT_DOUBLE_EQ(Load(kSecond).Find(GroupId{1})->cpu_cores, 3);
  EXPECT_DOUBLE_EQ(Load(kSecond).Find(GroupId{2})->cpu_cores, 1);
  tracker_.Restart(0);
  heartbeat.mutable_replicas(0)->set_cpu_cores(0.5F);  // it says so itself
  tracker_.Take(a_, heartbeat, state_, kSecond, 0);
  EXPECT_DOUBLE_EQ(Load(kSecond).Find(GroupId{1})->cpu_cores, 0.5);
}

TEST_F(TrackerTest, MeasuresLoadsOverAMinuteWhateverThePaceOfHeartbeats) {
  for (const int64_t pace : {kSecond / 5, 5 * kSecond}) {
    tracker_.Restart(0);
    pb::HeartbeatRequest heartbeat;
    Add(heartbeat, 1, a_);
    int64_t now = 0;
    const auto run = [&](int64_t seconds, const std::function<double(int64_t)>& cores) {
      for (const int64_t end = now + seconds * kSecond; now < end; now += pace) {
        const double use = cores(now / pace);
        heartbeat.mutable_replicas(0)->set_cpu_cores(static_cast<float>(use));
        heartbeat.set_cpu_usage_percent(static_cast<float>(use / 8 * 100));
        tracker_.Take(a_, heartbeat, state_, now, 0);
      }
      const ClusterLoad load = Load(now);
      EXPECT_NEAR(load.workers.at(a_).cpu_percent, load.Find(GroupId{1})->cpu_cores / 8 * 100, 0.1);
      return load.Find(GroupId{1})->cpu_cores;
    };
    EXPECT_NEAR(run(120, [](int64_t i) { return i % 2 == 0 ? 1 : 3; }), 2, 0.15) << "waves";
    EXPECT_NEAR(run(20, [](int64_t) { return 6; }), 3.1, 0.3) << "a short burst";
    EXPECT_NEAR(run(300, [](int64_t) { return 6; }), 6, 0.1) << "a load that stays";
  }
}

TEST_F(TrackerTest, NoticesWhatMakesNoProgress) {
  pb::HeartbeatRequest heartbeat;
  Add(heartbeat, 1, a_).set_applied_index(5);
  const ReplicaId replica = Shard(1).On(a_)->id;
  tracker_.Take(a_, heartbeat, state_, kSecond, 0);
  tracker_.Take(a_, heartbeat, state_, 9 * kSecond, 0);
  EXPECT_EQ(Load(11 * kSecond).stuck_ms.at(replica), 10'000);
  heartbeat.mutable_replicas(0)->set_applied_index(6);
  tracker_.Take(a_, heartbeat, state_, 11 * kSecond, 0);
  EXPECT_EQ(Load(11 * kSecond).stuck_ms.at(replica), 0);
}

TEST_F(TrackerTest, TakesNobodyInSyncForStuck) {
  const ReplicaId follower = Shard(1).On(b_)->id;
  pb::HeartbeatRequest from_follower;
  Add(from_follower, 1, b_).set_applied_index(5);
  tracker_.Take(b_, from_follower, state_, kSecond, 0);
  pb::HeartbeatRequest from_leader;
  pb::ReplicaReport& report = Add(from_leader, 1, a_);
  report.set_leader_replica_id(report.replica_id());
  report.add_in_sync(follower.value);
  tracker_.Take(a_, from_leader, state_, 3'600 * kSecond, 0);
  tracker_.Take(b_, from_follower, state_, 3'601 * kSecond, 0);
  EXPECT_EQ(Load(3'610 * kSecond).stuck_ms.at(follower), 10'000) << "it idled, in sync";
}

TEST_F(TrackerTest, DropsReportsOfReplicasThatAreNoneOfTheWorkers) {
  pb::HeartbeatRequest heartbeat;
  Add(heartbeat, 1, b_);  // another worker's
  Add(heartbeat, 1, a_).set_shard_epoch(9);
  Add(heartbeat, 2, a_).set_points(3);
  EXPECT_EQ(tracker_.Take(a_, heartbeat, state_, kSecond, 0).size(), 2u);
  EXPECT_EQ(Load(kSecond).Find(GroupId{1}), nullptr);
  EXPECT_EQ(Load(kSecond).Find(GroupId{2})->points, 3u);
}

}  // namespace
}  // namespace vectron::placement
