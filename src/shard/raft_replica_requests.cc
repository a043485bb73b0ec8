// What callers wait for: proposals and membership changes, from their queue to the answer.

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
void RaftReplica::QueueProposal(std::string command, ProposeCallback done) {
  if (hooks_.nodes->own_room() == DiskRoom::kFull) {
    done(ResourceExhausted("group {}: the disk of this node's log is full", start_.group.value));
    return;
  }
  if (leads_ && !MostVotersHave(DiskRoom::kNearlyFull)) {
    done(
        ResourceExhausted("group {}: the disks of most of its nodes are full", start_.group.value));
    return;
  }
  if (unapplied_bytes_.load(std::memory_order_relaxed) > kMaxUnappliedBytes) {
    done(ResourceExhausted("group {}: {} bytes committed and not yet applied", start_.group.value,
                           unapplied_bytes_.load()));
    return;
  }
  Wake();
  queued_.emplace_back(std::move(command), std::move(done));
}

void RaftReplica::ChangeMembership(ReplicaId replica, consensus::ChangeKind kind,
                                   std::function<void(absl::Status)> done) {
  if (change_) {
    done(
        FailedPrecondition("group {}: another membership change is under way", start_.group.value));
    return;
  }
  Wake();
  const absl::Status status = raft_->ProposeMembershipChange(replica.value, kind, "");
  const auto after = raft_->status();
  if (!status.ok() || !after.ok()) {
    done(status.ok() ? after.status() : status);
    return;
  }
  change_ = Change{after->last_index, after->term, std::move(done)};
}

void RaftReplica::FlushInputs(Outbox& out) {
  if (!problem_.ok()) {
    FailAll(problem_);
    return;
  }
  if (!queued_.empty()) {
    std::vector<std::string_view> commands;
    for (const auto& [command, done] : queued_) commands.push_back(command);
    const absl::Status status = raft_->Propose(commands);
    const auto after = raft_->status();
    for (size_t i = 0; i < queued_.size(); ++i) {
      if (!status.ok() || !after.ok()) {
        // Busy with a snapshot is no reason not to try again elsewhere.
        queued_[i].second(absl::IsFailedPrecondition(status)
                              ? absl::UnavailableError(status.message())
                          : status.ok() ? after.status()
                                        : status);
        continue;
      }
      proposals_.push_back({.term = after->term,
                            .index = after->last_index - queued_.size() + 1 + i,
                            .done = std::move(queued_[i].second)});
    }
    queued_.clear();
  }
  AskForReads(out);
}

// Tells proposers of committed entries. Once an entry of a later term is committed, proposals of
// earlier terms that are not can never be (log matching; Ongaro & Ousterhout 2014, section 5.3).
void RaftReplica::SettleProposals(const std::vector<Entry>& committed) {
  for (const Entry& entry : committed) {
    while (!proposals_.empty() &&
           (proposals_.front().term < entry.term || proposals_.front().index <= entry.index)) {
      Proposal proposal = std::move(proposals_.front());
      proposals_.pop_front();
      if (proposal.term == entry.term && proposal.index == entry.index) {
        proposal.done(entry.index);
      } else {
        proposal.done(Unavailable("group {}: leadership moved before the write was committed",
                                  start_.group.value));
      }
    }
    if (change_ && (change_->index <= entry.index || change_->term < entry.term)) {
      const bool mine = change_->index == entry.index && change_->term == entry.term;
      // The engine turns a change that came too early into an empty entry.
      const bool done = mine && KindOf(entry.command) != consensus::EntryKind::kNormal;
      auto callback = std::move(change_->done);
      change_.reset();
      callback(
          done   ? absl::OkStatus()
          : mine ? FailedPrecondition("group {}: another change was under way", start_.group.value)
                 : Unavailable("group {}: leadership moved", start_.group.value));
    }
  }
}

// What a leader proposed before it lost its office is settled by what is committed next. When
// nothing is, because this node is cut off, its callers are told after a while that the outcome is
// open.
void RaftReplica::FailLostProposals() {
  if (leads_ || (proposals_.empty() && !change_)) {
    lost_leadership_tick_ = 0;
    return;
  }
  if (lost_leadership_tick_ == 0) lost_leadership_tick_ = ticks_;
  if (ticks_ - lost_leadership_tick_ < options_.election_ticks / 2) return;
  const absl::Status lost = Unavailable(
      "group {}: leadership moved; what was proposed may or may not happen", start_.group.value);
  for (Proposal& proposal : std::exchange(proposals_, {})) proposal.done(lost);
  if (change_) std::exchange(change_, std::nullopt)->done(lost);
}

void RaftReplica::FailAll(const absl::Status& status) {
  for (auto& [command, done] : std::exchange(queued_, {})) done(status);
  for (Proposal& proposal : std::exchange(proposals_, {})) proposal.done(status);
  for (WaitingRead& read : std::exchange(queued_reads_, {})) read.done(status);
  for (auto& [context, round] : std::exchange(reads_, {})) {
    for (WaitingRead& read : round.reads) read.done(status);
  }
  for (auto& [index, read] : std::exchange(late_reads_, {})) read.done(status);
  if (change_) std::exchange(change_, std::nullopt)->done(status);
}

}  // namespace vectron::shard
