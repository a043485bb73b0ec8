// Workers under a placement that the test plays: groups are formed, moved, destroyed; nodes come
// back.

#include "services/worker/agent.h"

#include <gtest/gtest.h>

#include <atomic>

#include "base/random.h"
#include "rpc/error_table.h"
#include "services/worker/shard_source.h"
#include "services/worker/worker_testing.h"
#include "shard/peer_testing.h"
#include "vectron/vectron.pb.h"

namespace vectron::worker {
namespace {

namespace pb = placementdriver::v1;
using shard::Eventually;
using shard::ReplicaId;

constexpr uint64_t kGroup = 5;

// What placement has decided, and what it has heard. Thread-safe.
class PlayedPlacement {
 public:
  struct Replica {
    uint64_t id = 0;
    pb::ReplicaRole role = pb::REPLICA_ROLE_VOTER;
    bool leaving = false;
  };

  // From now on the shard has these replicas; others that were in it are to be destroyed once
  // `doomed` says so.
  void Decide(const std::vector<Replica>& replicas, const std::vector<uint64_t>& doomed = {}) {
    const absl::MutexLock lock(&mutex_);
    ++version_;
    replicas_ = replicas;
    if (founders_.empty()) {
      for (const Replica& replica : replicas) founders_.push_back(replica.id);
    }
    doomed_.insert(doomed.begin(), doomed.end());
  }
  void SetReachable(bool reachable) { reachable_ = reachable; }
  void Remove(uint64_t worker) {
    const absl::MutexLock lock(&mutex_);
    removed_.insert(worker);
  }

  pb::ReplicaReport Last(uint64_t replica) const {
    const absl::MutexLock lock(&mutex_);
    const auto found = reports_.find(replica);
    return found == reports_.end() ? pb::ReplicaReport() : found->second;
  }
  bool Destroyed(uint64_t replica) const {
    const absl::MutexLock lock(&mutex_);
    return destroyed_.contains(replica);
  }
  bool said_goodbye(uint64_t worker) const {
    const absl::MutexLock lock(&mutex_);
    return goodbyes_.contains(worker);
  }

  PlacementCalls Calls() {
    return {.register_worker =
                [this](const pb::RegisterWorkerRequest& request, int64_t, auto done) {
                  if (!reachable_) return done(Unavailable("no placement"));
                  {
                    const absl::MutexLock lock(&mutex_);
                    if (removed_.contains(request.worker_id())) {
                      return done(FailedPrecondition("removed"));
                    }
                  }
                  pb::RegisterWorkerResponse response;
                  response.set_success(true);
                  response.set_worker_id(std::to_string(request.worker_id()));
                  done(response);
                },
            .heartbeat =
                [this](const pb::HeartbeatRequest& request, int64_t, auto done) {
                  if (!reachable_) return done(Unavailable("no placement"));
                  done(Hear(request));
                }};
  }

 private:
  pb::HeartbeatResponse Hear(const pb::HeartbeatRequest& request) {
    const uint64_t worker = std::stoull(request.worker_id());
    const absl::MutexLock lock(&mutex_);
    if (request.stopping()) goodbyes_.insert(worker);
    for (const pb::ReplicaReport& report : request.replicas()) {
      reports_[report.replica_id()] = report;
    }
    for (const pb::ReplicaRef& ref : request.destroyed()) {
      destroyed_.insert(ref.replica_id());
      doomed_.erase(ref.replica_id());
    }
    pb::HeartbeatResponse response;
    response.set_ok(true);
    response.set_next_heartbeat_ms(20);
    response.set_assignments_epoch(version_);
    if (request.assignments_epoch() < version_)
      FillAssignments(worker, *response.mutable_assignments());
    for (const uint64_t replica : doomed_) {
      if (ReplicaId{replica}.node().value != worker) continue;
      pb::ReplicaRef& ref = *response.add_destroy();
      ref.set_group_id(kGroup);
      ref.set_replica_id(replica);
    }
    return response;
  }

  void FillAssignments(uint64_t worker, pb::AssignmentList& list)
      ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    for (const Replica& own : replicas_) {
      if (ReplicaId{own.id}.node().value != worker) continue;
      pb::ReplicaAssignment& assignment = *list.add_replicas();
      assignment.set_group_id(kGroup);
      assignment.set_replica_id(own.id);
      assignment.set_shard_epoch(version_);
      assignment.mutable_schema()->set_name("docs");
      assignment.mutable_schema()->set_dimension(TestWorker::kDimension);
      assignment.mutable_schema()->set_replication_factor(3);
      assignment.mutable_schema()->set_shard_count(1);
      for (const uint64_t founder : founders_) assignment.add_founders(founder);
      assignment.set_preferred_leader(founders_[0]);
      for (const Replica& replica : replicas_) {
        pb::ReplicaDescriptor& descriptor = *assignment.add_replicas();
        descriptor.set_replica_id(replica.id);
        descriptor.set_worker_id(ReplicaId{replica.id}.node().value);
        descriptor.set_role(replica.role);
        descriptor.set_leaving(replica.leaving);
      }
    }
  }

  std::atomic<bool> reachable_{true};
  mutable absl::Mutex mutex_;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Replica> replicas_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint64_t> founders_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> doomed_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> destroyed_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> removed_ ABSL_GUARDED_BY(mutex_);
  std::set<uint64_t> goodbyes_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, pb::ReplicaReport> reports_ ABSL_GUARDED_BY(mutex_);
};

// One worker, which can be ended and begun again over its folder.
class Node {
 public:
  Node(shard::LocalNetwork& network, PlayedPlacement& placement, uint64_t id, std::string dir)
      : placement_(placement), id_(id), dir_(std::move(dir)), host_(network, id, dir_) {
    CHECK_OK(host_.files->MakeDirs(dir_));
  }
  ~Node() { Stop(); }

  void Start() {
    host_.Start();
    shards_ = MakeGroupShards({.shard = {.files = host_.files.get(),
                                         .clock = &host_.clock,
                                         .read_executor = &host_.apply_pool,
                                         .background_executor = &host_.background_pool,
                                         .resources = &host_.resources,
                                         .timer = &host_.timer},
                               .host = host_.host.get(),
                               .snapshots = &host_.endpoint,
                               .registry = &host_.registry});
    auto made = Worker::Make(dir_, {.files = host_.files.get(),
                                    .clock = &host_.clock,
                                    .shards = shards_.get(),
                                    .search_executor = &search_});
    CHECK_OK(made.status());
    worker = *std::move(made);
    auto state = NodeState::Open(*host_.files, dir_, SeedFromSystem());
    CHECK_OK(state.status());
    state_ = std::make_unique<NodeState>(*std::move(state));
    if (state_->identity().worker_id() == 0) CHECK_OK(state_->SetIds(id_, "cluster"));
    agent = std::make_unique<Agent>(
        NodeProfile(), AgentDeps{.clock = &host_.clock,
                                 .timer = &host_.timer,
                                 .executor = &control_,
                                 .worker = worker.get(),
                                 .host = host_.host.get(),
                                 .state = state_.get(),
                                 .placement = placement_.Calls(),
                                 .load = [] { return MachineLoad(); },
                                 .on_expelled = [this](const absl::Status&) { expelled = true; }});
    worker->OpenShards(agent->StoredAssignments(), search_);
    agent->Start();
  }
  void Stop() {
    if (agent == nullptr) return;
    agent.reset();
    worker.reset();
    shards_.reset();
    host_.Stop();
  }
  bool running() const { return agent != nullptr; }

  absl::StatusOr<rpc::WriteAck> Write(const std::string& id, float x) {
    rpc::ShardUpsert request;
    request.target = {.group = GroupId{kGroup}, .epoch = ~uint64_t{0}};
    request.points = {.dimension = TestWorker::kDimension,
                      .ids = {id},
                      .vectors = {x, x, x, x},
                      .payloads = {""}};
    return Await<absl::StatusOr<rpc::WriteAck>>(
        [&](auto done) { worker->Upsert(std::move(request), 0, done); });
  }
  absl::StatusOr<std::optional<PointRecord>> Read(const std::string& id, Consistency consistency) {
    return Await<absl::StatusOr<std::optional<PointRecord>>>([&](auto done) {
      worker->Get({.target = {.group = GroupId{kGroup}, .epoch = ~uint64_t{0}},
                   .id = id,
                   .consistency = consistency},
                  0, done);
    });
  }
  bool HasFolder() {
    return *host_.files->Exists(fmt::format("{}/shards/{}", dir_, kGroup)) &&
           !host_.files->List(fmt::format("{}/shards/{}", dir_, kGroup))->empty();
  }

  std::unique_ptr<Worker> worker;
  std::unique_ptr<Agent> agent;
  std::atomic<bool> expelled{false};

 private:
  PlayedPlacement& placement_;
  const uint64_t id_;
  const std::string dir_;
  shard::HostNode host_;
  ThreadPool search_{"search", 2};
  ThreadPool control_{"control", 2};
  std::unique_ptr<ShardSource> shards_;
  std::unique_ptr<NodeState> state_;
};

class AgentTest : public testing::Test {
 protected:
  AgentTest() {
    for (uint64_t id = 1; id <= 4; ++id) {
      nodes_[id] = std::make_unique<Node>(network_, placement_, id, dir_ / std::to_string(id));
    }
  }
  static uint64_t Replica(uint64_t node, uint64_t serial = 1) {
    return ReplicaId::Make(WorkerId{node}, serial).value;
  }
  void StartAll() {
    for (auto& [id, node] : nodes_) node->Start();
  }
  // Some running worker takes the write; 0 when none does in time.
  uint64_t WriteSomewhere(const std::string& id, float x) {
    uint64_t writer = 0;
    Eventually([&] {
      for (auto& [number, node] : nodes_) {
        if (node->running() && node->Write(id, x).ok()) writer = number;
      }
      return writer != 0;
    });
    return writer;
  }
  bool Settled(const std::vector<uint64_t>& voters) {
    return Eventually([&] {
      for (const uint64_t voter : voters) {
        const pb::ReplicaReport report = placement_.Last(voter);
        std::vector<uint64_t> seen(report.voters().begin(), report.voters().end());
        std::sort(seen.begin(), seen.end());
        if (report.leader_replica_id() == voter && seen == voters && report.learners().empty() &&
            report.in_sync_size() == static_cast<int>(voters.size())) {
          return true;
        }
      }
      return false;
    });
  }
  void Found() {
    placement_.Decide({{Replica(1)}, {Replica(2)}, {Replica(3)}});
    StartAll();
    ASSERT_TRUE(Settled({Replica(1), Replica(2), Replica(3)}));
  }

  TempDir dir_;
  shard::LocalNetwork network_;
  PlayedPlacement placement_;
  std::map<uint64_t, std::unique_ptr<Node>> nodes_;
};

TEST_F(AgentTest, FormsAGroupAndTellsOfIt) {
  Found();
  EXPECT_NE(WriteSomewhere("a", 1), 0U);
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_TRUE(Eventually([&] {
      const pb::ReplicaReport report = placement_.Last(Replica(id));
      return report.health() == pb::REPLICA_HEALTH_READY && report.points() == 1 &&
             report.state_digest() != 0 &&
             report.state_digest() == placement_.Last(Replica(1)).state_digest();
    }));
  }
}

TEST_F(AgentTest, HintsAtTheLeader) {
  Found();
  ASSERT_NE(WriteSomewhere("a", 1), 0U);
  int hints = 0;
  for (uint64_t id = 1; id <= 3; ++id) {
    const auto ack = nodes_[id]->Write("b", 2);
    if (ack.ok()) continue;
    const auto hint = rpc::LeaderHint(ack.status());
    ASSERT_TRUE(hint.has_value()) << ack.status();
    EXPECT_TRUE(nodes_[hint->value]->Write("c", 3).ok());
    ++hints;
  }
  EXPECT_EQ(hints, 2);
}

TEST_F(AgentTest, MovesAReplicaAndDestroysTheOldOne) {
  Found();
  ASSERT_NE(WriteSomewhere("a", 1), 0U);
  placement_.Decide(
      {{Replica(1)}, {Replica(2)}, {Replica(3), pb::REPLICA_ROLE_VOTER, true}, {Replica(4)}});
  ASSERT_TRUE(Settled({Replica(1), Replica(2), Replica(4)}));
  placement_.Decide({{Replica(1)}, {Replica(2)}, {Replica(4)}}, {Replica(3)});
  EXPECT_TRUE(Eventually([&] { return placement_.Destroyed(Replica(3)); }));
  EXPECT_TRUE(Eventually([&] { return !nodes_[3]->HasFolder(); }));
  EXPECT_NE(WriteSomewhere("b", 2), 0U);
  EXPECT_TRUE(Eventually([&] {
    const auto got = nodes_[4]->Read("a", Consistency::kStrong);
    return got.ok() && got->has_value();
  }));
}

TEST_F(AgentTest, ReplacesAReplicaThatIsGoneForGood) {
  Found();
  ASSERT_NE(WriteSomewhere("a", 1), 0U);
  nodes_[1]->Stop();
  placement_.Decide(
      {{Replica(1), pb::REPLICA_ROLE_VOTER, true}, {Replica(2)}, {Replica(3)}, {Replica(4)}});
  ASSERT_TRUE(Settled({Replica(2), Replica(3), Replica(4)}));
  placement_.Decide({{Replica(2)}, {Replica(3)}, {Replica(4)}}, {Replica(1)});
  ASSERT_NE(WriteSomewhere("b", 2), 0U);
  // It comes back: what it has is not served as if nothing had happened, and goes.
  nodes_[1]->Start();
  EXPECT_TRUE(Eventually([&] { return placement_.Destroyed(Replica(1)); }));
  EXPECT_FALSE(nodes_[1]->worker->Holds(GroupId{kGroup}));
  EXPECT_TRUE(absl::IsFailedPrecondition(nodes_[1]->Read("a", Consistency::kEventual).status()));
  // And is asked to hold the shard once more, as another replica.
  placement_.Decide({{Replica(1, 2)}, {Replica(2)}, {Replica(3)}, {Replica(4)}});
  ASSERT_TRUE(Settled({Replica(1, 2), Replica(2), Replica(3), Replica(4)}));
  EXPECT_TRUE(Eventually([&] {
    const auto got = nodes_[1]->Read("b", Consistency::kStrong);
    return got.ok() && got->has_value();
  }));
}

TEST_F(AgentTest, ServesWhatItHeldWhilePlacementIsAway) {
  Found();
  ASSERT_NE(WriteSomewhere("a", 1), 0U);
  placement_.SetReachable(false);
  for (uint64_t id = 1; id <= 3; ++id) nodes_[id]->Stop();
  for (uint64_t id = 1; id <= 3; ++id) nodes_[id]->Start();
  EXPECT_NE(WriteSomewhere("b", 2), 0U);
  EXPECT_TRUE(Eventually([&] {
    const auto got = nodes_[2]->Read("a", Consistency::kStrong);
    return got.ok() && got->has_value();
  }));
}

TEST_F(AgentTest, KeepsALearnerALearner) {
  placement_.Decide({{Replica(1)}, {Replica(2)}, {Replica(3)}});
  StartAll();
  placement_.Decide(
      {{Replica(1)}, {Replica(2)}, {Replica(3)}, {Replica(4), pb::REPLICA_ROLE_LEARNER}});
  ASSERT_NE(WriteSomewhere("a", 1), 0U);
  EXPECT_TRUE(Eventually([&] {
    const auto got = nodes_[4]->Read("a", Consistency::kEventual);
    return got.ok() && got->has_value();
  }));
  bool seen = false;
  EXPECT_TRUE(Eventually([&] {
    for (uint64_t id = 1; id <= 3; ++id) {
      const pb::ReplicaReport report = placement_.Last(Replica(id));
      seen |= report.learners_size() == 1 && report.learners(0) == Replica(4);
    }
    return seen;
  }));
}

TEST_F(AgentTest, SaysGoodbyeAndIsExpelledWhenItIsNotWanted) {
  Found();
  nodes_[2]->Stop();
  EXPECT_TRUE(placement_.said_goodbye(2));
  placement_.Remove(2);
  nodes_[2]->Start();
  EXPECT_TRUE(Eventually([&] { return nodes_[2]->expelled.load(); }));
}

}  // namespace
}  // namespace vectron::worker
