#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "consensus/raft_group.h"
#include "sim/append_check.h"
#include "sim/group_world.h"
#include "sim/judge.h"

namespace vectron::sim {
namespace {

void ExpectTheSameTrace(SimulationOptions options) {
  options.fault_ms = 10'000;
  options.heal_ms = 8'000;
  for (options.seed = 1; options.seed <= 3; ++options.seed) {
    const SimulationReport report = RunSimulation(options);
    EXPECT_EQ(report.trace_hash, RunSimulation(options).trace_hash) << "seed " << options.seed;
    EXPECT_GT(report.elections, 0U) << "seed " << options.seed;
  }
}

TEST(Judge, FindsTwoLeadersOfOneTermHoweverFarApart) {
  std::vector<std::string> found;
  Judge judge([&found](const std::string& what) { found.push_back(what); });
  EXPECT_TRUE(judge.Leads(1, 5));
  EXPECT_FALSE(judge.Leads(1, 5));
  EXPECT_TRUE(judge.Leads(2, 6));
  EXPECT_TRUE(judge.Leads(1, 7));
  EXPECT_TRUE(found.empty());
  judge.Leads(2, 5);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front(), "two leaders of term 5: 1 and 2");
}

// A protobuf field of the engine's messages: a small number, or bytes.
std::string Field(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}
std::string Field(int number, std::string_view bytes) {
  const std::string head = {static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())};
  return head + std::string(bytes);
}

struct TermAndIndex {
  int term = 0;
  int index = 0;
};
std::string AppendAfter(TermAndIndex before, const std::vector<TermAndIndex>& entries) {
  std::string message = Field(1, 3) + Field(2, 1) + Field(3, 2) + Field(4, 9);
  message += Field(5, before.term) + Field(6, before.index);
  for (const TermAndIndex& entry : entries) {
    message += Field(7, Field(2, entry.term) + Field(3, entry.index) + Field(4, "data"));
  }
  return message + Field(8, 1);
}

TEST(AppendCheck, WantsEntriesThatFollowTheOneBeforeThem) {
  EXPECT_EQ(AppendFault(AppendAfter({2, 5}, {})), "");
  EXPECT_EQ(AppendFault(AppendAfter({2, 5}, {{2, 6}, {3, 7}, {3, 8}})), "");
  EXPECT_EQ(AppendFault(AppendAfter({2, 5}, {{2, 7}})),
            "entry 7 of term 2 follows entry 5 of term 2");
  EXPECT_NE(AppendFault(AppendAfter({2, 5}, {{2, 5}})), "");
  EXPECT_NE(AppendFault(AppendAfter({2, 5}, {{2, 6}, {2, 8}})), "");
  EXPECT_NE(AppendFault(AppendAfter({2, 5}, {{1, 6}})), "") << "a term that goes down";
  EXPECT_EQ(AppendFault(AppendAfter({2, 5}, {{2, 6}}) + "\x3a\x7f"), "it cannot be read");
}

TEST(AppendCheck, IsMadeOfWhateverTheNetworkCarries) {
  GroupWorld world({});
  consensus::PeerMessage message;
  message.type = consensus::kAppendMessage;
  message.bytes = AppendAfter({2, 5}, {{2, 6}});
  world.Send(1, 2, message);
  EXPECT_EQ(world.report().violation, "");
  message.bytes = AppendAfter({2, 5}, {{2, 7}});
  world.Send(1, 2, message);
  EXPECT_NE(world.report().violation, "");
}

TEST(Simulation, DrawsItsSizeAndHowLongItHasFaults) {
  constexpr int kSeeds = 600;
  std::map<uint32_t, int> runs;  // by nodes
  int64_t sum_ms = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const SimulationOptions drawn = Drawn({.seed = seed});
    EXPECT_GE(drawn.fault_ms, 15'000);
    EXPECT_LE(drawn.fault_ms, 60'000);
    sum_ms += drawn.fault_ms;
    ++runs[drawn.nodes];
  }
  EXPECT_NEAR(static_cast<double>(sum_ms) / kSeeds, 30'000, 2'000);
  EXPECT_NEAR(runs[3], kSeeds * 2 / 3, 60);
  for (const uint32_t nodes : {4U, 5U, 6U, 7U}) EXPECT_GT(runs[nodes], 0) << nodes;
  EXPECT_EQ(runs.size(), 5U);
  const SimulationOptions given = Drawn({.seed = 1, .nodes = 9, .fault_ms = 5});
  EXPECT_EQ(given.nodes, 9U);
  EXPECT_EQ(given.fault_ms, 5);
}

TEST(Simulation, TheSameSeedGivesTheSameTrace) { ExpectTheSameTrace({.membership = true}); }

TEST(Simulation, TheSameSeedGivesTheSameTraceOfShards) {
  ExpectTheSameTrace({.machine = MachineKind::kShard, .membership = true});
}

TEST(Simulation, TheSameSeedGivesTheSameTraceOfAFleet) { ExpectTheSameTrace({.fleet = true}); }

}  // namespace
}  // namespace vectron::sim
