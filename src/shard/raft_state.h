#pragma once

// What a node keeps of each group's consensus beside the entries: hard state, identity of the
// replica, and the membership at the log positions where it changed. One opaque record per group in
// the LogStore (docs/formats/log.md).

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "consensus/raft_group.h"
#include "model/ids.h"

namespace vectron::shard {

// A replica of a group: the node it lives on and a number that placement never gives twice. 0 is
// none.
struct ReplicaId {
  uint64_t value = 0;

  static ReplicaId Make(WorkerId node, uint64_t serial) { return {node.value << 40 | serial}; }
  WorkerId node() const { return {value >> 40}; }
  auto operator<=>(const ReplicaId&) const = default;
};

struct RaftState {
  ReplicaId replica;
  // Of this replica; makes what it says in one life differ from what it says in the next.
  uint64_t starts = 0;
  consensus::HardState hard_state;
  struct MembershipAt {
    uint64_t index = 0;  // of the entry (or snapshot) that made it so
    consensus::Membership membership;
    bool operator==(const MembershipAt&) const = default;
  };
  std::vector<MembershipAt> memberships;  // by index; at least one
  // A snapshot whose files may be in place while the log still is the old one (a crash between the
  // two steps).
  struct Installing {
    MembershipAt at;
    uint64_t term = 0;
  };
  std::optional<Installing> installing;

  // The membership in force when everything up to `applied` was applied; null when the history
  // begins later.
  const consensus::Membership* MembershipAsOf(uint64_t applied) const;
  const consensus::Membership& current() const { return memberships.back().membership; }
  // Index from which on every known membership has `member`; nullopt when the current one has not.
  std::optional<uint64_t> MemberSince(ReplicaId member) const;
  // Forgets changes that are older than what a restart can need.
  void PruneBelow(uint64_t applied);
};

std::string EncodeRaftState(const RaftState& state);
// DataLoss.
absl::StatusOr<RaftState> DecodeRaftState(std::string_view bytes);

}  // namespace vectron::shard
