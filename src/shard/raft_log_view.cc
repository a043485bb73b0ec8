#include "shard/raft_log_view.h"

#include "base/check.h"
#include "base/status.h"

namespace vectron::shard {

std::string WithKind(consensus::EntryKind kind, std::string_view data) {
  std::string command;
  command.reserve(data.size() + 1);
  command.push_back(static_cast<char>(kind));
  command.append(data);
  return command;
}

consensus::EntryKind KindOf(std::string_view command) {
  CHECK(!command.empty());
  return static_cast<consensus::EntryKind>(command.front());
}

std::string_view WithoutKind(std::string_view command) {
  CHECK(!command.empty());
  return command.substr(1);
}

absl::StatusOr<consensus::LogReader::InitialState> RaftLogView::ReadInitialState() {
  const consensus::Membership* membership = state_.MembershipAsOf(applied_);
  if (membership == nullptr) {
    return DataLoss("group {}: the membership at applied index {} is not known", group_.value,
                    applied_);
  }
  return InitialState{state_.hard_state, *membership};
}

absl::StatusOr<std::span<const consensus::LogEntry>> RaftLogView::ReadEntries(uint64_t first,
                                                                              uint64_t end,
                                                                              uint64_t max_bytes) {
  if (first < first_index()) {
    return OutOfRange("entry {} was cut; the log begins at {}", first, first_index());
  }
  if (end > last_index() + 1) return Unavailable("entry {} is not there yet", end - 1);
  ASSIGN_OR_RETURN(read_, logs_.Read(group_, {.first = first,
                                              .last = end - 1,
                                              .max_bytes = static_cast<size_t>(max_bytes)}));
  views_.clear();
  for (const Entry& entry : read_) {
    views_.push_back({.term = entry.term,
                      .index = entry.index,
                      .kind = KindOf(entry.command),
                      .data = WithoutKind(entry.command),
                      .context = {}});
  }
  return std::span<const consensus::LogEntry>(views_);
}

absl::StatusOr<uint64_t> RaftLogView::Term(uint64_t index) {
  if (index > last_index()) return Unavailable("entry {} is not there yet", index);
  const absl::StatusOr<uint64_t> term = logs_.TermOf(group_, index);
  if (absl::IsNotFound(term.status())) return OutOfRange("entry {} was cut", index);
  return term;
}

absl::StatusOr<consensus::SnapshotDescriptor> RaftLogView::ReadSnapshot(uint64_t min_index,
                                                                        uint64_t to) {
  return snapshots_(min_index, ReplicaId{to});
}

}  // namespace vectron::shard
