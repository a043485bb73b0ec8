#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "sim/judge.h"

namespace vectron::sim {
namespace {

// Runs seeds until a violation is found; returns the number of the run that found it, or 0.
uint64_t FirstViolation(SimulationOptions options, uint64_t runs) {
  for (uint64_t run = 1; run <= runs; ++run, ++options.seed) {
    if (!RunSimulation(options).violation.empty()) return run;
  }
  return 0;
}

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

TEST(Simulation, TheSameSeedGivesTheSameTrace) { ExpectTheSameTrace({.membership = true}); }

TEST(Simulation, TheSameSeedGivesTheSameTraceOfShards) {
  ExpectTheSameTrace({.machine = MachineKind::kShard, .membership = true});
}

TEST(Simulation, TheSameSeedGivesTheSameTraceOfAFleet) { ExpectTheSameTrace({.fleet = true}); }

TEST(Simulation, FindsAnAcknowledgementBeforeTheSync) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAckBeforeSync}, 30), 0U);
}

TEST(Simulation, FindsAReadThatAsksNobody) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kStaleReads}, 60), 0U);
}

TEST(Simulation, FindsAnAppliedIndexApartFromItsData) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAppliedApartFromData}, 30), 0U);
}

// A joiner that is offered what it cannot take does not catch up, and nobody else is the wiser.
TEST(Simulation, FindsCopiesOfATimeBeforeTheJoiner) {
  EXPECT_NE(FirstViolation({.seed = 100, .membership = true, .bug = PlantedBug::kOldSnapshots}, 60),
            0U);
}

}  // namespace
}  // namespace vectron::sim
