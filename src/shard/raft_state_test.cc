#include "shard/raft_state.h"

#include <gtest/gtest.h>

namespace vectron::shard {
namespace {

RaftState Example() {
  RaftState state;
  state.replica = ReplicaId::Make({3}, 9);
  state.hard_state = {.term = 5, .vote = 7, .commit = 11};
  state.memberships.push_back({0, {.voters = {1, 2, 3}}});
  state.memberships.push_back({8, {.voters = {1, 2, 3}, .learners = {4}}});
  state.installing = RaftState::Installing{{20, {.voters = {2}}}, 6};
  return state;
}

TEST(ReplicaId, NamesItsNode) { EXPECT_EQ(ReplicaId::Make({3}, 9).node(), WorkerId{3}); }

TEST(RaftState, ComesBackFromItsBytes) {
  const std::string bytes = EncodeRaftState(Example());
  const auto state = DecodeRaftState(bytes);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(EncodeRaftState(*state), bytes);
  EXPECT_EQ(state->memberships, Example().memberships);
  EXPECT_EQ(state->installing->at, Example().installing->at);
}

TEST(RaftState, EveryFlippedByteAndEveryTruncationIsFound) {
  const std::string bytes = EncodeRaftState(Example());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    EXPECT_FALSE(DecodeRaftState(damaged).ok()) << i;
    EXPECT_FALSE(DecodeRaftState(bytes.substr(0, i)).ok()) << i;
  }
}

TEST(RaftState, KnowsTheMembershipAtAnAppliedIndex) {
  RaftState state = Example();
  EXPECT_TRUE(state.MembershipAsOf(7)->learners.empty());
  EXPECT_EQ(state.MembershipAsOf(8)->learners, std::vector<uint64_t>{4});
  state.PruneBelow(9);
  EXPECT_EQ(state.memberships.size(), 1U);
  EXPECT_EQ(state.MembershipAsOf(7), nullptr);
}

TEST(RaftState, KnowsSinceWhenAReplicaIsAMember) {
  RaftState state = Example();
  EXPECT_EQ(state.MemberSince({1}), 0U);
  EXPECT_EQ(state.MemberSince({4}), 8U);
  EXPECT_EQ(state.MemberSince({5}), std::nullopt);
  state.memberships.push_back({9, {.voters = {1, 2}, .outgoing_voters = {1, 2, 3}}});
  EXPECT_EQ(state.MemberSince({3}), 0U);
  EXPECT_EQ(state.MemberSince({4}), std::nullopt);  // removed
  state.memberships.push_back({12, {.voters = {1, 2}, .learners = {4}}});
  EXPECT_EQ(state.MemberSince({3}), std::nullopt);
  EXPECT_EQ(state.MemberSince({4}), 12U);  // since it came back
}

}  // namespace
}  // namespace vectron::shard
