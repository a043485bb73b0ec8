#include "consensus/raft_group.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "consensus/memory_log.h"
#include "raft_abi.h"

namespace vectron::consensus {

// Reaches the engine's deliberate panic.
struct RaftGroupTestPeer {
  struct Layout {  // the first members of RaftGroup::Impl, which is private to its file
    LogReader* log;
    Membership initial;
    RgGroup* group;
  };
  static void Panic(RaftGroup& group) {
    rg_test_panic(reinterpret_cast<Layout*>(group.impl_.get())->group);
  }
};

namespace {

// A few replicas and the messages between them, delivered at once and in order.
class Cluster {
 public:
  explicit Cluster(std::vector<uint64_t> voters) {
    for (const uint64_t id : voters) Start(id, voters);
  }

  void Start(uint64_t id, const std::vector<uint64_t>& voters) {
    Node& node = nodes_[id];
    node.log = std::make_unique<MemoryLog>(1, 1, Membership{.voters = voters});
    node.group = *RaftGroup::Create({.id = id, .applied = 1, .election_seed = 7}, *node.log);
  }
  RaftGroup& group(uint64_t id) { return *nodes_.at(id).group; }
  MemoryLog& log(uint64_t id) { return *nodes_.at(id).log; }
  const std::vector<std::string>& applied(uint64_t id) { return nodes_.at(id).applied; }
  const std::vector<std::string>& reads(uint64_t id) { return nodes_.at(id).reads; }
  Membership membership(uint64_t id) { return nodes_.at(id).membership; }

  // Handles Readies and delivers messages until nothing is left.
  void Settle() {
    for (bool busy = true; busy;) {
      busy = false;
      for (auto& [id, node] : nodes_) {
        while (node.group->HasReady()) {
          busy = true;
          Handle(node);
        }
      }
      auto messages = std::move(messages_);
      messages_.clear();
      for (const auto& [to, bytes] : messages) {
        busy = true;
        if (nodes_.contains(to)) nodes_.at(to).group->Step(bytes).IgnoreError();
      }
    }
  }

 private:
  struct Node {
    std::unique_ptr<MemoryLog> log;
    std::unique_ptr<RaftGroup> group;
    std::vector<std::string> applied;
    std::vector<std::string> reads;
    Membership membership;
  };

  void Handle(Node& node) {
    Ready ready;
    ASSERT_TRUE(node.group->TakeReady(scratch_, ready).ok());
    EXPECT_EQ(node.group->Tick().code(), absl::StatusCode::kFailedPrecondition);
    if (ready.snapshot) node.log->Install(*ready.snapshot);
    node.log->Append(ready.entries);
    if (ready.hard_state) node.log->set_hard_state(*ready.hard_state);
    for (const auto& list : {ready.messages, ready.persisted_messages}) {
      for (const OutMessage& message : list) messages_.emplace_back(message.to, message.bytes);
    }
    for (const ReadState& read : ready.reads) node.reads.emplace_back(read.context);
    const uint64_t last = ready.committed.empty() ? 0 : ready.committed.back().index;
    std::vector<std::pair<LogEntry, std::string>> changes;
    for (const LogEntry& entry : ready.committed) {
      if (entry.kind != EntryKind::kNormal) changes.emplace_back(entry, entry.data);
      if (entry.kind == EntryKind::kNormal && !entry.data.empty())
        node.applied.emplace_back(entry.data);
    }
    ASSERT_TRUE(node.group->AdvanceAppend().ok());
    ASSERT_TRUE(node.group->OnPersisted(ready.number).ok());
    for (auto& [entry, data] : changes) {
      entry.data = data;
      node.membership = *node.group->ApplyMembershipChange(entry, scratch_);
    }
    if (last != 0) {
      ASSERT_TRUE(node.group->AdvanceApplied(last).ok());
    }
  }

  Scratch scratch_;
  std::map<uint64_t, Node> nodes_;
  std::vector<std::pair<uint64_t, std::string>> messages_;
};

TEST(RaftGroup, AloneElectsItselfAndCommitsInOrder) {
  Cluster cluster({1});
  ASSERT_TRUE(cluster.group(1).Campaign().ok());
  cluster.Settle();
  EXPECT_EQ(cluster.group(1).status()->role, Role::kLeader);
  const std::vector<std::string_view> commands = {"a", "b", "c"};
  ASSERT_TRUE(cluster.group(1).Propose(commands).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.applied(1), (std::vector<std::string>{"a", "b", "c"}));
}

TEST(RaftGroup, ReplicatesToEveryMember) {
  Cluster cluster({1, 2, 3});
  ASSERT_TRUE(cluster.group(2).Campaign().ok());
  cluster.Settle();
  for (int i = 0; i < 100; ++i) {
    const std::string command = std::to_string(i);
    ASSERT_TRUE(cluster.group(2).Propose(std::vector<std::string_view>{command}).ok());
    cluster.Settle();
  }
  for (int i = 0; i < 4; ++i) {  // a heartbeat carries the last commit index
    ASSERT_TRUE(cluster.group(2).Tick().ok());
    cluster.Settle();
  }
  for (const uint64_t id : {1, 2, 3}) EXPECT_EQ(cluster.applied(id).size(), 100U) << id;
  EXPECT_EQ(cluster.applied(1), cluster.applied(3));
}

TEST(RaftGroup, OnlyALeaderTakesProposals) {
  Cluster cluster({1, 2, 3});
  const std::vector<std::string_view> commands = {"x"};
  EXPECT_EQ(cluster.group(1).Propose(commands).code(), absl::StatusCode::kUnavailable);
}

TEST(RaftGroup, AnswersReadsWithTheirContext) {
  Cluster cluster({1, 2, 3});
  ASSERT_TRUE(cluster.group(1).Campaign().ok());
  cluster.Settle();
  ASSERT_TRUE(cluster.group(1).ReadIndex("read-1").ok());
  cluster.Settle();
  EXPECT_EQ(cluster.reads(1), std::vector<std::string>{"read-1"});
}

TEST(RaftGroup, AddsALearnerThatThenHoldsTheLog) {
  Cluster cluster({1});
  ASSERT_TRUE(cluster.group(1).Campaign().ok());
  cluster.Settle();
  cluster.Start(2, {1});
  ASSERT_TRUE(cluster.group(1).ProposeMembershipChange(2, ChangeKind::kAddLearner, "").ok());
  cluster.Settle();
  EXPECT_EQ(cluster.membership(1).learners, std::vector<uint64_t>{2});
  ASSERT_TRUE(cluster.group(1).Propose(std::vector<std::string_view>{"late"}).ok());
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(cluster.group(1).Tick().ok());
    cluster.Settle();
  }
  EXPECT_EQ(cluster.applied(2), std::vector<std::string>{"late"});
}

TEST(RaftGroup, RefusesBytesThatAreNoMessage) {
  Cluster cluster({1});
  EXPECT_EQ(cluster.group(1).Step("\xff\xff\xff").code(), absl::StatusCode::kInvalidArgument);
}

// Messages of the engine to replica 1 from replica 2: their type, and what follows.
std::string MessageFrom2(char type, std::string_view rest = "") {
  return std::string("\x08") + type + "\x10\x01\x18\x02" + std::string(rest);
}

TEST(RaftGroup, ALeaderDropsProposalsOfPeersWhateverIsInThem) {
  constexpr char kPropose = 2;
  Cluster cluster({1, 2, 3});
  ASSERT_TRUE(cluster.group(1).Campaign().ok());
  cluster.Settle();
  ASSERT_EQ(cluster.group(1).status()->role, Role::kLeader);
  const uint64_t last = cluster.group(1).status()->last_index;
  const std::string empty = MessageFrom2(kPropose);
  const std::string full = MessageFrom2(kPropose, "\x3a\x03\x22\x01x");  // one entry, of data "x"
  for (const std::string& proposal : {empty, full}) {
    EXPECT_EQ(cluster.group(1).Step(proposal).code(), absl::StatusCode::kFailedPrecondition);
    cluster.Settle();
    ASSERT_TRUE(cluster.group(1).status().ok()) << "quarantined";
    EXPECT_EQ(cluster.group(1).status()->last_index, last);
  }
  ASSERT_TRUE(cluster.group(1).Propose(std::vector<std::string_view>{"own"}).ok());
  cluster.Settle();
  EXPECT_EQ(cluster.applied(1), std::vector<std::string>{"own"});
}

TEST(RaftGroup, ALeaderRefusesAQuestionForReadsWithoutAContext) {
  constexpr char kReadIndex = 15;
  Cluster cluster({1, 2, 3});
  ASSERT_TRUE(cluster.group(1).Campaign().ok());
  cluster.Settle();
  EXPECT_EQ(cluster.group(1).Step(MessageFrom2(kReadIndex)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(cluster.group(1).status().ok()) << "quarantined";
}

TEST(RaftGroup, ALogBehindItsCommitIsRefusedWithoutEndingTheProcess) {
  MemoryLog log(1, 1, Membership{.voters = {1, 2, 3}});
  log.set_hard_state({.term = 1, .vote = 0, .commit = 9});
  const auto group = RaftGroup::Create({.id = 1, .applied = 1}, log);
  EXPECT_EQ(group.status().code(), absl::StatusCode::kInternal);
}

TEST(RaftGroup, APanicQuarantinesOneGroupOnly) {
  Cluster cluster({1, 2, 3});
  RaftGroupTestPeer::Panic(cluster.group(1));
  EXPECT_EQ(cluster.group(1).Tick().code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(cluster.group(1).status().ok());
  EXPECT_TRUE(cluster.group(2).Tick().ok());
}

}  // namespace
}  // namespace vectron::consensus
