#include "services/gateway/management.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "base/temp_dir.h"
#include "rpc/json_transcoder.h"
#include "services/gateway/fakes_for_test.h"
#include "services/gateway/management_report.h"

namespace vectron::gateway {
namespace {

namespace pb = management::v1;
using testing::ElementsAre;
using testing::HasSubstr;

class FakeOperations : public rpc::OperationsApi {
 public:
  std::vector<rpc::WorkerDescription> workers;
  absl::Status failure;

  void ListWorkers(
      std::function<void(absl::StatusOr<std::vector<rpc::WorkerDescription>>)> done) override {
    if (!failure.ok()) return done(failure);
    done(workers);
  }
  void DrainWorker(WorkerId worker, rpc::DrainMode mode,
                   std::function<void(absl::StatusOr<uint32_t>)> done) override {
    if (worker != WorkerId{1}) return done(NotFound("worker {}", worker.value));
    done(mode == rpc::DrainMode::kStart ? 4u : 0u);
  }
  void RemoveWorker(WorkerId, std::function<void(absl::Status)> done) override {
    done(FailedPrecondition("it holds 4 shards"));
  }
  void Rebalance(rpc::RebalanceMode,
                 std::function<void(absl::StatusOr<std::vector<rpc::PlannedMove>>)> done) override {
    done(std::vector<rpc::PlannedMove>{{.owner = "",
                                        .collection = "docs",
                                        .ordinal = ShardOrdinal{1},
                                        .from = WorkerId{1},
                                        .to = WorkerId{2},
                                        .reason = "load",
                                        .size_bytes = 10}});
  }
};

class ManagementTest : public testing::Test {
 protected:
  static constexpr int64_t kIntervalMs = 10'000;

  ManagementTest() : timer_(clock_) {
    clock_.SetUnixMillis(1'700'000'000'000);
    rpc::WorkerDescription& worker = operations_.workers.emplace_back();
    worker.id = WorkerId{1};
    worker.grpc_address = "10.0.0.1:9090";
    worker.state = "READY";
    worker.healthy = true;
    worker.memory_bytes = 1'000;
    worker.disk_free_bytes = 60;
    worker.disk_total_bytes = 100;
    CollectionSchema schema;
    schema.name = "docs";
    schema.dimension = 2;
    schema.shard_count = 2;
    schema.replication_factor = 1;
    placement_.CreateCollection(schema, "user-1", [](absl::Status) {});
    Reopen();
  }
  ~ManagementTest() override { Close(); }

  void Close() {
    if (management_ != nullptr) management_->Stop();
    management_.reset();
    registry_.reset();
  }
  void Reopen() {
    Close();
    ManagementDeps deps;
    deps.sources = {.placement = &placement_,
                    .operations = &operations_,
                    .worker_of = [this](WorkerId) { return &worker_; },
                    .clock = &clock_,
                    .placement_endpoint = "placement:6001"};
    deps.files = files_.get();
    deps.timer = &timer_;
    deps.executor = &executor_;
    deps.server_load = [this] { return load_; };
    deps.probes.push_back(
        {.name = "auth", .endpoint = "auth:8091", .check = [this](const auto& done) {
           done(ServiceProbe::Result{.state = auth_, .error = "no answer"});
         }});
    deps.probes.push_back({.name = "reranker",
                           .endpoint = {},
                           .check = [this](const auto& done) { done(reranker_); },
                           .essential = false});
    auto made = Management::Make({.dir = dir_ / "management",
                                  .version = "1.2.3",
                                  .interval_ms = kIntervalMs,
                                  .thresholds = {},
                                  .seed = 1},
                                 std::move(deps));
    ASSERT_TRUE(made.ok()) << made.status();
    management_ = *std::move(made);
    registry_ = std::make_unique<rpc::RpcRegistry>(metrics_, clock_, rpc::RpcRegistryOptions{});
    ASSERT_TRUE(registry_->AddService("vectron.v1.VectronService").ok());
    ASSERT_TRUE(management_->Register(*registry_).ok());
    management_->Watch(*registry_);
    management_->Start("gateway:8080");
  }
  void PassSamples(int count) {
    for (int i = 0; i < count; ++i) timer_.AdvanceMillis(kIntervalMs);
  }
  template <typename Response, typename Request>
  absl::StatusOr<Response> Ask(const std::string& name, Request request,
                               rpc::IdentityPtr identity = nullptr) {
    const rpc::RpcMethod* method =
        registry_->Find("vectron.management.v1.ManagementService." + name);
    rpc::CallContext context;
    context.identity = std::move(identity);
    absl::Status status = absl::UnknownError("not answered");
    Response response;
    method->unary(context, request, response, [&status](absl::Status end) { status = end; });
    if (!status.ok()) return status;
    return response;
  }
  pb::SystemHealth Health(rpc::IdentityPtr identity = nullptr) {
    return *Ask<pb::SystemHealth>("GetSystemHealth", pb::GetSystemHealthRequest(),
                                  std::move(identity));
  }
  std::vector<pb::Alert> Alerts(const std::string& status) {
    pb::ListAlertsRequest request;
    request.set_status(status);
    const auto response = *Ask<pb::ListAlertsResponse>("ListAlerts", request);
    EXPECT_EQ(static_cast<int>(response.count()), response.alerts_size());
    return {response.alerts().begin(), response.alerts().end()};
  }
  // One call of the data API.
  void Call(int64_t millis, absl::StatusCode code) {
    rpc::CallContext context;
    registry_->Begin(*registry_->Find("vectron.v1.VectronService.Search"), context,
                     [](absl::Status) {});
    clock_.AdvanceMillis(millis);
    registry_->End(context, code);
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  ManualClock clock_;
  ManualTimer timer_;
  InlineExecutor executor_;
  Metrics metrics_;
  FakePlacement placement_;
  FakeOperations operations_;
  FakeWorker worker_;
  ServerLoad load_;
  ServiceState auth_ = ServiceState::kUp;
  std::optional<ServiceProbe::Result> reranker_;
  std::unique_ptr<rpc::RpcRegistry> registry_;
  std::unique_ptr<Management> management_;
};

TEST_F(ManagementTest, HealthNamesEveryServiceWithWhatWasMeasured) {
  worker_.Upsert(
      {.target = {.group = GroupId{1}, .epoch = 1},
       .points = PointBatch{.dimension = 2, .ids = {"a"}, .vectors = {1, 2}, .payloads = {""}},
       .request_id = "",
       .insert_only = false},
      0, [](absl::StatusOr<rpc::WriteAck>) {});
  load_ = {.http_connections = 3, .grpc_connections = 2, .received_bytes = 70, .sent_bytes = 80};
  const pb::SystemHealth health = Health();
  EXPECT_EQ(health.overall_status(), "healthy");
  std::vector<std::string> names;
  for (const pb::ServiceHealth& service : health.services()) {
    names.push_back(service.name());
    EXPECT_EQ(service.status(), "up") << service.name();
    EXPECT_FALSE(service.has_error());
  }
  EXPECT_THAT(names, ElementsAre("gateway", "placement", "worker-1", "auth"));
  EXPECT_EQ(health.metrics().total_vectors(), 1);
  EXPECT_EQ(health.metrics().total_collections(), 1);
  EXPECT_EQ(health.metrics().active_workers(), 1);
  EXPECT_EQ(health.metrics().memory_used(), 1'000);
  EXPECT_EQ(health.metrics().network_io().bytes_out(), 80);
  std::string json;
  rpc::MessageToJson(health, json);
  for (const char* key :
       {"\"overall_status\":", "\"response_time\":", "\"last_check\":", "\"total_vectors\":1,",
        "\"storage_used\":", "\"cpu_usage\":", "\"network_io\":{\"bytes_in\":70,",
        "\"timestamp\":17"}) {
    EXPECT_THAT(json, HasSubstr(key));
  }
}

TEST_F(ManagementTest, HealthShowsAUserOnlyWhetherAllIsWell) {
  const auto user = std::make_shared<rpc::Identity>();
  const pb::SystemHealth health = Health(user);
  EXPECT_EQ(health.overall_status(), "healthy");
  EXPECT_EQ(health.services_size(), 0);
  EXPECT_FALSE(health.has_metrics());
  const auto admin = std::make_shared<rpc::Identity>();
  admin->role = rpc::Role::kAdmin;
  admin->access = rpc::Access::kAdmin;
  EXPECT_GT(Health(admin).services_size(), 0);
}

TEST_F(ManagementTest, AFailedShardRaisesAnAlertThatCanBeResolvedAndSurvivesARestart) {
  worker_.failing[GroupId{2}] = absl::DataLossError("damaged");
  PassSamples(2);
  EXPECT_TRUE(Alerts("active").empty());
  PassSamples(1);
  std::vector<pb::Alert> active = Alerts("active");
  ASSERT_EQ(active.size(), 1u);
  EXPECT_EQ(active[0].rule(), "shard_failed");
  EXPECT_EQ(active[0].source(), "collection docs of user-1, shard 1");
  EXPECT_EQ(active[0].level(), "critical");
  EXPECT_EQ(Health().overall_status(), "critical");
  Reopen();
  active = Alerts("active");
  ASSERT_EQ(active.size(), 1u);
  pb::ResolveAlertRequest resolve;
  resolve.set_id(active[0].id());
  const auto resolved = Ask<pb::ResolveAlertResponse>("ResolveAlert", resolve);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->alert_id(), active[0].id());
  EXPECT_TRUE(Alerts("active").empty());
  EXPECT_EQ(Alerts("resolved").at(0).resolved_by(), "operator");
  PassSamples(5);
  EXPECT_TRUE(Alerts("active").empty());
  resolve.set_id("none");
  EXPECT_TRUE(absl::IsNotFound(Ask<pb::ResolveAlertResponse>("ResolveAlert", resolve).status()));
}

TEST_F(ManagementTest, ReplicasThatDifferAreToldAtOnceUntilTheyAgree) {
  const std::shared_ptr<const rpc::CollectionRecord> well =
      placement_.FindCollection("user-1", "docs");
  auto differing = std::make_shared<rpc::CollectionRecord>(*well);
  differing->shards[1].differs = true;
  placement_.Put(differing);
  PassSamples(1);
  Reopen();  // it is in the book
  const std::vector<pb::Alert> active = Alerts("active");
  ASSERT_EQ(active.size(), 1u);
  EXPECT_EQ(active[0].rule(), "replicas_differ");
  EXPECT_EQ(active[0].level(), "critical");
  EXPECT_EQ(active[0].source(), "collection docs of user-1, shard 1");
  placement_.Put(well);
  PassSamples(3);
  EXPECT_TRUE(Alerts("active").empty());
}

TEST_F(ManagementTest, ADeadWorkerAndASilentServiceAreTold) {
  operations_.workers[0].healthy = false;
  worker_.failing[GroupId{1}] = worker_.failing[GroupId{2}] = absl::UnavailableError("gone");
  auth_ = ServiceState::kDown;
  PassSamples(3);
  std::map<std::string, int> rules;
  for (const pb::Alert& alert : Alerts("active")) ++rules[alert.rule()];
  EXPECT_EQ(rules, (std::map<std::string, int>{
                       {"worker_down", 1}, {"service_down", 1}, {"shard_no_leader", 2}}));
  const pb::SystemHealth health = Health();
  EXPECT_EQ(health.services(3).status(), "down");
  EXPECT_EQ(health.services(3).error(), "no answer");
}

TEST_F(ManagementTest, AServiceOfNoneIsNotToldAndOneThatDiesIsWithItsLastSuccess) {
  EXPECT_EQ(Health().services_size(), 4);
  reranker_ = ServiceProbe::Result{.state = ServiceState::kUp, .endpoint = "reranker:50051"};
  PassSamples(1);
  const pb::ServiceHealth up = Health().services(4);
  EXPECT_EQ(up.endpoint(), "reranker:50051");
  EXPECT_EQ(up.status(), "up");
  EXPECT_EQ(up.last_success(), up.last_check());
  reranker_->state = ServiceState::kDown;
  PassSamples(3);
  const pb::SystemHealth health = Health();
  const pb::ServiceHealth& down = health.services(4);
  EXPECT_EQ(down.status(), "down");
  EXPECT_GT(down.last_check(), up.last_check());
  EXPECT_EQ(down.last_success(), up.last_success());
  EXPECT_EQ(health.overall_status(), "degraded") << "searches go on without it";
  EXPECT_EQ(Alerts("active").at(0).level(), "warning");
}

TEST_F(ManagementTest, CountsConnectionsOfBothProtocols) {
  load_ = {.http_connections = 3, .grpc_connections = 2};
  const auto report = *Ask<pb::GatewayStatsReport>("GetGatewayStats", pb::GetGatewayStatsRequest());
  EXPECT_EQ(report.stats().active_connections(), 5);
  EXPECT_EQ(report.stats().http_connections(), 3);
  EXPECT_EQ(report.stats().grpc_connections(), 2);
}

TEST(ManagementReport, TellsTheMovesOfACollection) {
  ClusterView view;
  CollectionView& collection = view.collections.emplace_back();
  collection.record = std::make_shared<rpc::CollectionRecord>();
  ShardView& shard = collection.shards.emplace_back();
  shard.placement.ordinal = ShardOrdinal{3};
  shard.placement.moves = {{.from = WorkerId{1},
                            .to = WorkerId{2},
                            .reason = "drain",
                            .stage = rpc::ReplicaMove::Stage::kRemoving,
                            .since_unix_ms = 5'000}};
  pb::ListCollectionsResponse response;
  CollectionsToProto(view, response);
  ASSERT_EQ(response.collections(0).moves_size(), 1);
  std::string json;
  rpc::MessageToJson(response.collections(0).moves(0), json);
  EXPECT_EQ(json,
            R"({"shard_id":3,"from_worker":"worker-1","to_worker":"worker-2","reason":"drain",)"
            R"("stage":"removing","since":5000})");
}

TEST_F(ManagementTest, ChartsKeepWhatHappenedInEachInterval) {
  for (int i = 0; i < 50; ++i) Call(2, absl::StatusCode::kOk);
  Call(100, absl::StatusCode::kInternal);
  load_.received_bytes = 10'000;
  PassSamples(2);
  Reopen();
  PassSamples(1);
  pb::GetTimeSeriesRequest request;
  request.set_window_seconds(600);
  const auto series = *Ask<pb::GetTimeSeriesResponse>("GetTimeSeries", request);
  ASSERT_EQ(series.points_size(), 3);
  EXPECT_EQ(series.step_seconds(), 10u);
  const pb::SeriesPoint& first = series.points(0);
  EXPECT_NEAR(first.requests_per_second(), 51 / 10.0, 0.1);
  EXPECT_NEAR(first.searches_per_second(), 51 / 10.0, 0.1);
  EXPECT_NEAR(first.errors_per_second(), 1 / 10.0, 0.01);
  EXPECT_NEAR(first.p50_ms(), 2, 0.3);
  EXPECT_NEAR(first.p99_ms(), 100, 13);
  EXPECT_NEAR(first.received_bytes_per_second(), 10'000 / 10.0, 1);
  EXPECT_EQ(first.collections(), 1);
  EXPECT_EQ(first.healthy_workers(), 1);
  EXPECT_EQ(first.disk_free_bytes(), 60);
  EXPECT_FALSE(series.points(1).has_p50_ms());
  EXPECT_EQ(series.points(1).requests_per_second(), 0);
  operations_.failure = absl::UnavailableError("no leader");
  PassSamples(1);
  const auto after = *Ask<pb::GetTimeSeriesResponse>("GetTimeSeries", request);
  EXPECT_FALSE(after.points(3).has_healthy_workers());
  request.set_window_seconds(8 * 24 * 3'600);
  EXPECT_TRUE(
      absl::IsInvalidArgument(Ask<pb::GetTimeSeriesResponse>("GetTimeSeries", request).status()));
}

TEST_F(ManagementTest, ChartsLeaveAGapWhereNobodyTellsOfAShard) {
  PassSamples(1);
  rpc::CollectionRecord record = *placement_.FindCollection("user-1", "docs");
  record.shards[1].replicas.clear();
  placement_.Put(std::make_shared<const rpc::CollectionRecord>(record));
  PassSamples(1);
  const auto series = *Ask<pb::GetTimeSeriesResponse>("GetTimeSeries", pb::GetTimeSeriesRequest());
  ASSERT_EQ(series.points_size(), 2);
  EXPECT_TRUE(series.points(0).has_vectors());
  EXPECT_FALSE(series.points(1).has_vectors()) << "what is known of the others is not the sum";
  EXPECT_EQ(series.points(1).collections(), 1);
}

TEST_F(ManagementTest, SlowAndFailingCallsRaiseAlerts) {
  for (int i = 0; i < 40; ++i) Call(1'500, absl::StatusCode::kUnavailable);
  PassSamples(1);
  std::map<std::string, std::string> levels;
  for (const pb::Alert& alert : Alerts("active")) levels[alert.rule()] = alert.level();
  EXPECT_EQ(levels, (std::map<std::string, std::string>{{"error_rate", "critical"},
                                                        {"latency", "warning"}}));
  PassSamples(20);
  EXPECT_TRUE(Alerts("active").empty());
  EXPECT_EQ(Alerts("").size(), 2u);
}

TEST_F(ManagementTest, StatsTellWhatWasServed) {
  for (int i = 0; i < 3; ++i) Call(10, absl::StatusCode::kOk);
  Call(10, absl::StatusCode::kNotFound);
  PassSamples(1);
  const auto report = *Ask<pb::GatewayStatsReport>("GetGatewayStats", pb::GetGatewayStatsRequest());
  EXPECT_EQ(report.stats().total_requests(), 4);
  EXPECT_EQ(report.stats().error_rate(), 25);
  EXPECT_EQ(report.stats().server_error_rate(), 0);
  EXPECT_NEAR(report.stats().average_response_time(), 10, 1e-6);
  EXPECT_NEAR(report.stats().requests_per_second(), 4 / 10.04, 0.01);
  EXPECT_NEAR(report.stats().uptime(), 10.04, 0.01);
  EXPECT_FALSE(report.stats().rate_limit().enabled());
  EXPECT_GT(report.stats().process().memory_bytes(), 0);
  EXPECT_EQ(report.stats().version(), "1.2.3");
  EXPECT_EQ(report.stats().endpoints_size(), report.endpoints_size());
  bool found = false;
  for (const pb::EndpointStats& endpoint : report.endpoints()) {
    if (endpoint.rpc() != "vectron.v1.VectronService.Search") continue;
    found = true;
    EXPECT_EQ(endpoint.path(), "/v1/collections/{collection}/points/search");
    EXPECT_EQ(endpoint.method(), "POST");
    EXPECT_EQ(endpoint.count(), 4);
    EXPECT_EQ(endpoint.error_count(), 1);
  }
  EXPECT_TRUE(found);
}

TEST_F(ManagementTest, WorkersAndCollectionsShowTheirShards) {
  worker_.failing[GroupId{2}] = absl::DataLossError("damaged");
  const auto workers = *Ask<pb::ListWorkersResponse>("ListWorkers", pb::ListWorkersRequest());
  ASSERT_EQ(workers.count(), 1u);
  const pb::Worker& worker = workers.workers(0);
  EXPECT_EQ(worker.worker_id(), "1");
  EXPECT_THAT(worker.collections(), ElementsAre("docs"));
  ASSERT_EQ(worker.stats().shard_info_size(), 2);
  EXPECT_EQ(worker.stats().shard_info(0).status(), "ready");
  EXPECT_EQ(worker.stats().shard_info(1).status(), "not_ready");
  EXPECT_TRUE(worker.stats().shard_info(0).is_leader());
  EXPECT_EQ(worker.stats().disk_usage(), 40);
  const auto collections =
      *Ask<pb::ListCollectionsResponse>("ListCollections", pb::ListCollectionsRequest());
  ASSERT_EQ(collections.count(), 1u);
  const pb::Collection& collection = collections.collections(0);
  EXPECT_EQ(collection.name(), "docs");
  EXPECT_EQ(collection.owner(), "user-1");
  EXPECT_EQ(collection.status(), "unavailable");
  EXPECT_EQ(collection.shards(0).leader_id(), "worker-1");
  EXPECT_THAT(collection.shards(0).worker_ids(), ElementsAre("worker-1"));
  EXPECT_EQ(collection.shards(1).status(), "failed");
  operations_.failure = absl::UnavailableError("no leader");
  EXPECT_TRUE(absl::IsUnavailable(
      Ask<pb::ListWorkersResponse>("ListWorkers", pb::ListWorkersRequest()).status()));
}

TEST_F(ManagementTest, PassesOperatorsActionsOn) {
  pb::DrainWorkerRequest drain;
  drain.set_worker_id("worker-1");
  EXPECT_EQ(Ask<pb::DrainWorkerResponse>("DrainWorker", drain)->shards_left(), 4u);
  drain.set_worker_id("2");
  EXPECT_TRUE(absl::IsNotFound(Ask<pb::DrainWorkerResponse>("DrainWorker", drain).status()));
  drain.set_worker_id("two");
  EXPECT_TRUE(absl::IsInvalidArgument(Ask<pb::DrainWorkerResponse>("DrainWorker", drain).status()));
  pb::RemoveWorkerRequest remove;
  remove.set_worker_id("1");
  EXPECT_TRUE(
      absl::IsFailedPrecondition(Ask<pb::RemoveWorkerResponse>("RemoveWorker", remove).status()));
  pb::RebalanceRequest rebalance;
  rebalance.set_dry_run(true);
  const auto plan = *Ask<pb::RebalanceResponse>("Rebalance", rebalance);
  EXPECT_FALSE(plan.started());
  EXPECT_EQ(plan.moves(0).to_worker_id(), "2");
  rebalance.set_dry_run(false);
  EXPECT_TRUE(Ask<pb::RebalanceResponse>("Rebalance", rebalance)->started());
}

TEST_F(ManagementTest, DamagedFilesBeginAnew) {
  worker_.failing[GroupId{2}] = absl::DataLossError("damaged");
  PassSamples(3);
  Close();
  for (const char* name : {"alerts", "series-10s", "series-1m"}) {
    ASSERT_TRUE(files_->WriteAtomically(dir_ / "management/" + name, "nonsense").ok());
  }
  Reopen();
  EXPECT_TRUE(Alerts("").empty());
  PassSamples(1);
}

}  // namespace
}  // namespace vectron::gateway
