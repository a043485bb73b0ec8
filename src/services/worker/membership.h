#pragma once

// What the leader of a group does next to bring its membership to what placement wants: a pure
// function of what is wanted and what is seen, asked again after every step.

#include <cstdint>
#include <optional>

#include "shard/raft_host.h"
#include "vectron/placement.pb.h"

namespace vectron::worker {

// A replica that lacks no more entries than this, has acknowledged one at least and was heard of
// lately, has caught up. A member that has just been added counts as heard of, although it may be
// lost.
inline constexpr uint64_t kCaughtUpEntries = 256;

// Whether a member has caught up, as its leader sees it; the leader itself has.
bool IsInSync(const shard::GroupView& leader_view, uint64_t replica);

struct MembershipStep {
  enum class Kind { kAddLearner, kPromote, kRemove, kHandOver };
  Kind kind = Kind::kAddLearner;
  uint64_t replica = 0;  // of kHandOver: who is to lead
  bool operator==(const MembershipStep&) const = default;
};

// Nullopt: nothing to do, or nothing that can be done now. One change at a time, in this order:
// learners that are missing; learners that are to vote and have caught up; members that are to go,
// a leader handing over first. A voter is taken out only when enough of those that stay have caught
// up to be a majority of them. `view` is a leader's.
std::optional<MembershipStep> NextStep(const placementdriver::v1::ReplicaAssignment& wanted,
                                       const shard::GroupView& view);

// Whether the membership is just what is wanted.
bool IsSettled(const placementdriver::v1::ReplicaAssignment& wanted, const shard::GroupView& view);

}  // namespace vectron::worker
