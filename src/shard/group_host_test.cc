#include "shard/group_host.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "shard/peer_testing.h"
#include "storage/layout.h"
#include "storage/memory_kv.h"

namespace vectron::shard {
namespace {

constexpr GroupId kGroup{9};

// Keeps what was applied; its state is as durable as the log, so it starts empty each time.
class ListApplier : public Applier {
 public:
  void Apply(std::vector<Entry> entries) override {
    const absl::MutexLock lock(&mutex_);
    for (Entry& entry : entries) {
      EXPECT_EQ(entry.index, next_);
      next_ = entry.index + 1;
      if (!entry.command.empty()) commands_.push_back(std::move(entry.command));
    }
  }
  uint64_t stored_index() const override { return stored; }
  uint64_t tail_bytes() const override { return tail; }
  std::vector<std::string> commands() const {
    const absl::MutexLock lock(&mutex_);
    return commands_;
  }
  uint64_t stored = 0;
  std::atomic<uint64_t> tail{0};

 private:
  mutable absl::Mutex mutex_;
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<std::string> commands_ ABSL_GUARDED_BY(mutex_);
};

// Nodes 1, 2, 3 with the same groups.
class GroupHosts : public testing::Test {
 protected:
  struct Member {
    std::map<uint64_t, std::unique_ptr<ListApplier>> appliers;
    std::map<uint64_t, Replicator*> replicators;
    std::unique_ptr<HostNode> node;  // ends first
  };

  void SetUp() override {
    for (uint64_t id = 1; id <= 3; ++id) {
      members_[id].node = std::make_unique<HostNode>(network_, id, dir_ / std::to_string(id));
    }
  }
  void Join(uint64_t id, GroupId group = kGroup) {
    Member& member = members_.at(id);
    member.appliers[group.value] = std::make_unique<ListApplier>();
    RaftGroupStart start;
    start.group = group;
    start.replica = member.node->replica();
    start.members = founders_;
    start.applier = member.appliers[group.value].get();
    const auto replicator = member.node->host->Attach(start);
    ASSERT_TRUE(replicator.ok()) << replicator.status();
    member.replicators[group.value] = *replicator;
  }
  void StartAll() {
    for (auto& [id, member] : members_) {
      member.node->Start();
      Join(id);
    }
  }
  void Stop(uint64_t id) {
    Member& member = members_.at(id);
    for (const GroupId group : member.node->host->Groups()) member.node->host->Detach(group);
    member.node->Stop();
    member.appliers.clear();
    member.replicators.clear();
  }
  GroupHost& host(uint64_t id) { return *members_.at(id).node->host; }
  // The node that leads; none of `without`.
  uint64_t AwaitLeader(uint64_t without = 0, GroupId group = kGroup) {
    uint64_t leader = 0;
    EXPECT_TRUE(Eventually([&] {
      for (auto& [id, member] : members_) {
        if (id == without || member.node->host == nullptr) continue;
        if (member.node->host->View(group).is_leader) leader = id;
      }
      return leader != 0;
    }));
    return leader;
  }
  absl::StatusOr<uint64_t> Propose(uint64_t id, const std::string& command,
                                   GroupId group = kGroup) {
    return Answer<absl::StatusOr<uint64_t>>(
        [&](std::function<void(absl::StatusOr<uint64_t>)> done) {
          members_.at(id).replicators.at(group.value)->Propose(command, std::move(done));
        });
  }
  absl::StatusOr<uint64_t> ReadBarrier(uint64_t id) {
    return Answer<absl::StatusOr<uint64_t>>(
        [&](std::function<void(absl::StatusOr<uint64_t>)> done) {
          members_.at(id).replicators.at(kGroup.value)->ReadBarrier(std::move(done));
        });
  }
  // Through whoever leads, until it is taken.
  void Write(const std::string& command, uint64_t without = 0) {
    EXPECT_TRUE(Eventually([&] { return Propose(AwaitLeader(without), command).ok(); }));
  }
  bool AllGoQuiet() {
    return Eventually([&] {
      for (auto& [id, member] : members_) {
        if (member.node->host != nullptr && !member.node->host->View(kGroup).quiet) return false;
      }
      return true;
    });
  }
  bool AllHave(const std::vector<std::string>& commands) {
    return Eventually([&] {
      for (auto& [id, member] : members_) {
        if (member.node->host != nullptr &&
            member.appliers.at(kGroup.value)->commands() != commands)
          return false;
      }
      return true;
    });
  }

  TempDir dir_;
  LocalNetwork network_;
  consensus::Membership founders_ = Voters({1, 2, 3});
  absl::Mutex mutex_;
  absl::Status fatal_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Member> members_;
};

TEST_F(GroupHosts, ReplaceALeaderThatEndsAndTakeItBack) {
  StartAll();
  Write("a");
  const uint64_t first = AwaitLeader();
  Stop(first);
  Write("b");
  members_.at(first).node->Start();
  Join(first);
  Write("c");
  EXPECT_TRUE(AllHave({"a", "b", "c"}));
}

TEST_F(GroupHosts, ReplaceALeaderThatIsCutOffAndTellItsWritersSo) {
  StartAll();
  Write("a");
  const uint64_t first = AwaitLeader();
  network_.CutOff(first);
  // The old leader has no quorum: the write is answered once it knows, and has not happened.
  EXPECT_TRUE(absl::IsUnavailable(Propose(first, "lost").status()));
  Write("b", first);
  network_.Heal();
  EXPECT_TRUE(AllHave({"a", "b"}));
}

TEST_F(GroupHosts, HandOverLeadershipBeforeTheyEnd) {
  StartAll();
  Write("a");
  const uint64_t first = AwaitLeader();
  EXPECT_TRUE(host(first).HandOverAll().ok());
  EXPECT_FALSE(host(first).View(kGroup).is_leader);
  EXPECT_NE(AwaitLeader(), first);
}

// A member without a vote calls no election, so nothing tells it that its leader is gone.
TEST_F(GroupHosts, RefuseReadsOfALearnerWhenAllVotersAreGone) {
  founders_ = Voters({1, 2});
  founders_.learners = {ReplicaId::Make({3}, 1).value};
  StartAll();
  Write("a");
  ASSERT_TRUE(AllHave({"a"}));
  EXPECT_TRUE(members_.at(1).replicators.at(kGroup.value)->votes());
  EXPECT_FALSE(members_.at(3).replicators.at(kGroup.value)->votes());
  EXPECT_TRUE(Eventually([&] { return ReadBarrier(3).ok(); }));
  Stop(1);
  Stop(2);
  EXPECT_TRUE(absl::IsUnavailable(ReadBarrier(3).status()));
}

TEST_F(GroupHosts, AnswerOnceDetached) {
  StartAll();
  const uint64_t leader = AwaitLeader();
  host(leader).Detach(kGroup);
  EXPECT_TRUE(absl::IsUnavailable(ReadBarrier(leader).status()));
}

TEST_F(GroupHosts, ReplayWhatTheStoredStateHoldsBeforeTheyAttach) {
  StartAll();
  Write("a");
  Write("b");
  ASSERT_TRUE(AllHave({"a", "b"}));
  for (uint64_t id = 1; id <= 3; ++id) Stop(id);
  Member& member = members_.at(2);
  member.node->Start();
  ListApplier applier;
  applier.stored = 2;  // the leader's first entry and "a"
  RaftGroupStart start;
  start.group = kGroup;
  start.replica = member.node->replica();
  start.members = Voters({1, 2, 3});
  start.applier = &applier;
  ASSERT_TRUE(member.node->host->Attach(start).ok());
  EXPECT_EQ(applier.commands(),
            (std::vector<std::string>{"a"}));  // alone, nothing more is known to be committed
  member.node->host->Detach(kGroup);
}

TEST_F(GroupHosts, GoQuietWhenIdleAndWakeForUseAndForADeadLeader) {
  for (auto& [id, member] : members_) {
    member.node->quiet_after_ticks = 20;
    member.node->Start();
    Join(id);
  }
  Write("a");
  ASSERT_TRUE(AllGoQuiet());
  const uint64_t leader = AwaitLeader();
  ASSERT_TRUE(Propose(leader, "b").ok());
  EXPECT_TRUE(AllHave({"a", "b"}));
  ASSERT_TRUE(AllGoQuiet());
  // Nobody uses the group: its members learn from the silence of the node. (The host ends without a
  // word.)
  members_.at(leader).node->Stop();
  EXPECT_NE(AwaitLeader(leader), leader);
}

// The second best of three counts: one that is slow, or gone, holds up nobody.
TEST_F(GroupHosts, TellTheirLeaderHowFarMostOfThemAreBehind) {
  constexpr uint64_t kLittle = uint64_t{1} << 20;
  constexpr uint64_t kMuch = uint64_t{6} << 20;
  StartAll();
  Write("a");
  const uint64_t leader = AwaitLeader();
  const uint64_t one = leader % 3 + 1;
  const uint64_t other = one % 3 + 1;
  const auto set_tail = [&](uint64_t id, uint64_t bytes) {
    members_.at(id).appliers.at(kGroup.value)->tail = bytes;
  };
  const auto reaches = [&](uint64_t bytes) {
    Write("b");  // a quiet group has nothing to tell
    const Replicator* replicator = members_.at(leader).replicators.at(kGroup.value);
    return Eventually([&] {
      const uint64_t now = AwaitLeader();
      if (now != leader) host(now).TransferLeadership(kGroup, members_.at(leader).node->replica());
      return replicator->quorum_tail_bytes() == bytes;
    });
  };
  set_tail(one, kMuch);
  set_tail(other, kLittle);
  EXPECT_TRUE(reaches(kLittle));
  EXPECT_EQ(members_.at(one).replicators.at(kGroup.value)->quorum_tail_bytes(), 0U);
  set_tail(other, 0);
  EXPECT_TRUE(reaches(0));
  Stop(other);
  EXPECT_TRUE(reaches(kMuch));
  set_tail(one, 0);
  EXPECT_TRUE(reaches(0));
}

TEST_F(GroupHosts, WithAFullDiskHoldUpNobodyAndCatchUpOnceThereIsRoom) {
  std::atomic<bool> full{true};
  members_.at(2).node->disk_room = [&full] { return full ? DiskRoom::kFull : DiskRoom::kPlenty; };
  StartAll();
  const std::string large(10'000, 'x');
  std::vector<std::string> written;
  for (int i = 0; i < 20; ++i) {
    written.push_back(large + std::to_string(i));
    Write(written.back());  // whoever leads first: with a full disk it gives way
  }
  EXPECT_NE(AwaitLeader(), 2U);
  EXPECT_LT(members_.at(2).node->logs->BytesFrom(kGroup, 1).value(), 100'000U);
  // A read does not wait for a replica that stays behind.
  EXPECT_TRUE(absl::IsUnavailable(ReadBarrier(2).status()));
  full = false;
  EXPECT_TRUE(AllHave(written));
  EXPECT_TRUE(Eventually([&] { return ReadBarrier(2).ok(); }));
  members_.at(2).node->Stop();  // it asks `full` no more
}

TEST_F(GroupHosts, RefuseWritesWhileMostDisksAreFullAndGoOnOnceThereIsRoom) {
  std::map<uint64_t, std::atomic<bool>> full;
  for (auto& [id, member] : members_) {
    std::atomic<bool>& here = full[id];
    member.node->disk_room = [&here] { return here ? DiskRoom::kFull : DiskRoom::kPlenty; };
  }
  StartAll();
  std::vector<std::string> written{"a"};
  Write("a");
  ASSERT_TRUE(AllHave(written));
  // False when another node led in the end, as a machine busy with other things may bring about.
  const auto refuses = [&](bool leader_has_room) {
    const uint64_t leader = AwaitLeader();
    const uint64_t term = host(leader).View(kGroup).term;
    const uint64_t with_room = leader_has_room ? leader : leader % 3 + 1;
    for (auto& [id, here] : full) here = id != with_room;
    const Replicator* replicator = members_.at(leader).replicators.at(kGroup.value);
    EXPECT_TRUE(Eventually([&] { return replicator->nearly_full(); }));
    const bool refused = absl::IsResourceExhausted(Propose(leader, "no").status());
    const bool reads = ReadBarrier(leader).ok();
    const GroupView view = host(leader).View(kGroup);
    for (auto& [id, here] : full) here = false;
    written.push_back(std::to_string(written.size()));
    Write(written.back());
    EXPECT_TRUE(AllHave(written));
    return refused && reads && view.is_leader && view.term == term;
  };
  // Both followers, then the leader and one of them: leading elsewhere would not help.
  for (const bool leader_has_room : {true, false}) {
    EXPECT_TRUE(refuses(leader_has_room) || refuses(leader_has_room) || refuses(leader_has_room));
  }
  for (auto& [id, member] : members_) Stop(id);  // they ask `full` no more
}

TEST_F(GroupHosts, GoOnWhileNobodyCanTellWhatRoomTheirDisksHave) {
  absl::Notification answer;
  for (auto& [id, member] : members_) {
    member.node->disk_room = [&answer] {
      answer.WaitForNotification();
      return DiskRoom::kPlenty;
    };
  }
  StartAll();
  Write("a");
  EXPECT_TRUE(AllHave({"a"}));
  answer.Notify();
  for (auto& [id, member] : members_) Stop(id);  // they ask no more
}

// Nothing happens in the group meanwhile that would make it look.
TEST_F(GroupHosts, HearOfRoomOnDisksWhileTheyAreQuiet) {
  std::atomic<bool> full{false};
  for (auto& [id, member] : members_) {
    member.node->quiet_after_ticks = 20;
    if (id != 1) {
      member.node->disk_room = [&full] { return full ? DiskRoom::kNearlyFull : DiskRoom::kPlenty; };
    }
    member.node->Start();
    Join(id);
  }
  Write("a");
  for (const bool now : {true, false}) {
    ASSERT_TRUE(AllGoQuiet());
    full = now;
    for (auto& [id, member] : members_) {
      const Replicator* replicator = member.replicators.at(kGroup.value);
      EXPECT_TRUE(Eventually([&] { return replicator->nearly_full() == now; })) << "node " << id;
    }
  }
  for (auto& [id, member] : members_) Stop(id);  // they ask `full` no more
}

// A store whose writes wait while it is told to.
class StuckKv : public storage::MemoryKv {
 public:
  StuckKv() : MemoryKv(storage::LogStoreColumns().size(), storage::WriteAheadLog::kOn) {}
  ~StuckKv() override { Stick(false); }
  absl::Status Write(const storage::WriteBatch& batch, Durability durability) override {
    {
      const absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &StuckKv::Free));
    }
    return MemoryKv::Write(batch, durability);
  }
  void Stick(bool stuck) {
    const absl::MutexLock lock(&mutex_);
    stuck_ = stuck;
  }

 private:
  bool Free() const { return !stuck_; }
  absl::Mutex mutex_;
  bool stuck_ = false;
};

TEST_F(GroupHosts, AreReplacedWhileTheirDiskHangsAndEndWhenItGoesOn) {
  std::map<uint64_t, StuckKv*> disks;
  for (auto& [id, member] : members_) {
    auto kv = std::make_unique<StuckKv>();
    disks[id] = kv.get();
    member.node->hung_write_ms = 1'500;
    member.node->on_fatal = [&](const absl::Status& status) {
      const absl::MutexLock lock(&mutex_);
      fatal_ = status;
    };
    member.node->StartOver(*LogStore::Over(std::move(kv), "log", 1 << 20));
    Join(id);
  }
  Write("a");
  const uint64_t first = AwaitLeader();
  disks.at(first)->Stick(true);
  members_.at(first)
      .replicators.at(kGroup.value)
      ->Propose("stuck", [](const absl::StatusOr<uint64_t>&) {});
  Write("b", first);
  EXPECT_TRUE(Eventually([&] {
    const absl::MutexLock lock(&mutex_);
    return absl::IsUnavailable(fatal_);
  }));
  disks.at(first)->Stick(false);
}

TEST_F(GroupHosts, EndWhenTheirDiskHangsThoughNothingIsWritten) {
  StuckKv* disk = nullptr;
  for (auto& [id, member] : members_) {
    auto kv = std::make_unique<StuckKv>();
    if (id == 1) disk = kv.get();
    member.node->quiet_after_ticks = 20;
    member.node->probe_ticks = 20;
    member.node->hung_write_ms = 1'500;
    member.node->on_fatal = [this](const absl::Status& status) {
      const absl::MutexLock lock(&mutex_);
      fatal_ = status;
    };
    member.node->StartOver(*LogStore::Over(std::move(kv), "log", 1 << 20));
    Join(id);
  }
  Write("a");
  ASSERT_TRUE(AllGoQuiet());
  disk->Stick(true);
  EXPECT_TRUE(Eventually([&] {
    const absl::MutexLock lock(&mutex_);
    return absl::IsUnavailable(fatal_);
  }));
  disk->Stick(false);
}

}  // namespace
}  // namespace vectron::shard
