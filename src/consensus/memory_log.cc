#include "consensus/memory_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"

namespace vectron::consensus {

MemoryLog::MemoryLog(uint64_t index, uint64_t term, Membership membership)
    : hard_state_{term, 0, index},
      snapshot_{index, term, std::move(membership), ""},
      cut_index_(index),
      cut_term_(term) {}

absl::StatusOr<LogReader::InitialState> MemoryLog::ReadInitialState() {
  return InitialState{hard_state_, snapshot_.membership};
}

absl::StatusOr<std::span<const LogEntry>> MemoryLog::ReadEntries(uint64_t first, uint64_t end,
                                                                 uint64_t max_bytes) {
  if (first <= cut_index_)
    return OutOfRange("entry {} was cut; the log begins at {}", first, first_index());
  if (end > last_index() + 1) return Unavailable("entry {} is not there yet", end - 1);
  views_.clear();
  uint64_t bytes = 0;
  for (uint64_t index = first; index < end; ++index) {
    const Stored& stored = entries_[index - cut_index_ - 1];
    bytes += stored.data.size() + stored.context.size() + 16;
    if (index > first && bytes > max_bytes) break;
    views_.push_back({stored.term, index, stored.kind, stored.data, stored.context});
  }
  return std::span<const LogEntry>(views_);
}

absl::StatusOr<uint64_t> MemoryLog::Term(uint64_t index) {
  if (index == cut_index_) return cut_term_;
  if (index < cut_index_) return OutOfRange("entry {} was cut", index);
  if (index > last_index()) return Unavailable("entry {} is not there yet", index);
  return entries_[index - cut_index_ - 1].term;
}

absl::StatusOr<SnapshotDescriptor> MemoryLog::ReadSnapshot(uint64_t min_index, uint64_t) {
  if (snapshot_.index < min_index) return Unavailable("no snapshot at {} yet", min_index);
  return snapshot_;
}

void MemoryLog::Append(std::span<const LogEntry> entries) {
  for (const LogEntry& entry : entries) {
    CHECK_GT(entry.index, cut_index_);
    CHECK_LE(entry.index, last_index() + 1);
    entries_.resize(entry.index - cut_index_ - 1);
    entries_.push_back(
        {entry.term, entry.kind, std::string(entry.data), std::string(entry.context)});
  }
}

void MemoryLog::Install(const SnapshotDescriptor& snapshot) {
  snapshot_ = snapshot;
  cut_index_ = snapshot.index;
  cut_term_ = snapshot.term;
  entries_.clear();
  hard_state_.commit = std::max(hard_state_.commit, snapshot.index);
}

void MemoryLog::Compact(uint64_t index, const Membership& membership, std::string data,
                        uint64_t keep) {
  CHECK_GT(index, cut_index_);
  CHECK_LE(index, last_index());
  snapshot_ = {index, *Term(index), membership, std::move(data)};
  while (cut_index_ + keep < index) {
    cut_term_ = entries_.front().term;
    ++cut_index_;
    entries_.pop_front();
  }
}

}  // namespace vectron::consensus
