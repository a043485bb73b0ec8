#pragma once

// Who is to be a member of placement's own consensus group: a pure function of what its leader
// sees.

#include <optional>
#include <vector>

#include "consensus/raft_group.h"
#include "shard/raft_host.h"

namespace vectron::placement {

struct MemberChange {
  shard::ReplicaId replica;
  consensus::ChangeKind kind = consensus::ChangeKind::kAddLearner;  // or kAddVoter
};

// What a leader does next so that all of `wanted` vote; nullopt when it is not the leader, or there
// is nothing to do now. All are members before any of them gets a vote, and all have caught up: so
// a group of one does not come to depend on a second node before the third is there as well.
std::optional<MemberChange> NextMemberChange(const shard::GroupView& view,
                                             const std::vector<shard::ReplicaId>& wanted);

}  // namespace vectron::placement
