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

TEST(Simulation, TheSameSeedGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    const SimulationOptions options{
        .seed = seed, .membership = true, .fault_ms = 10'000, .heal_ms = 8'000};
    EXPECT_EQ(RunSimulation(options).trace_hash, RunSimulation(options).trace_hash)
        << "seed " << seed;
  }
}

TEST(Simulation, FindsAnAcknowledgementBeforeTheSync) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAckBeforeSync}, 30), 0U);
}

TEST(Simulation, FindsAReadThatAsksNobody) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kStaleReads}, 60), 0U);
}

TEST(Simulation, FindsAnAppliedIndexApartFromItsData) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAppliedApartFromData}, 30), 0U);
}

}  // namespace
}  // namespace vectron::sim
