#include "services/placement/group_growth.h"

#include <algorithm>

namespace vectron::placement {
namespace {

constexpr uint64_t kCaughtUpEntries = 100;  // one that lacks no more gets the rest in no time

bool Contains(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool HasCaughtUp(const shard::GroupView& view, shard::ReplicaId replica) {
  if (replica == view.replica) return true;
  return std::any_of(
      view.progress.begin(), view.progress.end(), [&](const consensus::PeerProgress& peer) {
        return peer.id == replica.value && peer.recent_active && peer.match > 0 &&
               peer.pending_snapshot == 0 && peer.match + kCaughtUpEntries >= view.committed_index;
      });
}

// Those that are members without being wanted.
std::vector<shard::ReplicaId> Unwanted(const std::vector<uint64_t>& members,
                                       const std::vector<shard::ReplicaId>& wanted) {
  std::vector<shard::ReplicaId> unwanted;
  for (const uint64_t member : members) {
    const shard::ReplicaId replica{member};
    if (std::find(wanted.begin(), wanted.end(), replica) == wanted.end()) {
      unwanted.push_back(replica);
    }
  }
  return unwanted;
}

}  // namespace

std::optional<MemberChange> NextMemberChange(const shard::GroupView& view,
                                             const std::vector<shard::ReplicaId>& wanted) {
  const consensus::Membership& now = view.membership;
  if (!view.is_leader || view.quarantined || !now.outgoing_voters.empty()) return std::nullopt;
  std::vector<shard::ReplicaId> leaving = Unwanted(now.voters, wanted);
  const auto caught_up = [&view](shard::ReplicaId replica) { return HasCaughtUp(view, replica); };
  std::vector<shard::ReplicaId> learners;
  for (const shard::ReplicaId replica : wanted) {
    if (Contains(now.voters, replica.value)) continue;
    if (leaving.size() > 1) return std::nullopt;
    if (!Contains(now.learners, replica.value)) {
      return MemberChange{replica, consensus::ChangeKind::kAddLearner};
    }
    learners.push_back(replica);
  }
  if (!learners.empty()) {
    if (!std::all_of(learners.begin(), learners.end(), caught_up)) return std::nullopt;
    return MemberChange{learners.front(), consensus::ChangeKind::kAddVoter};
  }
  if (wanted.size() < 2 || !std::all_of(wanted.begin(), wanted.end(), caught_up)) {
    return std::nullopt;
  }
  for (const shard::ReplicaId learner : Unwanted(now.learners, wanted)) leaving.push_back(learner);
  if (leaving.empty()) return std::nullopt;
  return MemberChange{leaving.back(), consensus::ChangeKind::kRemove};
}

}  // namespace vectron::placement
