// A node that ends at any step of taking over a copy, of giving up damaged data or of being
// removed: what the next start makes of it.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/crash_testing.h"
#include "shard/replica_record.h"
#include "shard/replica_testing.h"

namespace vectron::shard {
namespace {

// Four nodes in one folder, which outlives the process; what was acknowledged is noted there,
// outside of the shard.
class World : public ReplicaNodes {
 public:
  explicit World(const std::string& dir) : ReplicaNodes(4, dir), notes_(dir + "/acknowledged") {
    CutLogsOnceFlushed();
  }

  void WriteNoted(const std::string& id, int x) {
    Write(id, static_cast<float>(x));
    std::ofstream(notes_, std::ios::app) << id << " " << x << std::endl;
  }
  void WriteAndCut(const std::string& prefix, const std::vector<uint64_t>& nodes) {
    for (int i = 0; i < 20; ++i) WriteNoted(prefix + std::to_string(i), i);
    for (const uint64_t id : nodes) (void)Get(id, prefix + "19");  // none is behind what is cut
    for (const uint64_t id : nodes) CHECK_OK(replica(id).FlushAll());
    const uint64_t last = node(nodes[0]).logs->Extent(kGroup).next_index;
    for (const uint64_t id : nodes) {
      CHECK(Eventually([&] { return node(id).logs->Extent(kGroup).first_index + 2 >= last; }));
    }
  }
  std::map<std::string, int> Acknowledged() const {
    std::map<std::string, int> points;
    std::ifstream lines(notes_);
    std::string id;
    for (int x = 0; lines >> id >> x;) points[id] = x;
    return points;
  }

 private:
  const std::string notes_;
};

// All nodes start again: each has everything that was acknowledged, and takes part.
void ExpectWhole(const std::string& dir, const std::vector<uint64_t>& nodes) {
  World world(dir);
  for (const uint64_t id : nodes) {
    const absl::Status opened = world.Open(id);
    ASSERT_TRUE(opened.ok()) << opened;
  }
  world.WriteNoted("after", 99);
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
  world.Change(4, consensus::ChangeKind::kAddLearner);
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
  world.DamageTheData(2);
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
  for (int i = 0; i < 20; ++i) world.WriteNoted("p" + std::to_string(i), i);
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
