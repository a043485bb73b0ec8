// Whether the simulation finds what it is for: each bug is planted, and some seed must tell.

#include <gtest/gtest.h>

#include <cstdint>

#include "sim/simulation.h"

namespace vectron::sim {
namespace {

// Runs seeds until a violation is found; returns the number of the run that found it, or 0. Of
// three nodes, which are soonest in disagreement.
uint64_t FirstViolation(SimulationOptions options, uint64_t runs) {
  options.nodes = 3;
  options.fault_ms = 30'000;
  for (uint64_t run = 1; run <= runs; ++run, ++options.seed) {
    if (!RunSimulation(options).violation.empty()) return run;
  }
  return 0;
}

TEST(PlantedBugs, AnAcknowledgementBeforeTheSyncIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAckBeforeSync}, 30), 0U);
}

// A crash must follow the vote before anything else is written, and another candidate come in that
// term: one seed of a hundred finds it.
TEST(PlantedBugs, AVoteBeforeTheSyncIsFound) {
  EXPECT_NE(FirstViolation({.seed = 50, .bug = PlantedBug::kVoteBeforeSync}, 800), 0U);
}

TEST(PlantedBugs, AnAcknowledgementByTheLeaderAloneIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAckAtLeader}, 30), 0U);
}

TEST(PlantedBugs, AReadThatAsksNobodyIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kStaleReads}, 60), 0U);
}

TEST(PlantedBugs, AReadThatDoesNotWaitForWhatItIsToldIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kReadBeforeApply}, 30), 0U);
}

TEST(PlantedBugs, AReadThatWaitsForWhatAnotherWasToldIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kReadIndexReused}, 30), 0U);
}

TEST(PlantedBugs, AnAppliedIndexAheadOfItsDataIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAppliedApartFromData}, 30), 0U);
}

TEST(PlantedBugs, AnAppliedIndexBehindItsDataIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kAppliedBehindData}, 30), 0U);
}

TEST(PlantedBugs, AnEntryThatARestartSkipsIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kReplaySkipsAnEntry}, 30), 0U);
}

TEST(PlantedBugs, ALogThatIsCutBeforeTheFlushIsFound) {
  EXPECT_NE(FirstViolation({.bug = PlantedBug::kCutBeforeFlush}, 30), 0U);
}

// A joiner that is offered what it cannot take does not catch up, and nobody else is the wiser: 2
// to 3 seeds of a hundred find it.
TEST(PlantedBugs, CopiesOfATimeBeforeTheJoinerAreFound) {
  EXPECT_NE(
      FirstViolation({.seed = 300, .membership = true, .bug = PlantedBug::kOldSnapshots}, 400), 0U);
}

TEST(PlantedBugs, CopiesBehindTheirIndexAreFound) {
  EXPECT_NE(FirstViolation({.membership = true, .bug = PlantedBug::kCopyBehindItsIndex}, 60), 0U);
}

// Only reads tell: the digest that goes with the copy is right.
TEST(PlantedBugs, CopiesThatLackAKeyAreFound) {
  EXPECT_NE(FirstViolation({.membership = true, .bug = PlantedBug::kCopyLacksAKey}, 60), 0U);
}

TEST(PlantedBugs, CopiesThatAreNotYetOnTheDiskAreFound) {
  EXPECT_NE(FirstViolation({.membership = true, .bug = PlantedBug::kCopyNotDurable}, 60), 0U);
}

TEST(PlantedBugs, RequestsThatLoseTheirIdsAreFound) {
  EXPECT_NE(FirstViolation({.machine = MachineKind::kShard, .bug = PlantedBug::kRequestIdLost}, 30),
            0U);
}

TEST(PlantedBugs, CopiesThatForgetRequestsAreFound) {
  EXPECT_NE(FirstViolation({.machine = MachineKind::kShard,
                            .membership = true,
                            .bug = PlantedBug::kCopyLacksRequests},
                           60),
            0U);
}

TEST(PlantedBugs, CopiesThatLeaveDeletedPointsBehindAreFound) {
  EXPECT_NE(
      FirstViolation(
          {.machine = MachineKind::kShard, .membership = true, .bug = PlantedBug::kCopyOverOldData},
          60),
      0U);
}

TEST(PlantedBugs, ACheckpointOfTwoTimesIsFound) {
  EXPECT_NE(
      FirstViolation({.machine = MachineKind::kShard, .bug = PlantedBug::kCheckpointTorn}, 60), 0U);
}

TEST(PlantedBugs, AStateOfPlacementThatIsNotYetOnTheDiskIsFound) {
  EXPECT_NE(FirstViolation({.fleet = true, .bug = PlantedBug::kFileNotSynced}, 60), 0U);
}

TEST(PlantedBugs, AReplicaThatFoundsAGroupOfItsOwnIsFound) {
  EXPECT_NE(FirstViolation({.fleet = true, .bug = PlantedBug::kJoinerFoundsAGroup}, 30), 0U);
}

}  // namespace
}  // namespace vectron::sim
