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

uint64_t CommandBytes(const std::vector<Entry>& entries) {
  uint64_t bytes = 0;
  for (const Entry& entry : entries) bytes += entry.command.size();
  return bytes;
}

// What the state machine sees of an entry.
void StripKind(Entry& entry) {
  if (KindOf(entry.command) == EntryKind::kNormal) {
    entry.command.erase(0, 1);
  } else {
    entry.command.clear();
  }
}

}  // namespace

RaftReplica::RaftReplica(const RaftGroupStart& start, const RaftHostOptions& options,
                         const RaftHostDeps& deps, Hooks hooks)
    : start_(start),
      options_(options),
      deps_(deps),
      hooks_(std::move(hooks)),
      apply_(*deps.apply_executor),
      lacks_state_(start.lacks_state) {}

RaftReplica::~RaftReplica() { FailAll(absl::UnavailableError("the replica stops")); }

absl::StatusOr<std::unique_ptr<RaftReplica>> RaftReplica::Create(const RaftGroupStart& start,
                                                                 const RaftHostOptions& options,
                                                                 const RaftHostDeps& deps,
                                                                 Hooks hooks) {
  std::unique_ptr<RaftReplica> replica(new RaftReplica(start, options, deps, std::move(hooks)));
  // A log that is there from its beginning makes up for a lost state.
  if (deps.logs->Extent(start.group).first_index <= 1) replica->lacks_state_ = false;
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
  const uint64_t durable = std::max(start_.applied_index, start_.applier->stored_index());
  if (state.installing && !lacks_state_ && durable >= state.installing->at.index) {
    RETURN_IF_ERROR(
        deps_.logs->Restart(start_.group, state.installing->at.index, state.installing->term));
    state.memberships = {state.installing->at};
  }
  state.installing.reset();
  return state;
}

absl::Status RaftReplica::Start() {
  ASSIGN_OR_RETURN(RaftState state, LoadState());
  const uint64_t first = deps_.logs->Extent(start_.group).first_index;
  uint64_t applied = std::max(start_.applied_index, start_.applier->stored_index());
  if (lacks_state_) {
    applied = std::max(first - 1, state.memberships.front().index);
  } else if (start_.applied_index + 1 < first) {
    return OutOfRange("the state is at {}, the log begins at {}", start_.applied_index, first);
  }
  log_ = std::make_unique<RaftLogView>(
      start_.group, *deps_.logs, std::move(state), applied,
      [this](uint64_t min_index, ReplicaId to) { return MakeSnapshot(min_index, to); });
  if (applied > log_->last_index()) {
    return DataLoss("the state is at {}, the log ends at {}", applied, log_->last_index());
  }
  ++log_->state().starts;
  RETURN_IF_ERROR(WriteState());
  const consensus::RaftConfig config{
      .id = start_.replica.value,
      .applied = applied,
      .election_ticks = options_.election_ticks,
      .heartbeat_ticks = options_.heartbeat_ticks,
      .min_election_ticks = options_.election_ticks,
      .max_election_ticks = options_.max_election_ticks,
      .election_seed = options_.seed == 0
                           ? 0
                           : Mix64(options_.seed ^ start_.replica.value ^ start_.group.value) | 1};
  ASSIGN_OR_RETURN(raft_, consensus::RaftGroup::Create(config, *log_));
  handed_ = applied_ = applied;
  return absl::OkStatus();
}

absl::Status RaftReplica::Replay() {
  if (lacks_state_) return absl::OkStatus();
  for (uint64_t next = start_.applied_index + 1; next <= handed_;) {
    ASSIGN_OR_RETURN(
        std::vector<Entry> entries,
        deps_.logs->Read(start_.group,
                         {.first = next, .last = handed_, .max_bytes = kLogReplayChunkBytes}));
    next = entries.back().index + 1;
    for (Entry& entry : entries) StripKind(entry);
    start_.applier->Apply(std::move(entries));
  }
  return absl::OkStatus();
}

absl::Status RaftReplica::WriteState() {
  const std::string encoded = EncodeRaftState(log_->state());
  return deps_.logs->Append({{.group = start_.group, .entries = nullptr, .hard_state = encoded}});
}

// A leader's ticks come several at once, when those of all leaders of the node do: so their
// heartbeats share a frame.
void RaftReplica::TickEngine(uint64_t host_tick, Outbox& out) {
  if (lacks_state_) {
    if (!fetching_ && copy_pause_end_ == 0 && host_tick % options_.heartbeat_ticks == 0) {
      AskForCopy(out);
    }
    return;  // it must not lead, so it must not grow impatient
  }
  uint32_t ticks = 1;
  if (leads_) ticks = host_tick % options_.heartbeat_ticks == 0 ? options_.heartbeat_ticks : 0;
  // A failure quarantines the group, which TakeReady then reports.
  for (uint32_t i = 0; i < ticks; ++i) raft_->Tick().IgnoreError();
}

void RaftReplica::Tick(uint64_t host_tick, Outbox& out) {
  ++ticks_;
  ++idle_ticks_;
  TickEngine(host_tick, out);
  if (copy_pause_end_ != 0 && ticks_ >= copy_pause_end_) EndCopyPause(out);
  RepeatReads();
  FailLostProposals();
  FailLateReads();
  GiveWayWhenFull(host_tick);
  if (ticks_ % options_.heartbeat_ticks == 0) {
    TellTail(out);
    RefreshView(/*with_progress=*/true);
  }
  if (ticks_ % kSnapshotPatienceTicks == 0) GiveUpSnapshots();
  GoQuietIfIdle(out);
}

bool RaftReplica::Step(PeerMessage message, Outbox& out) {
  if (message.to != start_.replica.value || !problem_.ok()) return false;
  if (message.type == kQuietMessage) {
    TakeQuiet(message, out);
    return true;
  }
  // Told now and then whether or not anything happens; and late answers to the last heartbeats and
  // questions are no reason to wake.
  const bool is_news = message.type != kTailMessage && message.type != kReadAnswerMessage &&
                       message.type != consensus::kHeartbeatResponseMessage;
  if (is_news && message.type != consensus::kHeartbeatMessage) idle_ticks_ = 0;
  if (quiet_ && is_news) Wake();
  switch (message.type) {
    case kWakeMessage:
      return true;
    case consensus::kHeartbeatResponseMessage:
      if (std::find(answering_.begin(), answering_.end(), message.from) == answering_.end())
        answering_.push_back(message.from);
      break;
    case kSnapshotFailedMessage:
      TakeRefusal(message);
      return true;
    case kSnapshotTakenMessage:
      raft_->ReportSnapshot(message.from, /*delivered=*/true).IgnoreError();
      return true;
    case kTailMessage:
      TakeTail(message);
      return true;
    case kReadQuestionMessage:
      AnswerQuestion(message, out);
      return true;
    case kReadAnswerMessage:
      TakeAnswer(message, out);
      return true;
    case consensus::kAppendMessage:
      if (hooks_.nodes->own_room() == DiskRoom::kFull) return false;
      break;
    case consensus::kTimeoutNowMessage:
      if (lacks_state_) return false;
      break;
    case consensus::kSnapshotMessage:
      FetchSnapshot(std::move(message), out);
      return true;
    default:
      break;
  }
  return raft_->Step(message.bytes).ok();
}

void RaftReplica::TransferLeadership(ReplicaId to) {
  Wake();
  raft_->TransferLeadership(to.value).IgnoreError();
}

void RaftReplica::Campaign() {
  Wake();
  if (!lacks_state_) raft_->Campaign().IgnoreError();
}

void RaftReplica::ReportUnreachable(WorkerId node) {
  for (const auto* ids : {&membership().voters, &membership().learners}) {
    for (const uint64_t id : *ids) {
      if (ReplicaId{id}.node() == node) raft_->ReportUnreachable(id).IgnoreError();
    }
  }
}

void RaftReplica::Applied(uint64_t index) {
  applied_ = std::max(applied_, index);
  raft_->AdvanceApplied(index).IgnoreError();
}

void RaftReplica::Address(const consensus::OutMessage& message, Outbox& out) {
  const ReplicaId to{message.to};
  PeerMessage addressed = OwnMessage(to, message.type);
  addressed.bytes = std::string(message.bytes);
  if (message.type == consensus::kSnapshotMessage) {
    addressed.snapshot_token = offers_[message.to].token;
    addressed.snapshot_index = offers_[message.to].index;
  }
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
  NoteHeartbeats(ready.messages);
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

// Takes committed membership changes into the engine and onto disk, before anything after them is
// applied.
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
  if (pending.snapshot) return BeginInstall(std::move(pending));
  return Finish(scratch, pending, out);
}

absl::Status RaftReplica::Finish(consensus::Scratch& scratch, PendingReady& pending, Outbox& out) {
  RETURN_IF_ERROR(raft_->AdvanceAppend());
  RETURN_IF_ERROR(raft_->OnPersisted(pending.number));
  if (pending.snapshot) RETURN_IF_ERROR(raft_->AdvanceApplied(pending.snapshot->index));
  for (size_t i = 0; i < pending.persisted.size(); ++i) {
    pending.persisted[i].bytes = pending.persisted_bytes[i];
    Address(pending.persisted[i], out);
  }
  if (!pending.entries.empty() || !pending.committed.empty()) idle_ticks_ = 0;
  RETURN_IF_ERROR(ApplyMemberships(scratch, pending));
  SettleProposals(pending.committed);
  RETURN_IF_ERROR(HandToApplier(std::move(pending.committed)));
  AnswerReads(pending.reads, out);
  RefreshView(/*with_progress=*/false);
  return absl::OkStatus();
}

absl::Status RaftReplica::HandToApplier(std::vector<Entry> committed) {
  if (committed.empty()) return absl::OkStatus();
  CHECK_EQ(committed.front().index, handed_ + 1);
  handed_ = committed.back().index;
  handed_term_ = committed.back().term;
  if (lacks_state_) {
    // There is nothing to apply them to; the copy to come has them.
    applied_ = handed_;
    return raft_->AdvanceApplied(handed_);
  }
  const uint64_t bytes = CommandBytes(committed);
  unapplied_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  for (Entry& entry : committed) StripKind(entry);
  auto batch = std::make_shared<std::vector<Entry>>(std::move(committed));  // std::function copies
  apply_.Schedule([this, batch, bytes] {
    const uint64_t last = batch->back().index;
    start_.applier->Apply(std::move(*batch));
    unapplied_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    hooks_.applied(last);
  });
  return absl::OkStatus();
}

void RaftReplica::Quarantine(const absl::Status& status) {
  problem_ = Internal("this group is quarantined: {}", MessageOf(status));
  RefreshView(/*with_progress=*/false);
}

void RaftReplica::RefreshView(bool with_progress) {
  const absl::StatusOr<consensus::Status> status =
      problem_.ok() ? raft_->status() : absl::StatusOr<consensus::Status>(problem_);
  GroupView next;
  next.known = true;
  next.replica = start_.replica;
  next.membership = log_->state().current();
  next.quarantined = !status.ok();
  next.quiet = quiet_;
  next.lacks_state = lacks_state_;
  next.problem = MessageOf(status.status());
  if (status.ok()) {
    next.leader = {status->leader};
    next.term = status->term;
    next.committed_index = status->commit;
    next.is_leader = status->role == consensus::Role::kLeader;
    const bool lone = next.is_leader && next.membership.voters.size() == 1 &&
                      next.membership.outgoing_voters.empty() && handed_term_ == status->term;
    counters_->committed.store(status->commit, std::memory_order_release);
    const std::vector<uint64_t>& learners = next.membership.learners;
    counters_->learner.store(
        std::find(learners.begin(), learners.end(), start_.replica.value) != learners.end(),
        std::memory_order_relaxed);
    counters_->lone_commit.store(lone ? handed_ : 0, std::memory_order_release);
    RefreshRoom();
    counters_->quorum_tail.store(next.is_leader && !quiet_ ? QuorumTail() : 0,
                                 std::memory_order_relaxed);
    if (with_progress && next.is_leader) {
      auto progress = raft_->progress();
      if (progress.ok()) next.progress = *std::move(progress);
    }
  }
  if (next.quarantined) {
    problem_ = status.status();
    FailAll(problem_);
    counters_->lone_commit.store(0, std::memory_order_release);
    counters_->quorum_tail.store(0, std::memory_order_relaxed);
  }
  leads_ = next.is_leader;
  if (leads_ && next.term != std::exchange(led_term_, next.term) && deps_.on_leader) {
    deps_.on_leader(start_.group, start_.replica, next.term);
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
