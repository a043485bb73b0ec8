// vectron_sim [--seed S] [--count N] [--membership] [--shard] [--fleet]
//             [--bug NAME] [--hash]
// runs simulations; exit code 1 and a replay line per violation. Bugs: kBugs below.

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "sim/simulation.h"

namespace {

using vectron::sim::PlantedBug;

// With what a bug needs in order to show.
constexpr std::pair<std::string_view, PlantedBug> kBugs[] = {
    {"ack", PlantedBug::kAckBeforeSync},
    {"vote", PlantedBug::kVoteBeforeSync},
    {"leader-ack", PlantedBug::kAckAtLeader},
    {"read", PlantedBug::kStaleReads},
    {"early-read", PlantedBug::kReadBeforeApply},
    {"old-read", PlantedBug::kReadIndexReused},
    {"cut", PlantedBug::kCutBeforeFlush},
    {"old", PlantedBug::kOldSnapshots},  // --membership
    {"applied", PlantedBug::kAppliedApartFromData},
    {"applied-behind", PlantedBug::kAppliedBehindData},
    {"replay", PlantedBug::kReplaySkipsAnEntry},
    {"copy-behind", PlantedBug::kCopyBehindItsIndex},   // --membership
    {"copy-key", PlantedBug::kCopyLacksAKey},           // --membership
    {"copy-unsynced", PlantedBug::kCopyNotDurable},     // --membership
    {"request", PlantedBug::kRequestIdLost},            // --shard
    {"copy-requests", PlantedBug::kCopyLacksRequests},  // --shard --membership
    {"copy-over", PlantedBug::kCopyOverOldData},        // --shard --membership
    {"checkpoint", PlantedBug::kCheckpointTorn},        // --shard
    {"file", PlantedBug::kFileNotSynced},               // --fleet
    {"founder", PlantedBug::kJoinerFoundsAGroup},       // --fleet
};

// kNone: there is no such bug.
PlantedBug BugOf(std::string_view name) {
  for (const auto& [known, bug] : kBugs) {
    if (known == name) return bug;
  }
  return PlantedBug::kNone;
}

uint64_t Number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  vectron::SetLogLevel(vectron::LogLevel::kError);  // placement tells of every move
  vectron::sim::SimulationOptions options;
  uint64_t count = 1;
  bool hash = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (arg == "--membership") {
      options.membership = true;
    } else if (arg == "--shard") {
      options.machine = vectron::sim::MachineKind::kShard;
    } else if (arg == "--fleet") {
      options.fleet = true;
    } else if (arg == "--hash") {
      hash = true;
    } else if (arg == "--seed") {
      options.seed = Number(value), ++i;
    } else if (arg == "--count") {
      count = Number(value), ++i;
    } else if (arg == "--bug") {
      options.bug = BugOf(value);
      if (options.bug == PlantedBug::kNone) {
        fmt::print(stderr, "vectron_sim: no bug is called '{}'\n", value);
        return 2;
      }
      ++i;
    } else {
      fmt::print(stderr, "vectron_sim: unknown option '{}'\n", arg);
      return 2;
    }
  }
  uint64_t violations = 0;
  vectron::sim::SimulationReport total;
  const uint64_t first = options.seed;
  for (; options.seed < first + count; ++options.seed) {
    const auto report = vectron::sim::RunSimulation(options);
    total.acked += report.acked;
    total.reads += report.reads;
    total.crashes += report.crashes;
    total.elections += report.elections;
    total.snapshots += report.snapshots;
    total.membership_changes += report.membership_changes;
    total.moves += report.moves;
    if (hash) fmt::print("seed {}: trace {:016x}\n", options.seed, report.trace_hash);
    if (report.violation.empty()) continue;
    ++violations;
    fmt::print("seed {}: {}\n  replay: ./dev sim {}{}{}{}\n", options.seed, report.violation,
               options.seed, options.membership ? " --membership" : "",
               options.machine == vectron::sim::MachineKind::kShard ? " --shard" : "",
               options.fleet ? " --fleet" : "");
  }
  fmt::print(
      "{} runs, {} violations; {} writes acknowledged, {} reads, {} crashes, {} elections, {} "
      "snapshots, {} membership changes, {} moves\n",
      count, violations, total.acked, total.reads, total.crashes, total.elections, total.snapshots,
      total.membership_changes, total.moves);
  return violations == 0 ? 0 : 1;
}
