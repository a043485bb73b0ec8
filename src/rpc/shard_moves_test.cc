#include "rpc/shard_moves.h"

#include <gtest/gtest.h>

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;

class ShardMovesTest : public testing::Test {
 protected:
  pb::ReplicaDescriptor& Add(uint64_t worker, pb::ReplicaRole role = pb::REPLICA_ROLE_VOTER) {
    pb::ReplicaDescriptor& replica = *shard_.add_replicas();
    replica.set_replica_id(worker * 10);
    replica.set_worker_id(worker);
    replica.set_role(role);
    return replica;
  }
  pb::ReplicaDescriptor& AddLearner(uint64_t worker, const char* reason, uint64_t replaces = 0) {
    pb::ReplicaDescriptor& replica = Add(worker, pb::REPLICA_ROLE_LEARNER);
    replica.set_reason(reason);
    replica.set_replaces_replica_id(replaces * 10);
    replica.set_since_unix_ms(7'000);
    return replica;
  }

  pb::MapShard shard_;
};

TEST_F(ShardMovesTest, FindsNoneWhereNothingIsUnderWay) {
  Add(1);
  Add(2);
  AddLearner(3, "search copy").set_search_only(true);
  EXPECT_TRUE(MovesOf(shard_).empty());
}

TEST_F(ShardMovesTest, TellsACopyAndWhatItIsToReplace) {
  Add(1);
  AddLearner(2, "repair");
  AddLearner(3, "drain", 1);
  const std::vector<ReplicaMove> moves = MovesOf(shard_);
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].from, WorkerId{0});
  EXPECT_EQ(moves[0].to, WorkerId{2});
  EXPECT_EQ(moves[0].reason, "repair");
  EXPECT_EQ(moves[1].from, WorkerId{1});
  EXPECT_EQ(moves[1].to, WorkerId{3});
  EXPECT_EQ(moves[1].stage, ReplicaMove::Stage::kCopying);
  EXPECT_EQ(moves[1].since_unix_ms, 7'000);
}

TEST_F(ShardMovesTest, TellsAReplicaThatLeavesWithTheOneInItsPlaceOnce) {
  Add(1).set_leaving(true);
  pb::ReplicaDescriptor& next = Add(2);
  next.set_reason("balance");
  next.set_replaces_replica_id(10);
  Add(3).set_leaving(true);
  const std::vector<ReplicaMove> moves = MovesOf(shard_);
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].from, WorkerId{1});
  EXPECT_EQ(moves[0].to, WorkerId{2});
  EXPECT_EQ(moves[0].reason, "balance");
  EXPECT_EQ(moves[0].stage, ReplicaMove::Stage::kRemoving);
  EXPECT_EQ(moves[1].from, WorkerId{3});
  EXPECT_EQ(moves[1].to, WorkerId{0});
}

}  // namespace
}  // namespace vectron::rpc
