#pragma once

// Clusters on a simulated network, disk and clock: a run is a function of its seed.
//
// Groups (the default): each node runs one replica of one group through the real RaftHost, LogStore
// and engine. The state machine is a table of registers that proves what it holds, or the one of
// shards (`machine`).
//
// Fleet (`fleet`): three nodes run the real placement: its state machine, service and scheduler, in
// a group of their own. Five workers hold replicas of several shards, tell placement how things are
// and do what they are told; memberships change because the scheduler wants it. These workers are
// no real agents: sim_worker.h is a twin of services/worker/agent.h, written for this clock and
// network, of which only the steps of memberships (services/worker/membership.h), the state machine
// of shards and all that is below it are the real ones. What the agent does wrong in taking
// assignments, or in beginning and destroying replicas, is not found here but by its own tests and
// those with real processes (tests/cluster).
//
// Faults: messages dropped, doubled, delayed and reordered; one-way and two-way cuts; crashes that
// lose what was not synced; disks that stall, or are full; a state machine that applies late and
// whose flushed state is behind, or lost; log cuts, and snapshots as old as they may be; leadership
// transfers; pauses in which groups go quiet; replicas added, demoted, removed and replaced; clocks
// that jump; workers that are drained, and die. Then everything heals: within 10 s a leader of the
// group has all that was acknowledged before (the fleet: once it has come to rest); in the end
// every acknowledged write must be there, and every replica must have caught up.
//
// Drawn from the seed, unless given: how long there are faults, 15 to 60 s and 30 s on average; and
// the voters of a group at its start, 3 in two runs of three and 4 to 7 in the others.

#include <cstdint>
#include <string>

namespace vectron::sim {

// Bugs that can be planted, to show that the checks find them: twenty, each a line of what is
// around the code that is put to the test, which has none of them.
enum class PlantedBug : uint8_t {
  kNone,
  // Of consensus and its clients, whatever the state machine.
  kAckBeforeSync,    // log writes are buffered, not synced
  kVoteBeforeSync,   // those without an entry are: a vote is given that a crash takes back
  kAckAtLeader,      // a write is acknowledged once it is in the log of its leader
  kStaleReads,       // a read answers without asking the group
  kReadBeforeApply,  // a read asks the group, and does not wait for what it is told
  kReadIndexReused,  // a read waits for what the one before it on that node was told
  kCutBeforeFlush,   // the log is cut below what was applied, whatever was flushed
  kOldSnapshots,     // joiners are offered copies of a time when they were no members
  // Of the state machine of registers.
  kAppliedApartFromData,  // the applied index is flushed ahead of the data
  kAppliedBehindData,     // the data is flushed without the applied index
  kReplaySkipsAnEntry,    // a restart goes on one entry too late
  kCopyBehindItsIndex,    // a copy holds what was flushed, and says that it is of now
  kCopyLacksAKey,         // a copy leaves out one of its keys
  kCopyNotDurable,        // a copy was taken over before it is on the disk
  // Of the state machine of shards.
  kRequestIdLost,      // a write goes out without the id of its request: a retry applies again
  kCopyLacksRequests,  // a copy leaves out the ids of requests that were done
  kCopyOverOldData,    // a copy is put over what is there instead of in its place
  kCheckpointTorn,     // a newer index is put beside the image of an older checkpoint
  // Of a fleet.
  kFileNotSynced,      // placement's file is not on the disk yet when the log behind it is cut
  kJoinerFoundsAGroup  // a worker begins a replica that joins a group as one of a group of its own
};

enum class MachineKind : uint8_t { kRegisters, kShard };

struct SimulationOptions {
  uint64_t seed = 1;
  bool fleet = false;
  MachineKind machine = MachineKind::kRegisters;
  uint32_t nodes = 0;  // voters at the start, 0: drawn; two more come and go with `membership`
  bool membership = false;
  int64_t fault_ms = 0;  // simulated; 0: drawn
  int64_t heal_ms = 20'000;
  PlantedBug bug = PlantedBug::kNone;
};

struct SimulationReport {
  std::string violation;    // empty: none
  uint64_t trace_hash = 0;  // of every message delivered and entry applied
  uint64_t acked = 0;
  uint64_t reads = 0;
  uint64_t crashes = 0;
  uint64_t elections = 0;
  uint64_t snapshots = 0;
  uint64_t membership_changes = 0;
  uint64_t moves = 0;  // replicas that the scheduler added
};

// With what was not given drawn from the seed.
SimulationOptions Drawn(SimulationOptions options);

SimulationReport RunSimulation(const SimulationOptions& options);

}  // namespace vectron::sim
