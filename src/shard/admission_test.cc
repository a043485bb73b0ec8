#include "shard/admission.h"

#include <vector>

#include "base/limits.h"
#include "gtest/gtest.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

constexpr int64_t kMilli = 1'000'000;

class AdmissionTest : public testing::Test {
 protected:
  // Admits a write named by its number; `started_` and `refused_` tell what came of it.
  void Admit(int name, int64_t deadline_ms = 10'000, size_t bytes = 1) {
    admission_->Admit({bytes, clock_.MonotonicNanos() + deadline_ms * kMilli,
                       [this, name](const absl::Status& status) {
                         (status.ok() ? started_ : refused_).push_back(name);
                         last_refusal_ = status.ok() ? last_refusal_ : status;
                         if (status.ok()) tail_ += growth_;
                       }});
  }

  ManualClock clock_;
  ManualTimer timer_{clock_};
  uint64_t tail_ = 0;
  uint64_t growth_ = 0;  // of the tail by each write started
  std::vector<int> started_;
  std::vector<int> refused_;
  absl::Status last_refusal_;
  std::shared_ptr<Admission> admission_ =
      std::make_shared<Admission>(clock_, timer_, [this] { return tail_; });
};

TEST_F(AdmissionTest, ShortTailDelaysNothing) {
  tail_ = kTailFreeBytes;
  Admit(1);
  EXPECT_EQ(started_, std::vector<int>{1});
  EXPECT_EQ(timer_.waiting(), 0u);
}

TEST_F(AdmissionTest, DelayGrowsLinearlyWithTheTail) {
  EXPECT_EQ(TailDelayNanos(0), 0);
  EXPECT_EQ(TailDelayNanos((kTailFreeBytes + kTailMaxBytes) / 2), kTailMaxDelayMs * kMilli / 2);
  EXPECT_EQ(TailDelayNanos(kTailMaxBytes), kTailMaxDelayMs * kMilli);
  tail_ = (kTailFreeBytes + kTailMaxBytes) / 2;
  Admit(1);
  Admit(2);
  timer_.AdvanceMillis(kTailMaxDelayMs / 2 - 1);
  EXPECT_TRUE(started_.empty());
  timer_.AdvanceMillis(1);
  EXPECT_EQ(started_, (std::vector<int>{1, 2}));
}

TEST_F(AdmissionTest, FullTailWaitsForRoomInOrder) {
  tail_ = kTailMaxBytes;
  growth_ = 10;
  for (int name = 1; name <= 3; ++name) Admit(name);
  timer_.AdvanceMillis(1'000);
  admission_->Poll();
  EXPECT_TRUE(started_.empty());
  tail_ = kTailMaxBytes - 15;
  admission_->Poll();
  EXPECT_EQ(started_, (std::vector<int>{1, 2}));  // the third found it full again
  EXPECT_EQ(admission_->waiting(), 1u);
  tail_ = 0;
  admission_->Poll();
  EXPECT_EQ(started_, (std::vector<int>{1, 2, 3}));
}

TEST_F(AdmissionTest, RoomIsFoundThatNobodyTellsOf) {
  tail_ = kTailMaxBytes;
  Admit(1);
  timer_.AdvanceMillis(1'000);
  EXPECT_TRUE(started_.empty());
  tail_ = 0;
  timer_.AdvanceMillis(Admission::kLookAgainMs);
  EXPECT_EQ(started_, std::vector<int>{1});
  EXPECT_EQ(timer_.waiting(), 0u);
}

TEST_F(AdmissionTest, WaitEndsAtTheDeadlineWithAHint) {
  tail_ = kTailMaxBytes;
  Admit(1, 5'000);
  Admit(2, 100);
  timer_.AdvanceMillis(100);
  EXPECT_EQ(refused_, std::vector<int>{2});
  EXPECT_EQ(last_refusal_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(last_refusal_.message().find("retry after"), last_refusal_.message().npos);
  timer_.AdvanceMillis(4'900);
  EXPECT_EQ(refused_, (std::vector<int>{2, 1}));
  EXPECT_TRUE(started_.empty());
}

TEST_F(AdmissionTest, QueueIsBounded) {
  tail_ = kTailMaxBytes;
  for (size_t i = 0; i < kMaxQueuedWritesPerShard; ++i) Admit(1);
  EXPECT_TRUE(refused_.empty());
  Admit(2);
  EXPECT_EQ(refused_, std::vector<int>{2});
}

TEST_F(AdmissionTest, QueuedBytesAreBounded) {
  tail_ = kTailMaxBytes;
  Admit(1, 10'000, kMaxQueuedWriteBytesPerShard);
  Admit(2);
  EXPECT_EQ(refused_, std::vector<int>{2});
}

TEST_F(AdmissionTest, CloseRefusesWhatWaits) {
  tail_ = kTailMaxBytes;
  Admit(1);
  admission_->Close();
  Admit(2);
  EXPECT_EQ(refused_, (std::vector<int>{1, 2}));
  EXPECT_EQ(last_refusal_.code(), absl::StatusCode::kUnavailable);
  timer_.AdvanceMillis(20'000);
}

TEST(ShardAdmission, WaitsForWhatAMajorityOfTheReplicasIsBehind) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  test.log().quorum_tail = kTailMaxBytes;
  absl::StatusOr<WriteResult> written = absl::InternalError("no answer");
  test.shard().Upsert({OnePoint("a", {1}), "", false}, 0,
                      [&](absl::StatusOr<WriteResult> result) { written = std::move(result); });
  test.timer().AdvanceMillis(1'000);
  EXPECT_TRUE(absl::IsInternal(written.status()));
  EXPECT_TRUE(test.Delete("b").ok()) << "it adds nothing to an index";
  test.log().quorum_tail = 0;
  test.timer().AdvanceMillis(1'000);
  EXPECT_TRUE(written.ok()) << written.status();
}

TEST(DiskReserve, RefusesWritesAndLetsDeletesGoOn) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  test.files().free_bytes = kDiskReserveBytes - 1;
  test.timer().AdvanceMillis(DiskReserve::kCheckMillis);
  const auto refused = test.Upsert({OnePoint("b", {1}), "", false});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(test.Search(Nearest({1}))->hits.size(), 1u);
  EXPECT_TRUE(test.Delete("a").ok());
  test.files().free_bytes = kDiskReserveBytes;
  test.timer().AdvanceMillis(DiskReserve::kCheckMillis);
  EXPECT_TRUE(test.Upsert({OnePoint("b", {1}), "", false}).ok());
}

}  // namespace
}  // namespace vectron::shard
