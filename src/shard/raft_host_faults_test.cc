// Hosts of one group that are paused, cut off, ended and started again, one step at a time: reads
// and memberships that went wrong elsewhere.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "shard/peer_testing.h"
#include "shard/raft_host.h"
#include "shard/raft_replica.h"
#include "storage/borrowed_kv_testing.h"
#include "storage/memory_kv.h"

namespace vectron::shard {
namespace {

using consensus::ChangeKind;

constexpr GroupId kGroup{9};

class ListApplier : public Applier {
 public:
  void Apply(std::vector<Entry> entries) override {
    for (Entry& entry : entries) {
      if (!entry.command.empty()) commands.push_back(std::move(entry.command));
    }
  }
  std::vector<std::string> commands;
};

// Nodes 1 to 3 found the group and 1 leads it. Nothing happens by itself.
class HostsApart : public testing::Test {
 protected:
  struct Answer {
    bool there = false;
    absl::StatusOr<uint64_t> index = absl::UnknownError("no answer yet");
  };
  using Asked = std::shared_ptr<Answer>;

  void SetUp() override {
    for (const uint64_t id : {1, 2, 3}) Start(id);
    host(1).Campaign(kGroup);
    Tick(20);
    ASSERT_EQ(Leader(), 1U);
  }

  // --- nodes ---
  // With the disk it had.
  void Start(uint64_t id) {
    Node& node = nodes_[id];
    if (node.disk == nullptr) {
      node.disk = std::make_unique<storage::MemoryKv>(2, storage::WriteAheadLog::kOn);
    }
    auto logs =
        LogStore::Over(std::make_unique<storage::BorrowedKv>(*node.disk), "log", size_t{1} << 20);
    CHECK_OK(logs.status());
    node.logs = *std::move(logs);
    node.post = std::make_unique<WirePost>(wires_, id);
    node.applier = std::make_unique<ListApplier>();
    RaftHostDeps deps;
    deps.logs = node.logs.get();
    deps.transport = node.post.get();
    deps.apply_executor = &inline_;
    deps.wake = [] {};
    deps.on_fatal = [](const absl::Status& status) { CHECK_OK(status); };
    RaftHostOptions options;
    options.node = {id};
    options.seed = ++starts_;
    options.life = starts_;
    options.quiet_after_ticks = quiet_after_ticks_;
    node.host = RaftHost::Create(options, deps);
    Attach(id, 1);
  }
  void Attach(uint64_t id, uint64_t serial) {
    Node& node = nodes_.at(id);
    RaftGroupStart start;
    start.group = kGroup;
    start.replica = ReplicaId::Make({id}, serial);
    start.members = Voters({1, 2, 3});
    start.applier = node.applier.get();
    start.lacks_state = lacks_state_;
    const auto replicator = node.host->Attach(start);
    CHECK_OK(replicator.status());
    node.replicator = *replicator;
  }
  void End(uint64_t id) {
    Node& node = nodes_.at(id);
    node.host.reset();
    node.logs.reset();
    node.replicator = nullptr;
  }
  // Up to there.
  void CutLog(uint64_t id, uint64_t index) {
    nodes_.at(id).replicator->SetLogMarks(index, index);
    TurnOf(id);
    ASSERT_GT(nodes_.at(id).logs->Extent(kGroup).first_index, 1U);
  }
  RaftHost& host(uint64_t id) { return *nodes_.at(id).host; }
  GroupView View(uint64_t id) { return host(id).View(kGroup); }
  const std::vector<std::string>& AppliedBy(uint64_t id) { return nodes_.at(id).applier->commands; }
  uint64_t EndOfLog(uint64_t id) { return nodes_.at(id).logs->Extent(kGroup).next_index; }
  // Who leads in the newest term, among those that run; 0: nobody.
  uint64_t Leader() {
    uint64_t leader = 0;
    uint64_t term = 0;
    for (const auto& [id, node] : nodes_) {
      if (!Runs(id)) continue;
      const GroupView view = View(id);
      if (!view.is_leader || view.term < term) continue;
      leader = id;
      term = view.term;
    }
    return leader;
  }
  // Until another one leads.
  void TickUntilReplaced(uint64_t old) {
    for (int i = 0; i < 1'000 && (Leader() == 0 || Leader() == old); ++i) Tick();
    ASSERT_NE(Leader(), 0U);
    ASSERT_NE(Leader(), old);
  }

  // --- time and messages ---
  void TurnOf(uint64_t id) {
    while (host(id).Turn()) continue;
  }
  // Until nothing moves.
  void Deliver() {
    for (bool moved = true; moved;) {
      moved = false;
      for (auto& [id, node] : nodes_) {
        while (Runs(id) && node.host->Turn()) moved = true;
      }
      for (Wire& wire : std::exchange(wires_, {})) {
        if (cut_.contains(wire.from) || cut_.contains(wire.to)) continue;
        if (paused_.contains(wire.to) || (hold_ && hold_(wire))) {
          held_.push_back(std::move(wire));
          continue;
        }
        Bring(wire);
        moved = true;
      }
    }
  }
  void Tick(uint64_t count = 1) {
    for (uint64_t i = 0; i < count; ++i) {
      for (auto& [id, node] : nodes_) {
        if (Runs(id)) node.host->Tick();
      }
      Deliver();
    }
  }
  // One after the other, with a turn of the receiver after each.
  void BringAll(const Wires& wires) {
    for (const Wire& wire : wires) {
      Bring(wire);
      if (Runs(wire.to)) TurnOf(wire.to);
    }
  }
  // Takes out of what is held what is of that kind, or is not.
  Wires TakeHeld(uint32_t type, bool of_it) {
    Wires taken;
    Wires rest;
    for (Wire& wire : std::exchange(held_, {})) {
      ((wire.message.type == type) == of_it ? taken : rest).push_back(std::move(wire));
    }
    held_ = std::move(rest);
    return taken;
  }
  void HoldAllTo(uint64_t id) {
    hold_ = [id](const Wire& wire) { return wire.to == id; };
  }
  void ReleaseAll() {
    hold_ = nullptr;
    BringAll(std::exchange(held_, {}));
    Deliver();
  }

  // --- callers ---
  static std::function<void(absl::StatusOr<uint64_t>)> Into(const Asked& answer) {
    return [answer](absl::StatusOr<uint64_t> index) {
      answer->there = true;
      answer->index = std::move(index);
    };
  }
  Asked Read(uint64_t id) {
    auto answer = std::make_shared<Answer>();
    nodes_.at(id).replicator->ReadBarrier(Into(answer));
    return answer;
  }
  Asked Propose(uint64_t id, const std::string& command) {
    auto answer = std::make_shared<Answer>();
    nodes_.at(id).replicator->Propose(command, Into(answer));
    return answer;
  }
  Asked Change(uint64_t id, ReplicaId replica, ChangeKind kind) {
    auto answer = std::make_shared<Answer>();
    host(id).ChangeMembership(
        kGroup, replica, kind, [into = Into(answer)](const absl::Status& status) {
          into(status.ok() ? absl::StatusOr<uint64_t>(0) : absl::StatusOr<uint64_t>(status));
        });
    return answer;
  }
  // By whoever leads; its index once it is acknowledged.
  uint64_t Write(const std::string& command) {
    const Asked write = Propose(Leader(), command);
    Deliver();
    CHECK(write->there);
    CHECK_OK(write->index.status());
    return *write->index;
  }
  // Now that everything works.
  void ExpectReadOf(uint64_t id, uint64_t index) {
    const Asked read = Read(id);
    Deliver();
    ASSERT_TRUE(read->there) << "node " << id;
    ASSERT_TRUE(read->index.ok()) << "node " << id << ": " << read->index.status();
    EXPECT_GE(*read->index, index) << "node " << id;
  }

  uint32_t quiet_after_ticks_ = 0;         // of nodes that start from now on; 0: never
  bool lacks_state_ = false;               // replicas that are attached from now on
  std::set<uint64_t> paused_;              // do nothing; what is sent to them is held
  std::set<uint64_t> cut_;                 // what is sent to or by them is lost
  std::function<bool(const Wire&)> hold_;  // what else is held; null: nothing
  Wires held_;

 private:
  struct Node {
    std::unique_ptr<storage::MemoryKv> disk;
    std::unique_ptr<LogStore> logs;
    std::unique_ptr<WirePost> post;
    std::unique_ptr<ListApplier> applier;
    std::unique_ptr<RaftHost> host;
    Replicator* replicator = nullptr;
  };

  bool Runs(uint64_t id) const {
    const auto found = nodes_.find(id);
    return found != nodes_.end() && found->second.host != nullptr && !paused_.contains(id);
  }
  void Bring(const Wire& wire) {
    if (Runs(wire.to)) host(wire.to).Receive({wire.from}, {wire.message});
  }

  InlineExecutor inline_;
  Wires wires_;
  uint64_t starts_ = 0;
  std::map<uint64_t, Node> nodes_;
};

// etcd 2014: a leader that does not know that it was replaced.
TEST_F(HostsApart, AnswerNoReadOfALeaderThatIsCutOff) {
  Write("a");
  cut_ = {1};
  const Asked early = Read(1);
  TickUntilReplaced(1);
  const uint64_t after = Write("b");
  const Asked late = Read(1);
  Tick(400);
  for (const Asked& read : {early, late}) {
    EXPECT_TRUE(read->there);
    EXPECT_FALSE(read->index.ok());
  }
  cut_.clear();
  Tick(200);
  ExpectReadOf(1, after);
}

class QuietHostsApart : public HostsApart {
 protected:
  QuietHostsApart() { quiet_after_ticks_ = 50; }
};

// It may not call an election, as others do that hear of no leader.
TEST_F(QuietHostsApart, WakeForOneThatLacksItsStateAndHeardOfNoLeader) {
  CutLog(2, Write("a"));
  End(2);
  hold_ = [](const Wire& wire) {
    return wire.to == 2 || (wire.from == 2 && wire.message.type == kWakeMessage);
  };
  lacks_state_ = true;
  Start(2);
  Tick(100);
  ASSERT_TRUE(View(1).quiet);
  ASSERT_EQ(View(2).leader.value, 0U);
  held_.clear();
  hold_ = nullptr;
  Tick(30);
  ASSERT_NE(Leader(), 0U);
  EXPECT_EQ(View(2).leader, View(Leader()).replica);
  EXPECT_FALSE(View(Leader()).quiet) << "one waits for a copy";
}

// etcd #20418. The pause is one of the whole process: no time passes for it.
TEST_F(HostsApart, AnswerNoReadOfALeaderThatWasReplacedWhileItPaused) {
  Write("a");
  const Asked early = Read(1);
  TurnOf(1);
  paused_ = {1};
  Deliver();
  EXPECT_FALSE(held_.empty()) << "answers to the early read";
  TickUntilReplaced(1);
  const uint64_t after = Write("b");
  paused_.clear();
  const Asked late = Read(1);
  TurnOf(1);
  EXPECT_FALSE(late->there);
  BringAll(std::exchange(held_, {}));
  Tick(400);
  EXPECT_TRUE(early->there);
  EXPECT_TRUE(late->there);
  EXPECT_TRUE(!late->index.ok() || *late->index >= after);
  ExpectReadOf(1, after);
}

TEST_F(HostsApart, TakeALateAnswerForTheReadsThatAskedAlone) {
  const uint64_t before = Write("a");
  HoldAllTo(3);
  const Asked first = Read(3);
  Deliver();
  const uint64_t after = Write("b");
  const Asked second = Read(3);
  Deliver();
  EXPECT_FALSE(first->there);
  BringAll(TakeHeld(consensus::kAppendMessage, /*of_it=*/false));
  EXPECT_TRUE(first->there);
  EXPECT_EQ(first->index.value_or(0), before);
  EXPECT_FALSE(second->there) << "this answer is older than the read";
  Deliver();
  ReleaseAll();
  EXPECT_TRUE(second->there);
  EXPECT_GE(second->index.value_or(0), after);
  EXPECT_EQ(AppliedBy(3), (std::vector<std::string>{"a", "b"}));
}

TEST_F(HostsApart, TakeNoAnswerToAQuestionOfAnEarlierLife) {
  Write("a");
  HoldAllTo(3);
  const Asked first = Read(3);
  Deliver();
  End(3);
  EXPECT_TRUE(first->there);
  EXPECT_FALSE(first->index.ok());
  const Wires old = std::exchange(held_, {});
  const uint64_t after = Write("b");
  held_.clear();
  Start(3);
  hold_ = [](const Wire& wire) {
    return wire.to == 3 && wire.message.type != consensus::kHeartbeatMessage;
  };
  Tick(30);
  ASSERT_NE(View(3).leader.value, 0U) << "or it asks nobody";
  const Asked second = Read(3);
  Deliver();
  BringAll(old);
  EXPECT_FALSE(second->there) << "by what was asked before the end";
  ReleaseAll();
  Tick(40);
  EXPECT_TRUE(second->there);
  EXPECT_GE(second->index.value_or(0), after);
}

// TiKV #9208.
TEST_F(HostsApart, AnswerTheReadsThatWaitOnBothSidesOfATransfer) {
  const uint64_t before = Write("a");
  std::vector<Asked> reads;
  for (int round = 0; round < 3; ++round) {
    for (const uint64_t id : {1, 2, 3}) {
      reads.push_back(Read(id));
      TurnOf(id);
    }
  }
  host(1).TransferLeadership(kGroup, ReplicaId::Make({2}, 1));
  const Asked write = Propose(1, "b");
  for (const uint64_t id : {1, 2, 3}) reads.push_back(Read(id));
  Tick(400);
  EXPECT_EQ(Leader(), 2U);
  EXPECT_TRUE(write->there);
  for (const Asked& read : reads) {
    EXPECT_TRUE(read->there);
    EXPECT_TRUE(!read->index.ok() || *read->index >= before);
  }
  const uint64_t after = Write("c");
  for (const uint64_t id : {1, 2, 3}) ExpectReadOf(id, after);
}

// dqlite #575: a change of the membership that only a leader's own log holds is none.
TEST_F(HostsApart, TakeBackAMembershipThatWasNeverCommitted) {
  const ReplicaId joiner = ReplicaId::Make({4}, 1);
  cut_ = {1};
  const Asked lost = Change(1, joiner, ChangeKind::kAddLearner);
  Deliver();
  EXPECT_GT(EndOfLog(1), EndOfLog(2)) << "the change is in the log of one";
  TickUntilReplaced(1);
  Tick(400);
  EXPECT_TRUE(lost->there);
  EXPECT_FALSE(lost->index.ok());
  Write("b");
  End(1);
  Start(1);  // still with the change at the end of its log
  Tick(50);
  EXPECT_TRUE(View(1).membership.learners.empty());
  cut_.clear();
  Tick(400);
  for (const uint64_t id : {1, 2, 3}) {
    EXPECT_EQ(AppliedBy(id), std::vector<std::string>{"b"}) << "node " << id;
    EXPECT_TRUE(View(id).membership.learners.empty()) << "node " << id;
    EXPECT_EQ(View(id).membership.voters.size(), 3U) << "node " << id;
  }
  const Asked made = Change(Leader(), joiner, ChangeKind::kAddLearner);
  Deliver();
  EXPECT_TRUE(made->index.ok()) << made->index.status();
  Tick(20);
  for (const uint64_t id : {1, 2, 3}) {
    EXPECT_EQ(View(id).membership.learners, std::vector<uint64_t>{joiner.value}) << "node " << id;
  }
}

// TiKV #1262, #10533: it ended before it knew, and before anything was written of its end.
TEST_F(HostsApart, AreNotBroughtBackByOldMessagesOnceRemoved) {
  HoldAllTo(3);
  Write("a");
  End(3);
  const Wires old = std::exchange(held_, {});
  hold_ = nullptr;
  const Asked removed = Change(1, ReplicaId::Make({3}, 1), ChangeKind::kRemove);
  Deliver();
  ASSERT_TRUE(removed->index.ok()) << removed->index.status();
  Write("b");
  const uint64_t term = View(1).term;

  Start(3);
  BringAll(old);
  Tick(600);
  EXPECT_EQ(Leader(), 1U);
  EXPECT_EQ(View(1).term, term) << "it calls elections in vain";
  EXPECT_LE(AppliedBy(3).size(), 1U) << "nobody sends it what came after it";
  ExpectReadOf(2, Write("c"));

  ASSERT_TRUE(host(3).Destroy(kGroup).ok());
  BringAll(old);
  Tick(20);
  EXPECT_FALSE(View(3).known);
  EXPECT_EQ(EndOfLog(3), 1U);
  Attach(3, 2);
  BringAll(old);
  Tick(20);
  EXPECT_EQ(EndOfLog(3), 1U) << "the successor takes nothing that was for it";
}

}  // namespace
}  // namespace vectron::shard
