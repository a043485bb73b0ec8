#include "services/gateway/time_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/fault_file_system.h"
#include "base/temp_dir.h"

namespace vectron::gateway {
namespace {

using testing::ElementsAre;

SeriesSample At(int64_t unix_ms, double vectors) {
  SeriesSample sample;
  sample.unix_ms = unix_ms;
  sample[Figure::kVectors] = vectors;
  return sample;
}

std::vector<double> Vectors(const std::vector<SeriesSample>& samples) {
  std::vector<double> values;
  for (const SeriesSample& sample : samples) values.push_back(sample[Figure::kVectors]);
  return values;
}

class SampleRingTest : public testing::Test {
 protected:
  std::unique_ptr<SampleRing> Open(size_t capacity = 4) {
    auto ring = SampleRing::Open({dir_ / "ring", capacity}, *files_);
    EXPECT_TRUE(ring.ok()) << ring.status();
    return *std::move(ring);
  }
  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

TEST_F(SampleRingTest, KeepsTheNewestAcrossRestarts) {
  auto ring = Open();
  for (int i = 1; i <= 6; ++i) ASSERT_TRUE(ring->Add(At(i * 10, i)).ok());
  EXPECT_THAT(Vectors(ring->Between(0, 1'000)), ElementsAre(3, 4, 5, 6));
  ring = Open();
  EXPECT_THAT(Vectors(ring->Between(0, 1'000)), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(Vectors(ring->Between(40, 50)), ElementsAre(5));
  ASSERT_TRUE(ring->Add(At(70, 7)).ok());
  ring = Open();
  EXPECT_THAT(Vectors(ring->Between(0, 1'000)), ElementsAre(4, 5, 6, 7));
  EXPECT_TRUE(std::isnan(ring->Between(60, 70)[0][Figure::kP99Ms]));
}

TEST_F(SampleRingTest, LeavesAGapWhereARecordIsDamaged) {
  auto ring = Open();
  for (int i = 1; i <= 4; ++i) ASSERT_TRUE(ring->Add(At(i * 10, i)).ok());
  ring.reset();
  {
    auto file = *files_->Open(dir_ / "ring", OpenMode::kReadWrite);
    const uint64_t record = (*file->Size() - 64) / 4;
    ASSERT_TRUE(file->Write(64 + 2 * record + 20, "x").ok());  // the record of number 2
  }
  ring = Open();
  EXPECT_THAT(Vectors(ring->Between(0, 1'000)), ElementsAre(1, 3, 4));
}

TEST_F(SampleRingTest, BeginsAnewWhenTheHeaderIsNotItsOwn) {
  auto ring = Open();
  ASSERT_TRUE(ring->Add(At(10, 1)).ok());
  ring = Open(8);
  EXPECT_TRUE(ring->Between(0, 1'000).empty());
  ASSERT_TRUE(files_->WriteAtomically(dir_ / "ring", "short").ok());
  EXPECT_TRUE(Open(8)->Between(0, 1'000).empty());
}

TEST_F(SampleRingTest, GoesOnInMemoryWhenTheDiskFails) {
  FaultFileSystem faulty(*files_);
  auto ring = *SampleRing::Open({dir_ / "ring", 4}, faulty);
  faulty.FailAt(1, absl::ResourceExhaustedError("disk full"));
  EXPECT_FALSE(ring->Add(At(10, 1)).ok());
  EXPECT_THAT(Vectors(ring->Between(0, 1'000)), ElementsAre(1));
}

TEST(PutTogether, TakesMeansAndTheWorstTailAndIgnoresWhatWasNotMeasured) {
  std::vector<SeriesSample> samples = {At(1'000, 10), At(1'500, 30), At(2'100, 7)};
  samples[0][Figure::kP99Ms] = 4;
  samples[1][Figure::kP99Ms] = 9;
  samples[0][Figure::kP50Ms] = 2;
  const std::vector<SeriesSample> together = PutTogether(samples, 1'000);
  EXPECT_THAT(Vectors(together), ElementsAre(20, 7));
  EXPECT_EQ(together[0].unix_ms, 1'500);
  EXPECT_EQ(together[0][Figure::kP99Ms], 9);
  EXPECT_EQ(together[0][Figure::kP50Ms], 2);
  EXPECT_TRUE(std::isnan(together[1][Figure::kP99Ms]));
}

TEST(TimeSeries, AnswersShortWindowsFinelyAndLongOnesCoarsely) {
  TempDir dir;
  const auto files = NewPosixFileSystem();
  const auto series = *TimeSeries::Open(dir.path(), *files);
  for (int i = 1; i <= 720; ++i) {  // two hours
    ASSERT_TRUE(series->AddFine(At(i * 10'000, i)).ok());
    if (i % 6 != 0) continue;
    ASSERT_TRUE(series->AddCoarse(At(i * 10'000, i / 6)).ok());
  }
  const int64_t end = 7'200'000;
  auto answer = series->Query({.from_ms = end - 60'000, .until_ms = end, .max_points = 100});
  EXPECT_EQ(answer.step_ms, 10'000);
  EXPECT_THAT(Vectors(answer.points), ElementsAre(715, 716, 717, 718, 719, 720));
  answer = series->Query({.from_ms = 0, .until_ms = end, .max_points = 72});
  EXPECT_EQ(answer.step_ms, 100'000);
  EXPECT_LE(answer.points.size(), 73u);  // the window need not begin where a step does
  answer = series->Query({.from_ms = end - 86'400'000, .until_ms = end, .max_points = 2'000});
  EXPECT_EQ(answer.step_ms, 60'000);
  EXPECT_EQ(answer.points.size(), 120u);
}

}  // namespace
}  // namespace vectron::gateway
