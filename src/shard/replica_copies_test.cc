// What is written, deleted and flushed while a copy of a shard is on its way to a replica that
// joins.

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "base/check.h"
#include "shard/replica_testing.h"

namespace vectron::shard {
namespace {

// Nodes 1 to 3 hold twenty points, p0 to p19, which no log holds any more; node 4 joins.
class CopyUnderWay : public testing::Test, protected ReplicaNodes {
 protected:
  CopyUnderWay() : ReplicaNodes(4) {}

  void SetUp() override {
    for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(Open(id).ok());
    for (int i = 0; i < 20; ++i) Write("p" + std::to_string(i), static_cast<float>(i));
    for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(Get(id, "p19").has_value());  // is not behind
    FlushAll();
    for (uint64_t id = 1; id <= 3; ++id) {
      ASSERT_TRUE(Eventually([&] { return node(id).logs->Extent(kGroup).first_index > 1; }));
    }
  }
  // No copy is under way any more when the test's own variables go.
  void TearDown() override {
    for (uint64_t id = 1; id <= 4; ++id) Stop(id);
  }
  void FlushAll() {
    for (uint64_t id = 1; id <= 3; ++id) CHECK_OK(replica(id).FlushAll());
  }
  // Until it is acknowledged.
  void Delete(const std::string& id) {
    CHECK(Eventually([&] {
      return Answer<absl::StatusOr<WriteResult>>(
                 [&](std::function<void(absl::StatusOr<WriteResult>)> done) {
                   replica(AwaitLeader()).Delete({.id = id, .request_id = ""}, 0, std::move(done));
                 })
          .ok();
    }));
  }
  void Join() {
    ASSERT_TRUE(Open(4).ok());
    Change(4, consensus::ChangeKind::kAddLearner);
  }

  std::atomic<int> copies_{0};
  std::atomic<int> written_{0};
};

TEST_F(CopyUnderWay, BringsNothingBackThatIsDeletedMeanwhile) {
  network().on_chunk = [this](consensus::SnapshotChunk&) {
    if (copies_.exchange(1) == 0) {
      for (int i = 0; i < 10; ++i) Delete("p" + std::to_string(i));
      FlushAll();
    }
    return absl::OkStatus();
  };
  Join();
  EXPECT_TRUE(Get(4, "p19").has_value());
  EXPECT_EQ(copies_, 1);
  Write("q", 100);
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again);
    EXPECT_TRUE(Get(4, "q").has_value());
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(Get(4, "p" + std::to_string(i)).has_value(), i >= 10) << i;
    }
    EXPECT_EQ(replica(4).stats().points, 11U);
    if (again) break;
    Stop(4);
    ASSERT_TRUE(Open(4).ok());
  }
}

// Typesense #2859. The leader keeps its log from the copy on, whatever it flushes: else each copy
// would be too old when it is there.
TEST_F(CopyUnderWay, IsTheLastOrTheLastButOneHoweverMuchIsWritten) {
  network().on_chunk = [this, leader = AwaitLeader()](consensus::SnapshotChunk& chunk) {
    if (chunk.at.offset != 0 || (chunk.at.file != 0 && chunk.at.file != 2)) return absl::OkStatus();
    if (chunk.at.file == 0) ++copies_;
    if (copies_ > 2) return absl::OkStatus();  // it never ends
    for (int i = 0; i < 5; ++i) Write("w" + std::to_string(written_++), 1);
    CHECK_OK(replica(leader).FlushAll());
    return absl::OkStatus();
  };
  Join();
  EXPECT_TRUE(Get(4, "p19").has_value());
  EXPECT_GE(copies_, 1);
  EXPECT_LE(copies_, 2);
  Write("last", 1);
  EXPECT_TRUE(Get(4, "last").has_value());
  EXPECT_EQ(replica(4).stats().points, static_cast<uint64_t>(21 + written_));
}

}  // namespace
}  // namespace vectron::shard
