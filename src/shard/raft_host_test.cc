#include "shard/raft_host.h"

#include <gtest/gtest.h>

#include <atomic>

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

  // Runs all turns, and loses the messages to `deaf` nodes.
  void Deliver(const std::set<uint64_t>& deaf = {}) {
    for (bool worked = true; worked;) {
      worked = false;
      for (auto& [id, node] : nodes_) worked |= node.host->Turn();
      for (Wire& wire : std::exchange(wires_, {})) {
        if (!deaf.contains(wire.to))
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
  // Asks the leader, which runs a turn.
  void Read() {
    nodes_.at(1).replicator->ReadBarrier([this](const absl::StatusOr<uint64_t>& index) {
      EXPECT_TRUE(index.ok()) << index.status();
      ++answered_;
    });
    while (nodes_.at(1).host->Turn()) continue;
  }
  // Nodes that messages of the leader's are under way to.
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
