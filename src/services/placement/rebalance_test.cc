// Rebalance of the service: plans are made by its ticks.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rpc/error_table.h"
#include "services/placement/service_testing.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

class RebalanceTest : public PlacementServiceTest {
 protected:
  void Ask(bool dry_run, Answer<pb::RebalanceResponse>& answer) {
    pb::RebalanceRequest request;
    request.set_dry_run(dry_run);
    service_->Rebalance(request, answer.Callback());
  }
  absl::StatusOr<pb::RebalanceResponse> Rebalance(bool dry_run) {
    Answer<pb::RebalanceResponse> answer;
    Ask(dry_run, answer);
    EXPECT_FALSE(answer.answered()) << "calls come on the raft thread, which must not plan";
    service_->Tick();
    EXPECT_TRUE(answer.answered());
    return answer.get();
  }
  size_t ReplicasOn(WorkerId worker) {
    return state_->With([worker](const ClusterState& state) { return state.ReplicasOn(worker); });
  }
};

TEST_F(RebalanceTest, SaysWhatItWouldMoveWithoutMovingIt) {
  fleet_->Join("a");
  ASSERT_TRUE(Create("docs", 6, 1).ok());
  const WorkerId b = fleet_->Join("b");
  const std::string before = Bytes();
  const auto plan = Rebalance(/*dry_run=*/true);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(plan->started());
  EXPECT_EQ(plan->moves_size(), 3);
  EXPECT_EQ(plan->moves(0).to_worker_id(), b.value);
  EXPECT_EQ(Bytes(), before);
  EXPECT_TRUE(Rebalance(/*dry_run=*/false)->started());
  fleet_->Run(60'000);
  EXPECT_EQ(ReplicasOn(b), 3u);
  EXPECT_FALSE(Rebalance(/*dry_run=*/false)->started());
}

TEST_F(RebalanceTest, OnePlanAnswersAllAndOnlyWhoAskedForItStartsIt) {
  fleet_->Join("a");
  ASSERT_TRUE(Create("docs", 6, 1).ok());
  const WorkerId b = fleet_->Join("b");
  std::vector<Answer<pb::RebalanceResponse>> waiting(16);
  for (size_t i = 0; i < waiting.size(); ++i) Ask(/*dry_run=*/i != 3, waiting[i]);
  Answer<pb::RebalanceResponse> too_many;
  Ask(/*dry_run=*/true, too_many);
  ASSERT_TRUE(too_many.answered());
  EXPECT_EQ(too_many.get().status().code(), absl::StatusCode::kResourceExhausted);
  service_->Tick();
  for (size_t i = 0; i < waiting.size(); ++i) {
    ASSERT_TRUE(waiting[i].answered());
    ASSERT_TRUE(waiting[i].get().ok()) << waiting[i].get().status();
    EXPECT_EQ(waiting[i].get()->moves_size(), 3);
    EXPECT_EQ(waiting[i].get()->started(), i == 3);
  }
  fleet_->Run(60'000);
  EXPECT_EQ(ReplicasOn(b), 3u);
}

TEST_F(RebalanceTest, EndsWithTheLeadership) {
  Answer<pb::RebalanceResponse> answer;
  Ask(/*dry_run=*/true, answer);
  leadership_ = {.is_leader = false, .term = 2, .node = {3}, .address = "three:6001"};
  service_->Tick();
  ASSERT_TRUE(answer.answered());
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace vectron::placement
