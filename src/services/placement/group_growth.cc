#include "services/placement/group_growth.h"

#include <algorithm>

namespace vectron::placement {
namespace {

constexpr uint64_t kCaughtUpEntries = 100;  // one that lacks no more gets the rest in no time

bool Contains(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool HasCaughtUp(const shard::GroupView& view, uint64_t replica) {
  return std::any_of(
      view.progress.begin(), view.progress.end(), [&](const consensus::PeerProgress& peer) {
        return peer.id == replica && peer.recent_active && peer.match > 0 &&
               peer.pending_snapshot == 0 && peer.match + kCaughtUpEntries >= view.committed_index;
      });
}

}  // namespace

std::optional<MemberChange> NextMemberChange(const shard::GroupView& view,
                                             const std::vector<shard::ReplicaId>& wanted) {
  const consensus::Membership& now = view.membership;
  if (!view.is_leader || view.quarantined || !now.outgoing_voters.empty()) return std::nullopt;
  std::vector<shard::ReplicaId> learners;
  for (const shard::ReplicaId replica : wanted) {
    if (Contains(now.voters, replica.value)) continue;
    if (!Contains(now.learners, replica.value)) {
      return MemberChange{replica, consensus::ChangeKind::kAddLearner};
    }
    learners.push_back(replica);
  }
  for (const shard::ReplicaId learner : learners) {
    if (!HasCaughtUp(view, learner.value)) return std::nullopt;
  }
  if (learners.empty()) return std::nullopt;
  return MemberChange{learners.front(), consensus::ChangeKind::kAddVoter};
}

}  // namespace vectron::placement
