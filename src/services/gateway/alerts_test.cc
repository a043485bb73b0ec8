#include "services/gateway/alerts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fault_file_system.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::gateway {
namespace {

AlertCondition Failed(const std::string& subject, AlertLevel level = AlertLevel::kCritical) {
  return {.rule = AlertRule::kShardFailed,
          .subject = subject,
          .level = level,
          .title = subject + " failed",
          .message = "why"};
}

class AlertBookTest : public testing::Test {
 protected:
  AlertBookTest() { Reopen(); }
  void Reopen() {
    auto book = AlertBook::Open(dir_ / "alerts", *files_, ++seed_);
    ASSERT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
  }
  // The same conditions for some samples in a row.
  void Hold(const std::vector<AlertCondition>& conditions, uint32_t samples) {
    for (uint32_t i = 0; i < samples; ++i) {
      ASSERT_TRUE(book_->Update(++now_, conditions).ok());
    }
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  std::unique_ptr<AlertBook> book_;
  uint64_t seed_ = 0;
  int64_t now_ = 1'000;
  const AlertPatience patience_ = PatienceOf(AlertRule::kShardFailed);
};

TEST_F(AlertBookTest, RaisesOnlyWhatLastsAndResolvesOnlyWhatStaysAway) {
  ASSERT_GT(patience_.raise, 1u);
  ASSERT_GT(patience_.clear, 1u);
  Hold({Failed("a")}, patience_.raise - 1);
  Hold({}, 1);  // it was nothing
  Hold({Failed("a")}, patience_.raise - 1);
  EXPECT_EQ(book_->active_count(), 0u);
  Hold({Failed("a")}, 1);
  ASSERT_EQ(book_->active_count(), 1u);
  EXPECT_EQ(book_->Active()[0].raised_unix_ms, now_);
  for (int i = 0; i < 5; ++i) {  // it flutters
    Hold({}, patience_.clear - 1);
    Hold({Failed("a")}, 1);
  }
  EXPECT_EQ(book_->active_count(), 1u);
  EXPECT_TRUE(book_->Resolved().empty());
  Hold({}, patience_.clear);
  EXPECT_EQ(book_->active_count(), 0u);
  ASSERT_EQ(book_->Resolved().size(), 1u);
  EXPECT_EQ(book_->Resolved()[0].resolved_by, "system");
  EXPECT_EQ(book_->Resolved()[0].resolved_unix_ms, now_);
}

TEST_F(AlertBookTest, AResolvedAlertStaysAwayUntilItsConditionHasGoneAndComeBack) {
  Hold({Failed("a")}, patience_.raise);
  const uint64_t id = book_->Active()[0].id;
  const auto resolved = book_->Resolve(id, "user-1", 5'000);
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->resolved_by, "user-1");
  Hold({Failed("a")}, 3 * patience_.raise);
  EXPECT_EQ(book_->active_count(), 0u);
  EXPECT_TRUE(book_->Stands(AlertRule::kShardFailed, "a"));
  Reopen();  // not forgotten by a restart
  Hold({Failed("a")}, 3 * patience_.raise);
  EXPECT_EQ(book_->active_count(), 0u);
  EXPECT_TRUE(book_->Resolve(id, "user-2", 6'000).ok());
  EXPECT_EQ(book_->Resolved()[0].resolved_by, "user-1");
  Hold({}, patience_.clear);
  EXPECT_EQ(book_->Resolved().size(), 1u);
  Hold({Failed("a")}, patience_.raise);
  ASSERT_EQ(book_->active_count(), 1u);
  EXPECT_GT(book_->Active()[0].id, id);
  EXPECT_TRUE(absl::IsNotFound(book_->Resolve(999, "user-1", 7'000).status()));
}

TEST_F(AlertBookTest, SurvivesARestart) {
  Hold({Failed("a"), Failed("b")}, patience_.raise);
  Hold({Failed("a")}, patience_.clear);
  Reopen();
  ASSERT_EQ(book_->active_count(), 1u);
  const AlertRecord alert = book_->Active()[0];
  EXPECT_EQ(alert.subject, "a");
  EXPECT_EQ(alert.title, "a failed");
  EXPECT_EQ(alert.message, "why");
  EXPECT_EQ(alert.level, AlertLevel::kCritical);
  EXPECT_EQ(book_->Resolved().at(0).subject, "b");
  Hold({}, patience_.clear);
  EXPECT_EQ(book_->active_count(), 0u);
  Hold({Failed("c")}, patience_.raise);
  EXPECT_GT(book_->Active()[0].id, alert.id);
}

TEST_F(AlertBookTest, AStormStaysBounded) {
  std::vector<AlertCondition> storm;
  for (int i = 0; i < 5'000; ++i) storm.push_back(Failed(fmt::format("shard {}", i)));
  for (int wave = 0; wave < 3; ++wave) {
    Hold(storm, patience_.raise);
    EXPECT_EQ(book_->active_count(), AlertBook::kMaxTracked + 1);
    const std::vector<AlertRecord> active = book_->Active();
    const auto surplus = std::find_if(active.begin(), active.end(), [](const AlertRecord& alert) {
      return alert.subject == "*";
    });
    ASSERT_NE(surplus, active.end());
    EXPECT_EQ(surplus->title, "4000 further alerts of this kind");
    Hold({}, patience_.clear);
    EXPECT_EQ(book_->active_count(), 0u);
    EXPECT_EQ(book_->Resolved().size(), AlertBook::kMaxHistory);
  }
  Reopen();
  EXPECT_EQ(book_->Resolved().size(), AlertBook::kMaxHistory);
  EXPECT_LT(files_->ReadAll(dir_ / "alerts")->size(), size_t{1} << 20);
}

TEST_F(AlertBookTest, TheGravestComesFirst) {
  Hold({Failed("mild", AlertLevel::kWarning), Failed("grave"), Failed("milder", AlertLevel::kInfo)},
       patience_.raise);
  const std::vector<AlertRecord> active = book_->Active();
  EXPECT_EQ(active[0].subject, "grave");
  EXPECT_EQ(active[2].subject, "milder");
  Hold({Failed("mild"), Failed("grave"), Failed("milder", AlertLevel::kInfo)}, 1);
  Reopen();
  EXPECT_EQ(book_->Active()[1].level, AlertLevel::kCritical);
}

TEST_F(AlertBookTest, ADamagedFileBeginsAnewAndAFailingDiskKeepsTheBookInMemory) {
  Hold({Failed("a")}, patience_.raise);
  std::string bytes = *files_->ReadAll(dir_ / "alerts");
  for (size_t i = 0; i < bytes.size(); i += 7) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    ASSERT_TRUE(files_->WriteAtomically(dir_ / "alerts", damaged).ok());
    Reopen();
    EXPECT_EQ(book_->active_count(), 0u) << "byte " << i;
  }
  FaultFileSystem faulty(*files_);
  const auto book = *AlertBook::Open(dir_ / "other", faulty, 1);
  faulty.FailAt(1, absl::ResourceExhaustedError("disk full"));
  absl::Status last;
  for (uint32_t i = 0; i < patience_.raise; ++i) last = book->Update(++now_, {Failed("a")});
  EXPECT_TRUE(absl::IsResourceExhausted(last));
  EXPECT_EQ(book->active_count(), 1u);
}

TEST_F(AlertBookTest, AnAlertOfAnotherGatewayIsNotFound) {
  const auto other = *AlertBook::Open(dir_ / "other", *files_, seed_ + 1);
  for (uint32_t i = 0; i < patience_.raise; ++i) {
    ASSERT_TRUE(other->Update(++now_, {Failed("a")}).ok());
  }
  Hold({Failed("a")}, patience_.raise);
  const uint64_t id = book_->Active()[0].id;
  EXPECT_TRUE(absl::IsNotFound(other->Resolve(id, "user-1", 5'000).status()));
  EXPECT_EQ(other->active_count(), 1u);
  Reopen();  // the book keeps its number
  Hold({Failed("a"), Failed("b")}, patience_.raise);
  ASSERT_EQ(book_->active_count(), 2u);
  EXPECT_EQ(book_->Active()[0].id, id + 1);
  EXPECT_TRUE(book_->Resolve(id, "user-1", 5'000).ok());
}

}  // namespace
}  // namespace vectron::gateway
