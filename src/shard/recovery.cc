#include "shard/recovery.h"

#include <algorithm>
#include <optional>
#include <string>

#include "base/limits.h"
#include "base/status.h"
#include "shard/raft_log_view.h"
#include "shard/replica_record.h"

namespace vectron::shard {
namespace {

absl::StatusOr<RaftState> ReadState(const LogStore& logs, GroupId group) {
  ASSIGN_OR_RETURN(const std::string stored, logs.ReadHardState(group));
  if (stored.empty()) return NotFound("the log has no group {}", group.value);
  return DecodeRaftState(stored);
}

absl::Status CheckHasVote(const RaftState& state, GroupId group) {
  const std::vector<uint64_t>& voters = state.current().voters;
  if (std::find(voters.begin(), voters.end(), state.replica.value) == voters.end()) {
    return FailedPrecondition("group {}: replica {} has no vote", group.value, state.replica.value);
  }
  return absl::OkStatus();
}

// Changes of membership in the log would be applied again, on top of the new one: they become
// entries that do nothing. The log's end from the first of them on; empty when there is none.
absl::StatusOr<std::vector<Entry>> WithoutChanges(const LogStore& logs, GroupId group) {
  const storage::LogGroupRecord extent = logs.Extent(group);
  std::vector<Entry> rewritten;
  for (uint64_t next = extent.first_index; next < extent.next_index;) {
    ASSIGN_OR_RETURN(std::vector<Entry> entries,
                     logs.Read(group, {.first = next,
                                       .last = extent.next_index - 1,
                                       .max_bytes = kLogReplayChunkBytes}));
    next = entries.back().index + 1;
    for (Entry& entry : entries) {
      const bool changes = KindOf(entry.command) != consensus::EntryKind::kNormal;
      if (changes) entry.command = WithKind(consensus::EntryKind::kNormal, "");
      if (changes || !rewritten.empty()) rewritten.push_back(std::move(entry));
    }
  }
  return rewritten;
}

}  // namespace

absl::StatusOr<StoredGroup> ReadStoredGroup(const LogStore& logs, GroupId group) {
  ASSIGN_OR_RETURN(const RaftState state, ReadState(logs, group));
  return StoredGroup{.replica = state.replica,
                     .membership = state.current(),
                     .term = state.hard_state.term,
                     .committed_index = state.hard_state.commit,
                     .last_index = logs.Extent(group).next_index - 1};
}

absl::Status CheckRecoverable(const LogStore& logs, FileSystem& files, GroupId group,
                              const std::string& dir) {
  ASSIGN_OR_RETURN(const RaftState state, ReadState(logs, group));
  ASSIGN_OR_RETURN(const std::optional<ReplicaRecord> record, ReadReplicaRecord(files, dir));
  if (!record.has_value() || record->replica != state.replica ||
      record->state != ReplicaState::kReady || state.installing.has_value()) {
    return FailedPrecondition("group {}: the data of replica {} is not whole", group.value,
                              state.replica.value);
  }
  return CheckHasVote(state, group);
}

absl::Status CheckVotes(const LogStore& logs, GroupId group) {
  ASSIGN_OR_RETURN(const RaftState state, ReadState(logs, group));
  if (state.installing.has_value()) {
    return FailedPrecondition(
        "group {}: the whole state of replica {} was being replaced, by a copy or by a recovery; "
        "its next start settles that",
        group.value, state.replica.value);
  }
  return CheckHasVote(state, group);
}

absl::Status RecoverAlone(LogStore& logs, FileSystem& files, GroupId group,
                          const std::string& dir) {
  RETURN_IF_ERROR(CheckRecoverable(logs, files, group, dir));
  ASSIGN_OR_RETURN(RaftState state, ReadState(logs, group));
  ASSIGN_OR_RETURN(const std::vector<Entry> rewritten, WithoutChanges(logs, group));
  const uint64_t first_known = state.memberships.front().index;
  state.memberships = {{first_known, {.voters = {state.replica.value}}}};
  state.hard_state = {.term = state.hard_state.term + kRecoveredTermStep,
                      .vote = 0,
                      .commit = logs.Extent(group).next_index - 1};
  const std::string encoded = EncodeRaftState(state);
  return logs.Append({{.group = group,
                       .entries = rewritten.empty() ? nullptr : &rewritten,
                       .hard_state = encoded}});
}

absl::Status AnnounceAloneAt(LogStore& logs, GroupId group, uint64_t index) {
  RETURN_IF_ERROR(CheckVotes(logs, group));
  ASSIGN_OR_RETURN(RaftState state, ReadState(logs, group));
  state.hard_state.term += kRecoveredTermStep;
  state.hard_state.vote = 0;
  state.installing =
      RaftState::Installing{.at = {.index = index, .membership = {.voters = {state.replica.value}}},
                            .term = state.hard_state.term};
  const std::string encoded = EncodeRaftState(state);
  return logs.Append({{.group = group, .entries = nullptr, .hard_state = encoded}});
}

}  // namespace vectron::shard
