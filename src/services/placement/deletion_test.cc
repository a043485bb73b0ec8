#include <gtest/gtest.h>

#include "services/placement/service_testing.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;

class PlacementDeletionTest : public PlacementServiceTest {};

TEST_F(PlacementDeletionTest, DeletesACollectionAndItsReplicas) {
  for (const char* uid : {"a", "b", "c"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 2, 3).ok());
  EXPECT_TRUE(Delete("docs").ok());
  EXPECT_EQ(Doomed(), 0u);
  EXPECT_FALSE(fleet_->Holds(WorkerId{1}));
  EXPECT_EQ(Delete("docs").code(), absl::StatusCode::kNotFound);
}

TEST_F(PlacementDeletionTest, ADeletionEndsWhenTheLastWorkerServesItNoMore) {
  const WorkerId a = fleet_->Join("a");
  const WorkerId b = fleet_->Join("b");
  ASSERT_TRUE(Create("docs", 2, 2).ok());
  Answer<pb::DeleteCollectionResponse> answer;
  BeginDelete("docs", answer);
  EXPECT_EQ(Doomed(), 4u);
  for (const WorkerId worker : {a, b}) {
    for (int beat = 0; beat < 2; ++beat) {  // it is told, it confirms
      service_->Tick();
      EXPECT_FALSE(answer.answered());
      ASSERT_TRUE(fleet_->Beat(worker).ok());
    }
  }
  EXPECT_EQ(Doomed(), 0u);
  service_->Tick();
  ASSERT_TRUE(answer.answered());
  EXPECT_TRUE(answer.get().ok()) << answer.get().status();
}

TEST_F(PlacementDeletionTest, ADeletionWaitsForNoWorkerThatIsNotHeardOf) {
  fleet_->Join("a");
  const WorkerId b = fleet_->Join("b");
  ASSERT_TRUE(Create("docs", 1, 2).ok());
  fleet_->SetUp(b, false);
  fleet_->Run(16'000);
  Answer<pb::DeleteCollectionResponse> answer;
  BeginDelete("docs", answer);
  fleet_->Run(1'500);
  EXPECT_TRUE(answer.answered());
  EXPECT_TRUE(answer.get().ok()) << answer.get().status();
  EXPECT_EQ(Doomed(), 1u);
}

TEST_F(PlacementDeletionTest, ADeletionWaitsForASlowWorkerForABoundedTime) {
  fleet_->Join("a");
  const WorkerId b = fleet_->Join("b");
  ASSERT_TRUE(Create("docs", 1, 2).ok());
  fleet_->SetUp(b, false);
  Answer<pb::DeleteCollectionResponse> answer;
  BeginDelete("docs", answer);
  fleet_->Run(4'000);
  EXPECT_FALSE(answer.answered());
  fleet_->Run(1'500);
  EXPECT_TRUE(answer.answered());
  EXPECT_TRUE(answer.get().ok()) << answer.get().status();
}

TEST_F(PlacementDeletionTest, ADeletionEndsWithTheLeadership) {
  fleet_->Join("a");
  ASSERT_TRUE(Create("docs", 1, 1).ok());
  Answer<pb::DeleteCollectionResponse> answer;
  BeginDelete("docs", answer);
  leadership_ = {};
  service_->Tick();
  ASSERT_TRUE(answer.answered());
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PlacementDeletionTest, ARetryAtANewLeaderWaitsLikewise) {
  fleet_->Join("a");
  fleet_->Join("b");
  ASSERT_TRUE(Create("docs", 1, 2).ok());
  Answer<pb::DeleteCollectionResponse> first;
  BeginDelete("docs", first);
  leadership_ = {};
  service_->Tick();
  ASSERT_TRUE(first.answered());
  leadership_ = {.is_leader = true, .term = 2, .node = {1}, .address = "one:6001"};
  service_->Tick();
  Answer<pb::DeleteCollectionResponse> again;
  BeginDelete("docs", again);
  service_->Tick();
  EXPECT_EQ(Doomed(), 2u);
  EXPECT_FALSE(again.answered());
  fleet_->Run(1'500);
  EXPECT_EQ(Doomed(), 0u);
  ASSERT_TRUE(again.answered());
  EXPECT_EQ(again.get().status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PlacementDeletionTest, ARetryAtTheSameLeaderWaitsLikewise) {
  fleet_->Join("a");
  ASSERT_TRUE(Create("docs", 1, 1).ok());
  fleet_->Run(20'000);  // it leads for long
  Answer<pb::DeleteCollectionResponse> first;
  BeginDelete("docs", first);
  Answer<pb::DeleteCollectionResponse> again;
  BeginDelete("docs", again);
  EXPECT_FALSE(again.answered());
  Answer<pb::DeleteCollectionResponse> other;
  BeginDelete("another", other);
  ASSERT_TRUE(other.answered()) << "nothing of it is left";
  EXPECT_EQ(other.get().status().code(), absl::StatusCode::kNotFound);
  fleet_->Run(1'500);
  ASSERT_TRUE(first.answered());
  EXPECT_TRUE(first.get().ok()) << first.get().status();
  ASSERT_TRUE(again.answered());
  EXPECT_EQ(again.get().status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace vectron::placement
