#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace vectron {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, ExposesCountersGaugesAndHistogramsAsText) {
  Metrics metrics;
  metrics.AddCounter("vectron_things_total", "Things.", {{"kind", "a\"b"}}).Increment(3);
  metrics.AddGauge("vectron_level", "Level.").Set(1.5);
  Histogram& seconds = metrics.AddHistogram("vectron_seconds", "Time.", {}, {0.1, 1});
  seconds.Observe(0.05);
  seconds.Observe(0.1);
  seconds.Observe(5);
  const std::string text = metrics.Expose();
  EXPECT_THAT(
      text,
      HasSubstr("# HELP vectron_things_total Things.\n# TYPE vectron_things_total counter\n"));
  EXPECT_THAT(text, HasSubstr("vectron_things_total{kind=\"a\\\"b\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vectron_level 1.5\n"));
  EXPECT_THAT(text, HasSubstr("vectron_seconds_bucket{le=\"0.1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("vectron_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("vectron_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("vectron_seconds_count 3\n"));
}

TEST(Metrics, GivesTheSameMetricForTheSameNameAndLabels) {
  Metrics metrics;
  Counter& first = metrics.AddCounter("vectron_x_total", "X.", {{"a", "1"}});
  EXPECT_EQ(&first, &metrics.AddCounter("vectron_x_total", "X.", {{"a", "1"}}));
  EXPECT_NE(&first, &metrics.AddCounter("vectron_x_total", "X.", {{"a", "2"}}));
}

TEST(Metrics, AsksSourcesUntilTheirHandleGoes) {
  Metrics metrics;
  {
    const auto source = metrics.AddSource([](std::vector<MetricSample>& out) {
      out.push_back({"vectron_rows", "Rows.", {{"shard", "7"}}, 42, false});
    });
    EXPECT_THAT(metrics.Expose(), HasSubstr("vectron_rows{shard=\"7\"} 42\n"));
  }
  EXPECT_THAT(metrics.Expose(), Not(HasSubstr("vectron_rows")));
}

TEST(Metrics, MeasuresTheProcess) {
  const ProcessUsage usage = ReadProcessUsage();
  EXPECT_GT(usage.resident_bytes, 0u);
  EXPECT_GT(usage.virtual_bytes, usage.resident_bytes);
  EXPECT_GE(usage.open_files, 3u);
  EXPECT_GE(usage.max_files, usage.open_files);
  EXPECT_GE(usage.threads, 1u);
  EXPECT_GT(usage.start_unix_seconds, 1e9);
  EXPECT_THAT(Metrics().Expose(), HasSubstr("process_cpu_seconds_total"));
}

TEST(Metrics, CountsFromManyThreadsWithoutLoss) {
  Metrics metrics;
  Histogram& histogram = metrics.AddHistogram("vectron_h", "H.", {}, {1, 2});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Counter& counter = metrics.AddCounter("vectron_c_total", "C.");
      for (int i = 0; i < 1000; ++i) {
        counter.Increment();
        histogram.Observe(i % 3);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics.AddCounter("vectron_c_total", "C.").value(), 4000u);
  EXPECT_EQ(histogram.count(), 4000u);
}

TEST(Histogram, EstimatesQuantilesWithinABucket) {
  Histogram histogram({1, 2, 4});
  EXPECT_EQ(histogram.Quantile(0.5), 0);
  for (int i = 0; i < 10; ++i) histogram.Observe(1.5);
  EXPECT_DOUBLE_EQ(histogram.Quantile(0.5), 1.5);
  histogram.Observe(100);
  EXPECT_DOUBLE_EQ(histogram.Quantile(1), 4);
}

}  // namespace
}  // namespace vectron
