// Snapshots of a replica: offered to others, fetched and taken over from them; and the log that is
// kept for both.

#include <algorithm>
#include <utility>

#include "base/crash_point.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
namespace {

// How long the log is kept for a replica that was offered a snapshot (20 ms ticks: 10 minutes), and
// takes no entries yet.
constexpr uint64_t kOfferHoldTicks = 30'000;

}  // namespace

absl::StatusOr<consensus::SnapshotDescriptor> RaftReplica::MakeSnapshot(uint64_t min_index,
                                                                        ReplicaId to) {
  if (start_.snapshots == nullptr) return absl::UnavailableError("no snapshots are made here");
  if (lacks_state_) return absl::UnavailableError("this replica lacks its own state");
  // A replica does not take over a snapshot of a time when it was not a member.
  const std::optional<uint64_t> since = log_->state().MemberSince(to);
  if (!since) return Unavailable("replica {} is no member", to.value);
  // Below these the log cannot say term or membership any more.
  min_index = std::max(
      {min_index, *since, log_->first_index() - 1, log_->state().memberships.front().index});
  // One that lacks its state takes no copy that holds less than its log.
  const auto refused = refused_copies_.find(to.value);
  if (refused != refused_copies_.end()) min_index = std::max(min_index, refused->second);
  if (min_index > applied_) return Unavailable("entry {} is not applied here yet", min_index);
  ASSIGN_OR_RETURN(SnapshotHandler::Offer offer, start_.snapshots->MakeOffer(min_index));
  const absl::StatusOr<uint64_t> term = log_->Term(offer.index);
  if (!term.ok()) return Unavailable("the log no longer knows entry {}", offer.index);
  const consensus::Membership* membership = log_->state().MembershipAsOf(offer.index);
  if (membership == nullptr) return absl::UnavailableError("the membership there is forgotten");
  offers_[to.value] = {offer.token, offer.index, ticks_};
  return consensus::SnapshotDescriptor{offer.index, *term, *membership, offer.token};
}

// A peer that was sent a snapshot and made no progress since the last call is tried again.
void RaftReplica::GiveUpSnapshots() {
  const auto progress = raft_->progress();
  if (!progress.ok()) return;
  std::map<uint64_t, uint64_t> sent;
  for (const consensus::PeerProgress& peer : *progress) {
    if (peer.pending_snapshot == 0) continue;
    const auto before = snapshots_sent_.find(peer.id);
    if (before != snapshots_sent_.end() && before->second == peer.pending_snapshot) {
      raft_->ReportSnapshot(peer.id, /*delivered=*/false).IgnoreError();
    } else {
      sent[peer.id] = peer.pending_snapshot;
    }
  }
  snapshots_sent_ = std::move(sent);
}

// An engine that waits for a copy takes any, also an old one that was long on its way, and forgets
// what its log holds beyond: entries that it acknowledged.
bool RaftReplica::WouldForget(const PeerMessage& snapshot) const {
  return lacks_state_ && snapshot.snapshot_index < log_->last_index();
}

// Says that a snapshot was not brought, or is of no use: then which entry one must hold.
void RaftReplica::Refuse(const PeerMessage& snapshot, Outbox& out) const {
  const ReplicaId from{snapshot.from};
  PeerMessage refusal = OwnMessage(from, kSnapshotFailedMessage);
  if (WouldForget(snapshot)) refusal.snapshot_index = log_->last_index();
  out[from.node()].push_back(std::move(refusal));
}

void RaftReplica::TakeRefusal(const PeerMessage& refusal) {
  if (refusal.snapshot_index != 0) {
    refused_copies_[refusal.from] = refusal.snapshot_index;
  } else {
    refused_copies_.erase(refusal.from);
  }
  raft_->ReportSnapshot(refusal.from, /*delivered=*/false).IgnoreError();
}

void RaftReplica::FetchSnapshot(PeerMessage message, Outbox& out) {
  // One at a time; the leader asks again.
  if (start_.snapshots == nullptr || fetching_ || installing_ || copy_pause_end_ != 0) return;
  // Said at once, or the leader waits for news of it.
  if (WouldForget(message)) return Refuse(message, out);
  const WorkerId from = ReplicaId{message.from}.node();
  fetching_ = true;
  const std::string token = message.snapshot_token;
  start_.snapshots->Fetch(
      from, token, [hook = hooks_.fetched, message = std::move(message)](absl::Status status) {
        hook(message, std::move(status));
      });
}

void RaftReplica::SnapshotFetched(const PeerMessage& message, const absl::Status& status,
                                  Outbox& out) {
  fetching_ = false;
  if (quiet_) Wake();
  if (status.ok() && !WouldForget(message)) {
    raft_->Step(message.bytes).IgnoreError();
    return;
  }
  Refuse(message, out);
}

// The record says what is coming before the state machine changes; LoadState finishes what a crash
// cuts short. The state machine works on the apply executor, behind what it was given before.
absl::Status RaftReplica::BeginInstall(PendingReady pending) {
  const consensus::SnapshotDescriptor& snapshot = *pending.snapshot;
  RaftState& state = log_->state();
  state.installing = RaftState::Installing{{snapshot.index, snapshot.membership}, snapshot.term};
  // Until then the log is the old one, of which no more than this is known to be committed.
  state.hard_state.commit = std::min(state.hard_state.commit, handed_);
  RETURN_IF_ERROR(WriteState());
  CrashPoint("raft.snapshot.announced");
  FailAll(Unavailable("group {}: this replica takes over a copy", start_.group.value));
  installing_ = std::move(pending);
  apply_.Schedule(
      [this, token = installing_->snapshot->data, index = installing_->snapshot->index] {
        hooks_.installed(start_.snapshots->Install(token, index));
      });
  return absl::OkStatus();
}

absl::Status RaftReplica::FinishInstall(const absl::Status& installed, consensus::Scratch& scratch,
                                        Outbox& out) {
  PendingReady pending = *std::exchange(installing_, std::nullopt);
  if (!installed.ok()) return GoOnWithoutState(installed);
  CrashPoint("raft.snapshot.installed");
  const consensus::SnapshotDescriptor& snapshot = *pending.snapshot;
  RaftState& state = log_->state();
  RETURN_IF_ERROR(deps_.logs->Restart(start_.group, snapshot.index, snapshot.term));
  CrashPoint("raft.snapshot.log_restarted");
  state.memberships = {state.installing->at};
  state.installing.reset();
  state.hard_state.commit = snapshot.index;
  const std::string encoded = EncodeRaftState(state);
  RETURN_IF_ERROR(deps_.logs->Append(
      {{.group = start_.group, .entries = &pending.entries, .hard_state = encoded}}));
  handed_ = applied_ = snapshot.index;
  handed_term_ = snapshot.term;
  lacks_state_ = false;
  copy_pause_ticks_ = 0;
  RETURN_IF_ERROR(Finish(scratch, pending, out));
  TellLeader(kSnapshotTakenMessage, out);
  return absl::OkStatus();
}

// The state machine may have lost what it had, but not the log: it is as before the copy, so the
// engine starts again from it, as after a crash at this point.
absl::Status RaftReplica::GoOnWithoutState(const absl::Status& why) {
  LogError("group {}: taking over a copy: {}; another is asked for", start_.group.value,
           MessageOf(why));
  FailAll(Unavailable("group {}: this replica waits for a copy", start_.group.value));
  lacks_state_ = true;
  copy_pause_ticks_ = std::clamp(copy_pause_ticks_ * 2, kFirstCopyPauseTicks, kMaxCopyPauseTicks);
  copy_pause_end_ = ticks_ + copy_pause_ticks_;
  std::unique_ptr<RaftLogView> old_log = std::move(log_);
  std::unique_ptr<consensus::RaftGroup> old_raft = std::move(raft_);  // reads old_log to its end
  const absl::Status started = Start();
  if (!started.ok()) {  // quarantined, which wants an engine all the same
    raft_ = std::move(old_raft);
    log_ = std::move(old_log);
  } else {
    RefreshView(/*with_progress=*/false);
  }
  return Annotate(started, "starting again after a copy");
}

// The leader may have gone quiet before this replica heard of it, or while the question was lost.
void RaftReplica::AskForCopy(Outbox& out) {
  raft_->RequestSnapshot().IgnoreError();  // refused while no leader is known, or one was asked
  const auto status = raft_->status();
  if (status.ok() && status->leader != 0) {
    TellLeader(kWakeMessage, out);
  } else {
    WakeOthers(out);
  }
}

// A leader that offered a copy meanwhile waits for news of it.
void RaftReplica::EndCopyPause(Outbox& out) {
  copy_pause_end_ = 0;
  TellLeader(kSnapshotFailedMessage, out);
}

void RaftReplica::TellLeader(uint32_t type, Outbox& out) const {
  const auto status = raft_->status();
  if (!status.ok() || status->leader == 0) return;
  const ReplicaId leader{status->leader};
  out[leader.node()].push_back(OwnMessage(leader, type));
}

// Last index before which the log is not wanted by a peer that is being helped or only a little
// behind.
uint64_t RaftReplica::HoldFor(const std::vector<consensus::PeerProgress>& progress) const {
  uint64_t hold = ~uint64_t{0};
  for (const consensus::PeerProgress& peer : progress) {
    const auto offer = offers_.find(peer.id);
    const bool offered = offer != offers_.end() && peer.match < offer->second.index &&
                         ticks_ - offer->second.tick < kOfferHoldTicks;
    if (offered) {
      hold = std::min(hold, offer->second.index);
    } else if (peer.recent_active && peer.match > 0) {
      hold = std::min(hold, peer.match);
    }
  }
  return hold;
}

void RaftReplica::SetLogMarks(uint64_t needed, uint64_t wished) {
  if (installing_ || lacks_state_) return;
  log_->state().PruneBelow(needed);
  const auto progress = raft_->progress();
  const uint64_t hold = progress.ok() && view().is_leader ? HoldFor(*progress) : ~uint64_t{0};
  const uint64_t end = log_->last_index() + 1;
  uint64_t below = std::min({needed, wished, hold, handed_}) + 1;
  const absl::StatusOr<uint64_t> bytes = deps_.logs->BytesFrom(start_.group, std::min(below, end));
  if (bytes.ok() && *bytes > options_.group_log_bytes) below = std::min(needed, handed_) + 1;
  const absl::Status status = deps_.logs->CutBefore(start_.group, std::min(below, end));
  if (!status.ok()) deps_.on_fatal(Annotate(status, "cutting the log"));
}

}  // namespace vectron::shard
