#include <gtest/gtest.h>

#include <algorithm>

#include "base/temp_dir.h"
#include "services/placement/fleet_testing.h"
#include "services/placement/service.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

TEST(PlacementDifferences, AReplicaThatDiffersIsCountedToldAndReplaced) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  ManualClock clock;
  auto state = ReplicatedState::Open(*files, dir / "state", 1);
  ASSERT_TRUE(state.ok()) << state.status();
  MemoryReplicator replicator((*state)->applied_index());
  replicator.applier = state->get();
  PlacementService service(
      {}, {.state = state->get(),
           .clock = &clock,
           .leadership =
               [] {
                 return Leadership{
                     .is_leader = true, .term = 1, .node = {1}, .address = "one:6001"};
               },
           .cluster_id = "test-cluster",
           .seed = 1});
  (*state)->Bind(replicator, [&service] { service.OnStateChanged(); });
  Fleet fleet(service, clock);
  service.Tick();
  for (const char* uid : {"a", "b", "c", "d"}) fleet.Join(uid);
  pb::CreateCollectionRequest request;
  request.mutable_schema()->set_name("docs");
  request.mutable_schema()->set_dimension(4);
  request.mutable_schema()->set_shard_count(1);
  request.mutable_schema()->set_replication_factor(3);
  Answer<pb::CreateCollectionResponse> created;
  service.CreateCollection(request, created.Callback());
  for (int i = 0; i < 100 && !created.answered(); ++i) fleet.Run(500);
  ASSERT_TRUE(created.get().ok()) << created.get().status();
  const auto shard = [&state] {
    return (*state)->With([](const ClusterState& now) { return now.shards().begin()->second; });
  };

  for (const ReplicaRecord& replica : shard().replicas) {  // the lowest one leads
    fleet.wrong = std::max(fleet.wrong, replica.id);
  }
  fleet.Run(1'000);
  EXPECT_EQ(service.differences().found, 1u);
  EXPECT_EQ(service.differences().standing, 1u);
  const auto differs_on_map = [&service] {
    Answer<pb::ClusterMap> map;
    service.GetMap({}, map.Callback());
    return map.get().ok() && map.get()->collections(0).shards(0).differs();
  };
  EXPECT_TRUE(differs_on_map());
  for (int i = 0; i < 100 && shard().Find(fleet.wrong) != nullptr; ++i) fleet.Run(500);
  fleet.Run(1'000);
  EXPECT_EQ(shard().Find(fleet.wrong), nullptr);
  EXPECT_EQ(shard().replicas.size(), 3u);
  EXPECT_EQ(service.differences().found, 1u);
  EXPECT_EQ(service.differences().standing, 0u);
  EXPECT_FALSE(differs_on_map());
  (*state)->Unbind();
  service.Stop();
}

}  // namespace
}  // namespace vectron::placement
