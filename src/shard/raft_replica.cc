#include "shard/raft_replica.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

using consensus::EntryKind;

// A snapshot that brought no progress for this long (20 ms ticks: 5 to 10 s) is offered again: its message or the news of its
// failure may be lost. A receiver that is still fetching ignores the new offer.
constexpr uint64_t kSnapshotPatienceTicks = 250;

uint64_t CommandBytes(const std::vector<Entry>& entries) {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.command.size();
  return bytes;
}

}  // namespace

RaftReplica::RaftReplica(const RaftGroupStart& start, const RaftHostOptions& options,
                         const RaftHostDeps& deps, Hooks hooks)
    : start_(start),
      options_(options),
      deps_(deps),
      hooks_(std::move(hooks)),
      apply_(*deps.apply_executor) {}

RaftReplica::~RaftReplica() { FailAll(absl::UnavailableError("the replica stops")); }

absl::StatusOr<std::unique_ptr<RaftReplica>> RaftReplica::Create(const RaftGroupStart& start,
                                                                 const RaftHostOptions& options,
                                                                 const RaftHostDeps& deps,
                                                                 Hooks hooks) {
  std::unique_ptr<RaftReplica> replica(new RaftReplica(start, options, deps, std::move(hooks)));
  RETURN_IF_ERROR(Annotate(replica->Start(), fmt::format("group {}", start.group.value)));
  return replica;
}

// The stored state, made when the group begins; finishes an installation that a crash cut short.
absl::StatusOr<RaftState> RaftReplica::LoadState() {
  ASSIGN_OR_RETURN(const std::string stored, deps_.logs->ReadHardState(start_.group));
  if (stored.empty()) {
    RaftState state;
    state.replica = start_.replica;
    state.memberships.push_back({0, start_.members});
    return state;
  }
  ASSIGN_OR_RETURN(RaftState state, DecodeRaftState(stored));
  if (state.replica != start_.replica) {
    return FailedPrecondition("the log belongs to replica {}, not {}", state.replica.value,
                              start_.replica.value);
  }
  if (state.installing && start_.applied_index >= state.installing->at.index) {
    RETURN_IF_ERROR(deps_.logs->Restart(start_.group, state.installing->at.index,
                                        state.installing->term));
    state.memberships = {state.installing->at};
  }
  state.installing.reset();
  return state;
}

absl::Status RaftReplica::Start() {
  ASSIGN_OR_RETURN(RaftState state, LoadState());
  log_ = std::make_unique<RaftLogView>(
      start_.group, *deps_.logs, std::move(state), start_.applied_index,
      [this](uint64_t min_index, ReplicaId to) { return MakeSnapshot(min_index, to); });
  if (start_.applied_index > log_->last_index()) {
    return DataLoss("the store is at {}, the log ends at {}", start_.applied_index,
                    log_->last_index());
  }
  ++log_->state().starts;
  RETURN_IF_ERROR(WriteState());
  const consensus::RaftConfig config{
      .id = start_.replica.value,
      .applied = start_.applied_index,
      .election_ticks = options_.election_ticks,
      .heartbeat_ticks = options_.heartbeat_ticks,
      .min_election_ticks = options_.election_ticks,
      .max_election_ticks = options_.max_election_ticks,
      .election_seed =
          options_.seed == 0 ? 0 : Mix64(options_.seed ^ start_.replica.value ^ start_.group.value) | 1};
  ASSIGN_OR_RETURN(raft_, consensus::RaftGroup::Create(config, *log_));
  handed_ = start_.applied_index;
  RefreshView(/*with_progress=*/false);
  return absl::OkStatus();
}

absl::Status RaftReplica::WriteState() {
  const std::string encoded = EncodeRaftState(log_->state());
  return deps_.logs->Append({{.group = start_.group, .entries = nullptr, .hard_state = encoded}});
}

void RaftReplica::Tick() {
  ++ticks_;
  raft_->Tick().IgnoreError();  // a failure quarantines the group, which TakeReady then reports
  for (auto it = reads_.begin(); it != reads_.end();) {
    if (ticks_ - it->second.asked_tick < options_.read_retry_ticks) {
      ++it;
      continue;
    }
    for (ProposeCallback& done : it->second.callbacks) queued_reads_.push_back(std::move(done));
    it = reads_.erase(it);
  }
  if (ticks_ % options_.heartbeat_ticks == 0) RefreshView(/*with_progress=*/true);
  if (!change_ && ticks_ % kSnapshotPatienceTicks == 0) GiveUpSnapshots();
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

void RaftReplica::Step(PeerMessage message) {
  if (message.to != start_.replica) return;
  if (message.type == kSnapshotFailedMessage) {
    raft_->ReportSnapshot(message.from.value, /*delivered=*/false).IgnoreError();
    return;
  }
  if (message.type != consensus::kSnapshotMessage) {
    raft_->Step(message.bytes).IgnoreError();
    return;
  }
  if (start_.snapshots == nullptr || fetching_) return;  // one at a time; the leader asks again
  fetching_ = true;
  const WorkerId from = message.from.node();
  const std::string token = message.snapshot_token;
  start_.snapshots->Fetch(from, token,
                          [hook = hooks_.fetched, message = std::move(message)](absl::Status status) {
                            hook(message, std::move(status));
                          });
}

void RaftReplica::SnapshotFetched(const PeerMessage& message, const absl::Status& status,
                                  Outbox& out) {
  fetching_ = false;
  if (status.ok()) {
    raft_->Step(message.bytes).IgnoreError();
    return;
  }
  out[message.from.node()].push_back({.group = start_.group,
                                      .from = start_.replica,
                                      .to = message.from,
                                      .type = kSnapshotFailedMessage,
                                      .bytes = {},
                                      .snapshot_token = {}});
}

void RaftReplica::QueueProposal(std::string command, ProposeCallback done) {
  if (unapplied_bytes_.load(std::memory_order_relaxed) > kMaxUnappliedBytes) {
    done(ResourceExhausted("group {}: {} bytes committed and not yet applied", start_.group.value,
                           unapplied_bytes_.load()));
    return;
  }
  queued_.emplace_back(std::move(command), std::move(done));
}

void RaftReplica::QueueRead(ProposeCallback done) { queued_reads_.push_back(std::move(done)); }

void RaftReplica::ChangeMembership(ReplicaId replica, consensus::ChangeKind kind,
                                   std::function<void(absl::Status)> done) {
  if (change_) {
    done(FailedPrecondition("group {}: another membership change is under way", start_.group.value));
    return;
  }
  const absl::Status status = raft_->ProposeMembershipChange(replica.value, kind, "");
  const auto after = raft_->status();
  if (!status.ok() || !after.ok()) {
    done(status.ok() ? after.status() : status);
    return;
  }
  change_ = Change{after->last_index, after->term, std::move(done)};
}

void RaftReplica::TransferLeadership(ReplicaId to) {
  raft_->TransferLeadership(to.value).IgnoreError();
}

void RaftReplica::Campaign() { raft_->Campaign().IgnoreError(); }

void RaftReplica::ReportUnreachable(WorkerId node) {
  for (const uint64_t id : log_->state().current().voters) {
    if (ReplicaId{id}.node() == node) raft_->ReportUnreachable(id).IgnoreError();
  }
  for (const uint64_t id : log_->state().current().learners) {
    if (ReplicaId{id}.node() == node) raft_->ReportUnreachable(id).IgnoreError();
  }
}

void RaftReplica::Applied(uint64_t index) { raft_->AdvanceApplied(index).IgnoreError(); }

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
        queued_[i].second(status.ok() ? after.status() : status);
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

// One round for all reads that wait. Its context names replica, start and number, so it never repeats: a late answer to a
// question of an earlier life must not answer one of this life.
void RaftReplica::AskForReads() {
  if (queued_reads_.empty()) return;
  const auto status = raft_->status();
  if (!status.ok() || status->leader == 0) {
    if (ticks_ == 0) return;  // a group that just started hears of its leader soon
    const absl::Status none = Unavailable("group {}: no leader is known", start_.group.value);
    for (ProposeCallback& done : std::exchange(queued_reads_, {})) done(none);
    return;
  }
  const std::string context = fmt::format("{}/{}/{}", start_.replica.value, log_->state().starts, ++read_counter_);
  if (!raft_->ReadIndex(context).ok()) return;
  reads_[context] = {std::exchange(queued_reads_, {}), ticks_};
}

absl::StatusOr<consensus::SnapshotDescriptor> RaftReplica::MakeSnapshot(uint64_t min_index,
                                                                        ReplicaId to) {
  if (start_.snapshots == nullptr) return absl::UnavailableError("no snapshots are made here");
  ASSIGN_OR_RETURN(SnapshotHandler::Offer offer, start_.snapshots->MakeOffer(min_index));
  const absl::StatusOr<uint64_t> term = log_->Term(offer.index);
  if (!term.ok()) return Unavailable("the log no longer knows entry {}", offer.index);
  const consensus::Membership* membership = log_->state().MembershipAsOf(offer.index);
  if (membership == nullptr) return absl::UnavailableError("the membership there is forgotten");
  offers_[to.value] = offer.token;
  return consensus::SnapshotDescriptor{offer.index, *term, *membership, offer.token};
}

void RaftReplica::Address(const consensus::OutMessage& message, Outbox& out) {
  const ReplicaId to{message.to};
  PeerMessage addressed{.group = start_.group,
                        .from = start_.replica,
                        .to = to,
                        .type = message.type,
                        .bytes = std::string(message.bytes),
                        .snapshot_token = {}};
  if (message.type == consensus::kSnapshotMessage) addressed.snapshot_token = offers_[message.to];
  out[to.node()].push_back(std::move(addressed));
}

absl::Status RaftReplica::TakeReady(consensus::Scratch& scratch, PendingReady& pending,
                                    Outbox& out) {
  consensus::Ready ready;
  RETURN_IF_ERROR(raft_->TakeReady(scratch, ready));
  pending.number = ready.number;
  for (const consensus::LogEntry& entry : ready.entries) {
    pending.entries.push_back({entry.term, entry.index, WithKind(entry.kind, entry.data)});
  }
  for (const consensus::LogEntry& entry : ready.committed) {
    pending.committed.push_back({entry.term, entry.index, WithKind(entry.kind, entry.data)});
  }
  for (const consensus::OutMessage& message : ready.messages) Address(message, out);
  for (const consensus::OutMessage& message : ready.persisted_messages) {
    pending.persisted_bytes.emplace_back(message.bytes);
    pending.persisted.push_back({message.to, message.type, {}});
  }
  for (const consensus::ReadState& read : ready.reads) {
    pending.reads.push_back({read.index, std::string(read.context)});
  }
  pending.snapshot = std::move(ready.snapshot);
  if (ready.hard_state) log_->state().hard_state = *ready.hard_state;
  // A commit index alone need not be durable: it travels with the next write.
  if (ready.must_sync || !pending.entries.empty()) pending.state = EncodeRaftState(log_->state());
  return absl::OkStatus();
}

absl::Status RaftReplica::InstallSnapshot(const consensus::SnapshotDescriptor& snapshot) {
  apply_.Drain();
  RaftState& state = log_->state();
  state.installing = RaftState::Installing{{snapshot.index, snapshot.membership}, snapshot.term};
  RETURN_IF_ERROR(WriteState());
  RETURN_IF_ERROR(start_.snapshots->Install(snapshot.data, snapshot.index));
  RETURN_IF_ERROR(deps_.logs->Restart(start_.group, snapshot.index, snapshot.term));
  state.memberships = {state.installing->at};
  state.installing.reset();
  RETURN_IF_ERROR(WriteState());
  handed_ = snapshot.index;
  return absl::OkStatus();
}

// Takes committed membership changes into the engine and onto disk, before anything after them is applied.
absl::Status RaftReplica::ApplyMemberships(consensus::Scratch& scratch, PendingReady& pending) {
  bool changed = false;
  for (const Entry& entry : pending.committed) {
    const EntryKind kind = KindOf(entry.command);
    if (kind == EntryKind::kNormal) continue;
    const consensus::LogEntry raw{entry.term, entry.index, kind, WithoutKind(entry.command), {}};
    ASSIGN_OR_RETURN(consensus::Membership membership, raft_->ApplyMembershipChange(raw, scratch));
    log_->state().memberships.push_back({entry.index, std::move(membership)});
    changed = true;
  }
  return changed ? WriteState() : absl::OkStatus();
}

absl::Status RaftReplica::FinishReady(consensus::Scratch& scratch, PendingReady& pending,
                                      Outbox& out) {
  if (pending.snapshot) RETURN_IF_ERROR(InstallSnapshot(*pending.snapshot));
  RETURN_IF_ERROR(raft_->AdvanceAppend());
  RETURN_IF_ERROR(raft_->OnPersisted(pending.number));
  if (pending.snapshot) RETURN_IF_ERROR(raft_->AdvanceApplied(pending.snapshot->index));
  for (size_t i = 0; i < pending.persisted.size(); ++i) {
    pending.persisted[i].bytes = pending.persisted_bytes[i];
    Address(pending.persisted[i], out);
  }
  RETURN_IF_ERROR(ApplyMemberships(scratch, pending));
  SettleProposals(pending.committed);
  HandToApplier(std::move(pending.committed));
  AnswerReads(pending.reads);
  RefreshView(/*with_progress=*/false);
  return absl::OkStatus();
}

// Tells proposers of committed entries. Once an entry of a later term is committed, proposals of earlier terms that are not
// can never be (log matching; Ongaro & Ousterhout 2014, section 5.3).
void RaftReplica::SettleProposals(const std::vector<Entry>& committed) {
  for (const Entry& entry : committed) {
    while (!proposals_.empty() && (proposals_.front().term < entry.term ||
                                   proposals_.front().index <= entry.index)) {
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
      const bool done = mine && KindOf(entry.command) != EntryKind::kNormal;
      auto callback = std::move(change_->done);
      change_.reset();
      callback(done   ? absl::OkStatus()
               : mine ? FailedPrecondition("group {}: another change was under way", start_.group.value)
                      : Unavailable("group {}: leadership moved", start_.group.value));
    }
  }
}

void RaftReplica::HandToApplier(std::vector<Entry> committed) {
  if (committed.empty()) return;
  CHECK_EQ(committed.front().index, handed_ + 1);
  handed_ = committed.back().index;
  handed_term_ = committed.back().term;
  const uint64_t bytes = CommandBytes(committed);
  unapplied_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  for (Entry& entry : committed) {
    if (KindOf(entry.command) == EntryKind::kNormal) {
      entry.command.erase(0, 1);
    } else {
      entry.command.clear();
    }
  }
  auto batch = std::make_shared<std::vector<Entry>>(std::move(committed));  // std::function copies
  apply_.Schedule([this, batch, bytes] {
    const uint64_t last = batch->back().index;
    start_.applier->Apply(std::move(*batch));
    unapplied_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    hooks_.applied(last);
  });
}

void RaftReplica::AnswerReads(std::vector<PendingReady::Read>& reads) {
  for (PendingReady::Read& read : reads) {
    const auto found = reads_.find(read.context);
    if (found == reads_.end()) continue;  // asked again meanwhile
    for (ProposeCallback& done : found->second.callbacks) {
      late_reads_.emplace(read.index, std::move(done));
    }
    reads_.erase(found);
  }
  while (!late_reads_.empty() && late_reads_.begin()->first <= handed_) {
    ProposeCallback done = std::move(late_reads_.begin()->second);
    const uint64_t index = late_reads_.begin()->first;
    late_reads_.erase(late_reads_.begin());
    done(index);
  }
}

void RaftReplica::Quarantine(const absl::Status& status) {
  problem_ = Internal("this group is quarantined: {}", MessageOf(status));
  RefreshView(/*with_progress=*/false);
}

void RaftReplica::FailAll(const absl::Status& status) {
  for (auto& [command, done] : std::exchange(queued_, {})) done(status);
  for (Proposal& proposal : std::exchange(proposals_, {})) proposal.done(status);
  for (ProposeCallback& done : std::exchange(queued_reads_, {})) done(status);
  for (auto& [context, round] : std::exchange(reads_, {})) {
    for (ProposeCallback& done : round.callbacks) done(status);
  }
  for (auto& [index, done] : std::exchange(late_reads_, {})) done(status);
  if (change_) std::exchange(change_, std::nullopt)->done(status);
}

void RaftReplica::SetLogMarks(uint64_t needed, uint64_t wished) {
  log_->state().PruneBelow(needed);
  const uint64_t end = log_->last_index() + 1;
  uint64_t below = std::min({needed, wished, handed_}) + 1;
  const absl::StatusOr<uint64_t> bytes = deps_.logs->BytesFrom(start_.group, std::min(below, end));
  if (bytes.ok() && *bytes > options_.group_log_bytes) below = std::min(needed, handed_) + 1;
  const absl::Status status = deps_.logs->CutBefore(start_.group, std::min(below, end));
  if (!status.ok()) deps_.on_fatal(Annotate(status, "cutting the log"));
}

void RaftReplica::RefreshView(bool with_progress) {
  const absl::StatusOr<consensus::Status> status =
      problem_.ok() ? raft_->status() : absl::StatusOr<consensus::Status>(problem_);
  GroupView next;
  next.known = true;
  next.replica = start_.replica;
  next.membership = log_->state().current();
  next.quarantined = !status.ok();
  next.problem = MessageOf(status.status());
  if (status.ok()) {
    next.leader = {status->leader};
    next.term = status->term;
    next.committed_index = status->commit;
    next.is_leader = status->role == consensus::Role::kLeader;
    const bool lone = next.is_leader && next.membership.voters.size() == 1 &&
                      next.membership.outgoing_voters.empty() && handed_term_ == status->term;
    committed_.store(status->commit, std::memory_order_release);
    lone_commit_.store(lone ? handed_ : 0, std::memory_order_release);
    if (with_progress && next.is_leader) {
      auto progress = raft_->progress();
      if (progress.ok()) next.progress = *std::move(progress);
    }
  }
  if (next.quarantined) {
    problem_ = status.status();
    FailAll(problem_);
    lone_commit_.store(0, std::memory_order_release);
  }
  const absl::MutexLock lock(&mutex_);
  if (!with_progress && next.is_leader) next.progress = std::move(view_.progress);
  view_ = std::move(next);
}

GroupView RaftReplica::view() const {
  const absl::MutexLock lock(&mutex_);
  return view_;
}

}  // namespace vectron::shard
