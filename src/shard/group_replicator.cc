#include "shard/group_replicator.h"

#include "base/status.h"

namespace vectron::shard {

void GroupReplicator::Propose(std::string command, ProposeCallback done) {
  // Shared, because a std::function must be copyable and the inbox may refuse it.
  const size_t bytes = command.size();
  auto call = std::make_shared<PendingCall>(std::move(command), std::move(done));
  const bool posted = post_(
      [call](RaftReplica& replica) {
        replica.QueueProposal(std::move(call->command), call->Take());
      },
      bytes);
  if (!posted) call->Take()(ResourceExhausted("the node's consensus inbox is full"));
}

void GroupReplicator::ReadBarrier(ProposeCallback done) {
  const uint64_t lone = counters_->lone_commit.load(std::memory_order_acquire);
  if (lone != 0) {
    done(lone);
    return;
  }
  auto call = std::make_shared<PendingCall>("", std::move(done));
  const bool posted =
      post_([call](RaftReplica& replica) { replica.QueueRead(call->Take()); }, /*bytes=*/0);
  if (!posted) call->Take()(ResourceExhausted("the node's consensus inbox is full"));
}

void GroupReplicator::SetLogMarks(uint64_t needed, uint64_t wished) {
  post_([needed, wished](RaftReplica& replica) { replica.SetLogMarks(needed, wished); },
        /*bytes=*/0);
}

absl::StatusOr<std::vector<Entry>> GroupReplicator::ReadEntries(uint64_t first,
                                                                uint64_t last) const {
  ASSIGN_OR_RETURN(std::vector<Entry> entries, logs_.Read(group_, {.first = first, .last = last}));
  for (Entry& entry : entries) {
    const bool normal = KindOf(entry.command) == consensus::EntryKind::kNormal;
    entry.command = normal ? std::string(WithoutKind(entry.command)) : std::string();
  }
  return entries;
}

}  // namespace vectron::shard
