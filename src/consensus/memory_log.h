#pragma once

// A group's log in memory: the LogReader twin for tests and simulation. Thread-compatible.

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "consensus/raft_group.h"

namespace vectron::consensus {

class MemoryLog : public LogReader {
 public:
  // Begins as if a snapshot at (index, term) of these members had been installed.
  MemoryLog(uint64_t index, uint64_t term, Membership membership);

  absl::StatusOr<InitialState> ReadInitialState() override;
  absl::StatusOr<std::span<const LogEntry>> ReadEntries(uint64_t first, uint64_t end,
                                                        uint64_t max_bytes) override;
  absl::StatusOr<uint64_t> Term(uint64_t index) override;
  uint64_t first_index() override { return cut_index_ + 1; }
  uint64_t last_index() override { return cut_index_ + entries_.size(); }
  absl::StatusOr<SnapshotDescriptor> ReadSnapshot(uint64_t min_index, uint64_t to) override;

  // Appends, replacing what stands at or after the first one's index. No holes.
  void Append(std::span<const LogEntry> entries);
  void set_hard_state(const HardState& state) { hard_state_ = state; }
  const HardState& hard_state() const { return hard_state_; }
  // Replaces the log by a received snapshot.
  void Install(const SnapshotDescriptor& snapshot);
  // Takes a snapshot at `index` and keeps `keep` entries below it for slow followers.
  void Compact(uint64_t index, const Membership& membership, std::string data, uint64_t keep);
  const SnapshotDescriptor& snapshot() const { return snapshot_; }

 private:
  struct Stored {
    uint64_t term;
    EntryKind kind;
    std::string data;
    std::string context;
  };

  HardState hard_state_;
  SnapshotDescriptor snapshot_;
  uint64_t cut_index_;  // entries_[0] has index cut_index_ + 1
  uint64_t cut_term_;
  std::deque<Stored> entries_;
  std::vector<LogEntry> views_;  // of the last ReadEntries
};

}  // namespace vectron::consensus
