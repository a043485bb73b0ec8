#include "services/gateway/alert_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/gateway/fakes_for_test.h"

namespace vectron::gateway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

bool Nothing(AlertRule, std::string_view) { return false; }
bool Everything(AlertRule, std::string_view) { return true; }

rpc::WorkerDescription Healthy(uint64_t id) {
  rpc::WorkerDescription worker;
  worker.id = WorkerId{id};
  worker.healthy = true;
  worker.disk_free_bytes = 90;
  worker.disk_total_bytes = 100;
  worker.memory_bytes = 10;
  worker.memory_total_bytes = 100;
  return worker;
}

// One collection of one shard.
CollectionView OneShard(ShardState state) {
  auto record = std::make_shared<rpc::CollectionRecord>();
  record->schema.name = "docs";
  record->schema.replication_factor = 3;
  CollectionView collection{.record = record, .shards = {}};
  ShardView& shard = collection.shards.emplace_back();
  shard.state = state;
  shard.placement.leader = WorkerId{1};
  return collection;
}

std::vector<AlertRule> Rules(const std::vector<AlertCondition>& conditions) {
  std::vector<AlertRule> rules;
  for (const AlertCondition& condition : conditions) rules.push_back(condition.rule);
  return rules;
}

class AlertRulesTest : public testing::Test {
 protected:
  AlertRulesTest() {
    view_.workers = {Healthy(1)};
    measurements_.view = &view_;
  }
  std::vector<AlertCondition> Find(
      const std::function<bool(AlertRule, std::string_view)>& stands = Nothing) {
    return FindAlertConditions(measurements_, thresholds_, stands);
  }

  ClusterView view_;
  Measurements measurements_;
  AlertThresholds thresholds_;
};

TEST_F(AlertRulesTest, FindNothingWhereNothingIsWrong) {
  view_.collections = {OneShard(ShardState::kReady)};
  measurements_.calls = 1'000;
  measurements_.faults = 1;
  measurements_.p99_ms = 3;
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(AlertRulesTest, TellWhatIsWrongWithShards) {
  for (const auto& [state, rule] :
       {std::pair{ShardState::kFailed, AlertRule::kShardFailed},
        std::pair{ShardState::kNoLeader, AlertRule::kShardNoLeader},
        std::pair{ShardState::kUnderReplicated, AlertRule::kShardUnderReplicated}}) {
    view_.collections = {OneShard(state)};
    const std::vector<AlertCondition> found = Find();
    ASSERT_THAT(Rules(found), ElementsAre(rule));
    EXPECT_EQ(found[0].subject, "collection docs, shard 0");
  }
  view_.collections = {OneShard(ShardState::kUnknown)};
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(AlertRulesTest, TellOfReplicasThatDifferWhoIsWrongAndWhatIsDone) {
  view_.collections = {OneShard(ShardState::kReady)};
  rpc::ShardPlacement& placement = view_.collections[0].shards[0].placement;
  placement.differs = true;
  placement.outvoted = {WorkerId{3}};
  const std::vector<AlertCondition> outvoted = Find();
  ASSERT_THAT(Rules(outvoted), ElementsAre(AlertRule::kReplicasDiffer));
  EXPECT_EQ(outvoted[0].subject, "collection docs, shard 0");
  EXPECT_EQ(outvoted[0].level, AlertLevel::kCritical);
  EXPECT_EQ(outvoted[0].title, "Replicas differ: collection docs, shard 0");
  EXPECT_THAT(outvoted[0].message, HasSubstr("worker-3"));
  EXPECT_THAT(outvoted[0].message, HasSubstr("a fresh copy replaces it"));
  placement.outvoted.clear();
  const std::vector<AlertCondition> undecided = Find();
  ASSERT_THAT(Rules(undecided), ElementsAre(AlertRule::kReplicasDiffer));
  EXPECT_THAT(undecided[0].message, HasSubstr("no majority"));
  placement.differs = false;
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(AlertRulesTest, TellOfADeadWorkerAndNotOfItsOldFigures) {
  view_.workers[0].healthy = false;
  view_.workers[0].disk_free_bytes = 0;
  EXPECT_THAT(Rules(Find()), ElementsAre(AlertRule::kWorkerDown));
}

TEST_F(AlertRulesTest, DiskAlertsBeginAtTheirLevelAndEndBelowIt) {
  view_.workers[0].disk_free_bytes = 14;
  ASSERT_THAT(Rules(Find()), ElementsAre(AlertRule::kDiskFull));
  EXPECT_EQ(Find()[0].level, AlertLevel::kWarning);
  view_.workers[0].disk_free_bytes = 4;
  EXPECT_EQ(Find()[0].level, AlertLevel::kCritical);
  view_.workers[0].disk_free_bytes = 20;  // 80 %: between the two
  EXPECT_THAT(Find(), IsEmpty());
  EXPECT_THAT(Rules(Find(Everything)), ElementsAre(AlertRule::kDiskFull));
  view_.workers[0].disk_free_bytes = 24;
  EXPECT_THAT(Find(Everything), IsEmpty());
  view_.workers[0].disk_total_bytes = 0;  // not known
  EXPECT_THAT(Find(Everything), IsEmpty());
}

TEST_F(AlertRulesTest, MemoryAlertsCompareWithTheMachine) {
  view_.workers[0].memory_bytes = 90;
  EXPECT_THAT(Rules(Find()), ElementsAre(AlertRule::kMemory));
  view_.workers[0].memory_total_bytes = 0;
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(AlertRulesTest, SharesAndQuantilesOfFewCallsSayNothing) {
  measurements_.calls = thresholds_.min_calls - 1;
  measurements_.faults = measurements_.calls;
  measurements_.p99_ms = 60'000;
  EXPECT_THAT(Find(), IsEmpty());
  measurements_.calls = measurements_.faults = thresholds_.min_calls;
  EXPECT_THAT(Rules(Find()), ElementsAre(AlertRule::kErrorRate, AlertRule::kLatency));
}

TEST_F(AlertRulesTest, AServiceThatDoesNotAnswerIsToldByName) {
  ServiceCheck& check = measurements_.services.emplace_back();
  check.name = "auth";
  check.error = "connection refused";
  const std::vector<AlertCondition> found = Find();
  ASSERT_THAT(Rules(found), ElementsAre(AlertRule::kServiceDown));
  EXPECT_EQ(found[0].message, "connection refused");
  check.state = ServiceState::kDegraded;
  EXPECT_THAT(Find(), IsEmpty());
}

TEST_F(AlertRulesTest, OverallStatusFollowsTheGravest) {
  std::vector<ServiceCheck> services(1);
  services[0].state = ServiceState::kUp;
  std::vector<AlertRecord> alerts;
  EXPECT_EQ(OverallStatus(services, alerts, view_), "healthy");
  alerts.resize(1);
  alerts[0].level = AlertLevel::kInfo;
  EXPECT_EQ(OverallStatus(services, alerts, view_), "healthy");
  alerts[0].level = AlertLevel::kWarning;
  EXPECT_EQ(OverallStatus(services, alerts, view_), "degraded");
  alerts[0].level = AlertLevel::kCritical;
  EXPECT_EQ(OverallStatus(services, alerts, view_), "critical");
  alerts.clear();
  services[0].state = ServiceState::kDegraded;
  EXPECT_EQ(OverallStatus(services, alerts, view_), "degraded");
  services[0].state = ServiceState::kUp;
  view_.workers.clear();
  EXPECT_EQ(OverallStatus(services, alerts, view_), "critical");
  view_.placement.status = absl::UnavailableError("no leader");
  EXPECT_EQ(OverallStatus(services, alerts, view_), "degraded");
}

}  // namespace
}  // namespace vectron::gateway
