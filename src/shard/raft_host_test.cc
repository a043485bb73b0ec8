#include "shard/raft_host.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "shard/peer_testing.h"
#include "shard/raft_replica.h"
#include "storage/memory_kv.h"

namespace vectron::shard {
namespace {

constexpr GroupId kGroup{9};

class NoApplier : public Applier {
 public:
  void Apply(std::vector<Entry>) override {}
  uint64_t stored_index() const override { return 0; }
  uint64_t tail_bytes() const override { return tail; }

  std::atomic<uint64_t> tail{0};
};

// Three hosts of one group, whose turns, ticks and messages the test deals out.
class HostsInHand : public testing::Test {
 protected:
  struct Node {
    std::unique_ptr<LogStore> logs;
    std::unique_ptr<WirePost> post;
    std::unique_ptr<RaftHost> host;
    Replicator* replicator = nullptr;
  };

  void SetUp() override {
    for (uint64_t id = 1; id <= 3; ++id) {
      Node& node = nodes_[id];
      auto kv = std::make_unique<storage::MemoryKv>(2, storage::WriteAheadLog::kOn);
      node.logs = *LogStore::Over(std::move(kv), "log", size_t{1} << 20);
      node.post = std::make_unique<WirePost>(wires_, id);
      RaftHostDeps deps;
      deps.logs = node.logs.get();
      deps.transport = node.post.get();
      deps.apply_executor = &inline_;
      deps.wake = [] {};
      deps.on_fatal = [](const absl::Status& status) { CHECK_OK(status); };
      RaftHostOptions options = options_;
      options.node = {id};
      options.seed = id;
      node.host = RaftHost::Create(options, deps);
      RaftGroupStart start;
      start.group = kGroup;
      start.replica = ReplicaId::Make({id}, 1);
      start.members = Voters({1, 2, 3});
      start.applier = &applier_;
      node.replicator = *node.host->Attach(start);
    }
    nodes_.at(1).host->Campaign(kGroup);
    for (int tick = 0; tick < 20; ++tick) TickAndDeliver();
    ASSERT_TRUE(nodes_.at(1).host->View(kGroup).is_leader);
    wires_.clear();
  }

  // Runs all turns, and loses the messages to `deaf` nodes and those of type `lost`.
  void Deliver(const std::set<uint64_t>& deaf = {}, uint32_t lost = 0) {
    for (bool worked = true; worked;) {
      worked = false;
      for (auto& [id, node] : nodes_) worked |= node.host->Turn();
      for (Wire& wire : std::exchange(wires_, {})) {
        if (!deaf.contains(wire.to) && (lost == 0 || wire.message.type != lost))
          nodes_.at(wire.to).host->Receive({wire.from}, {std::move(wire.message)});
        worked = true;
      }
    }
  }
  void TickAndDeliver(const std::set<uint64_t>& deaf = {}) {
    for (auto& [id, node] : nodes_) node.host->Tick();
    Deliver(deaf);
  }
  // Likewise; what node `last` sends arrives after everything else.
  void TickAndDeliverAfterOthers(uint64_t last) {
    for (auto& [id, node] : nodes_) node.host->Tick();
    Wires late;
    for (bool worked = true; worked;) {
      worked = false;
      for (auto& [id, node] : nodes_) worked |= node.host->Turn();
      for (Wire& wire : std::exchange(wires_, {})) {
        if (wire.from == last) {
          late.push_back(std::move(wire));
        } else {
          nodes_.at(wire.to).host->Receive({wire.from}, {std::move(wire.message)});
          worked = true;
        }
      }
    }
    for (Wire& wire : late) wires_.push_back(std::move(wire));
    Deliver();
  }
  // Asks a node, the leader unless told otherwise, which runs a turn.
  void Read(uint64_t at = 1) {
    nodes_.at(at).replicator->ReadBarrier([this](const absl::StatusOr<uint64_t>& index) {
      EXPECT_TRUE(index.ok()) << index.status();
      ++answered_;
    });
    while (nodes_.at(at).host->Turn()) continue;
  }
  // What node `to` answers a question of node 2's whether the term is still `term`; nullopt:
  // nothing. Everything that is under way is lost.
  std::optional<uint64_t> Ask(uint64_t to, uint64_t term) {
    wires_.clear();
    PeerMessage question;
    question.group = kGroup.value;
    question.from = ReplicaId::Make({2}, 1).value;
    question.to = ReplicaId::Make({to}, 1).value;
    question.type = kReadQuestionMessage;
    PutFixed(question.bytes, term);
    question.bytes += "a read";
    nodes_.at(to).host->Receive({2}, {std::move(question)});
    while (nodes_.at(to).host->Turn()) continue;
    for (const Wire& wire : std::exchange(wires_, {})) {
      if (wire.message.type != kReadAnswerMessage) continue;
      EXPECT_EQ(wire.message.bytes.substr(sizeof(uint64_t)), "a read");
      return LoadFixed<uint64_t>(wire.message.bytes.data());
    }
    return std::nullopt;
  }
  // Nodes that messages are under way to.
  std::vector<uint64_t> Asked() const {
    std::vector<uint64_t> nodes;
    for (const Wire& wire : wires_) nodes.push_back(wire.to);
    return nodes;
  }

  RaftHostOptions options_;  // of all three, but for what tells them apart
  InlineExecutor inline_;
  NoApplier applier_;
  Wires wires_;
  std::map<uint64_t, Node> nodes_;
  int answered_ = 0;
};

TEST_F(HostsInHand, AskOneFollowerOfTwoForARead) {
  Read();
  EXPECT_EQ(Asked().size(), 1u);
  EXPECT_EQ(answered_, 0);
  Deliver();
  EXPECT_EQ(answered_, 1);
}

TEST_F(HostsInHand, AskTheirLeaderAloneForAReadOfAFollower) {
  Read(2);
  EXPECT_EQ(Asked(), std::vector<uint64_t>{1});
  while (nodes_.at(1).host->Turn()) continue;
  for (Wire& wire : std::exchange(wires_, {}))
    nodes_.at(1).host->Receive({wire.from}, {std::move(wire.message)});
  while (nodes_.at(1).host->Turn()) continue;
  EXPECT_EQ(Asked(), std::vector<uint64_t>{2}) << "the leader need not ask the third one";
  Deliver();
  EXPECT_EQ(answered_, 1);
}

TEST_F(HostsInHand, AnswerOnlyQuestionsOfTheirTerm) {
  const uint64_t term = nodes_.at(1).host->View(kGroup).term;
  EXPECT_GT(Ask(1, term).value_or(0), 0u) << "what it has committed";
  EXPECT_EQ(Ask(3, term), 0u) << "a follower's word";
  for (const uint64_t other : {term - 1, term + 1}) {
    EXPECT_EQ(Ask(1, other), std::nullopt) << other;
    EXPECT_EQ(Ask(3, other), std::nullopt) << other;
  }
}

// It does not know yet what the leaders before it have committed.
TEST_F(HostsInHand, HaveALeaderAnswerNothingBeforeItsFirstEntryIsCommitted) {
  nodes_.at(1).host->TransferLeadership(kGroup, ReplicaId::Make({3}, 1));
  Deliver(/*deaf=*/{}, /*lost=*/consensus::kAppendMessage);
  const GroupView view = nodes_.at(3).host->View(kGroup);
  ASSERT_TRUE(view.is_leader);
  EXPECT_EQ(Ask(3, view.term), std::nullopt);
  Read(3);
  EXPECT_EQ(Asked(), std::vector<uint64_t>()) << "nor asks";
  for (uint32_t tick = 0; tick <= options_.heartbeat_ticks; ++tick) TickAndDeliver();
  EXPECT_EQ(answered_, 1);
  EXPECT_GT(Ask(3, view.term).value_or(0), 0u);
}

TEST_F(HostsInHand, RefuseReadsOfALeaderThatCommitsNothing) {
  nodes_.at(1).host->TransferLeadership(kGroup, ReplicaId::Make({3}, 1));
  Deliver(/*deaf=*/{}, /*lost=*/consensus::kAppendMessage);
  ASSERT_TRUE(nodes_.at(3).host->View(kGroup).is_leader);
  absl::Status refused;
  nodes_.at(3).replicator->ReadBarrier(
      [&refused](const absl::StatusOr<uint64_t>& index) { refused = index.status(); });
  for (uint64_t tick = 0; tick <= kReadPatienceTicks && refused.ok(); ++tick) {
    for (auto& [id, node] : nodes_) node.host->Tick();
    Deliver(/*deaf=*/{}, /*lost=*/consensus::kAppendMessage);
  }
  ASSERT_TRUE(nodes_.at(3).host->View(kGroup).is_leader);
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
}

TEST_F(HostsInHand, AskByTheEngineOnceAQuestionOfAFollowerWasLost) {
  Read(2);
  wires_.clear();
  for (uint64_t tick = 0; tick <= kReadRoundTicks; ++tick) TickAndDeliver();
  EXPECT_EQ(answered_, 1);
  Read(2);
  ASSERT_EQ(Asked(), std::vector<uint64_t>{1});
  EXPECT_EQ(wires_[0].message.type, consensus::kReadIndexMessage);
  Deliver();
  EXPECT_EQ(answered_, 2);
}

// One that has no vote is no part of a majority.
TEST_F(HostsInHand, AnswerNoQuestionOfALearner) {
  const uint64_t term = nodes_.at(1).host->View(kGroup).term;
  ASSERT_TRUE(Ask(1, term).has_value());
  for (const auto kind : {consensus::ChangeKind::kRemove, consensus::ChangeKind::kAddLearner}) {
    absl::Status changed = absl::UnknownError("");
    nodes_.at(1).host->ChangeMembership(
        kGroup, ReplicaId::Make({2}, 1), kind,
        [&changed](const absl::Status& status) { changed = status; });
    for (int tick = 0; tick < 10; ++tick) TickAndDeliver();
    ASSERT_TRUE(changed.ok()) << changed;
    EXPECT_EQ(Ask(1, term), std::nullopt);
  }
}

// It was given to a leader that had office in between, and may know less now.
TEST_F(HostsInHand, TakeNoWordThatWasGivenForAnEarlierTerm) {
  Read();
  ASSERT_EQ(Asked().size(), 1u);
  const uint64_t asked = Asked()[0];
  nodes_.at(asked).host->Receive({1}, {wires_[0].message});
  wires_.clear();
  while (nodes_.at(asked).host->Turn()) continue;
  const Wires word = std::exchange(wires_, {});
  ASSERT_EQ(word.size(), 1u);
  nodes_.at(1).host->TransferLeadership(kGroup, ReplicaId::Make({5 - asked}, 1));
  Deliver();
  nodes_.at(5 - asked).host->TransferLeadership(kGroup, ReplicaId::Make({1}, 1));
  Deliver(/*deaf=*/{}, /*lost=*/consensus::kAppendMessage);
  ASSERT_TRUE(nodes_.at(1).host->View(kGroup).is_leader);
  nodes_.at(1).host->Receive({asked}, {word[0].message});
  while (nodes_.at(1).host->Turn()) continue;
  EXPECT_EQ(answered_, 0);
  for (uint32_t tick = 0; tick <= options_.read_retry_ticks; ++tick) TickAndDeliver();
  EXPECT_EQ(answered_, 1);
}

// There a majority is more than it and the one that asks.
TEST_F(HostsInHand, HaveALeaderOfFourAnswerNoSingleQuestion) {
  const uint64_t term = nodes_.at(1).host->View(kGroup).term;
  ASSERT_TRUE(Ask(1, term).has_value());
  absl::Status added = absl::UnknownError("");
  nodes_.at(1).host->ChangeMembership(kGroup, ReplicaId::Make({4}, 1),
                                      consensus::ChangeKind::kAddVoter,
                                      [&added](const absl::Status& status) { added = status; });
  Deliver(/*deaf=*/{4});
  ASSERT_TRUE(added.ok()) << added;
  EXPECT_EQ(Ask(1, term), std::nullopt);
  Read(2);  // by the engine, which has the leader ask everyone
  Deliver(/*deaf=*/{4});
  EXPECT_EQ(answered_, 1);
  // Its own reads want two words, and one given twice is one.
  Read(1);
  ASSERT_EQ(Asked().size(), 2u);
  const Wires questions = std::exchange(wires_, {});
  for (const Wire& wire : questions) {
    ASSERT_NE(wire.to, 4u) << "which was never heard of";
    nodes_.at(wire.to).host->Receive({1}, {wire.message});
    while (nodes_.at(wire.to).host->Turn()) continue;
  }
  const Wires words = std::exchange(wires_, {});
  ASSERT_EQ(words.size(), 2u);
  for (const size_t word : {0, 0, 1}) {
    EXPECT_EQ(answered_, 1);
    nodes_.at(1).host->Receive({words[word].from}, {words[word].message});
    while (nodes_.at(1).host->Turn()) continue;
  }
  EXPECT_EQ(answered_, 2);
}

TEST_F(HostsInHand, AskTheFollowerThatAnswersFirst) {
  for (const uint64_t slow : {2, 3, 2}) {
    for (int tick = 0; tick < 20; ++tick) TickAndDeliverAfterOthers(slow);
    Read();
    EXPECT_EQ(Asked(), std::vector<uint64_t>{5 - slow});
    Deliver();
  }
  EXPECT_EQ(answered_, 3);
}

TEST_F(HostsInHand, ShareTheNextRoundAmongReadsThatComeDuringOne) {
  Read();
  for (int i = 0; i < 5; ++i) Read();
  EXPECT_EQ(Asked().size(), 1u) << "the first read's alone";
  const Wires first = std::exchange(wires_, {});
  for (const Wire& wire : first) nodes_.at(wire.to).host->Receive({wire.from}, {wire.message});
  while (nodes_.at(first[0].to).host->Turn()) continue;
  for (Wire& wire : std::exchange(wires_, {}))
    nodes_.at(1).host->Receive({wire.from}, {std::move(wire.message)});
  while (nodes_.at(1).host->Turn()) continue;
  EXPECT_EQ(answered_, 1) << "an answer to a question from before a read says nothing to it";
  EXPECT_EQ(Asked().size(), 1u) << "one for all five";
  Deliver();
  EXPECT_EQ(answered_, 6);
}

TEST_F(HostsInHand, AskEveryoneOnceTheFollowerAskedDoesNotAnswer) {
  Read();
  const uint64_t asked = Asked().at(0);
  wires_.clear();
  for (uint64_t tick = 0; tick <= kReadRoundTicks; ++tick) TickAndDeliver({asked});
  EXPECT_EQ(answered_, 1);
  Read();
  EXPECT_EQ(Asked().size(), 2u);
  Deliver();
  EXPECT_EQ(answered_, 2);
}

TEST_F(HostsInHand, HoldUpNoReadByARoundThatIsLost) {
  for (auto& [id, node] : nodes_) node.host->Tick();
  Read();
  wires_.clear();
  Read();
  EXPECT_TRUE(wires_.empty());
  for (uint64_t tick = 0; tick <= kReadRoundTicks; ++tick) TickAndDeliver();
  EXPECT_EQ(answered_, 2);
}

TEST_F(HostsInHand, GoQuietWhileTheirIndexesAreBehind) {
  applier_.tail = kTailFreeBytes + 1;
  for (uint32_t tick = 0; tick < 2 * RaftHostOptions().quiet_after_ticks; ++tick) TickAndDeliver();
  for (const auto& [id, node] : nodes_) EXPECT_TRUE(node.host->View(kGroup).quiet) << id;
  Read();
  Deliver();
  EXPECT_EQ(answered_, 1);
}

class HostsOfFewReads : public HostsInHand {
 protected:
  HostsOfFewReads() { options_.max_waiting_reads = 3; }
};

TEST_F(HostsOfFewReads, RefuseMoreThanMayWait) {
  for (int i = 0; i < 3; ++i) Read();  // a round, and two that wait for the next one
  absl::Status refused;
  nodes_.at(1).replicator->ReadBarrier(
      [&refused](const absl::StatusOr<uint64_t>& index) { refused = index.status(); });
  while (nodes_.at(1).host->Turn()) continue;
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_NE(refused.message().find("retry after"), refused.message().npos);
  EXPECT_EQ(answered_, 0);
  Deliver();
  EXPECT_EQ(answered_, 3);
  Read();
  Deliver();
  EXPECT_EQ(answered_, 4);
}

class HostsThatProbe : public HostsInHand {
 protected:
  HostsThatProbe() { options_.probe_ticks = 40; }
  uint64_t Writes() const { return nodes_.at(2).host->stats().writes; }  // as of a while ago
};

TEST_F(HostsThatProbe, WriteToTheirDisksThoughNothingHappens) {
  for (uint32_t tick = 0; tick < 2 * options_.probe_ticks; ++tick) TickAndDeliver();
  const uint64_t before = Writes();
  for (uint32_t tick = 0; tick < 10 * options_.probe_ticks; ++tick) TickAndDeliver();
  EXPECT_EQ(Writes() - before, 10U);
}

TEST_F(HostsThatProbe, LeaveAFullDiskAlone) {
  nodes_.at(2).host->SetDiskRoom(DiskRoom::kFull);
  for (uint32_t tick = 0; tick < 2 * options_.probe_ticks; ++tick) TickAndDeliver();
  const uint64_t before = Writes();
  for (uint32_t tick = 0; tick < 10 * options_.probe_ticks; ++tick) TickAndDeliver();
  EXPECT_EQ(Writes(), before);
}

class HostsSoonQuiet : public HostsInHand {
 protected:
  HostsSoonQuiet() { options_.quiet_after_ticks = 25; }
};

// Its second round is given up just when the group has been idle for long enough.
TEST_F(HostsSoonQuiet, StayAwakeWhileAReadWaitsToBeAskedForAgain) {
  Read();
  for (uint32_t tick = 0; tick < kReadRoundTicks + options_.read_retry_ticks + 1; ++tick) {
    TickAndDeliver(/*deaf=*/{2, 3});
    ASSERT_FALSE(nodes_.at(1).host->View(kGroup).quiet) << "after tick " << tick;
  }
  EXPECT_EQ(answered_, 0);
  for (uint32_t tick = 0; tick <= options_.read_retry_ticks; ++tick) TickAndDeliver();
  EXPECT_EQ(answered_, 1);
}

}  // namespace
}  // namespace vectron::shard
