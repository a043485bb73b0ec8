#include "consensus/raft_group.h"

#include <array>

#include "base/check.h"
#include "base/status.h"
#include "raft_abi.h"

namespace vectron::consensus {
namespace {

RgSlice ToSlice(std::string_view bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}
std::string_view ToView(RgSlice slice) {
  return {reinterpret_cast<const char*>(slice.ptr), slice.len};
}
RgIds ToIds(const std::vector<uint64_t>& ids) { return {ids.data(), ids.size()}; }
std::vector<uint64_t> ToVector(RgIds ids) {
  return ids.len == 0 ? std::vector<uint64_t>() : std::vector<uint64_t>(ids.ptr, ids.ptr + ids.len);
}

// Borrows from `membership`.
RgConfState ToConfState(const Membership& membership) {
  return {ToIds(membership.voters), ToIds(membership.learners), ToIds(membership.outgoing_voters),
          ToIds(membership.next_learners), static_cast<uint8_t>(membership.auto_leave)};
}
Membership ToMembership(const RgConfState& conf) {
  return {.voters = ToVector(conf.voters),
          .learners = ToVector(conf.learners),
          .outgoing_voters = ToVector(conf.voters_outgoing),
          .next_learners = ToVector(conf.learners_next),
          .auto_leave = conf.auto_leave != 0};
}

std::string LastPanic() {
  std::array<char, 600> text{};
  return {text.data(), rg_last_panic(text.data(), text.size())};
}

absl::Status ToStatus(int code) {
  if (code >= 0) return absl::OkStatus();
  switch (code) {
    case RG_POISONED:
      return Internal("this group is quarantined: {}", LastPanic());
    case RG_BUSY:
      return FailedPrecondition("a ready is out, or a snapshot is being installed");
    case RG_DROPPED:
      return ResourceExhausted("proposal dropped: too many uncommitted bytes");
    case RG_NOT_LEADER:
      return Unavailable("not the leader");
    case RG_DECODE:
      return InvalidArgument("message cannot be decoded");
    case RG_NO_PEER:
      return InvalidArgument("message from a replica that is no member");
    case RG_EINVAL:
      return InvalidArgument("not a valid call of the engine");
    default:
      return Internal("the engine refused (code {})", code);
  }
}

int ToStoreCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return RG_ST_OK;
    case absl::StatusCode::kOutOfRange:
      return RG_ST_COMPACTED;
    case absl::StatusCode::kUnavailable:
      return RG_ST_UNAVAILABLE;
    default:
      return RG_ST_FAILED;
  }
}

// Owner of the storage callbacks' answers; `user` of RgStorage.
struct Reader {
  explicit Reader(LogReader& reader) : log(reader) {}
  LogReader& log;
  Membership initial;  // what InitialState's views point into
};
Reader& ReaderOf(void* user) { return *static_cast<Reader*>(user); }

int InitialState(void* user, RgHardState* hard_state, RgConfState* conf) {
  Reader& reader = ReaderOf(user);
  auto state = reader.log.ReadInitialState();
  if (!state.ok()) return ToStoreCode(state.status());
  *hard_state = {state->hard_state.term, state->hard_state.vote, state->hard_state.commit};
  reader.initial = std::move(state->membership);
  *conf = ToConfState(reader.initial);
  return RG_ST_OK;
}

int Entries(void* user, uint64_t low, uint64_t high, uint64_t max_bytes, RgSink* sink) {
  const auto entries = ReaderOf(user).log.ReadEntries(low, high, max_bytes);
  if (!entries.ok()) return ToStoreCode(entries.status());
  for (const LogEntry& entry : *entries) {
    const RgEntry raw{entry.term, entry.index, static_cast<uint32_t>(entry.kind),
                      ToSlice(entry.data), ToSlice(entry.context)};
    rg_sink_entry(sink, &raw);
  }
  return RG_ST_OK;
}

int Term(void* user, uint64_t index, uint64_t* term) {
  const auto found = ReaderOf(user).log.Term(index);
  if (!found.ok()) return ToStoreCode(found.status());
  *term = *found;
  return RG_ST_OK;
}

int FirstIndex(void* user, uint64_t* index) {
  *index = ReaderOf(user).log.first_index();
  return RG_ST_OK;
}

int LastIndex(void* user, uint64_t* index) {
  *index = ReaderOf(user).log.last_index();
  return RG_ST_OK;
}

int ReadSnapshot(void* user, uint64_t min_index, uint64_t to, RgSink* sink) {
  const auto snapshot = ReaderOf(user).log.ReadSnapshot(min_index, to);
  if (!snapshot.ok()) {
    return absl::IsUnavailable(snapshot.status()) ? static_cast<int>(RG_ST_SNAP_LATER)
                                                  : ToStoreCode(snapshot.status());
  }
  const RgSnapshot raw{snapshot->index, snapshot->term, ToConfState(snapshot->membership),
                       ToSlice(snapshot->data)};
  rg_sink_snapshot(sink, &raw);
  return RG_ST_OK;
}

Role ToRole(uint32_t role) { return static_cast<Role>(role); }

void CopyEntries(const RgEntry* entries, size_t count, std::vector<LogEntry>& out) {
  out.clear();
  for (size_t i = 0; i < count; ++i) {
    out.push_back({entries[i].term, entries[i].index, static_cast<EntryKind>(entries[i].type),
                   ToView(entries[i].data), ToView(entries[i].context)});
  }
}

void CopyMessages(const RgMessage* messages, size_t count, std::vector<OutMessage>& out) {
  out.clear();
  for (size_t i = 0; i < count; ++i) {
    out.push_back({messages[i].to, messages[i].type, ToView(messages[i].bytes)});
  }
}

}  // namespace

struct Scratch::Impl {
  RgScratch* raw = rg_scratch_new();
};
Scratch::Scratch() : impl_(std::make_unique<Impl>()) { CHECK(impl_->raw != nullptr); }
Scratch::~Scratch() { rg_scratch_free(impl_->raw); }

struct RaftGroup::Impl {
  explicit Impl(LogReader& log) : reader(log) {}
  ~Impl() { rg_destroy(group); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Reader reader;
  RgGroup* group = nullptr;
};

RaftGroup::RaftGroup(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RaftGroup::~RaftGroup() = default;

absl::StatusOr<std::unique_ptr<RaftGroup>> RaftGroup::Create(const RaftConfig& config,
                                                             LogReader& log) {
  CHECK_NE(config.id, uint64_t{0});
  RgConfig raw{};
  raw.id = config.id;
  raw.applied = config.applied;
  raw.max_size_per_msg = config.max_message_bytes;
  raw.max_uncommitted_size = config.max_uncommitted_bytes;
  raw.max_committed_size_per_ready = config.max_committed_bytes_per_ready;
  raw.election_seed = config.election_seed;
  raw.election_tick = config.election_ticks;
  raw.heartbeat_tick = config.heartbeat_ticks;
  raw.min_election_tick = config.min_election_ticks;
  raw.max_election_tick = config.max_election_ticks;
  raw.max_inflight_msgs = config.max_inflight_messages;
  raw.check_quorum = 1;
  raw.pre_vote = 1;
  auto impl = std::make_unique<Impl>(log);
  const RgStorage storage{&impl->reader, InitialState, Entries,     Term,
                          FirstIndex,    LastIndex,    ReadSnapshot};
  int error = RG_OK;
  impl->group = rg_create(&raw, &storage, &error);
  if (impl->group == nullptr) {
    return error == RG_POISONED ? Internal("the log contradicts itself: {}", LastPanic())
                                : Annotate(ToStatus(error), "raft group cannot start");
  }
  return std::unique_ptr<RaftGroup>(new RaftGroup(std::move(impl)));
}

absl::Status RaftGroup::Tick() { return ToStatus(rg_tick(impl_->group)); }

absl::Status RaftGroup::Step(std::string_view message) {
  const RgSlice slice = ToSlice(message);
  const int code = rg_step(impl_->group, slice.ptr, slice.len);
  if (code == RG_DROPPED) return FailedPrecondition("peers do not ask for this, or not just now");
  return ToStatus(code);
}

absl::Status RaftGroup::Campaign() { return ToStatus(rg_campaign(impl_->group)); }

absl::Status RaftGroup::Propose(std::span<const std::string_view> commands) {
  CHECK(!commands.empty());
  std::vector<RgSlice> slices;
  slices.reserve(commands.size());
  for (const std::string_view command : commands) slices.push_back(ToSlice(command));
  const absl::Status proposed =
      ToStatus(rg_propose_batch(impl_->group, slices.data(), slices.size()));
  if (!absl::IsResourceExhausted(proposed)) return proposed;
  // The engine has one word for two things: a leader that is passing its office on takes nothing.
  const absl::StatusOr<Status> now = status();
  const bool moves = now.ok() && now->transferee != 0;
  return moves ? Unavailable("leadership is moving to replica {}", now->transferee) : proposed;
}

absl::Status RaftGroup::ProposeMembershipChange(uint64_t id, ChangeKind kind,
                                                std::string_view context) {
  const RgChange change{id, static_cast<uint32_t>(kind)};
  const RgSlice slice = ToSlice(context);
  return ToStatus(
      rg_propose_conf_change(impl_->group, &change, 1, RG_CC_SIMPLE, slice.ptr, slice.len));
}

absl::StatusOr<Membership> RaftGroup::ApplyMembershipChange(const LogEntry& entry,
                                                            Scratch& scratch) {
  CHECK(entry.kind != EntryKind::kNormal);
  RgConfState conf{};
  const RgSlice slice = ToSlice(entry.data);
  RETURN_IF_ERROR(ToStatus(rg_apply_conf_change(impl_->group, static_cast<uint32_t>(entry.kind),
                                                slice.ptr, slice.len, scratch.impl_->raw, &conf)));
  return ToMembership(conf);
}

absl::Status RaftGroup::TransferLeadership(uint64_t to) {
  return ToStatus(rg_transfer_leader(impl_->group, to));
}

absl::Status RaftGroup::ReadIndex(std::string_view context) {
  const RgSlice slice = ToSlice(context);
  return ToStatus(rg_read_index(impl_->group, slice.ptr, slice.len));
}

absl::Status RaftGroup::ReportUnreachable(uint64_t id) {
  return ToStatus(rg_report_unreachable(impl_->group, id));
}

absl::Status RaftGroup::ReportSnapshot(uint64_t id, bool delivered) {
  return ToStatus(rg_report_snapshot(impl_->group, id, delivered ? 1 : 0));
}

absl::Status RaftGroup::RequestSnapshot() { return ToStatus(rg_request_snapshot(impl_->group)); }

bool RaftGroup::HasReady() const { return rg_has_ready(impl_->group) == 1; }

absl::Status RaftGroup::TakeReady(Scratch& scratch, Ready& ready) {
  RgReady raw{};
  RETURN_IF_ERROR(ToStatus(rg_ready(impl_->group, scratch.impl_->raw, &raw)));
  ready.number = raw.number;
  CopyEntries(raw.entries, raw.n_entries, ready.entries);
  CopyEntries(raw.committed, raw.n_committed, ready.committed);
  CopyMessages(raw.messages, raw.n_messages, ready.messages);
  CopyMessages(raw.persisted, raw.n_persisted, ready.persisted_messages);
  ready.reads.clear();
  for (size_t i = 0; i < raw.n_reads; ++i) {
    ready.reads.push_back({raw.reads[i].index, ToView(raw.reads[i].context)});
  }
  ready.hard_state.reset();
  if (raw.has_hs != 0) ready.hard_state = HardState{raw.hs.term, raw.hs.vote, raw.hs.commit};
  ready.snapshot.reset();
  if (raw.has_snapshot != 0) {
    ready.snapshot =
        SnapshotDescriptor{raw.snapshot.index, raw.snapshot.term, ToMembership(raw.snapshot.conf),
                           std::string(ToView(raw.snapshot.data))};
  }
  ready.soft_state.reset();
  if (raw.has_soft != 0) ready.soft_state = Ready::SoftState{raw.leader, ToRole(raw.role)};
  ready.must_sync = raw.must_sync != 0;
  return absl::OkStatus();
}

absl::Status RaftGroup::AdvanceAppend() { return ToStatus(rg_advance_append_async(impl_->group)); }

absl::Status RaftGroup::OnPersisted(uint64_t number) {
  return ToStatus(rg_on_persist_ready(impl_->group, number));
}

absl::Status RaftGroup::AdvanceApplied(uint64_t index) {
  return ToStatus(rg_advance_apply_to(impl_->group, index));
}

absl::StatusOr<Status> RaftGroup::status() const {
  RgStatus raw{};
  RETURN_IF_ERROR(ToStatus(rg_status(impl_->group, &raw)));
  return Status{.term = raw.term,
                .vote = raw.vote,
                .commit = raw.commit,
                .applied = raw.applied,
                .persisted = raw.persisted,
                .last_index = raw.last_index,
                .leader = raw.leader,
                .transferee = raw.transferee,
                .pending_membership_index = raw.pending_conf_index,
                .role = ToRole(raw.role)};
}

absl::StatusOr<std::vector<PeerProgress>> RaftGroup::progress() const {
  std::vector<RgProgress> raw(16);
  size_t count = 0;
  RETURN_IF_ERROR(ToStatus(rg_progress(impl_->group, raw.data(), raw.size(), &count)));
  if (count > raw.size()) {
    raw.resize(count);
    RETURN_IF_ERROR(ToStatus(rg_progress(impl_->group, raw.data(), raw.size(), &count)));
  }
  std::vector<PeerProgress> peers;
  for (size_t i = 0; i < count; ++i) {
    peers.push_back({.id = raw[i].id,
                     .match = raw[i].match,
                     .next = raw[i].next,
                     .pending_snapshot = raw[i].pending_snapshot,
                     .paused = raw[i].paused != 0,
                     .recent_active = raw[i].recent_active != 0});
  }
  return peers;
}

void RaftGroup::FreeIdleMemory() { rg_free_idle_memory(impl_->group); }

}  // namespace vectron::consensus
