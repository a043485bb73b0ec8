#include "sim/simulation.h"

#include <gtest/gtest.h>

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
    EXPECT_EQ(RunSimulation(options).trace_hash, RunSimulation(options).trace_hash)
        << "seed " << options.seed;
  }
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
  EXPECT_NE(
      FirstViolation({.seed = 100, .membership = true, .bug = PlantedBug::kOldSnapshots}, 60), 0U);
}

}  // namespace
}  // namespace vectron::sim
