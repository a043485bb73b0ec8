#pragma once

// One group's log and state as the consensus engine reads them: the LogReader over a LogStore.
// Confined to the raft thread.
//
// A stored command begins with one byte, the entry's kind; what the state machine sees is what
// follows.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "consensus/raft_group.h"
#include "shard/log_store.h"
#include "shard/raft_state.h"

namespace vectron::shard {

std::string WithKind(consensus::EntryKind kind, std::string_view data);
consensus::EntryKind KindOf(std::string_view command);
std::string_view WithoutKind(std::string_view command);

class RaftLogView : public consensus::LogReader {
 public:
  // Makes a descriptor whose files hold the state at an index >= min_index; Unavailable while they
  // are being made.
  using SnapshotSource = std::function<absl::StatusOr<consensus::SnapshotDescriptor>(
      uint64_t min_index, ReplicaId to)>;

  RaftLogView(GroupId group, LogStore& logs, RaftState state, uint64_t applied,
              SnapshotSource snapshots)
      : group_(group),
        logs_(logs),
        state_(std::move(state)),
        applied_(applied),
        snapshots_(std::move(snapshots)) {}

  absl::StatusOr<InitialState> ReadInitialState() override;
  absl::StatusOr<std::span<const consensus::LogEntry>> ReadEntries(uint64_t first, uint64_t end,
                                                                   uint64_t max_bytes) override;
  absl::StatusOr<uint64_t> Term(uint64_t index) override;
  uint64_t first_index() override { return logs_.Extent(group_).first_index; }
  uint64_t last_index() override { return logs_.Extent(group_).next_index - 1; }
  absl::StatusOr<consensus::SnapshotDescriptor> ReadSnapshot(uint64_t min_index,
                                                             uint64_t to) override;

  RaftState& state() { return state_; }
  const RaftState& state() const { return state_; }

 private:
  const GroupId group_;
  LogStore& logs_;
  RaftState state_;
  const uint64_t applied_;  // when the group started
  const SnapshotSource snapshots_;
  std::vector<Entry> read_;  // owners of the last ReadEntries' views
  std::vector<consensus::LogEntry> views_;
};

}  // namespace vectron::shard
