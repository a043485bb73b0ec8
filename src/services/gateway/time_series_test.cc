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
  const std::vector<SeriesSample> together = PutTogether(samples, 1'000, 10);
  EXPECT_THAT(Vectors(together), ElementsAre(20, 7));
  EXPECT_EQ(together[0].unix_ms, 1'500);
  EXPECT_EQ(together[0][Figure::kP99Ms], 9);
  EXPECT_EQ(together[0][Figure::kP50Ms], 2);
  EXPECT_TRUE(std::isnan(together[1][Figure::kP99Ms]));
}

TEST(PutTogether, ShowsTheWorstOfWhatMustNotBeMissed) {
  std::vector<SeriesSample> samples = {At(1'000, 0), At(1'500, 0)};
  samples[0][Figure::kHealthyWorkers] = 3;
  samples[1][Figure::kHealthyWorkers] = 2;
  samples[0][Figure::kDiskFreeBytes] = 50;
  samples[1][Figure::kDiskFreeBytes] = 60;
  samples[0][Figure::kActiveAlerts] = 1;
  samples[1][Figure::kActiveAlerts] = 4;
  const std::vector<SeriesSample> together = PutTogether(samples, 1'000, 10);
  ASSERT_EQ(together.size(), 1u);
  EXPECT_EQ(together[0][Figure::kHealthyWorkers], 2);
  EXPECT_EQ(together[0][Figure::kDiskFreeBytes], 50);
  EXPECT_EQ(together[0][Figure::kActiveAlerts], 4);
}

TEST(PutTogether, WeighsMediansByTheirCalls) {
  std::vector<SeriesSample> samples = {At(1'000, 0), At(1'500, 0), At(1'600, 0)};
  samples[0][Figure::kP50Ms] = 1;
  samples[0][Figure::kRequestsPerSecond] = 90;
  samples[1][Figure::kP50Ms] = 101;
  samples[1][Figure::kRequestsPerSecond] = 10;
  samples[2][Figure::kRequestsPerSecond] = 0;  // no calls, no median
  const std::vector<SeriesSample> together = PutTogether(samples, 1'000, 10);
  ASSERT_EQ(together.size(), 1u);
  EXPECT_NEAR(together[0][Figure::kP50Ms], 11, 1e-9);
  EXPECT_NEAR(together[0][Figure::kRequestsPerSecond], 100 / 3.0, 1e-9);
}

TEST(PutTogether, GivesNoMoreThanWantedAndLosesNothing) {
  std::vector<SeriesSample> samples;
  for (int64_t ms = 600; ms <= 3'200; ms += 200) samples.push_back(At(ms, 1));
  samples[0][Figure::kP99Ms] = 77;  // in the step that the window cuts
  std::vector<SeriesSample> together = PutTogether(samples, 1'000, 3);
  ASSERT_EQ(together.size(), 3u);
  EXPECT_EQ(together[0].unix_ms, 1'800);
  EXPECT_EQ(together[0][Figure::kP99Ms], 77);
  together = PutTogether(samples, 1'000, 1);
  ASSERT_EQ(together.size(), 1u);
  EXPECT_EQ(together[0].unix_ms, 3'200);
  EXPECT_TRUE(PutTogether({}, 1'000, 1).empty());
}

class TimeSeriesTest : public testing::Test {
 protected:
  std::unique_ptr<TimeSeries> Open(int64_t fine_step_ms) {
    auto series = TimeSeries::Open(dir_.path(), *files_, fine_step_ms);
    EXPECT_TRUE(series.ok()) << series.status();
    return *std::move(series);
  }
  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

TEST_F(TimeSeriesTest, AnswersAWindowThatFineSamplesHaveLeftFromTheCoarseOnes) {
  const auto series = Open(10'000);
  const int64_t hour = 3'600'000;
  for (int64_t ms = 10'000; ms <= 12 * hour; ms += 10'000) {
    ASSERT_TRUE(series->AddFine(At(ms, 1)).ok());
    if (ms % 600'000 != 0) continue;  // a few of them will do
    ASSERT_TRUE(series->AddCoarse(At(ms, 2)).ok());
  }
  const auto past = series->Query({.from_ms = hour, .until_ms = 2 * hour, .max_points = 1'000});
  EXPECT_EQ(past.step_ms, 60'000);
  EXPECT_EQ(past.points.size(), 6u);
  const auto now = series->Query({.from_ms = 6 * hour, .until_ms = 12 * hour, .max_points = 2'200});
  EXPECT_EQ(now.step_ms, 10'000) << "as far back as fine samples are kept";
  EXPECT_EQ(now.points.size(), 2'160u);
}

TEST_F(TimeSeriesTest, KnowsHowOftenSamplesAreTaken) {
  const auto often = Open(200);
  for (int64_t ms = 200; ms <= 600'000; ms += 200) {  // ten minutes, of which fine ones cover seven
    ASSERT_TRUE(often->AddFine(At(ms, 1)).ok());
    if (ms % 60'000 != 0) continue;
    ASSERT_TRUE(often->AddCoarse(At(ms, 2)).ok());
  }
  const auto all = often->Query({.from_ms = 0, .until_ms = 600'000, .max_points = 1'000});
  EXPECT_EQ(all.step_ms, 60'000);
  EXPECT_EQ(all.points.size(), 10u);
  const auto last = often->Query({.from_ms = 540'000, .until_ms = 600'000, .max_points = 1'000});
  EXPECT_EQ(last.step_ms, 1'000) << "steps are told in seconds";
  EXPECT_LE(last.points.size(), 61u);
  const auto seldom = Open(30'000);
  const auto half = seldom->Query({.from_ms = 540'000, .until_ms = 600'000, .max_points = 1'000});
  EXPECT_EQ(half.step_ms, 30'000);
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
  EXPECT_LE(answer.points.size(), 72u);
  answer = series->Query({.from_ms = end - 86'400'000, .until_ms = end, .max_points = 2'000});
  EXPECT_EQ(answer.step_ms, 60'000);
  EXPECT_EQ(answer.points.size(), 120u);
}

}  // namespace
}  // namespace vectron::gateway
