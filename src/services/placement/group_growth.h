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
  consensus::ChangeKind kind = consensus::ChangeKind::kAddLearner;
};

// What a leader does next so that `wanted`, itself among them, are the voters; nullopt when it is
// not the leader, or there is nothing to do now.
//
// All are members before any of them gets a vote, and all have caught up: so a group of one does
// not come to depend on a second node before the third is there as well. Others leave when all who
// are wanted vote and have caught up. Not for the sake of a single one, which is a node with a
// wrong list; and nobody is added while two are to leave: what one that joins takes for the voters
// until it has a copy (placement_node.cc) may differ from the truth by one, so that any two
// majorities still meet.
std::optional<MemberChange> NextMemberChange(const shard::GroupView& view,
                                             const std::vector<shard::ReplicaId>& wanted);

}  // namespace vectron::placement
