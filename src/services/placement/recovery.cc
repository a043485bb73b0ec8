#include "services/placement/recovery.h"

#include "base/crash_point.h"
#include "base/limits.h"
#include "base/status.h"
#include "services/placement/command.h"
#include "services/placement/placement_node.h"
#include "services/placement/replicated_state.h"
#include "shard/raft_log_view.h"

namespace vectron::placement {
namespace {

// Further than the lost nodes can have been ahead. Versions are positions in the log, so they rise
// with it.
constexpr uint64_t kRecoveredIndexStep = 1'000'000;

absl::Status ApplyLog(const shard::LogStore& logs, ClusterState& state) {
  const storage::LogGroupRecord extent = logs.Extent(kPlacementGroup);
  if (state.applied_index() + 1 < extent.first_index ||
      state.applied_index() >= extent.next_index) {
    return DataLoss("placement's state is at {}, its log has {} to {}", state.applied_index(),
                    extent.first_index, extent.next_index - 1);
  }
  for (uint64_t next = state.applied_index() + 1; next < extent.next_index;) {
    ASSIGN_OR_RETURN(const std::vector<shard::Entry> entries,
                     logs.Read(kPlacementGroup, {.first = next,
                                                 .last = extent.next_index - 1,
                                                 .max_bytes = kLogReplayChunkBytes}));
    next = entries.back().index + 1;
    for (const shard::Entry& entry : entries) {
      const std::string_view bytes = shard::WithoutKind(entry.command);
      if (shard::KindOf(entry.command) != consensus::EntryKind::kNormal || bytes.empty()) {
        state.Skip(entry.index);
        continue;
      }
      ASSIGN_OR_RETURN(const Command command, DecodeCommand(bytes));
      state.Apply(entry.index, command);  // what is refused changes nothing
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoredPlacement> ReadStoredPlacement(FileSystem& files, const shard::LogStore& logs,
                                                    const std::string& data_dir) {
  RETURN_IF_ERROR(shard::CheckVotes(logs, kPlacementGroup));
  StoredPlacement stored;
  ASSIGN_OR_RETURN(stored.group, shard::ReadStoredGroup(logs, kPlacementGroup));
  if (stored.group.membership.voters.size() == 1) {
    return FailedPrecondition("placement node {} is the only voter of its group: start it",
                              stored.group.replica.node().value);
  }
  ASSIGN_OR_RETURN(stored.state, ReadStateFile(files, data_dir + kPlacementStateFile));
  RETURN_IF_ERROR(ApplyLog(logs, stored.state));
  return stored;
}

absl::Status RecoverAlone(FileSystem& files, shard::LogStore& logs, const std::string& data_dir) {
  ASSIGN_OR_RETURN(StoredPlacement stored, ReadStoredPlacement(files, logs, data_dir));
  const uint64_t index = stored.group.last_index + kRecoveredIndexStep;
  stored.state.GoOnAlone(index);
  RETURN_IF_ERROR(shard::AnnounceAloneAt(logs, kPlacementGroup, index));
  CrashPoint("placement.recovery_announced");
  return files.WriteAtomically(data_dir + kPlacementStateFile, stored.state.Encode());
}

}  // namespace vectron::placement
