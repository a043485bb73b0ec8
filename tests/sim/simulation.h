#pragma once

// A cluster of Raft hosts on a simulated network, disk and clock: a run is a function of its seed.
// Each node runs one replica of one group through the real RaftHost, LogStore and engine; the state
// machine is a table of registers that proves what it holds. Faults: messages dropped, doubled,
// delayed and reordered; one-way and two-way cuts; crashes that lose what was not synced; disks
// that stall; a state machine that applies late and whose flushed state is behind, or lost; log
// cuts and snapshots; leadership transfers; pauses in which the group goes quiet; replicas added,
// demoted, removed and replaced. Then everything heals, and every acknowledged write must be there.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "shard/raft_host.h"
#include "storage/memory_kv.h"

namespace vectron::sim {

// Bugs that can be planted, to show that the checks find them.
enum class PlantedBug : uint8_t {
  kNone,
  kAckBeforeSync,        // log writes are buffered, not synced
  kStaleReads,           // a read answers without asking the group
  kAppliedApartFromData  // the applied index is flushed ahead of the data
};

struct SimulationOptions {
  uint64_t seed = 1;
  uint32_t nodes = 3;  // voters at the start; two more join and leave when `membership` is set
  bool membership = false;
  int64_t fault_ms = 30'000;  // simulated
  int64_t heal_ms = 20'000;
  PlantedBug bug = PlantedBug::kNone;
  bool verbose = false;
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
};

SimulationReport RunSimulation(const SimulationOptions& options);

}  // namespace vectron::sim
