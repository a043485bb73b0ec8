// The wall clock of placement's leader is set forwards and back: balance and repair go on, and
// nobody is taken for dead.

#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "services/placement/cluster_simulation.h"
#include "services/placement/fleet_testing.h"

namespace vectron::placement {
namespace {

constexpr int64_t kDayMs = 24LL * 3'600 * 1'000;

size_t VotersOn(const ClusterSimulation& cluster, WorkerId worker) {
  size_t voters = 0;
  for (const auto& [group, shard] : cluster.state().shards()) {
    const ReplicaRecord* replica = shard.On(worker);
    voters += replica != nullptr && replica->role == ReplicaRole::kVoter ? 1 : 0;
  }
  return voters;
}

class ClockJumps : public ::testing::TestWithParam<int64_t> {};

TEST_P(ClockJumps, DoNotStopBalance) {
  ClusterSimulation cluster(1);
  for (int i = 0; i < 3; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 8, 3).ok());
  for (const auto& [group, shard] : cluster.state().shards()) {
    cluster.SetSize(group, uint64_t{1} << 30, 0.05);
  }
  cluster.SetClock(GetParam());
  const WorkerId fresh = cluster.AddWorker();
  EXPECT_TRUE(cluster.Settle(2'000));
  EXPECT_EQ(VotersOn(cluster, fresh), 6u);
  EXPECT_EQ(cluster.moves(), 6u) << "no move is undone by another";
}

TEST_P(ClockJumps, DoNotMakePatienceEndlessOrShort) {
  ClusterSimulation cluster(2);
  for (int i = 0; i < 4; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 4, 3).ok());
  const WorkerId slow{1};
  const size_t held = VotersOn(cluster, slow);
  ASSERT_GT(held, 0u);
  cluster.Stick(slow);
  cluster.SetClock(GetParam());
  for (int round = 0; round < 100; ++round) cluster.Round();
  EXPECT_EQ(VotersOn(cluster, slow), held) << "it was given up too soon";
  for (int round = 0; round < 200; ++round) cluster.Round();
  EXPECT_EQ(VotersOn(cluster, slow), 0u) << "it was not given up";
}

INSTANTIATE_TEST_SUITE_P(ForwardsAndBack, ClockJumps, ::testing::Values(kDayMs, -kDayMs));

// The whole service: heartbeats, liveness, creations and moves around a clock that jumps both ways.
TEST(PlacementServiceClock, MayJumpWhileTheClusterLives) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  auto state = ReplicatedState::Open(*files, dir / "state", 1);
  ASSERT_TRUE(state.ok()) << state.status();
  MemoryReplicator replicator((*state)->applied_index());
  replicator.applier = state->get();
  (*state)->Bind(replicator, [] {});
  ManualClock clock;
  clock.SetUnixMillis(100 * kDayMs);
  PlacementOptions options;
  options.dead_after_ms = 60'000;
  PlacementService service(
      options,
      ServiceDeps{
          .state = state->get(),
          .clock = &clock,
          .leadership =
              [] { return Leadership{.is_leader = true, .term = 1, .node = {1}, .address = "a"}; },
          .cluster_id = "test",
          .seed = 1});
  Fleet fleet(service, clock);
  service.Tick();
  for (const char* uid : {"a", "b", "c"}) fleet.Join(uid);
  Answer<placementdriver::v1::CreateCollectionResponse> created;
  placementdriver::v1::CreateCollectionRequest request;
  request.mutable_schema()->set_name("docs");
  request.mutable_schema()->set_dimension(4);
  request.mutable_schema()->set_shard_count(8);
  request.mutable_schema()->set_replication_factor(1);
  service.CreateCollection(request, created.Callback());
  fleet.Run(2'000);
  ASSERT_TRUE(created.get().ok()) << created.get().status();
  const auto version = [&] {
    return (*state)->With([](const ClusterState& now) { return now.version(); });
  };
  fleet.Run(5'000);
  const uint64_t before = version();
  for (const int64_t to : {130 * kDayMs, 90 * kDayMs}) {
    clock.SetUnixMillis(to);
    fleet.Run(20'000);
    EXPECT_EQ(version(), before) << "nobody died, nothing moved";
  }
  const WorkerId fresh = fleet.Join("d");
  fleet.Run(60'000);
  EXPECT_TRUE(fleet.Holds(fresh)) << "balance waits for a clock that was set back";
  (*state)->Unbind();
  service.Stop();
}

}  // namespace
}  // namespace vectron::placement
