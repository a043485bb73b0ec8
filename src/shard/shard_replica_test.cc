#include "shard/shard_replica.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "shard/recovery.h"
#include "shard/replica_record.h"
#include "shard/replica_testing.h"

namespace vectron::shard {
namespace {

// Five nodes.
class ShardReplicas : public testing::Test, protected ReplicaNodes {
 protected:
  ShardReplicas() : ReplicaNodes(5) {}

  void StartAll() {
    for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(Open(id).ok());
  }
  // Twenty points, p0 to p19, that no log holds any more.
  void StartAllAndCutTheLogs() {
    CutLogsOnceFlushed();
    StartAll();
    for (int i = 0; i < 20; ++i) Write("p" + std::to_string(i), static_cast<float>(i));
    for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(replica(id).FlushAll().ok());
    for (uint64_t id = 1; id <= 3; ++id) {
      EXPECT_TRUE(Eventually([&] { return node(id).logs->Extent(kGroup).first_index > 1; }));
    }
  }
  void WriteKey(const std::string& key, const std::string& value) {
    EXPECT_TRUE(Eventually([&] {
      return Answer<absl::StatusOr<WriteResult>>(
                 [&](std::function<void(absl::StatusOr<WriteResult>)> done) {
                   replica(AwaitLeader()).WriteKey({.key = key, .value = value}, std::move(done));
                 })
          .ok();
    }));
  }
  // Of a key that is there.
  std::string GetKey(uint64_t at, const std::string& key) {
    absl::StatusOr<std::optional<std::string>> got;
    EXPECT_TRUE(Eventually([&] {
      got = Answer<absl::StatusOr<std::optional<std::string>>>(
          [&](std::function<void(absl::StatusOr<std::optional<std::string>>)> done) {
            replica(at).GetKey(key, std::move(done));
          });
      return got.ok();
    }));
    return got->value_or("none");
  }
  // Whether one node answers with the point as it was written.
  bool Has(uint64_t at, const std::string& id, float x,
           Consistency consistency = Consistency::kStrong) {
    const std::optional<PointRecord> record = Get(at, id, consistency);
    return record.has_value() && record->vector[0] == x;
  }
  // Until the node itself holds the point: a copy on its way is in place then.
  bool Receives(uint64_t at, const std::string& id, float x) {
    return Eventually([&] { return Has(at, id, x, Consistency::kEventual); });
  }
  absl::StatusOr<SearchAnswer> Search(uint64_t at, float x) {
    SearchQuery query = Nearest({x, 1, 0, 0}, 1);
    query.consistency = Consistency::kStrong;
    return Answer<absl::StatusOr<SearchAnswer>>(
        [&](std::function<void(absl::StatusOr<SearchAnswer>)> done) {
          replica(at).Search(query, {}, std::move(done));
        });
  }
};

TEST_F(ShardReplicas, KeepWritesOverAFailoverAndARestart) {
  StartAll();
  Write("a", 1);
  const uint64_t first = AwaitLeader();
  Stop(first);
  Write("b", 2);
  ASSERT_TRUE(Open(first).ok());
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_TRUE(Has(id, "a", 1)) << "node " << id;
    EXPECT_TRUE(Has(id, "b", 2)) << "node " << id;
  }
  const auto found = Search(first, 2);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->hits.at(0).id, "b");
}

TEST_F(ShardReplicas, StartAgainFromTheirStoresWhenAllStopped) {
  StartAll();
  for (int i = 0; i < 20; ++i) Write("p" + std::to_string(i), static_cast<float>(i));
  ASSERT_TRUE(replica(1).FlushAll().ok());  // one's index is ahead of the others'
  for (uint64_t id = 1; id <= 3; ++id) Stop(id);
  StartAll();
  for (uint64_t id = 1; id <= 3; ++id) EXPECT_TRUE(Has(id, "p19", 19)) << "node " << id;
}

TEST_F(ShardReplicas, JoinByACopyWhenTheLogBeginsLater) {
  StartAllAndCutTheLogs();
  WriteKey("owner", "somebody");
  ASSERT_TRUE(Open(4).ok());
  Change(4, consensus::ChangeKind::kAddLearner);
  Write("q", 100);
  EXPECT_TRUE(Has(4, "p0", 0));
  EXPECT_TRUE(Has(4, "q", 100));
  EXPECT_EQ(GetKey(4, "owner"), "somebody");
  Change(4, consensus::ChangeKind::kAddVoter);
  const auto found = Search(4, 7);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->hits.at(0).id, "p7");
  Stop(4);
  ASSERT_TRUE(Open(4).ok());
  EXPECT_TRUE(Has(4, "p3", 3));
}

// The copy that was made for the first is of a time when the second was no member.
TEST_F(ShardReplicas, JoinOneAfterAnotherByCopies) {
  StartAllAndCutTheLogs();
  for (uint64_t id = 4; id <= 5; ++id) {
    ASSERT_TRUE(Open(id).ok());
    Change(id, consensus::ChangeKind::kAddLearner);
    EXPECT_TRUE(Receives(id, "p3", 3)) << "node " << id;
    EXPECT_TRUE(Has(id, "p3", 3)) << "node " << id;
  }
}

// Data that is damaged, or that a crash left in the middle of a swap, is brought from the others.
TEST_F(ShardReplicas, AreMadeAnewFromTheOthersWhenTheirDataIsLost) {
  StartAllAndCutTheLogs();
  Stop(2);
  DamageTheData(2);
  ASSERT_TRUE(Open(2).ok());
  EXPECT_FALSE(replica(2).has_state());
  EXPECT_TRUE(Has(2, "p5", 5));
  EXPECT_TRUE(replica(2).has_state());
  EXPECT_FALSE(std::filesystem::exists(FolderOf(2) + "/damaged"));

  Stop(2);
  ReplicaRecord record = **ReadReplicaRecord(*node(2).files, FolderOf(2));
  record.state = ReplicaState::kCopying;
  ASSERT_TRUE(WriteReplicaRecord(*node(2).files, FolderOf(2), record).ok());
  ASSERT_TRUE(Open(2).ok());
  Write("q", 100);
  EXPECT_TRUE(Has(2, "q", 100));
  EXPECT_TRUE(Has(2, "p5", 5));
  EXPECT_EQ((*ReadReplicaRecord(*node(2).files, FolderOf(2)))->state, ReplicaState::kReady);
}

// Needs no copy: a log that was never cut holds everything.
TEST_F(ShardReplicas, AreMadeAnewFromTheirLogsWhenTheirDataIsLost) {
  StartAll();
  for (int i = 0; i < 20; ++i) Write("p" + std::to_string(i), static_cast<float>(i));
  EXPECT_TRUE(Has(2, "p19", 19));
  Stop(2);
  DamageTheData(2);
  ASSERT_TRUE(Open(2).ok());
  ASSERT_TRUE(Eventually([&] { return replica(2).has_state(); }));
  EXPECT_TRUE(Has(2, "p5", 5));
  Write("q", 100);
  EXPECT_TRUE(Has(2, "q", 100));
  EXPECT_EQ(replica(2).stats().points, 21U);
  EXPECT_FALSE(std::filesystem::exists(FolderOf(2) + "/damaged"));
  Stop(2);
  ASSERT_TRUE(Open(2).ok());
  EXPECT_TRUE(Has(2, "p5", 5));
}

// At each step of the swap in turn, from the first to the last: the copy is asked for again, and
// taken over once the disk does.
TEST_F(ShardReplicas, AskForAnotherCopyWhenOneCannotBeTakenOver) {
  StartAllAndCutTheLogs();
  ASSERT_TRUE(Open(4).ok());
  const auto fail_at = [&](uint64_t id, uint64_t rename) {
    node(id).faulty_files.FailAt(
        rename,
        {.status = absl::ResourceExhaustedError("disk full"), .kinds = kFaultRename, .once = true});
  };
  const auto expect_copied = [&](uint64_t id) {
    EXPECT_TRUE(Receives(id, "p5", 5));
    EXPECT_EQ(node(id).faulty_files.failed_count(), 1u);
    EXPECT_TRUE(Has(id, "p19", 19));
    EXPECT_FALSE(replica(id).view().quarantined);
    EXPECT_FALSE(std::filesystem::exists(FolderOf(id) + "/old"));
  };
  fail_at(4, 3);  // the old data is aside, the new is not in its place
  Change(4, consensus::ChangeKind::kAddLearner);
  expect_copied(4);
  for (const uint64_t rename : {1, 2, 3}) {
    SCOPED_TRACE(rename);
    Stop(2);
    DamageTheData(2);
    network().CutOff(2);
    ASSERT_TRUE(Open(2).ok());
    fail_at(2, rename);
    network().Heal();
    expect_copied(2);
  }
  Write("q", 100);
  for (const uint64_t id : {2, 4}) {
    EXPECT_TRUE(Has(id, "q", 100));
    Stop(id);
    ASSERT_TRUE(Open(id).ok());
    EXPECT_TRUE(Has(id, "q", 100));
    EXPECT_TRUE(Has(id, "p5", 5));
  }
}

TEST_F(ShardReplicas, GoOnAloneFromOneThatIsLeftWhenTheOthersAreLost) {
  StartAllAndCutTheLogs();
  ASSERT_TRUE(Open(4).ok());
  Change(4, consensus::ChangeKind::kAddLearner);  // is in the log of the one left
  EXPECT_TRUE(Receives(4, "p3", 3));
  Write("kept", 50);
  EXPECT_TRUE(Receives(1, "kept", 50));
  for (uint64_t id = 1; id <= 4; ++id) Stop(id);
  {
    auto logs = LogStore::Open(node(1).dir() + "/log", node(1).resources, size_t{1} << 20);
    ASSERT_TRUE(logs.ok()) << logs.status();
    const auto stored = ReadStoredGroup(**logs, kGroup);
    ASSERT_TRUE(stored.ok()) << stored.status();
    EXPECT_EQ(stored->membership.voters.size(), 3u);
    EXPECT_TRUE(absl::IsNotFound(ReadStoredGroup(**logs, GroupId{99}).status()));
    ASSERT_TRUE(RecoverAlone(**logs, *node(1).files, kGroup, FolderOf(1)).ok());
  }
  ASSERT_TRUE(Open(1).ok());
  EXPECT_EQ(AwaitLeader(), 1u);
  EXPECT_EQ(replica(1).view().membership.voters.size(), 1u);
  Write("q", 100);
  EXPECT_TRUE(Has(1, "p5", 5));
  EXPECT_TRUE(Has(1, "kept", 50));
  // It grows again by copies, and one of the lost that comes back after all gives way.
  ASSERT_TRUE(Open(5).ok());
  Change(5, consensus::ChangeKind::kAddLearner);
  EXPECT_TRUE(Has(5, "q", 100));
  ASSERT_TRUE(Open(2).ok());
  Change(2, consensus::ChangeKind::kAddLearner);
  EXPECT_TRUE(Has(2, "q", 100));
  EXPECT_TRUE(Has(2, "p5", 5));
}

TEST_F(ShardReplicas, DoNotGoOnAloneWithoutAVoteOrWholeData) {
  StartAllAndCutTheLogs();
  ASSERT_TRUE(Open(4).ok());
  Change(4, consensus::ChangeKind::kAddLearner);
  EXPECT_TRUE(Receives(4, "p3", 3));
  const auto recover = [&](uint64_t id) {
    Stop(id);
    auto logs = LogStore::Open(node(id).dir() + "/log", node(id).resources, size_t{1} << 20);
    CHECK_OK(logs.status());
    return RecoverAlone(**logs, *node(id).files, kGroup, FolderOf(id));
  };
  EXPECT_TRUE(absl::IsFailedPrecondition(recover(4))) << "it has no vote";
  Stop(3);
  ReplicaRecord record = **ReadReplicaRecord(*node(3).files, FolderOf(3));
  record.state = ReplicaState::kCopying;
  ASSERT_TRUE(WriteReplicaRecord(*node(3).files, FolderOf(3), record).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(recover(3))) << "its data is not whole";
}

TEST_F(ShardReplicas, AreNotResurrectedOnceRemoved) {
  StartAll();
  Write("a", 1);
  const uint64_t leader = AwaitLeader();
  const uint64_t gone = leader == 3 ? 2 : 3;
  ASSERT_TRUE(replica(gone).Remove().ok());
  EXPECT_TRUE(absl::IsUnavailable(Search(gone, 1).status()));
  Close(gone);
  EXPECT_FALSE(std::filesystem::exists(FolderOf(gone) + "/data"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(gone)));
  // The same node may have another replica of the group later.
  ASSERT_TRUE(Open(gone, 2).ok());
  Close(gone);
  ASSERT_TRUE(
      ShardReplica::RemoveClosed(*node(gone).files, FolderOf(gone), kGroup, *node(gone).host).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Open(gone, 2)));
  ASSERT_TRUE(ShardReplica::Forget(*node(gone).files, FolderOf(gone)).ok());
  EXPECT_FALSE(std::filesystem::exists(FolderOf(gone)));
}

TEST(ReplicaRecord, SurvivesItsEncodingAndRefusesDamage) {
  const ReplicaRecord record{.state = ReplicaState::kTombstoned,
                             .replica = ReplicaId::Make({3}, 9),
                             .log_kept = false,
                             .term = 4,
                             .vote = 5,
                             .last_index = 6,
                             .snapshot_index = 7};
  const std::string bytes = EncodeReplicaRecord(record);
  const auto decoded = DecodeReplicaRecord(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->replica, record.replica);
  EXPECT_EQ(decoded->last_index, 6U);
  EXPECT_FALSE(decoded->log_kept);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    EXPECT_FALSE(DecodeReplicaRecord(damaged).ok()) << "byte " << i;
    EXPECT_FALSE(DecodeReplicaRecord(bytes.substr(0, i)).ok()) << "cut at " << i;
  }
}

}  // namespace
}  // namespace vectron::shard
