#include "apps/vectron/plain_routes.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/status.h"

namespace vectron {
namespace {

worker::ShardReport Shard(uint64_t points) {
  worker::ShardReport report{.assignment = {}, .state = {}, .stats = {}, .group = {}};
  report.assignment.schema.name = "docs";
  report.stats.points = points;
  return report;
}

worker::ShardReport Replica(uint64_t points, bool leads) {
  worker::ShardReport report = Shard(points);
  report.group.emplace();
  report.group->is_leader = leads;
  return report;
}

std::map<std::string, double> Values(const std::vector<worker::ShardReport>& reports) {
  std::map<std::string, double> values;
  for (const MetricSample& sample : ShardSamples(reports)) values[sample.name] = sample.value;
  return values;
}

TEST(ShardSamples, CountAReplicatedPointOnceWhereItsShardIsLed) {
  const auto leader = Values({Replica(10, true), Replica(5, false)});
  EXPECT_EQ(leader.at("vectron_points"), 15);
  EXPECT_EQ(leader.at("vectron_points_led"), 10);
  EXPECT_EQ(leader.at("vectron_shards_led"), 1);
  const auto follower = Values({Replica(10, false), Replica(5, true)});
  EXPECT_EQ(leader.at("vectron_points_led") + follower.at("vectron_points_led"), 15);
}

TEST(ShardSamples, TellTheReplicaThatIsFurthestBehind) {
  worker::ShardReport leader = Replica(10, true);
  leader.group->committed_index = 100;
  leader.stats.applied_index = 98;
  leader.group->progress = {
      {.id = 1, .match = 105}, {.id = 2, .match = 60}, {.id = 3, .match = 99}};
  worker::ShardReport follower = Replica(10, false);
  follower.group->committed_index = 50;
  follower.stats.applied_index = 43;
  const auto values = Values({leader, follower, Shard(1)});
  EXPECT_EQ(values.at("vectron_apply_lag_entries"), 7);
  EXPECT_EQ(values.at("vectron_follower_lag_entries"), 40);
  EXPECT_EQ(Values({Shard(1)}).at("vectron_apply_lag_entries"), 0) << "it has no group";
}

TEST(ShardSamples, CountAShardWithoutReplicasAsLedWhileItServes) {
  worker::ShardReport damaged = Shard(7);
  damaged.state = DataLoss("damaged");
  const auto values = Values({Shard(3), damaged});
  EXPECT_EQ(values.at("vectron_shards"), 2);
  EXPECT_EQ(values.at("vectron_shards_ready"), 1);
  EXPECT_EQ(values.at("vectron_shards_led"), 1);
  EXPECT_EQ(values.at("vectron_points_led"), 3);
}

}  // namespace
}  // namespace vectron
