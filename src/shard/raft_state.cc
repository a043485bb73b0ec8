#include "shard/raft_state.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

constexpr uint8_t kFormat = 1;

void PutIds(std::string& out, const std::vector<uint64_t>& ids) {
  PutVarint(out, ids.size());
  for (const uint64_t id : ids) PutVarint(out, id);
}

bool ReadIds(ByteReader& reader, std::vector<uint64_t>& ids) {
  uint64_t count = 0;
  if (!reader.ReadVarint(count) || count > reader.remaining()) return false;
  ids.resize(count);
  for (uint64_t& id : ids) {
    if (!reader.ReadVarint(id)) return false;
  }
  return true;
}

void PutMembership(std::string& out, const RaftState::MembershipAt& at) {
  PutVarint(out, at.index);
  PutIds(out, at.membership.voters);
  PutIds(out, at.membership.learners);
  PutIds(out, at.membership.outgoing_voters);
  PutIds(out, at.membership.next_learners);
  PutFixed<uint8_t>(out, at.membership.auto_leave ? 1 : 0);
}

bool ReadMembership(ByteReader& reader, RaftState::MembershipAt& at) {
  uint8_t auto_leave = 0;
  const bool ok = reader.ReadVarint(at.index) && ReadIds(reader, at.membership.voters) &&
                  ReadIds(reader, at.membership.learners) &&
                  ReadIds(reader, at.membership.outgoing_voters) &&
                  ReadIds(reader, at.membership.next_learners) && reader.ReadFixed(auto_leave);
  at.membership.auto_leave = auto_leave != 0;
  return ok;
}

}  // namespace

const consensus::Membership* RaftState::MembershipAsOf(uint64_t applied) const {
  const consensus::Membership* found = nullptr;
  for (const MembershipAt& at : memberships) {
    if (at.index <= applied) found = &at.membership;
  }
  return found;
}

std::optional<uint64_t> RaftState::MemberSince(ReplicaId member) const {
  std::optional<uint64_t> since;
  for (const MembershipAt& at : memberships) {
    const consensus::Membership& members = at.membership;
    bool has = false;
    for (const auto* ids :
         {&members.voters, &members.learners, &members.outgoing_voters, &members.next_learners}) {
      has = has || std::find(ids->begin(), ids->end(), member.value) != ids->end();
    }
    since = has ? since.value_or(at.index) : std::optional<uint64_t>();
  }
  return since;
}

void RaftState::PruneBelow(uint64_t applied) {
  while (memberships.size() > 1 && memberships[1].index <= applied) {
    memberships.erase(memberships.begin());
  }
}

std::string EncodeRaftState(const RaftState& state) {
  CHECK(!state.memberships.empty());
  std::string out;
  PutFixed(out, kFormat);
  PutFixed(out, state.replica.value);
  PutFixed(out, state.starts);
  PutFixed(out, state.hard_state.term);
  PutFixed(out, state.hard_state.vote);
  PutFixed(out, state.hard_state.commit);
  PutVarint(out, state.memberships.size());
  for (const RaftState::MembershipAt& at : state.memberships) PutMembership(out, at);
  PutFixed<uint8_t>(out, state.installing ? 1 : 0);
  if (state.installing) {
    PutFixed(out, state.installing->term);
    PutMembership(out, state.installing->at);
  }
  PutFixed(out, Crc32c(out));
  return out;
}

absl::StatusOr<RaftState> DecodeRaftState(std::string_view bytes) {
  if (bytes.size() < sizeof(uint32_t)) return DataLoss("raft state of {} bytes", bytes.size());
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint32_t));
  if (LoadFixed<uint32_t>(bytes.data() + body.size()) != Crc32c(body)) {
    return DataLoss("raft state: bad checksum");
  }
  ByteReader reader(body);
  RaftState state;
  uint8_t format = 0;
  uint64_t count = 0;
  if (reader.ReadFixed(format) && format != kFormat) {
    return FailedPrecondition("raft state: format {}, this version reads {}", format, kFormat);
  }
  bool ok = reader.ReadFixed(state.replica.value) && reader.ReadFixed(state.starts) &&
            reader.ReadFixed(state.hard_state.term) && reader.ReadFixed(state.hard_state.vote) &&
            reader.ReadFixed(state.hard_state.commit) && reader.ReadVarint(count) && count >= 1 &&
            count <= reader.remaining();
  for (uint64_t i = 0; ok && i < count; ++i) {
    ok = ReadMembership(reader, state.memberships.emplace_back());
  }
  uint8_t installing = 0;
  ok = ok && reader.ReadFixed(installing);
  if (ok && installing != 0) {
    RaftState::Installing& pending = state.installing.emplace();
    ok = reader.ReadFixed(pending.term) && ReadMembership(reader, pending.at);
  }
  if (!ok || reader.remaining() != 0) return DataLoss("raft state: cannot be decoded");
  return state;
}

}  // namespace vectron::shard
