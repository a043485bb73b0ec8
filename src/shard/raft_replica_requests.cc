// What callers wait for: proposals, membership changes and reads, from their queue to the answer.

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
namespace {

// Hint in refusals of reads: a round without an answer is asked for again by then.
constexpr int64_t kRetryReadAfterMs = 500;

}  // namespace

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

size_t RaftReplica::WaitingReads() const {
  size_t count = queued_reads_.size() + late_reads_.size();
  for (const auto& [context, round] : reads_) count += round.reads.size();
  return count;
}

void RaftReplica::QueueRead(ProposeCallback done) {
  if (WaitingReads() >= options_.max_waiting_reads) {
    done(ResourceExhausted("group {}: {} reads wait for an answer; retry after {} ms",
                           start_.group.value, options_.max_waiting_reads, kRetryReadAfterMs));
    return;
  }
  Wake();
  queued_reads_.push_back({std::move(done), ticks_});
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

void RaftReplica::FlushInputs() {
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
  AskForReads();
}

// One round for all reads that wait, and one at a time: reads that come while it is under way share
// the next one. Its context names replica, start and number, so it never repeats: a late answer to
// a question of an earlier life must not answer one of this life.
void RaftReplica::AskForReads() {
  if (queued_reads_.empty()) return;
  if (installing_ || lacks_state_) {
    const absl::Status none =
        Unavailable("group {}: this replica waits for a copy", start_.group.value);
    for (WaitingRead& read : std::exchange(queued_reads_, {})) read.done(none);
    return;
  }
  if (!reads_.empty()) {
    if (ticks_ - read_asked_tick_ < kReadRoundTicks) return;
    ask_all_until_ = ticks_ + kAskAllTicks;
  }
  const auto status = raft_->status();
  if (!status.ok() || status->leader == 0) {
    if (ticks_ == 0) return;  // a group that just started hears of its leader soon
    const absl::Status none = Unavailable("group {}: no leader is known", start_.group.value);
    for (WaitingRead& read : std::exchange(queued_reads_, {})) read.done(none);
    return;
  }
  const std::string context =
      fmt::format("{}/{}/{}", start_.replica.value, log_->state().starts, ++read_counter_);
  if (status->role == consensus::Role::kLeader) ChooseReadQuorum();
  if (!raft_->ReadIndex(context).ok()) return;
  reads_[context] = {std::exchange(queued_reads_, {}), ticks_};
  read_asked_tick_ = ticks_;
}

// What a turn sends: with heartbeats to everyone the race among the answers begins anew.
void RaftReplica::NoteHeartbeats(const std::vector<consensus::OutMessage>& sent) {
  const bool to_all = std::exchange(heartbeats_due_, false);
  const auto is_heartbeat = [](const consensus::OutMessage& message) {
    return message.type == consensus::kHeartbeatMessage;
  };
  if (!to_all || std::none_of(sent.begin(), sent.end(), is_heartbeat)) return;
  if (!answering_.empty()) fastest_ = std::move(answering_);
  answering_.clear();
}

// As many followers as a majority needs beside this leader, those that answered first when all were
// asked: asking all of them costs every read messages whose answers change nothing.
void RaftReplica::ChooseReadQuorum() {
  read_quorum_.clear();
  const consensus::Membership& members = membership();
  const size_t wanted = members.voters.size() / 2;
  const auto among = [](const std::vector<uint64_t>& ids, uint64_t id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  const auto take = [&](const std::vector<uint64_t>& ids) {
    for (const uint64_t id : ids) {
      if (read_quorum_.size() == wanted) return;
      if (id == start_.replica.value || !among(members.voters, id) || among(read_quorum_, id))
        continue;
      if (hooks_.nodes->Lives(ReplicaId{id}.node())) read_quorum_.push_back(id);
    }
  };
  take(fastest_);
  take(answering_);
  take(members.voters);
  if (read_quorum_.size() < wanted || !members.outgoing_voters.empty()) heartbeats_due_ = true;
}

// Whether a heartbeat, which only asks for reads in this turn, may stay here.
bool RaftReplica::IsSpared(const consensus::OutMessage& message) const {
  if (message.type != consensus::kHeartbeatMessage || heartbeats_due_ || ticks_ < ask_all_until_)
    return false;
  return std::find(read_quorum_.begin(), read_quorum_.end(), message.to) == read_quorum_.end();
}

// A round that got no answer is asked for again; soon when some followers were spared. A learner
// never learns that its leader is gone, so this has an end.
void RaftReplica::RepeatReads() {
  const bool spared = leads_ && ticks_ >= ask_all_until_;
  const uint64_t patience = spared ? std::min<uint64_t>(kReadRoundTicks, options_.read_retry_ticks)
                                   : options_.read_retry_ticks;
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (ticks_ - it->second.asked_tick < patience) {
      ++it;
      continue;
    }
    for (WaitingRead& read : it->second.reads) {
      if (ticks_ - read.since_tick < kReadPatienceTicks) {
        queued_reads_.push_back(std::move(read));
      } else {
        read.done(Unavailable("group {}: its leader does not answer", start_.group.value));
      }
    }
    it = reads_.erase(it);
    if (spared) ask_all_until_ = ticks_ + kAskAllTicks;
  }
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

void RaftReplica::AnswerReads(std::vector<PendingReady::Read>& reads) {
  for (PendingReady::Read& read : reads) {
    const auto found = reads_.find(read.context);
    if (found == reads_.end()) continue;  // asked again meanwhile
    for (WaitingRead& waiting : found->second.reads) {
      late_reads_.emplace(read.index, WaitingRead{std::move(waiting.done), ticks_});
    }
    reads_.erase(found);
  }
  while (!late_reads_.empty() && late_reads_.begin()->first <= handed_) {
    ProposeCallback done = std::move(late_reads_.begin()->second.done);
    const uint64_t index = late_reads_.begin()->first;
    late_reads_.erase(late_reads_.begin());
    done(index);
  }
  if (reads_.empty()) AskForReads();
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

void RaftReplica::FailLateReads() {
  std::erase_if(late_reads_, [this](auto& waiting) {
    auto& [index, read] = waiting;
    if (ticks_ - read.since_tick < kReadPatienceTicks) return false;
    read.done(Unavailable("group {}: this replica is at {}, the read wants {}; ask another one",
                          start_.group.value, handed_, index));
    return true;
  });
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
