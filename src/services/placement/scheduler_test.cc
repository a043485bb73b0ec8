#include "services/placement/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "services/placement/cluster_simulation.h"

namespace vectron::placement {
namespace {

// Every shard that can be well is: as many voters as wanted, all in sync, none where it ought not
// be, and a copy for reads on every search-only worker.
void ExpectAllWell(ClusterSimulation& cluster, uint64_t seed) {
  std::set<WorkerId> usable;
  std::set<WorkerId> search_only;
  for (const auto& [id, worker] : cluster.state().workers()) {
    if (!worker.eligible() || !cluster.IsUp(id)) continue;
    (worker.profile.search_only ? search_only : usable).insert(id);
  }
  for (const auto& [group, shard] : cluster.state().shards()) {
    const size_t wanted = cluster.state().FindCollection(shard.collection)->replication_factor;
    if (!cluster.HasQuorum(group) || usable.size() < wanted) continue;
    SCOPED_TRACE(fmt::format("seed {} group {}", seed, group.value));
    EXPECT_EQ(HealthOf(shard, cluster.Input()).good, wanted);
    std::set<WorkerId> copies;
    size_t voters = 0;
    for (const ReplicaRecord& replica : shard.replicas) {
      EXPECT_FALSE(replica.leaving);
      if (replica.role == ReplicaRole::kLearner) {
        copies.insert(replica.worker);
      } else {
        ++voters;
        EXPECT_TRUE(usable.contains(replica.worker));
      }
    }
    EXPECT_EQ(voters, wanted);
    EXPECT_EQ(copies, search_only);
  }
}

WorkerProfile RandomProfile(Random& random) {
  return {.cpu_cores = static_cast<uint32_t>(4 << random.Below(3)),
          .memory_bytes = uint64_t{16} << (30 + random.Below(3)),
          .disk_bytes = uint64_t{100} << (30 + random.Below(3)),
          .region = fmt::format("r{}", random.Below(2)),
          .zone = fmt::format("z{}", random.Below(3)),
          .rack = fmt::format("k{}", random.Below(3)),
          .search_only = random.OneIn(6)};
}

WorkerId AnyWorker(const ClusterSimulation& cluster, Random& random) {
  const auto& workers = cluster.state().workers();
  return std::next(workers.begin(), static_cast<int64_t>(random.Below(workers.size())))->first;
}

// Now and then a shard that takes most of a worker.
void ChangeLoads(ClusterSimulation& cluster, Random& random) {
  for (const auto& [group, shard] : cluster.state().shards()) {
    if (random.OneIn(2)) continue;
    const double most = random.OneIn(8) ? 6 : 0.5;
    cluster.SetSize(group, random.Below(uint64_t{4} << 30), random.Uniform() * most);
  }
}

// What an operator does, or a clock.
void Intervene(ClusterSimulation& cluster, Random& random, bool clock_jumps) {
  const WorkerId worker = AnyWorker(cluster, random);
  switch (random.Below(5)) {
    case 0:
      if (cluster.state().workers().size() > 1) (void)cluster.Remove(worker);  // mostly refused
      break;
    case 1: {
      const auto& all = cluster.state().collections();
      if (all.size() < 2) break;
      const auto at = static_cast<int64_t>(random.Below(all.size()));
      cluster.Drop(CollectionKey(std::next(all.begin(), at)->first));
      break;
    }
    case 2:
      ChangeLoads(cluster, random);
      break;
    case 3:
      cluster.Reregister(worker, random.OneIn(6));
      break;
    default:
      if (!clock_jumps) break;
      cluster.SetClock(static_cast<int64_t>(random.Below(200'000'000)) - 100'000'000);
  }
}

// One thing that happens to a cluster.
void Disturb(ClusterSimulation& cluster, Random& random, int round) {
  const WorkerId worker = AnyWorker(cluster, random);
  switch (random.Below(11)) {
    case 0:
    case 1:
      cluster.Crash(worker);
      break;
    case 2:
    case 3:
      if (!cluster.IsUp(worker)) {
        cluster.Return(worker);
        cluster.Change(worker, WorkerChange::kAlive);
      }
      break;
    case 4:
      if (!cluster.IsUp(worker)) cluster.Change(worker, WorkerChange::kDead);
      break;
    case 5:
      cluster.Change(worker, WorkerChange::kDrain);
      break;
    case 6:
      cluster.Change(worker, WorkerChange::kCancelDrain);
      break;
    case 7:
      if (cluster.state().workers().size() < 9) cluster.AddWorker(RandomProfile(random));
      break;
    case 8:
      cluster.Stick(worker);
      break;
    case 9:
      cluster.Unstick(worker);
      break;
    default:
      (void)cluster.Create(fmt::format("more-{}", round), 1 + random.Below(3), 1 + random.Below(4));
  }
}

void RunSeed(uint64_t seed) {
  SCOPED_TRACE(fmt::format("VECTRON_SEED={}", seed));
  Random random(seed);
  ClusterSimulation cluster(seed);
  cluster.options().max_moves = 1 + random.Below(6);
  const bool clock_jumps = random.OneIn(2);
  const uint64_t workers = 1 + random.Below(6);
  for (uint64_t i = 0; i < workers; ++i) cluster.AddWorker(RandomProfile(random));
  for (int i = 0; i < 4; ++i) {
    (void)cluster.Create(fmt::format("c{}", i), 1 + random.Below(4), 1 + random.Below(4));
  }
  for (int round = 0; round < 150; ++round) {
    if (random.OneIn(4)) Disturb(cluster, random, round);
    if (random.OneIn(8)) Intervene(cluster, random, clock_jumps);
    cluster.Round();
    if (::testing::Test::HasFatalFailure()) return;
  }
  // Half the time what is down stays down and is declared dead.
  const bool heal = random.OneIn(2);
  for (const auto& [id, worker] : std::map(cluster.state().workers())) {
    cluster.Unstick(id);
    if (heal) cluster.Return(id);
    if (cluster.IsUp(id)) {
      cluster.Change(id, WorkerChange::kAlive);
    } else {
      cluster.Change(id, WorkerChange::kDead);
    }
  }
  ASSERT_TRUE(cluster.Settle(5'000)) << "moves never end";
  EXPECT_THAT(Schedule(cluster.Input()), ::testing::IsEmpty());
  ExpectAllWell(cluster, seed);
}

TEST(Scheduler, SettlesFromEverythingThatHappensAndLosesNothing) {
  if (const char* one = std::getenv("VECTRON_SEED"); one != nullptr) {
    return RunSeed(std::strtoull(one, nullptr, 10));
  }
  const uint64_t first = SeedFromSystem();
  for (uint64_t i = 0; i < 150 && !::testing::Test::HasFailure(); ++i) RunSeed(Mix64(first + i));
}

// Where the voters of the collection's only shard are.
std::set<WorkerId> Voters(const ClusterSimulation& cluster, const std::string& name) {
  const CollectionRecord* collection = cluster.state().FindCollection({"", name});
  std::set<WorkerId> workers;
  for (const ReplicaRecord& replica : cluster.state().FindShard(collection->groups[0])->replicas) {
    workers.insert(replica.worker);
  }
  return workers;
}

std::map<WorkerId, size_t> ReplicasPerWorker(const ClusterSimulation& cluster) {
  std::map<WorkerId, size_t> counts;
  for (const auto& [id, worker] : cluster.state().workers()) {
    counts[id] = cluster.state().ReplicasOn(id);
  }
  return counts;
}

WorkerProfile InZone(const std::string& zone) { return {.zone = zone}; }

TEST(Scheduler, HasNothingToSayOfAClusterThatIsWell) {
  ClusterSimulation cluster(1);
  for (int i = 0; i < 3; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 4, 3).ok());
  EXPECT_TRUE(cluster.Settle(200));
  EXPECT_EQ(cluster.moves(), 0u);
}

TEST(Scheduler, PlacesNewShardsOverZonesAndLeadersOverWorkers) {
  ClusterSimulation cluster(1);
  for (int i = 0; i < 2; ++i) {
    for (const char* zone : {"a", "b", "c"}) cluster.AddWorker(InZone(zone));
  }
  const auto shards = PlaceNewShards(cluster.Input(), 6, 3);
  ASSERT_TRUE(shards.ok());
  std::map<WorkerId, int> leaders;
  for (const std::vector<WorkerId>& workers : *shards) {
    std::set<std::string> zones;
    for (const WorkerId worker : workers) {
      zones.insert(cluster.state().FindWorker(worker)->profile.zone);
    }
    EXPECT_EQ(zones.size(), 3u);
    ++leaders[workers[0]];
  }
  EXPECT_EQ(leaders.size(), 6u);
}

TEST(Scheduler, RefusesMoreReplicasThanWorkersThatCanTakeThem) {
  ClusterSimulation cluster(1);
  cluster.AddWorker();
  const WorkerId second = cluster.AddWorker();
  EXPECT_TRUE(PlaceNewShards(cluster.Input(), 1, 2).ok());
  cluster.Change(second, WorkerChange::kDrain);
  EXPECT_EQ(PlaceNewShards(cluster.Input(), 1, 2).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(Scheduler, PlacesNothingNewOnAFullDiskWhileThereIsAnother) {
  ClusterSimulation cluster(15);
  const WorkerId full = cluster.AddWorker();
  for (int i = 0; i < 2; ++i) cluster.AddWorker();
  ClusterLoad load = cluster.load();
  load.workers[full].disk_total_bytes = uint64_t{100} << 30;
  load.workers[full].disk_free_bytes = uint64_t{100} << 20;
  const ScheduleInput input{
      .state = cluster.state(), .load = load, .options = cluster.options(), .seed = 1};
  const auto shards = PlaceNewShards(input, 6, 2);
  ASSERT_TRUE(shards.ok()) << shards.status();
  for (const std::vector<WorkerId>& workers : *shards) {
    EXPECT_THAT(workers, testing::Not(testing::Contains(full)));
  }
  const auto everywhere = PlaceNewShards(input, 1, 3);
  ASSERT_TRUE(everywhere.ok()) << "reads and deletes go on there";
  EXPECT_THAT(everywhere->front(), testing::Contains(full));
}

TEST(Scheduler, RepairsWhatADeadWorkerHeldAndOnlyOnceItIsDead) {
  ClusterSimulation cluster(2);
  std::vector<WorkerId> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(cluster.AddWorker());
  ASSERT_TRUE(cluster.Create("docs", 1, 3).ok());
  const WorkerId gone = *Voters(cluster, "docs").begin();
  cluster.Crash(gone);
  EXPECT_TRUE(cluster.Settle(200));
  EXPECT_EQ(cluster.moves(), 0u) << "it may come back";
  cluster.Change(gone, WorkerChange::kDead);
  EXPECT_TRUE(cluster.Settle(500));
  EXPECT_EQ(cluster.moves(), 1u);
  EXPECT_FALSE(Voters(cluster, "docs").contains(gone));
  EXPECT_EQ(Voters(cluster, "docs").size(), 3u);
  EXPECT_EQ(cluster.state().doomed().size(), 1u) << "it has to destroy its copy when it returns";
  cluster.Return(gone);
  cluster.Change(gone, WorkerChange::kAlive);
  EXPECT_TRUE(cluster.Settle(500));
  EXPECT_TRUE(cluster.state().doomed().empty());
}

TEST(Scheduler, LeavesTheLastGoodCopyAlone) {
  ClusterSimulation cluster(3);
  std::vector<WorkerId> workers;
  for (int i = 0; i < 2; ++i) workers.push_back(cluster.AddWorker());
  ASSERT_TRUE(cluster.Create("docs", 1, 1).ok());
  const WorkerId holder = *Voters(cluster, "docs").begin();
  cluster.Crash(holder);
  cluster.Change(holder, WorkerChange::kDead);
  EXPECT_TRUE(cluster.Settle(200));
  EXPECT_EQ(Voters(cluster, "docs"), std::set<WorkerId>{holder});
}

// A cluster of one shard with three voters, one of which, or the leader, differs from the others.
ReplicaId MakeOneDiffer(ClusterSimulation& cluster, int workers, bool leader) {
  for (int i = 0; i < workers; ++i) cluster.AddWorker();
  EXPECT_TRUE(cluster.Create("docs", 1, 3).ok());
  EXPECT_TRUE(cluster.Settle(200));
  const ShardRecord& shard = cluster.state().shards().begin()->second;
  const ReplicaId leads = cluster.load().Find(shard.group)->leader;
  for (const ReplicaRecord& replica : shard.replicas) {
    if ((replica.id == leads) != leader) continue;
    cluster.Differ(replica.id);
    return replica.id;
  }
  return {};
}

TEST(Scheduler, ReplacesAVoterWhosePointsDiffer) {
  for (const int workers : {4, 3}) {  // with three its place is that of its successor
    SCOPED_TRACE(workers);
    ClusterSimulation cluster(13);
    const ReplicaId wrong = MakeOneDiffer(cluster, workers, /*leader=*/false);
    EXPECT_TRUE(cluster.Settle(500));
    const ShardRecord& shard = cluster.state().shards().begin()->second;
    EXPECT_EQ(shard.Find(wrong), nullptr);
    EXPECT_EQ(shard.replicas.size(), 3u);
    EXPECT_EQ(HealthOf(shard, cluster.Input()).good, 3u);
    EXPECT_EQ(cluster.moves(), 1u);
  }
}

TEST(Scheduler, LeavesOneThatDiffersWhereTheOthersAreNotAllGood) {
  ClusterSimulation cluster(14);
  const ReplicaId wrong = MakeOneDiffer(cluster, 3, /*leader=*/false);
  const ShardRecord& shard = cluster.state().shards().begin()->second;
  const ReplicaId leader = cluster.load().Find(shard.group)->leader;
  for (const ReplicaRecord& replica : shard.replicas) {
    if (replica.id != wrong && replica.id != leader) cluster.Crash(replica.worker);
  }
  EXPECT_TRUE(cluster.Settle(200));
  EXPECT_NE(shard.Find(wrong), nullptr);
  EXPECT_EQ(shard.replicas.size(), 3u);
}

TEST(Scheduler, MakesNoRoomForASuccessorThatWouldNotFitThere) {
  ClusterSimulation cluster(16);
  const ReplicaId wrong = MakeOneDiffer(cluster, 3, /*leader=*/false);
  const auto commands = [&](uint64_t free_bytes) {
    ClusterLoad load = cluster.load();
    load.shards.begin()->second.disk_bytes = uint64_t{4} << 30;
    load.workers[wrong.node()].disk_total_bytes = uint64_t{100} << 30;
    load.workers[wrong.node()].disk_free_bytes = free_bytes;
    const ScheduleInput input{.state = cluster.state(), .load = load, .options = cluster.options()};
    return Schedule(input).size();
  };
  EXPECT_EQ(commands(uint64_t{1} << 30), 0u);
  EXPECT_EQ(commands(uint64_t{3} << 30), 1u) << "with what its own files give back";
}

TEST(Scheduler, TakesNoCopyFromALeaderWhosePointsDiffer) {
  ClusterSimulation cluster(15);
  const ReplicaId wrong = MakeOneDiffer(cluster, 4, /*leader=*/true);
  EXPECT_TRUE(Schedule(cluster.Input()).empty());
  const std::vector<LeaderWish> wishes = WishLeaders(cluster.Input());
  ASSERT_EQ(wishes.size(), 1u);
  EXPECT_EQ(wishes[0].from, wrong);
}

TEST(Scheduler, DrainsAndTakesBackADrain) {
  ClusterSimulation cluster(4);
  std::vector<WorkerId> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(cluster.AddWorker());
  ASSERT_TRUE(cluster.Create("docs", 6, 3).ok());
  cluster.Change(workers[0], WorkerChange::kDrain);
  EXPECT_TRUE(cluster.Settle(2'000));
  EXPECT_EQ(cluster.state().ReplicasOn(workers[0]), 0u);
  EXPECT_TRUE(cluster.Apply(RemoveWorker{workers[0]}).status.ok());

  const size_t moves = cluster.moves();
  const std::map<WorkerId, size_t> before = ReplicasPerWorker(cluster);
  cluster.AddWorker();
  cluster.Change(workers[1], WorkerChange::kDrain);
  cluster.Round();
  cluster.Change(workers[1], WorkerChange::kCancelDrain);
  EXPECT_TRUE(cluster.Settle(2'000));
  EXPECT_GT(cluster.moves(), moves) << "the drain had begun, and the new worker gets its share";
  EXPECT_GT(cluster.state().ReplicasOn(workers[1]), 0u);
}

TEST(Scheduler, GivesANewWorkerItsShareAndNoMore) {
  ClusterSimulation cluster(5);
  for (int i = 0; i < 3; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 8, 3).ok());
  for (const auto& [group, shard] : cluster.state().shards()) {
    cluster.SetSize(group, uint64_t{1} << 30, 0.05);
  }
  const WorkerId fresh = cluster.AddWorker();
  EXPECT_TRUE(cluster.Settle(5'000));
  EXPECT_EQ(cluster.state().ReplicasOn(fresh), 6u);
  EXPECT_EQ(cluster.moves(), 6u) << "no move is undone by another";
}

TEST(Scheduler, WeighsWorkersByWhatTheyHave) {
  ClusterSimulation cluster(6);
  const WorkerId small = cluster.AddWorker(
      {.cpu_cores = 4, .memory_bytes = uint64_t{16} << 30, .disk_bytes = uint64_t{100} << 30});
  const WorkerId big = cluster.AddWorker(
      {.cpu_cores = 16, .memory_bytes = uint64_t{64} << 30, .disk_bytes = uint64_t{400} << 30});
  ASSERT_TRUE(cluster.Create("docs", 20, 1).ok());
  for (const auto& [group, shard] : cluster.state().shards()) {
    cluster.SetSize(group, uint64_t{1} << 30, 0.05);
  }
  EXPECT_TRUE(cluster.Settle(5'000));
  EXPECT_GE(cluster.state().ReplicasOn(big), 3 * cluster.state().ReplicasOn(small));
  EXPECT_GT(cluster.state().ReplicasOn(small), 0u);
}

TEST(Scheduler, RelievesAHotWorkerOfItsHottestShard) {
  ClusterSimulation cluster(7);
  cluster.options().balance_gap = 100;  // only heat counts
  const WorkerId a = cluster.AddWorker();
  for (const char* name : {"cool", "warm", "hot"}) ASSERT_TRUE(cluster.Create(name, 1, 1).ok());
  const WorkerId b = cluster.AddWorker();
  double cores = 1.5;
  for (const char* name : {"cool", "warm", "hot"}) {
    cluster.SetSize(cluster.state().FindCollection({"", name})->groups[0], 1, cores);
    cores += 0.75;
  }
  EXPECT_TRUE(cluster.Settle(1'000));
  EXPECT_EQ(Voters(cluster, "hot"), std::set<WorkerId>{b});
  EXPECT_EQ(Voters(cluster, "warm"), std::set<WorkerId>{a});
  EXPECT_EQ(cluster.moves(), 1u);
}

// Loads of requests go up and down all the time, around what they are on average.
TEST(Scheduler, DoesNotMoveShardsBackAndForthAsTheirLoadsChange) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    ClusterSimulation cluster(seed);
    Random random(seed);
    for (int i = 0; i < 4; ++i) cluster.AddWorker();
    ASSERT_TRUE(cluster.Create("docs", 12, 2).ok());
    std::map<GroupId, double> mean_cores;
    for (const auto& [group, shard] : cluster.state().shards()) {
      mean_cores[group] = random.OneIn(3) ? 2 : 0.4;
    }
    for (int round = 0; round < 1'440; ++round) {  // two hours
      for (const auto& [group, cores] : mean_cores) {
        cluster.SetCores(group, cores * (0.7 + 0.6 * random.Uniform()));
      }
      cluster.Round();
    }
    EXPECT_LE(cluster.moves(), mean_cores.size()) << "seed " << seed;
  }
}

TEST(Scheduler, GivesUpAReplicaThatMakesNoProgress) {
  ClusterSimulation cluster(13);
  for (int i = 0; i < 4; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 1, 3).ok());
  const WorkerId slow = *Voters(cluster, "docs").begin();
  cluster.Stick(slow);
  for (int round = 0; round < 100; ++round) cluster.Round();
  EXPECT_TRUE(Voters(cluster, "docs").contains(slow)) << "patience";
  EXPECT_EQ(cluster.moves(), 0u);
  for (int round = 0; round < 100; ++round) cluster.Round();
  EXPECT_FALSE(Voters(cluster, "docs").contains(slow));
}

TEST(Scheduler, MendsTheSpreadOverZones) {
  ClusterSimulation cluster(8);
  for (int i = 0; i < 3; ++i) cluster.AddWorker(InZone("a"));
  ASSERT_TRUE(cluster.Create("docs", 1, 3).ok());
  const WorkerId b = cluster.AddWorker(InZone("b"));
  const WorkerId c = cluster.AddWorker(InZone("c"));
  EXPECT_TRUE(cluster.Settle(1'000));
  EXPECT_TRUE(Voters(cluster, "docs").contains(b));
  EXPECT_TRUE(Voters(cluster, "docs").contains(c));
}

TEST(Scheduler, KeepsToItsBudget) {
  ClusterSimulation cluster(9);
  cluster.options().max_moves = 2;
  for (int i = 0; i < 4; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 20, 3).ok());
  cluster.Change(WorkerId{1}, WorkerChange::kDrain);
  for (int i = 0; i < 300; ++i) {
    cluster.Round();
    size_t learners = 0;
    for (const auto& [group, shard] : cluster.state().shards()) {
      for (const ReplicaRecord& replica : shard.replicas) {
        learners += replica.role == ReplicaRole::kLearner ? 1 : 0;
      }
    }
    ASSERT_LE(learners, 2u);
  }
}

TEST(Scheduler, CopiesEveryShardToSearchOnlyWorkers) {
  ClusterSimulation cluster(10);
  for (int i = 0; i < 2; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 3, 2).ok());
  const WorkerId reader = cluster.AddWorker({.search_only = true});
  EXPECT_TRUE(cluster.Settle(500));
  EXPECT_EQ(cluster.state().ReplicasOn(reader), 3u);
  for (const auto& [group, shard] : cluster.state().shards()) {
    EXPECT_EQ(shard.On(reader)->role, ReplicaRole::kLearner);
    EXPECT_EQ(HealthOf(shard, cluster.Input()).voters, 2u);
  }
}

TEST(Scheduler, CopiesForSearchDoNotWaitForShardsWithoutALeader) {
  ClusterSimulation cluster(14);
  const WorkerId lost = cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("lost", 4, 1).ok());
  const WorkerId reader = cluster.AddWorker({.search_only = true});
  cluster.Stick(reader);
  for (int round = 0; round < 10; ++round) cluster.Round();
  EXPECT_GT(cluster.state().ReplicasOn(reader), 0u) << "copies that are not complete yet";
  cluster.Crash(lost);
  cluster.Unstick(reader);
  cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 3, 1).ok());
  EXPECT_TRUE(cluster.Settle(500));
  for (const GroupId group : cluster.state().FindCollection({"", "docs"})->groups) {
    EXPECT_NE(cluster.state().FindShard(group)->On(reader), nullptr);
  }
}

TEST(Scheduler, PlansTheMovesItThenMakes) {
  ClusterSimulation cluster(11);
  for (int i = 0; i < 3; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 8, 3).ok());
  EXPECT_TRUE(cluster.Settle(100));
  cluster.SetEager(true);
  EXPECT_TRUE(PlanMoves(cluster.Input()).empty());
  const WorkerId fresh = cluster.AddWorker();
  const std::vector<AddReplica> plan = PlanMoves(cluster.Input());
  EXPECT_FALSE(plan.empty());
  for (const AddReplica& move : plan) EXPECT_EQ(move.worker, fresh);
  EXPECT_EQ(cluster.state().ReplicasOn(fresh), 0u) << "a plan changes nothing";
}

TEST(WishLeaders, MovesLeadersAwayFromWorkersThatDrainAndEvensThemOut) {
  ClusterSimulation cluster(12);
  for (int i = 0; i < 3; ++i) cluster.AddWorker();
  ASSERT_TRUE(cluster.Create("docs", 9, 3).ok());
  cluster.Settle(100);
  const auto leaders = [&cluster](WorkerId worker) {
    size_t count = 0;
    for (const auto& [group, load] : cluster.load().shards) {
      count += load.leader.node() == worker ? 1 : 0;
    }
    return count;
  };
  std::map<WorkerId, size_t> after;
  for (const auto& [id, worker] : cluster.state().workers()) after[id] = leaders(id);
  for (const LeaderWish& wish : WishLeaders(cluster.Input())) {
    --after[wish.from.node()];
    ++after[wish.to.node()];
  }
  for (const auto& [id, count] : after) EXPECT_NEAR(static_cast<double>(count), 3, 1);
  const WorkerId draining{1};
  cluster.Change(draining, WorkerChange::kDrain);
  size_t moved = 0;
  for (const LeaderWish& wish : WishLeaders(cluster.Input())) {
    EXPECT_NE(wish.to.node(), draining);
    moved += wish.from.node() == draining ? 1 : 0;
  }
  EXPECT_EQ(moved, leaders(draining));
}

}  // namespace
}  // namespace vectron::placement
