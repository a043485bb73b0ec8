#include "services/worker/membership.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;
using Kind = MembershipStep::Kind;

bool Contains(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

const pb::ReplicaDescriptor* Wanted(const pb::ReplicaAssignment& wanted, uint64_t replica) {
  for (const pb::ReplicaDescriptor& descriptor : wanted.replicas()) {
    if (descriptor.replica_id() == replica && !descriptor.leaving()) return &descriptor;
  }
  return nullptr;
}

// Whether the voters but `leaving` can go on without it. One that has caught up goes only when all
// that stay have caught up, too; one that has not, when a majority of them has.
bool CanSpare(const shard::GroupView& view, uint64_t leaving) {
  size_t staying = 0;
  size_t in_sync = 0;
  for (const uint64_t voter : view.membership.voters) {
    if (voter == leaving) continue;
    ++staying;
    if (IsInSync(view, voter)) ++in_sync;
  }
  if (IsInSync(view, leaving)) return staying > 0 && in_sync == staying;
  return staying > 0 && in_sync > staying / 2;
}

// A voter that stays and has caught up; 0 when there is none.
uint64_t Successor(const pb::ReplicaAssignment& wanted, const shard::GroupView& view) {
  for (const uint64_t voter : view.membership.voters) {
    if (voter == view.replica.value || Wanted(wanted, voter) == nullptr) continue;
    if (IsInSync(view, voter)) return voter;
  }
  return 0;
}

}  // namespace

bool IsInSync(const shard::GroupView& leader_view, uint64_t replica) {
  if (replica == leader_view.replica.value) return true;
  for (const consensus::PeerProgress& peer : leader_view.progress) {
    if (peer.id != replica) continue;
    return peer.recent_active && peer.match > 0 && peer.pending_snapshot == 0 &&
           peer.match + kCaughtUpEntries >= leader_view.committed_index;
  }
  return false;
}

std::optional<MembershipStep> NextStep(const pb::ReplicaAssignment& wanted,
                                       const shard::GroupView& view) {
  CHECK(view.is_leader);
  const consensus::Membership& now = view.membership;
  if (!now.outgoing_voters.empty()) return std::nullopt;
  for (const pb::ReplicaDescriptor& replica : wanted.replicas()) {
    const uint64_t id = replica.replica_id();
    if (replica.leaving() || Contains(now.voters, id) || Contains(now.learners, id)) continue;
    return MembershipStep{Kind::kAddLearner, id};
  }
  for (const uint64_t learner : now.learners) {
    const pb::ReplicaDescriptor* const descriptor = Wanted(wanted, learner);
    if (descriptor == nullptr) return MembershipStep{Kind::kRemove, learner};
    if (descriptor->role() == pb::REPLICA_ROLE_VOTER && IsInSync(view, learner)) {
      return MembershipStep{Kind::kPromote, learner};
    }
  }
  for (const uint64_t voter : now.voters) {
    if (Wanted(wanted, voter) != nullptr || !CanSpare(view, voter)) continue;
    if (voter != view.replica.value) return MembershipStep{Kind::kRemove, voter};
    const uint64_t successor = Successor(wanted, view);
    if (successor != 0) return MembershipStep{Kind::kHandOver, successor};
  }
  return std::nullopt;
}

bool IsSettled(const pb::ReplicaAssignment& wanted, const shard::GroupView& view) {
  const consensus::Membership& now = view.membership;
  size_t staying = 0;
  for (const pb::ReplicaDescriptor& replica : wanted.replicas()) {
    if (replica.leaving()) continue;
    ++staying;
    const bool votes = replica.role() == pb::REPLICA_ROLE_VOTER;
    if (!Contains(votes ? now.voters : now.learners, replica.replica_id())) return false;
  }
  return now.outgoing_voters.empty() && staying == now.voters.size() + now.learners.size();
}

}  // namespace vectron::worker
