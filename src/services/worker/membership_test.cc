#include "services/worker/membership.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/random.h"

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;
using Kind = MembershipStep::Kind;

void Want(pb::ReplicaAssignment& wanted, uint64_t id, pb::ReplicaRole role, bool leaving = false) {
  pb::ReplicaDescriptor& replica = *wanted.add_replicas();
  replica.set_replica_id(id);
  replica.set_role(role);
  replica.set_leaving(leaving);
}

// Replica 1 leads; all voters and learners are up to date unless told otherwise.
shard::GroupView View(std::vector<uint64_t> voters, std::vector<uint64_t> learners = {}) {
  shard::GroupView view;
  view.known = true;
  view.is_leader = true;
  view.replica = view.leader = shard::ReplicaId{1};
  view.committed_index = 1'000;
  for (const auto& ids : {voters, learners}) {
    for (const uint64_t id : ids) {
      view.progress.push_back({.id = id, .match = 1'000, .next = 1'001, .recent_active = true});
    }
  }
  view.membership = {.voters = std::move(voters), .learners = std::move(learners)};
  return view;
}

consensus::PeerProgress& ProgressOf(shard::GroupView& view, uint64_t id) {
  return *std::find_if(view.progress.begin(), view.progress.end(),
                       [id](const auto& peer) { return peer.id == id; });
}

TEST(Membership, DoesNothingWhenAllIsAsWanted) {
  pb::ReplicaAssignment wanted;
  for (uint64_t id = 1; id <= 3; ++id) Want(wanted, id, pb::REPLICA_ROLE_VOTER);
  EXPECT_EQ(NextStep(wanted, View({1, 2, 3})), std::nullopt);
}

TEST(Membership, MovesAReplicaInThreeSteps) {
  pb::ReplicaAssignment wanted;
  Want(wanted, 1, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 2, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 3, pb::REPLICA_ROLE_VOTER, /*leaving=*/true);
  Want(wanted, 4, pb::REPLICA_ROLE_VOTER);
  EXPECT_EQ(NextStep(wanted, View({1, 2, 3})), (MembershipStep{Kind::kAddLearner, 4}));
  EXPECT_EQ(NextStep(wanted, View({1, 2, 3}, {4})), (MembershipStep{Kind::kPromote, 4}));
  EXPECT_EQ(NextStep(wanted, View({1, 2, 3, 4})), (MembershipStep{Kind::kRemove, 3}));
}

TEST(Membership, PromotesNoLearnerThatLagsOrIsSilentOrCopiesOrHasSaidNothing) {
  pb::ReplicaAssignment wanted;
  Want(wanted, 1, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 2, pb::REPLICA_ROLE_VOTER);
  for (int fault = 0; fault < 4; ++fault) {
    shard::GroupView view = View({1}, {2});
    consensus::PeerProgress& peer = ProgressOf(view, 2);
    if (fault == 0) peer.match = view.committed_index - kCaughtUpEntries - 1;
    if (fault == 1) peer.recent_active = false;
    if (fault == 2) peer.pending_snapshot = 900;
    if (fault == 3) {  // of a short log
      view.committed_index = kCaughtUpEntries;
      peer.match = 0;
    }
    EXPECT_EQ(NextStep(wanted, view), std::nullopt) << fault;
  }
}

TEST(Membership, LeavesASearchOnlyReplicaALearner) {
  pb::ReplicaAssignment wanted;
  Want(wanted, 1, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 2, pb::REPLICA_ROLE_LEARNER);
  EXPECT_EQ(NextStep(wanted, View({1}, {2})), std::nullopt);
}

TEST(Membership, HandsOverBeforeTheLeaderLeaves) {
  pb::ReplicaAssignment wanted;
  Want(wanted, 1, pb::REPLICA_ROLE_VOTER, /*leaving=*/true);
  Want(wanted, 2, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 3, pb::REPLICA_ROLE_VOTER);
  EXPECT_EQ(NextStep(wanted, View({1, 2, 3})), (MembershipStep{Kind::kHandOver, 2}));
}

TEST(Membership, TakesOutNobodyWhoIsNeededForAMajority) {
  pb::ReplicaAssignment wanted;
  Want(wanted, 1, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 2, pb::REPLICA_ROLE_VOTER);
  shard::GroupView view = View({1, 2, 3});  // 3 is not listed any more
  ProgressOf(view, 2).recent_active = false;
  EXPECT_EQ(NextStep(wanted, view), std::nullopt);
  ProgressOf(view, 2).recent_active = true;
  EXPECT_EQ(NextStep(wanted, view), (MembershipStep{Kind::kRemove, 3}));
}

TEST(Membership, KeepsACopyThatIsInSyncWhileAnotherIsNot) {
  pb::ReplicaAssignment wanted;
  for (const uint64_t id : {1, 2, 4}) Want(wanted, id, pb::REPLICA_ROLE_VOTER);
  Want(wanted, 3, pb::REPLICA_ROLE_VOTER, /*leaving=*/true);
  shard::GroupView view = View({1, 2, 3, 4});
  ProgressOf(view, 2).recent_active = false;
  EXPECT_EQ(NextStep(wanted, view), std::nullopt);
  // 3 is of no use: 1 and 4 are a majority of those that stay.
  ProgressOf(view, 3).recent_active = false;
  EXPECT_EQ(NextStep(wanted, view), (MembershipStep{Kind::kRemove, 3}));
}

// Whatever is wanted and whatever there is: the steps end, and end where placement wants it when
// all replicas are well. A leader that hands over is followed by the replica it named.
TEST(Membership, SettlesFromEveryState) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int round = 0; round < 2'000; ++round) {
    pb::ReplicaAssignment wanted;
    std::vector<uint64_t> voters{1};
    std::vector<uint64_t> learners;
    std::set<uint64_t> target_voters;
    std::set<uint64_t> target_learners;
    for (uint64_t id = 1; id <= 6; ++id) {
      const uint64_t now = id == 1 ? 0 : random.Below(3);
      if (id != 1 && now == 0) voters.push_back(id);
      if (now == 1) learners.push_back(id);
      const bool must_stay = id == 2;  // somebody votes in the end
      // A voter is never wanted as a learner: placement takes it out and adds another.
      const bool votes = must_stay || now == 0 || random.OneIn(2);
      const uint64_t fate = must_stay ? 0 : random.Below(3);
      if (fate == 2) continue;
      Want(wanted, id, votes ? pb::REPLICA_ROLE_VOTER : pb::REPLICA_ROLE_LEARNER, fate == 1);
      if (fate == 0) (votes ? target_voters : target_learners).insert(id);
    }
    shard::GroupView view = View(voters, learners);
    int steps = 0;
    while (const auto step = NextStep(wanted, view)) {
      ASSERT_LT(++steps, 30);
      const auto drop = [&](std::vector<uint64_t>& ids) { std::erase(ids, step->replica); };
      if (step->kind == Kind::kHandOver) {
        view.replica = view.leader = shard::ReplicaId{step->replica};
        continue;
      }
      drop(voters);
      drop(learners);
      if (step->kind == Kind::kAddLearner) learners.push_back(step->replica);
      if (step->kind == Kind::kPromote) voters.push_back(step->replica);
      ASSERT_FALSE(voters.empty());
      const shard::ReplicaId leader = view.replica;
      view = View(voters, learners);
      view.replica = view.leader = leader;
    }
    EXPECT_EQ(std::set<uint64_t>(voters.begin(), voters.end()), target_voters);
    EXPECT_EQ(std::set<uint64_t>(learners.begin(), learners.end()), target_learners);
  }
}

}  // namespace
}  // namespace vectron::worker
