#include "services/worker/report.h"

#include <gtest/gtest.h>

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;

TEST(Reporter, TellsRatesAndTheMeanLatencySinceTheHeartbeatBefore) {
  constexpr int64_t kSecond = 1'000'000'000;
  ShardReport shard;
  shard.assignment.group = GroupId{7};
  Reporter reporter;
  int64_t now = kSecond;
  const auto tell = [&](uint64_t searches, uint64_t search_nanos) {
    shard.stats.searches = shard.stats.searches_ended = searches;
    shard.stats.search_nanos = search_nanos;
    pb::HeartbeatRequest heartbeat;
    reporter.Fill({shard}, {}, now, heartbeat);
    now += 2 * kSecond;
    EXPECT_EQ(heartbeat.shard_metrics(0).avg_latency_ms(), heartbeat.replicas(0).avg_latency_ms());
    return heartbeat.replicas(0);
  };
  EXPECT_EQ(tell(100, 900'000'000).avg_latency_ms(), 0) << "there is nothing to compare with";
  const pb::ReplicaReport next = tell(110, 925'000'000);
  EXPECT_FLOAT_EQ(next.avg_latency_ms(), 2.5F);
  EXPECT_FLOAT_EQ(next.searches_per_second(), 5);
  EXPECT_EQ(tell(110, 925'000'000).avg_latency_ms(), 0) << "no search ended";
  EXPECT_EQ(tell(3, 4'000'000).avg_latency_ms(), 0) << "the shard was opened anew";
  EXPECT_FLOAT_EQ(tell(5, 5'000'000).avg_latency_ms(), 0.5F);
  pb::HeartbeatRequest without;
  reporter.Fill({}, {}, now, without);
  EXPECT_EQ(tell(9, 50'000'000).searches_per_second(), 0) << "it was gone in between";
}

}  // namespace
}  // namespace vectron::worker
