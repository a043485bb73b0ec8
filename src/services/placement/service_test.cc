#include "services/placement/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "rpc/error_table.h"
#include "services/placement/service_testing.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(PlacementServiceTest, MakesACollectionOnItsWorkersAndShowsIt) {
  for (const char* uid : {"a", "b", "c"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 2, 3).ok());
  pb::GetCollectionStatusRequest request;
  request.set_name("docs");
  const auto status = Call(&PlacementService::GetCollectionStatus, request);
  ASSERT_TRUE(status.ok()) << status.status();
  ASSERT_EQ(status->shards_size(), 2);
  EXPECT_EQ(status->shards(0).replicas_size(), 3);
  EXPECT_TRUE(status->shards(0).ready());
  EXPECT_EQ(status->shards(0).replicas_in_sync(), 3u);
  EXPECT_EQ(status->shards(0).points(), 10u);
  EXPECT_EQ(status->shards(0).key_range_end() + 1, status->shards(1).key_range_start());
  EXPECT_EQ(status->shards(1).key_range_end(), ~uint64_t{0});
  EXPECT_EQ(Create("docs", 2, 3).code(), absl::StatusCode::kAlreadyExists);
  const auto list = Call(&PlacementService::ListCollections);
  EXPECT_THAT(list->collections(), ElementsAre("docs"));

  pb::GetWorkerRequest which;
  which.set_collection("docs");
  which.set_vector_id("p1");
  const auto worker = Call(&PlacementService::GetWorker, which);
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_THAT(worker->grpc_address(), HasSubstr(":9090"));
  pb::ListWorkersForCollectionRequest where;
  where.set_collection("docs");
  EXPECT_EQ(Call(&PlacementService::ListWorkersForCollection, where)->grpc_addresses_size(), 3);
  which.set_collection("nothing");
  EXPECT_EQ(Call(&PlacementService::GetWorker, which).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PlacementServiceTest, RefusesACollectionThatNoWorkersCanHold) {
  EXPECT_EQ(Create("docs", 1, 1).code(), absl::StatusCode::kFailedPrecondition);
  fleet_->Join("a");
  EXPECT_EQ(Create("docs", 1, 2).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Create("docs", 1, 0).ok()) << "as many replicas as there are workers";
  EXPECT_EQ(Create("bad name", 1, 1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(PlacementServiceTest, ANewLeaderListensBeforeItRefusesACollection) {
  const WorkerId a = fleet_->Join("a");
  const WorkerId b = fleet_->Join("b");
  fleet_->SetUp(b, false);
  leadership_ = {};
  service_->Tick();
  clock_.AdvanceMillis(100'000);
  leadership_ = {.is_leader = true, .term = 5, .node = {1}, .address = "one:6001"};
  EXPECT_EQ(Create("docs", 1, 1).code(), absl::StatusCode::kUnavailable) << "before its first tick";
  service_->Tick();
  const auto refused = Create("docs", 1, 1);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(rpc::RetryAfterMillis(refused).has_value());
  ASSERT_TRUE(fleet_->Beat(a).ok());
  EXPECT_TRUE(Create("one", 1, 1).ok()) << "those it has heard from are enough";
  EXPECT_EQ(Create("usual", 1, 0).code(), absl::StatusCode::kUnavailable)
      << "the usual number of replicas is not made smaller for want of news";
  EXPECT_EQ(Create("bad name", 1, 2).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Create("one", 1, 1).code(), absl::StatusCode::kAlreadyExists);
  fleet_->Run(15'100);
  EXPECT_EQ(Create("docs", 1, 2).code(), absl::StatusCode::kFailedPrecondition)
      << "a worker that is silent for so long is not there";
}

TEST_F(PlacementServiceTest, TakesBackACreationThatGetsNoLeader) {
  const WorkerId a = fleet_->Join("a");
  Answer<pb::CreateCollectionResponse> answer;
  BeginCreate("docs", 1, 1, answer);
  fleet_->SetUp(a, false);
  Answer<pb::CreateCollectionResponse> retry;
  BeginCreate("docs", 1, 1, retry);
  fleet_->Run(20'000);
  EXPECT_FALSE(answer.answered());
  EXPECT_FALSE(retry.answered()) << "the same creation again waits with the first";
  fleet_->Run(20'000);
  EXPECT_EQ(answer.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(retry.get().status().code(), absl::StatusCode::kUnavailable);
  fleet_->SetUp(a, true);
  fleet_->Run(1'000);
  EXPECT_EQ(Create("docs", 1, 1), absl::OkStatus()) << "the name is free again";
}

TEST_F(PlacementServiceTest, RefusesAnotherClustersWorker) {
  const WorkerId a = fleet_->Join("a");
  pb::HeartbeatRequest heartbeat = fleet_->MakeHeartbeat(a);
  heartbeat.set_cluster_id("another");
  EXPECT_EQ(fleet_->Send(heartbeat).status().code(), absl::StatusCode::kFailedPrecondition);
  pb::RegisterWorkerRequest request;
  request.set_grpc_address("x:1");
  request.set_cluster_id("another");
  const auto refused = fleet_->Register(request);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr("test-cluster"));
  pb::GetMapRequest map;
  map.set_cluster_id("another");
  EXPECT_EQ(Call(&PlacementService::GetMap, map).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(PlacementServiceTest, TellsAnUnknownWorkerToRegister) {
  pb::HeartbeatRequest heartbeat;
  heartbeat.set_worker_id("77");
  EXPECT_EQ(fleet_->Send(heartbeat).status().code(), absl::StatusCode::kNotFound);
  heartbeat.set_worker_id("seven");
  EXPECT_EQ(fleet_->Send(heartbeat).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Call(&PlacementService::DrainWorker, Of<pb::DrainWorkerRequest>({77})).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(PlacementServiceTest, DoesNotBelieveATooNewEpoch) {
  const WorkerId a = fleet_->Join("a");
  ASSERT_TRUE(Create("docs", 1, 1).ok());
  pb::HeartbeatRequest heartbeat = fleet_->MakeHeartbeat(a);
  heartbeat.mutable_replicas(0)->set_shard_epoch(99);
  const auto answer = fleet_->Send(heartbeat);
  ASSERT_TRUE(answer.ok()) << "the worker lives all the same";
  EXPECT_THAT(answer->message(), HasSubstr("epoch 1 here, not 99"));
  pb::GetCollectionStatusRequest request;
  request.set_name("docs");
  EXPECT_FALSE(Call(&PlacementService::GetCollectionStatus, request)->shards(0).ready());
}

TEST_F(PlacementServiceTest, ReplacesADeadWorkerAndDoesNotReviveWhatItHeld) {
  for (const char* uid : {"a", "b", "c", "d"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 1, 3).ok());
  const WorkerId dead{WorkersOf("docs")[1]};
  fleet_->SetUp(dead, false);
  fleet_->Run(50'000);
  EXPECT_THAT(WorkersOf("docs"), ::testing::Contains(dead.value)) << "it may come back";
  fleet_->Run(40'000);
  EXPECT_THAT(WorkersOf("docs"), ::testing::Not(::testing::Contains(dead.value)));
  EXPECT_EQ(WorkersOf("docs").size(), 3u);
  EXPECT_TRUE(fleet_->Holds(dead));
  EXPECT_EQ(Doomed(), 1u);
  // It returns with its old replica and says that it leads.
  fleet_->SetUp(dead, true);
  pb::HeartbeatRequest heartbeat = fleet_->MakeHeartbeat(dead);
  ASSERT_EQ(heartbeat.replicas_size(), 1);
  pb::ReplicaReport& old = *heartbeat.mutable_replicas(0);
  old.set_leader_replica_id(old.replica_id());
  old.set_term(1'000);
  const auto answer = fleet_->Send(heartbeat);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->destroy_size(), 1);
  EXPECT_EQ(answer->destroy(0).replica_id(), old.replica_id());
  EXPECT_EQ(answer->assignments().replicas_size(), 0);
  fleet_->Run(5'000);
  EXPECT_FALSE(fleet_->Holds(dead));
  EXPECT_EQ(Doomed(), 0u);
  EXPECT_THAT(WorkersOf("docs"), ::testing::Not(::testing::Contains(dead.value)));
  // An old copy of its folder brings the replica up once more: it is told again.
  EXPECT_EQ(fleet_->Send(heartbeat)->destroy_size(), 1);
}

TEST_F(PlacementServiceTest, RemovesAWorkerOnlyWhenItIsEmpty) {
  for (const char* uid : {"a", "b", "c"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 2, 2).ok());
  const WorkerId worker{WorkersOf("docs")[0]};
  const auto refused = Call(&PlacementService::RemoveWorker, Of<pb::RemoveWorkerRequest>(worker));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr("shards"));
  const auto drain = Call(&PlacementService::DrainWorker, Of<pb::DrainWorkerRequest>(worker));
  ASSERT_TRUE(drain.ok());
  EXPECT_GT(drain->shards_left(), 0u);
  fleet_->Run(60'000);
  EXPECT_FALSE(fleet_->Holds(worker));
  EXPECT_TRUE(Call(&PlacementService::RemoveWorker, Of<pb::RemoveWorkerRequest>(worker)).ok());
  EXPECT_EQ(fleet_->Send(fleet_->MakeHeartbeat(worker)).status().code(),
            absl::StatusCode::kNotFound);
  pb::RegisterWorkerRequest again;
  again.set_node_uid("a");
  again.set_grpc_address("a:9090");
  again.set_worker_id(worker.value);
  EXPECT_EQ(fleet_->Register(again).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(PlacementServiceTest, TakesADrainBack) {
  const WorkerId a = fleet_->Join("a");
  fleet_->Join("b");
  pb::DrainWorkerRequest request = Of<pb::DrainWorkerRequest>(a);
  ASSERT_TRUE(Call(&PlacementService::DrainWorker, request).ok());
  auto workers = Call(&PlacementService::ListWorkers);
  EXPECT_EQ(workers->workers(0).state(), pb::WORKER_STATE_DRAINING);
  request.set_cancel(true);
  ASSERT_TRUE(Call(&PlacementService::DrainWorker, request).ok());
  workers = Call(&PlacementService::ListWorkers);
  EXPECT_EQ(workers->workers(0).state(), pb::WORKER_STATE_READY);
  EXPECT_TRUE(workers->workers(0).healthy());
  clock_.AdvanceMillis(16'000);
  EXPECT_FALSE(Call(&PlacementService::ListWorkers)->workers(0).healthy());
}

TEST_F(PlacementServiceTest, NamesTheLeaderWhereItIsNone) {
  leadership_ = {.is_leader = false, .term = 2, .node = {3}, .address = "three:6001"};
  const auto refused = Call(&PlacementService::ListWorkers);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(refused.status())), HasSubstr("node 3 at three:6001"));
  EXPECT_EQ(rpc::LeaderHint(refused.status()), WorkerId{3});
  EXPECT_TRUE(rpc::NothingWasDone(refused.status()));
  EXPECT_EQ(Call(&PlacementService::GetLeader)->leader_address(), "three:6001");
  leadership_ = {};
  EXPECT_EQ(Call(&PlacementService::GetLeader).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(rpc::NothingWasDone(Call(&PlacementService::ListWorkers).status()));
}

TEST_F(PlacementServiceTest, IsUnavailableInTimeWithoutAQuorum) {
  const WorkerId a = fleet_->Join("a");
  replicator_->quorum = false;
  Answer<pb::HeartbeatResponse> heartbeat;
  service_->Heartbeat(fleet_->MakeHeartbeat(a), heartbeat.Callback());
  Answer<pb::CreateCollectionResponse> create;
  BeginCreate("docs", 1, 1, create);
  service_->Tick();
  EXPECT_FALSE(heartbeat.answered());
  clock_.AdvanceMillis(5'100);
  service_->Tick();
  EXPECT_EQ(heartbeat.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(create.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(create.get().status())), HasSubstr("too few"));
  EXPECT_FALSE(rpc::NothingWasDone(create.get().status())) << "nobody can tell";
}

TEST_F(PlacementServiceTest, RefusesCallsPastItsBounds) {
  fleet_->Join("a");
  std::deque<Answer<pb::CreateCollectionResponse>> creates(1 +
                                                           PlacementService::kMaxWaitersOfCreation);
  for (auto& answer : creates) BeginCreate("docs", 1, 1, answer);
  EXPECT_EQ(creates.back().get().status().code(), absl::StatusCode::kResourceExhausted);
  fleet_->Run(2'000);
  EXPECT_TRUE(creates.front().get().ok()) << creates.front().get().status();
  replicator_->quorum = false;
  std::deque<Answer<pb::ListWorkersResponse>> lists(1 + PlacementService::kMaxWaitingCalls);
  for (auto& answer : lists) service_->ListWorkers({}, answer.Callback());
  EXPECT_EQ(lists.back().get().status().code(), absl::StatusCode::kResourceExhausted);
  clock_.AdvanceMillis(5'100);
  service_->Tick();
  EXPECT_EQ(lists.front().get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(PlacementServiceTest, ANewLeaderListensBeforeItCallsAnyoneDead) {
  const WorkerId a = fleet_->Join("a");
  fleet_->SetUp(a, false);
  fleet_->Run(59'000);
  leadership_.term = 5;
  fleet_->Run(30'000);
  const auto dead = [this, a] {
    return state_->With([a](const ClusterState& s) { return s.FindWorker(a)->dead; });
  };
  EXPECT_FALSE(dead());
  fleet_->Run(31'000);
  EXPECT_TRUE(dead());
  fleet_->SetUp(a, true);
  fleet_->Run(1'000);
  EXPECT_FALSE(dead());
}

// Its machine was suspended, say, and the workers' with it.
TEST_F(PlacementServiceTest, ALeaderTakesItsOwnPauseForNobodysSilence) {
  const WorkerId a = fleet_->Join("a");
  fleet_->Join("b");
  ASSERT_TRUE(Create("docs", 2, 2).ok());
  const std::string before = Bytes();
  clock_.AdvanceMillis(3'600'000);
  service_->Tick();
  EXPECT_EQ(Bytes(), before) << "nobody is dead";
  EXPECT_TRUE(Call(&PlacementService::ListWorkers)->workers(0).healthy());
  fleet_->SetUp(a, false);
  fleet_->Run(59'000);
  EXPECT_EQ(Bytes(), before);
  fleet_->Run(3'000);
  EXPECT_TRUE(state_->With([a](const ClusterState& s) { return s.FindWorker(a)->dead; }));
}

TEST_F(PlacementServiceTest, ForgetsNothingWhenItStartsAgain) {
  for (const char* uid : {"a", "b", "c"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 2, 3).ok());
  ASSERT_TRUE(state_->Save().ok());
  EXPECT_EQ(replicator_->needed, state_->applied_index());
  ASSERT_TRUE(Create("more", 1, 1).ok());
  const std::string before = Bytes();
  Shutdown();  // without another save: the log has the rest
  Start();
  EXPECT_EQ(Bytes(), before);
}

TEST_F(PlacementServiceTest, KeepsRerankersThatAreHeardOf) {
  pb::RegisterRerankerRequest request;
  request.set_grpc_address("r:50051");
  const auto id = Call(&PlacementService::RegisterReranker, request);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(Call(&PlacementService::RegisterReranker, request)->reranker_id(), id->reranker_id());
  EXPECT_EQ(Call(&PlacementService::GetReranker)->grpc_address(), "r:50051");
  clock_.AdvanceMillis(16'000);
  EXPECT_EQ(Call(&PlacementService::GetReranker).status().code(), absl::StatusCode::kUnavailable);
  pb::RerankerHeartbeatRequest heartbeat;
  heartbeat.set_reranker_id(id->reranker_id());
  EXPECT_TRUE(Call(&PlacementService::RerankerHeartbeat, heartbeat).ok());
  EXPECT_TRUE(Call(&PlacementService::ListRerankers)->rerankers(0).healthy());
  heartbeat.set_reranker_id("99");
  EXPECT_EQ(Call(&PlacementService::RerankerHeartbeat, heartbeat).status().code(),
            absl::StatusCode::kNotFound);
  fleet_->Run(70'000);
  EXPECT_EQ(Call(&PlacementService::ListRerankers)->rerankers_size(), 0);
}

// A stream that keeps what it is sent.
class KeptStream : public rpc::AnyServerStream {
 public:
  bool WriteMessage(const google::protobuf::Message& message) override {
    if (full) return false;
    maps.push_back(static_cast<const pb::ClusterMap&>(message));
    return true;
  }
  void FinishWithMessage(const google::protobuf::Message& message) override {
    WriteMessage(message);
  }
  void Finish(absl::Status finished) override { status = std::move(finished); }
  bool cancelled() const override { return gone; }

  std::vector<pb::ClusterMap> maps;
  std::optional<absl::Status> status;
  bool full = false;
  bool gone = false;
};

TEST_F(PlacementServiceTest, FeedsThoseWhoWatchTheMap) {
  for (const char* uid : {"a", "b", "c"}) fleet_->Join(uid);
  ASSERT_TRUE(Create("docs", 1, 3).ok());
  fleet_->Run(1'000);
  auto stream = std::make_shared<KeptStream>();
  service_->WatchMap({}, rpc::ServerStream<pb::ClusterMap>(stream));
  ASSERT_EQ(stream->maps.size(), 1u);
  EXPECT_TRUE(stream->maps[0].full());
  EXPECT_EQ(stream->maps[0].cluster_id(), "test-cluster");
  EXPECT_EQ(stream->maps[0].workers_size(), 3);
  ASSERT_EQ(stream->maps[0].collections_size(), 1);
  EXPECT_TRUE(stream->maps[0].collections(0).shards(0).ready());
  EXPECT_EQ(stream->maps[0].collections(0).shards(0).replicas_size(), 3);

  ASSERT_TRUE(Create("more", 1, 1).ok());
  fleet_->Run(1'000);
  ASSERT_GT(stream->maps.size(), 1u);
  EXPECT_FALSE(stream->maps.back().full());
  ASSERT_EQ(stream->maps.back().collections_size(), 1);
  EXPECT_EQ(stream->maps.back().collections(0).schema().name(), "more");

  const size_t before = stream->maps.size();
  stream->full = true;  // it reads slowly
  ASSERT_TRUE(Delete("docs").ok());
  fleet_->Run(2'000);
  EXPECT_EQ(stream->maps.size(), before);
  stream->full = false;
  fleet_->Run(1'000);
  ASSERT_GT(stream->maps.size(), before);
  ASSERT_EQ(stream->maps[before].removed_size(), 1);
  EXPECT_EQ(stream->maps[before].removed(0).name(), "docs");

  leadership_ = {};
  service_->Tick();
  ASSERT_TRUE(stream->status.has_value());
  EXPECT_EQ(stream->status->code(), absl::StatusCode::kUnavailable);
}

TEST_F(PlacementServiceTest, NudgesWorkersByVersionsAlone) {
  fleet_->Join("a");
  fleet_->Run(1'000);
  auto stream = std::make_shared<KeptStream>();
  pb::WatchMapRequest request;
  request.set_versions_only(true);
  service_->WatchMap(request, rpc::ServerStream<pb::ClusterMap>(stream));
  ASSERT_EQ(stream->maps.size(), 1u);
  fleet_->Run(2'000);
  EXPECT_EQ(stream->maps.size(), 1u) << "nothing changed";
  ASSERT_TRUE(Create("docs", 1, 1).ok());
  fleet_->Run(1'000);
  ASSERT_GT(stream->maps.size(), 1u);
  EXPECT_GT(stream->maps.back().version(), stream->maps[0].version());
  EXPECT_EQ(stream->maps.back().collections_size(), 0);
}

TEST_F(PlacementServiceTest, AsksForHeartbeatsSoonWhileSomethingIsUnderWay) {
  const WorkerId a = fleet_->Join("a");
  fleet_->Run(2'000);
  EXPECT_EQ(fleet_->Send(fleet_->MakeHeartbeat(a))->next_heartbeat_ms(), 5'000u);
  Answer<pb::CreateCollectionResponse> answer;
  BeginCreate("docs", 1, 1, answer);
  const auto told = fleet_->Send(fleet_->MakeHeartbeat(a));
  EXPECT_EQ(told->next_heartbeat_ms(), 200u);
  ASSERT_EQ(told->assignments().replicas_size(), 1);
  const pb::ReplicaAssignment& assignment = told->assignments().replicas(0);
  EXPECT_EQ(assignment.schema().name(), "docs");
  EXPECT_EQ(assignment.preferred_leader(), assignment.replica_id());
  EXPECT_THAT(assignment.founders(), ElementsAre(assignment.replica_id()));
  fleet_->Run(2'000);
  EXPECT_TRUE(answer.get().ok()) << answer.get().status();
}

TEST_F(PlacementServiceTest, ChecksWhatWorkersSay) {
  pb::RegisterWorkerRequest request;
  EXPECT_EQ(fleet_->Register(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_grpc_address("a:1");
  request.set_zone(std::string(1'000, 'z'));
  EXPECT_EQ(fleet_->Register(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.set_zone("z");
  request.set_cpu_cores(-5);
  EXPECT_TRUE(fleet_->Register(request).ok());
}

}  // namespace
}  // namespace vectron::placement
