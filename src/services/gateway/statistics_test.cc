#include "services/gateway/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace vectron::gateway {
namespace {

TEST(LatencyBuckets, RiseWithTheDurationAndHoldItWithinAnEighth) {
  size_t last = 0;
  for (int64_t nanos = 1'024; nanos < int64_t{1} << 38; nanos += nanos / 23 + 1) {
    const size_t bucket = LatencyBucketOf(nanos);
    EXPECT_GE(bucket, last);
    EXPECT_NEAR(LatencyBucketNanos(bucket) / static_cast<double>(nanos), 1, 0.125) << nanos;
    last = bucket;
  }
  EXPECT_EQ(LatencyBucketOf(-5), 0u);
  EXPECT_EQ(LatencyBucketOf(0), 0u);
  EXPECT_EQ(LatencyBucketOf(int64_t{1} << 62), kLatencyBuckets - 1);
}

TEST(CallTotals, GivesQuantilesCloseToThoseOfTheSortedList) {
  const uint64_t seed = 11;
  SCOPED_TRACE(seed);
  Random random(seed);
  CallTotals totals;
  std::vector<double> millis;
  for (int i = 0; i < 5'000; ++i) {
    const auto nanos = static_cast<int64_t>(2'000 + random.Below(uint64_t{1} << (12 + i % 20)));
    ++totals.buckets[LatencyBucketOf(nanos)];
    millis.push_back(static_cast<double>(nanos) * 1e-6);
  }
  std::sort(millis.begin(), millis.end());
  for (const double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
    const double exact = millis[static_cast<size_t>(std::ceil(q * 5'000)) - 1];
    EXPECT_NEAR(*totals.QuantileMs(q) / exact, 1, 0.13) << q;
  }
  EXPECT_FALSE(CallTotals().QuantileMs(0.5).has_value());
}

class CallStatisticsTest : public testing::Test {
 protected:
  CallStatisticsTest() : registry_(metrics_, clock_, {}), statistics_(clock_) {
    EXPECT_TRUE(registry_.AddService("vectron.v1.VectronService").ok());
    statistics_.Watch(registry_);
    EXPECT_TRUE(registry_.AddService("vectron.management.v1.ManagementService").ok());
  }
  void Call(const std::string& name, int64_t millis, absl::StatusCode code) {
    rpc::CallContext context;
    registry_.Begin(*registry_.Find(name), context, [](absl::Status) {});
    clock_.AdvanceMillis(millis);
    registry_.End(context, code);
  }

  ManualClock clock_;
  Metrics metrics_;
  rpc::RpcRegistry registry_;
  CallStatistics statistics_;
};

TEST_F(CallStatisticsTest, CountsCallsErrorsFaultsAndTimesPerRpc) {
  Call("vectron.v1.VectronService.Search", 10, absl::StatusCode::kOk);
  Call("vectron.v1.VectronService.Search", 30, absl::StatusCode::kNotFound);
  Call("vectron.v1.VectronService.SearchStream", 1, absl::StatusCode::kUnavailable);
  Call("vectron.v1.VectronService.Upsert", 5, absl::StatusCode::kOk);
  Call("vectron.management.v1.ManagementService.ListAlerts", 2, absl::StatusCode::kOk);
  const CallStatistics::Kinds kinds = statistics_.Totals();
  EXPECT_EQ(kinds.of(CallKind::kSearch).count, 3u);
  EXPECT_EQ(kinds.of(CallKind::kSearch).errors, 2u);
  EXPECT_EQ(kinds.of(CallKind::kSearch).faults, 1u);
  EXPECT_EQ(kinds.of(CallKind::kSearch).nanos, 41'000'000u);
  EXPECT_EQ(kinds.of(CallKind::kWrite).count, 1u);
  EXPECT_EQ(kinds.data().count, 4u);
  EXPECT_EQ(kinds.all().count, 5u);
  for (const CallStatistics::Endpoint& endpoint : statistics_.Endpoints()) {
    if (endpoint.method->name() != "vectron.v1.VectronService.Search") continue;
    EXPECT_EQ(endpoint.totals.count, 2u);
    EXPECT_NEAR(*endpoint.totals.QuantileMs(1), 30, 4);
  }
}

TEST(LastMinute, LooksBackAMinuteAndNoFurther) {
  LastMinute minute;
  CallTotals totals;
  EXPECT_EQ(minute.Since(0, totals).seconds, 0);
  for (int64_t second = 0; second <= 300; second += 10) {
    totals.count = static_cast<uint64_t>(second * 7);
    minute.Add(second * 1'000, totals);
  }
  totals.count = 305 * 7;
  const LastMinute::Answer answer = minute.Since(305'000, totals);
  EXPECT_EQ(answer.seconds, 65);
  EXPECT_EQ(answer.calls.count, 65u * 7);
}

TEST(LastMinute, SpansAMinuteHoweverOftenItIsSampled) {
  LastMinute minute;
  CallTotals totals;
  for (int64_t millis = 0; millis < 180'000; millis += 5) minute.Add(millis, totals);
  EXPECT_NEAR(minute.Since(180'000, totals).seconds, 60, 1);
}

}  // namespace
}  // namespace vectron::gateway
