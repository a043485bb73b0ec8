#include "apps/vectron/recover_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/vectron/data_folder.h"
#include "base/check.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "services/placement/command.h"
#include "services/placement/placement_node.h"
#include "services/placement/replicated_state.h"
#include "services/worker/node_state.h"
#include "shard/raft_log_view.h"
#include "shard/recovery.h"
#include "shard/replica_record.h"
#include "storage/rocks_kv.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr GroupId kGroup{5};

uint64_t ReplicaOn(uint64_t worker) { return shard::ReplicaId::Make({worker}, 1).value; }

// What worker 7 leaves behind, which held one of three replicas of group 5.
class RecoverTest : public testing::Test {
 protected:
  RecoverTest() {
    CHECK_OK(DataFolder::Open(dir_.path(), *files_).status());
    absl::StatusOr<worker::NodeState> state = worker::NodeState::Open(*files_, dir_.path(), 1);
    CHECK_OK(state.status());
    CHECK_OK(state->SetIds(7, "a-cluster"));
    CHECK_OK(files_->MakeDirs(dir_ / "shards/5"));
    CHECK_OK(shard::WriteReplicaRecord(*files_, dir_ / "shards/5",
                                       {.replica = shard::ReplicaId{ReplicaOn(7)}}));
    shard::RaftState raft;
    raft.replica = shard::ReplicaId{ReplicaOn(7)};
    raft.hard_state = {.term = 3, .vote = 0, .commit = 1};
    raft.memberships = {{0, {.voters = {ReplicaOn(7), ReplicaOn(8), ReplicaOn(9)}}}};
    const std::vector<shard::Entry> entries = {
        {3, 1, shard::WithKind(consensus::EntryKind::kNormal, "")},
        {3, 2, shard::WithKind(consensus::EntryKind::kNormal, "")}};
    const std::string encoded = shard::EncodeRaftState(raft);
    CHECK_OK(OpenLog()->Append({{.group = kGroup, .entries = &entries, .hard_state = encoded}}));
  }
  std::unique_ptr<shard::LogStore> OpenLog() {
    auto logs = shard::LogStore::Open(dir_ / "log", resources_, 0);
    CHECK_OK(logs.status());
    return *std::move(logs);
  }
  absl::StatusOr<std::string> Run(uint64_t group, bool apply, std::set<uint64_t> living) {
    return Recover({.data_dir = dir_.path(), .group = group, .apply = apply}, *files_,
                   [living]() -> absl::StatusOr<std::set<uint64_t>> { return living; });
  }
  std::vector<uint64_t> Voters() {
    return shard::ReadStoredGroup(*OpenLog(), kGroup)->membership.voters;
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  storage::RocksResources resources_;
};

TEST_F(RecoverTest, TellsWhatIsLeftAndChangesNothing) {
  const auto all = Run(0, false, {9});
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(*all, HasSubstr("group 5"));
  EXPECT_THAT(*all, HasSubstr("7 (this one), 8 (lost), 9 (lives)"));
  EXPECT_THAT(*all, HasSubstr("ends at 2"));
  const auto one = Run(5, false, {});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(*one, HasSubstr("--yes"));
  EXPECT_EQ(Voters().size(), 3u);
}

TEST_F(RecoverTest, MakesTheReplicaItsGroupsOnlyVoter) {
  const auto done = Run(5, true, {});
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(*done, Not(HasSubstr("--yes")));
  EXPECT_THAT(Voters(), testing::ElementsAre(ReplicaOn(7)));
  const auto stored = shard::ReadStoredGroup(*OpenLog(), kGroup);
  EXPECT_EQ(stored->committed_index, 2u);
  EXPECT_GE(stored->term, 3 + shard::kRecoveredTermStep);
}

TEST_F(RecoverTest, RefusesWhileAMajorityLives) {
  const absl::Status refused = Run(5, true, {8}).status();  // 7 itself and 8
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("2 of 3 voters"));
  const auto unknown = Recover({.data_dir = dir_.path(), .group = 5, .apply = true}, *files_,
                               []() -> absl::StatusOr<std::set<uint64_t>> {
                                 return Unavailable("placement is not reached");
                               });
  EXPECT_TRUE(absl::IsUnavailable(unknown.status()));
  EXPECT_EQ(Voters().size(), 3u);
}

TEST_F(RecoverTest, RefusesOtherFoldersGroupsAndARunningWorker) {
  EXPECT_TRUE(absl::IsNotFound(Run(6, true, {}).status()));
  const TempDir other;
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Recover({.data_dir = other.path()}, *files_, [] { return std::set<uint64_t>(); }).status()));
  const auto in_use = DataFolder::Open(dir_.path(), *files_);
  ASSERT_TRUE(in_use.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Run(5, true, {}).status()));
}

TEST_F(RecoverTest, WantsToKnowWhoIsLostAndWhichGroup) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      Recover({.data_dir = dir_.path(), .group = 5}, *files_, nullptr).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Run(0, true, {}).status()));
}

// What placement node 2 of three leaves behind.
class RecoverPlacementTest : public testing::Test {
 protected:
  RecoverPlacementTest() {
    CHECK_OK(DataFolder::Open(dir_.path(), *files_).status());
    CHECK_OK(files_->MakeDirs(dir_.path() + placement::kPlacementSnapshotFolder));
    shard::RaftState raft;
    raft.replica = shard::ReplicaId{ReplicaOn(2)};
    raft.hard_state = {.term = 3, .vote = 0, .commit = 1};
    raft.memberships = {{0, {.voters = {ReplicaOn(1), ReplicaOn(2), ReplicaOn(3)}}}};
    const auto command = [](placement::CommandBody body) {
      return shard::WithKind(consensus::EntryKind::kNormal,
                             placement::EncodeCommand({.proposal = 0, .body = std::move(body)}));
    };
    const std::vector<shard::Entry> entries = {
        {3, 1, shard::WithKind(consensus::EntryKind::kNormal, "")},
        {3, 2, command(placement::FoundCluster{.cluster_id = "a-cluster"})},
        {3, 3, command(placement::RegisterWorker{.profile = {.node_uid = "a"}})}};
    const std::string encoded = shard::EncodeRaftState(raft);
    auto logs = shard::LogStore::Open(dir_ / "log", resources_, 0);
    CHECK_OK(logs.status());
    CHECK_OK((*logs)->Append(
        {{.group = placement::kPlacementGroup, .entries = &entries, .hard_state = encoded}}));
  }
  absl::StatusOr<std::string> Run(bool apply, uint64_t group = 0) {
    return Recover({.data_dir = dir_.path(), .group = group, .apply = apply}, *files_, nullptr);
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  storage::RocksResources resources_;
};

TEST_F(RecoverPlacementTest, TellsWhatIsLeftAndWhatIsLost) {
  for (int i = 0; i < 2; ++i) {  // the first one changed nothing
    const auto told = Run(false);
    ASSERT_TRUE(told.ok()) << told.status();
    EXPECT_THAT(*told, HasSubstr("placement node 2 of cluster 'a-cluster': 1 workers"));
    EXPECT_THAT(*told, HasSubstr("voters on placement nodes 1, 2, 3; the log ends at 3"));
    EXPECT_THAT(*told, HasSubstr("is lost"));
    EXPECT_THAT(*told, HasSubstr("--yes"));
  }
}

TEST_F(RecoverPlacementTest, GoesOnAloneWhenToldSo) {
  const auto done = Run(true);
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_THAT(*done, HasSubstr("goes on alone"));
  const auto state =
      placement::ReadStateFile(*files_, dir_.path() + placement::kPlacementStateFile);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->cluster_id(), "a-cluster");
  EXPECT_EQ(state->workers().size(), 1u);
  EXPECT_GT(state->applied_index(), 1'000'000u);
  EXPECT_TRUE(absl::IsFailedPrecondition(Run(true).status()));
}

TEST_F(RecoverPlacementTest, RefusesAGroupAndARunningNode) {
  EXPECT_TRUE(absl::IsInvalidArgument(Run(true, 1).status()));
  const auto in_use = DataFolder::Open(dir_.path(), *files_);
  ASSERT_TRUE(in_use.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(Run(true).status()));
}

}  // namespace
}  // namespace vectron
