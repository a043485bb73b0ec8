#include "services/placement/group_growth.h"

#include <gtest/gtest.h>

namespace vectron::placement {
namespace {

using consensus::ChangeKind;
using shard::ReplicaId;

ReplicaId On(uint64_t node) { return ReplicaId::Make({node}, 1); }
std::vector<uint64_t> Ids(const std::vector<uint64_t>& nodes) {
  std::vector<uint64_t> ids;
  for (const uint64_t node : nodes) ids.push_back(On(node).value);
  return ids;
}
const std::vector<ReplicaId>& Three() {
  static const auto& three = *new std::vector<ReplicaId>{On(1), On(2), On(3)};
  return three;
}

shard::GroupView LeaderOf(const std::vector<uint64_t>& voters,
                          const std::vector<uint64_t>& learners) {
  shard::GroupView view;
  view.known = view.is_leader = true;
  view.replica = On(1);
  view.committed_index = 1'000;
  view.membership.voters = Ids(voters);
  view.membership.learners = Ids(learners);
  return view;
}
void CaughtUp(shard::GroupView& view, uint64_t node) {
  view.progress.push_back({.id = On(node).value, .match = 990, .next = 991, .recent_active = true});
}

TEST(GroupGrowth, LeavesACompleteGroupAlone) {
  shard::GroupView view = LeaderOf({1, 2, 3}, {});
  EXPECT_FALSE(NextMemberChange(view, Three()).has_value());
  CaughtUp(view, 2);
  CaughtUp(view, 3);
  EXPECT_FALSE(NextMemberChange(view, Three()).has_value());
}

// Node 4 is lost and node 3 is there in its stead.
TEST(GroupGrowth, PutsOthersOutOnceAllThatAreWantedVoteAndHaveCaughtUp) {
  shard::GroupView view = LeaderOf({1, 2, 4}, {3});
  CaughtUp(view, 2);
  CaughtUp(view, 3);
  EXPECT_EQ(NextMemberChange(view, Three())->kind, ChangeKind::kAddVoter);
  view = LeaderOf({1, 2, 3, 4}, {5});
  CaughtUp(view, 2);
  EXPECT_FALSE(NextMemberChange(view, Three()).has_value()) << "4 may be needed";
  CaughtUp(view, 3);
  for (const uint64_t other : {5, 4}) {
    const auto change = NextMemberChange(view, Three());
    ASSERT_TRUE(change.has_value());
    EXPECT_EQ(change->replica, On(other)) << "those without a vote first";
    EXPECT_EQ(change->kind, ChangeKind::kRemove);
    view.membership.learners.clear();
  }
}

TEST(GroupGrowth, ReplacesOneAtATime) {
  EXPECT_EQ(NextMemberChange(LeaderOf({1, 2, 4}, {}), Three())->replica, On(3));
  EXPECT_FALSE(NextMemberChange(LeaderOf({1, 4, 5}, {}), Three()).has_value());
}

TEST(GroupGrowth, PutsNobodyOutForTheSakeOfOne) {
  EXPECT_FALSE(NextMemberChange(LeaderOf({1, 2, 3}, {}), {On(1)}).has_value());
}

TEST(GroupGrowth, IsTheLeadersBusiness) {
  shard::GroupView view = LeaderOf({1}, {});
  view.is_leader = false;
  EXPECT_FALSE(NextMemberChange(view, Three()).has_value());
}

TEST(GroupGrowth, TakesAllInBeforeAnyGetsAVote) {
  shard::GroupView view = LeaderOf({1}, {2});
  CaughtUp(view, 2);
  const auto change = NextMemberChange(view, Three());
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->replica, On(3));
  EXPECT_EQ(change->kind, ChangeKind::kAddLearner);
}

TEST(GroupGrowth, GivesVotesOnceAllHaveCaughtUp) {
  shard::GroupView view = LeaderOf({1}, {2, 3});
  CaughtUp(view, 2);
  EXPECT_FALSE(NextMemberChange(view, Three()).has_value()) << "3 was never heard of";
  CaughtUp(view, 3);
  for (const auto spoil : {+[](consensus::PeerProgress& peer) { peer.recent_active = false; },
                           +[](consensus::PeerProgress& peer) { peer.pending_snapshot = 900; },
                           +[](consensus::PeerProgress& peer) { peer.match = 0; },
                           +[](consensus::PeerProgress& peer) { peer.match = 500; }}) {
    shard::GroupView spoilt = view;
    spoil(spoilt.progress.back());
    EXPECT_FALSE(NextMemberChange(spoilt, Three()).has_value());
  }
  const auto change = NextMemberChange(view, Three());
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->replica, On(2));
  EXPECT_EQ(change->kind, ChangeKind::kAddVoter);
  view = LeaderOf({1, 2}, {3});
  CaughtUp(view, 2);
  CaughtUp(view, 3);
  EXPECT_EQ(NextMemberChange(view, Three())->replica, On(3));
}

}  // namespace
}  // namespace vectron::placement
