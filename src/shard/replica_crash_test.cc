// A node that ends at any step of taking over a copy, of giving up damaged data or of being
// removed: what the next start makes of it.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/crash_testing.h"
#include "shard/peer_testing.h"
#include "shard/replica_record.h"
#include "shard/shard_replica.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

constexpr GroupId kGroup{7};

// Nodes 1 to 3 hold the founders of one shard, 4 may join; all in one folder, which outlives the
// process. Logs are cut as soon as they are flushed.
class World {
 public:
  explicit World(const std::string& dir) : dir_(dir) {
    for (uint64_t id = 1; id <= 4; ++id) {
      members_[id].node = std::make_unique<HostNode>(network_, id, dir + "/" + std::to_string(id));
      members_[id].node->group_log_bytes = 1;
    }
  }

  HostNode& node(uint64_t id) { return *members_.at(id).node; }
  ShardReplica& replica(uint64_t id) { return *members_.at(id).replica; }
  std::string FolderOf(uint64_t id) { return node(id).dir() + "/shard"; }

  absl::Status Open(uint64_t id) {
    HostNode& on = node(id);
    if (on.host == nullptr) on.Start();
    ShardReplicaOptions options;
    options.shard = {.schema = TestSchema(4), .group = kGroup, .ordinal = {0}, .dir = FolderOf(id)};
    options.shard.schema.replication_factor = 3;
    options.replica = on.replica();
    options.founders = Voters({1, 2, 3});
    ShardReplicaDeps deps;
    deps.shard = {.files = on.files.get(),
                  .clock = &on.clock,
                  .apply_executor = &on.apply_pool,
                  .background_executor = &on.background_pool,
                  .resources = &on.resources,
                  .timer = &on.timer};
    deps.host = on.host.get();
    deps.snapshots = &on.endpoint;
    deps.registry = &on.registry;
    auto opened = ShardReplica::Open(options, deps);
    if (opened.ok()) members_.at(id).replica = *std::move(opened);
    return opened.status();
  }
  void Stop(uint64_t id) {
    members_.at(id).replica.reset();
    node(id).Stop();
  }
  uint64_t AwaitLeader() {
    uint64_t leader = 0;
    CHECK(Eventually([&] {
      for (auto& [id, member] : members_) {
        if (member.replica != nullptr && member.replica->view().is_leader) leader = id;
      }
      return leader != 0;
    }));
    return leader;
  }
  // Acknowledged, and noted outside of the shard.
  void Write(const std::string& id, int x) {
    CHECK(Eventually([&] {
      return Answer<absl::StatusOr<WriteResult>>(
                 [&](std::function<void(absl::StatusOr<WriteResult>)> done) {
                   replica(AwaitLeader())
                       .Upsert({.points = OnePoint(id, {static_cast<float>(x), 1, 0, 0}),
                                .request_id = ""},
                               0, std::move(done));
                 })
          .ok();
    }));
    std::ofstream(dir_ + "/acknowledged", std::ios::app) << id << " " << x << std::endl;
  }
  void WriteAndCut(const std::string& prefix, const std::vector<uint64_t>& nodes) {
    for (int i = 0; i < 20; ++i) Write(prefix + std::to_string(i), i);
    for (const uint64_t id : nodes) (void)Get(id, prefix + "19");  // none is behind what is cut
    for (const uint64_t id : nodes) CHECK_OK(replica(id).FlushAll());
    const uint64_t last = node(nodes[0]).logs->Extent(kGroup).next_index;
    for (const uint64_t id : nodes) {
      CHECK(Eventually([&] { return node(id).logs->Extent(kGroup).first_index + 2 >= last; }));
    }
  }
  std::map<std::string, int> Acknowledged() const {
    std::map<std::string, int> points;
    std::ifstream lines(dir_ + "/acknowledged");
    std::string id;
    for (int x = 0; lines >> id >> x;) points[id] = x;
    return points;
  }
  void Learn(uint64_t id) {
    CHECK(Eventually([&] {
      return Answer<absl::Status>([&](std::function<void(absl::Status)> done) {
               node(AwaitLeader())
                   .host->ChangeMembership(kGroup, node(id).replica(),
                                           consensus::ChangeKind::kAddLearner, std::move(done));
             })
          .ok();
    }));
  }
  // What the node itself holds, once it holds anything.
  std::optional<PointRecord> Get(uint64_t at, const std::string& id) {
    std::optional<PointRecord> record;
    CHECK(Eventually([&] {
      auto got = Answer<absl::StatusOr<std::optional<PointRecord>>>(
          [&](std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) {
            replica(at).Get(id, {.consistency = Consistency::kStrong}, std::move(done));
          });
      if (!got.ok()) return false;
      record = *std::move(got);
      return true;
    }));
    return record;
  }

 private:
  struct Member {
    std::unique_ptr<HostNode> node;
    std::unique_ptr<ShardReplica> replica;
  };
  const std::string dir_;
  LocalNetwork network_;
  std::map<uint64_t, Member> members_;
};

// All nodes start again: each has everything that was acknowledged, and takes part.
void ExpectWhole(const std::string& dir, const std::vector<uint64_t>& nodes) {
  World world(dir);
  for (const uint64_t id : nodes) {
    const absl::Status opened = world.Open(id);
    ASSERT_TRUE(opened.ok()) << opened;
  }
  world.Write("after", 99);
  const std::map<std::string, int> acknowledged = world.Acknowledged();
  EXPECT_GE(acknowledged.size(), 21u);
  for (const uint64_t node : nodes) {
    SCOPED_TRACE(node);
    for (const auto& [id, x] : acknowledged) {
      const std::optional<PointRecord> record = world.Get(node, id);
      ASSERT_TRUE(record.has_value()) << id;
      EXPECT_EQ(record->vector[0], static_cast<float>(x)) << id;
    }
    EXPECT_EQ(world.replica(node).stats().points, acknowledged.size());
    const std::string folder = world.FolderOf(node);
    EXPECT_EQ((*ReadReplicaRecord(*world.node(node).files, folder))->state, ReplicaState::kReady);
    EXPECT_FALSE(std::filesystem::exists(folder + "/old"));
  }
  for (const uint64_t id : nodes) world.Stop(id);
}

TEST(ReplicaCrash, ChildThatJoinsByACopy) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  World world(dir);
  for (uint64_t id = 1; id <= 3; ++id) CHECK_OK(world.Open(id));
  world.WriteAndCut("p", {1, 2, 3});
  CHECK_OK(world.Open(4));
  world.Learn(4);
  (void)world.Get(4, "p3");
}

TEST(ReplicaCrash, JoiningByACopyGoesOnFromEachStep) {
  for (const char* point : {"snapshot.fetched", "raft.snapshot.announced", "replica.copying",
                            "replica.old_moved", "replica.new_moved", "replica.ready",
                            "raft.snapshot.installed", "raft.snapshot.log_restarted"}) {
    SCOPED_TRACE(point);
    const TempDir dir;
    ASSERT_EQ(RunToCrashPoint("ReplicaCrash.ChildThatJoinsByACopy", dir.path(), point), kCrashed);
    ExpectWhole(dir.path(), {1, 2, 3, 4});
  }
}

TEST(ReplicaCrash, ChildThatReplacesOldDataByACopy) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  World world(dir);
  for (uint64_t id = 1; id <= 3; ++id) CHECK_OK(world.Open(id));
  world.WriteAndCut("p", {1, 2, 3});
  world.Stop(3);
  world.WriteAndCut("q", {1, 2});
  CHECK_OK(world.Open(3));
  (void)world.Get(3, "q3");
}

TEST(ReplicaCrash, ReplacingOldDataByACopyGoesOnFromEachStep) {
  for (const char* point :
       {"replica.copying", "replica.old_moved", "replica.new_moved", "replica.ready"}) {
    SCOPED_TRACE(point);
    const TempDir dir;
    ASSERT_EQ(RunToCrashPoint("ReplicaCrash.ChildThatReplacesOldDataByACopy", dir.path(), point),
              kCrashed);
    ExpectWhole(dir.path(), {1, 2, 3});
  }
}

TEST(ReplicaCrash, ChildThatGivesUpDamagedData) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  World world(dir);
  for (uint64_t id = 1; id <= 3; ++id) CHECK_OK(world.Open(id));
  world.WriteAndCut("p", {1, 2, 3});
  world.Stop(2);
  for (const auto& file : std::filesystem::directory_iterator(world.FolderOf(2) + "/data/store")) {
    if (file.path().extension() == ".sst") std::ofstream(file.path(), std::ios::trunc) << "garbage";
  }
  CHECK_OK(world.Open(2));
}

TEST(ReplicaCrash, GivingUpDamagedDataGoesOnAfterTheTombstone) {
  const TempDir dir;
  ASSERT_EQ(
      RunToCrashPoint("ReplicaCrash.ChildThatGivesUpDamagedData", dir.path(), "replica.tombstoned"),
      kCrashed);
  ExpectWhole(dir.path(), {1, 2, 3});
}

TEST(ReplicaCrash, ChildThatIsRemoved) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  World world(dir);
  for (uint64_t id = 1; id <= 3; ++id) CHECK_OK(world.Open(id));
  for (int i = 0; i < 20; ++i) world.Write("p" + std::to_string(i), i);
  CHECK_OK(world.replica(3).Remove());
}

TEST(ReplicaCrash, ARemovalThatWasCutShortIsFinishedAndNothingComesBack) {
  const TempDir dir;
  ASSERT_EQ(RunToCrashPoint("ReplicaCrash.ChildThatIsRemoved", dir.path(), "replica.removed"),
            kCrashed);
  {
    World world(dir.path());
    EXPECT_TRUE(absl::IsFailedPrecondition(world.Open(3)));
    HostNode& node = world.node(3);
    ASSERT_TRUE(
        ShardReplica::RemoveClosed(*node.files, world.FolderOf(3), kGroup, *node.host).ok());
    EXPECT_FALSE(std::filesystem::exists(world.FolderOf(3) + "/data"));
    EXPECT_EQ(node.logs->Extent(kGroup).next_index, 1u) << "its log is gone";
    EXPECT_TRUE(absl::IsFailedPrecondition(world.Open(3)));
    node.Stop();
  }
  ExpectWhole(dir.path(), {1, 2});
}

}  // namespace
}  // namespace vectron::shard
