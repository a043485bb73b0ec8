#include "apps/vectron/dev.h"

#include <unistd.h>

#include <atomic>
#include <utility>
#include <vector>

#include "apps/vectron/data_folder.h"
#include "apps/vectron/gateway_ports.h"
#include "apps/vectron/local_operations.h"
#include "apps/vectron/local_ranking.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/ticker.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/http_dispatcher.h"
#include "rpc/rpc_registry.h"
#include "rpc/tenancy.h"
#include "services/gateway/gateway.h"
#include "services/gateway/ranking.h"
#include "services/placement/local_catalog.h"
#include "services/worker/worker.h"
#include "shard/local_log.h"
#include "storage/rocks_kv.h"

namespace vectron {
namespace {

// Requests under way get this long at a stop; the longest wait of a write without a deadline.
constexpr int64_t kStopGraceMillis = kDefaultWriteDeadlineMs;

// Members are made from first to last and go in the opposite order: what is below uses what is
// above.
class DevRole : public Role {
 public:
  explicit DevRole(const DevOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~DevRole() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    RETURN_IF_ERROR(OpenServices());
    RETURN_IF_ERROR(Listen());
    metrics_port_.Serve([this] { return NodeProblems(); });
    worker_->OpenShards(catalog_->Assignments(), search_);
    opened_ = true;
    const absl::Status reconciled = catalog_->Reconcile();
    if (!reconciled.ok()) {  // what is left costs disk, nothing else; the next change or start
                             // tries again
      LogWarning("leftovers of deleted collections stay for now: {}", MessageOf(reconciled));
    }
    ticker_ = std::make_unique<Ticker>([this] { worker_->Tick(); });
    if (access_ != nullptr) access_->PlacementReady();
    operators_->Start(*ports_);
    ranking_->Start();
    LogInfo("vectron {} serves HTTP on {} and gRPC on {}, data in {}", Version(),
            ports_->http_address(), ports_->grpc_address(), folder_->path());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"http":"{}","grpc":"{}"{},"pid":{}}})",
                       ports_->http_address(), ports_->grpc_address(), metrics_port_.ReadyField(),
                       ::getpid());
  }

  void Reload(const LiveSettings& settings) override {
    if (access_ != nullptr) access_->SetLimits(settings.limits);
    operators_->SetThresholds(settings.slow_query_ms, settings.thresholds);
  }

  void Stop() override {
    if (stopped_) return;
    stopped_ = true;
    const bool served = ticker_ != nullptr;
    metrics_port_.Leave();
    if (served) LogInfo("stopping: requests under way may finish, then all shards are flushed");
    if (ports_ != nullptr) ports_->Stop(kStopGraceMillis);
    if (ranking_ != nullptr) ranking_->ranking()->Stop();  // late answers begin no search
    read_.Drain();
    search_.Drain();  // what callers that are gone have left
    ticker_.reset();
    if (access_ != nullptr) access_->Stop();
    if (operators_ != nullptr) operators_->Stop();
    shard_metrics_ = {};
    if (ranking_ != nullptr) ranking_->Stop();
    search_.Drain();   // what an answer on its way at the first Stop has still begun
    ranking_.reset();  // its searches have ended with the servers
    gateway_.reset();
    operators_.reset();
    catalog_.reset();
    access_.reset();
    worker_.reset();  // flushes and closes every shard
    log_.reset();
    if (served) LogInfo("stopped");
  }

 private:
  absl::Status OpenServices() {
    ASSIGN_OR_RETURN(log_,
                     shard::LocalLog::Open(folder_->path() + "/log", {.files = files_.get(),
                                                                      .resources = &resources_,
                                                                      .apply_executor = &apply_,
                                                                      .on_fatal = {}}));
    shards_ = worker::MakeLocalShards({.shard = {.files = files_.get(),
                                                 .clock = &clock_,
                                                 .read_executor = &read_,
                                                 .background_executor = &background_,
                                                 .resources = &resources_,
                                                 .timer = &timer_},
                                       .log = log_.get()});
    ASSIGN_OR_RETURN(worker_, worker::Worker::Make(folder_->path(),
                                                   {.files = files_.get(),
                                                    .clock = &clock_,
                                                    .shards = shards_.get(),
                                                    .search_executor = &search_,
                                                    .max_open_files = options_.max_open_files}));
    ASSIGN_OR_RETURN(catalog_, placement::LocalCatalog::Open(folder_->path() + "/catalog",
                                                             {.files = files_.get(),
                                                              .clock = &clock_,
                                                              .host = worker_.get(),
                                                              .executor = &control_}));
    RETURN_IF_ERROR(MakeOperators());
    LocalRankingOptions ranking = options_.ranking;
    ranking.data_dir = folder_->path();
    ASSIGN_OR_RETURN(ranking_, LocalRanking::Open(ranking, {.files = files_.get(),
                                                            .clock = &clock_,
                                                            .timer = &timer_,
                                                            .metrics = &metrics_,
                                                            .placement = catalog_.get(),
                                                            .seed = SeedFromSystem()}));
    gateway_ = std::make_unique<gateway::Gateway>(
        gateway::GatewayDeps{.placement = catalog_.get(),
                             .worker_of = [this](WorkerId) { return worker_.get(); },
                             .clock = &clock_,
                             .timer = &timer_,
                             .seed = SeedFromSystem(),
                             .slow_queries = operators_->slow_queries(),
                             .ranking = ranking_->ranking()});
    RETURN_IF_ERROR(gateway_->Register(registry_));
    ranking_->Install(registry_);
    if (options_.auth) {
      AccessOptions access = options_.access;
      access.data_dir = folder_->path();
      ASSIGN_OR_RETURN(access_, Access::Open(std::move(access), {.files = files_.get(),
                                                                 .resources = &resources_,
                                                                 .clock = &clock_,
                                                                 .metrics = &metrics_,
                                                                 .placement = catalog_.get()}));
    }
    shard_metrics_ = metrics_.AddSource([this](std::vector<MetricSample>& samples) {
      std::vector<MetricSample> own = ShardSamples(worker_->Report());
      std::move(own.begin(), own.end(), std::back_inserter(samples));
      AddStoreFigures(resources_, samples);
    });
    return absl::OkStatus();
  }

  absl::Status MakeOperators() {
    operations_ =
        std::make_unique<LocalOperations>(LocalOperations::Deps{.worker = worker_.get(),
                                                                .clock = &clock_,
                                                                .files = files_.get(),
                                                                .data_dir = folder_->path()});
    OperatorDeps deps;
    deps.sources = {.placement = catalog_.get(),
                    .operations = operations_.get(),
                    .worker_of = [this](WorkerId) { return worker_.get(); },
                    .clock = &clock_,
                    .placement_endpoint = "in-process"};
    deps.files = files_.get();
    deps.timer = &timer_;
    deps.metrics = &metrics_;
    deps.dir = folder_->path() + "/management";
    if (options_.auth) AddAccess([this]() -> Access& { return *access_; }, "in-process", deps);
    ASSIGN_OR_RETURN(operators_, Operators::Make(options_.operators, std::move(deps)));
    return absl::OkStatus();
  }

  // For those who watch this node.
  std::vector<std::string> NodeProblems() const {
    std::vector<std::string> problems = Problems(worker_->Report());
    if (!opened_) problems.emplace_back("it is starting");
    const absl::Status health = access_ == nullptr ? absl::OkStatus() : access_->Health();
    if (!health.ok()) problems.emplace_back(MessageOf(health));
    return problems;
  }
  // What everyone may read: with credentials on, not the names of others' collections.
  std::vector<std::string> PublicProblems() const {
    if (access_ == nullptr) return NodeProblems();
    std::vector<std::string> problems;
    const size_t silent = Problems(worker_->Report()).size();
    if (silent > 0) problems.push_back(fmt::format("{} shards do not serve", silent));
    if (!opened_) problems.emplace_back("it is starting");
    const absl::Status health = access_->Health();
    if (!health.ok()) problems.emplace_back(MessageOf(health));
    return problems;
  }

  absl::Status Listen() {
    if (access_ != nullptr) RETURN_IF_ERROR(access_->Install(registry_));
    registry_.SetCollectionGuard(rpc::TenancyGuard(*catalog_));
    dispatcher_.RunLargeOn(search_);
    ASSIGN_OR_RETURN(ports_, OpenGatewayPorts({.http = options_.http,
                                               .grpc = options_.grpc,
                                               .tls = options_.tls,
                                               .web = options_.web,
                                               .io_threads = threads_},
                                              {.registry = &registry_,
                                               .dispatcher = &dispatcher_,
                                               .operators = operators_.get(),
                                               .problems = [this] { return PublicProblems(); },
                                               .clock = &clock_,
                                               .metrics = &metrics_}));
    return absl::OkStatus();
  }

  const DevOptions options_;
  const size_t threads_;
  bool stopped_ = false;
  std::atomic<bool> opened_{false};  // all shards, or found damaged

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;
  ThreadPool apply_{"apply", threads_};
  ThreadPool background_{"build", threads_};
  ThreadPool search_{"search", threads_};
  ThreadPool read_{"read", threads_};  // hands long searches to search_
  ThreadPool control_{"control", 1};   // changes of the catalog
  ThreadTimer timer_{clock_};
  std::unique_ptr<shard::LocalLog> log_;
  std::unique_ptr<worker::ShardSource> shards_;
  std::unique_ptr<worker::Worker> worker_;
  std::unique_ptr<placement::LocalCatalog> catalog_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<LocalOperations> operations_;
  std::unique_ptr<Operators> operators_;
  std::unique_ptr<LocalRanking> ranking_;
  std::unique_ptr<gateway::Gateway> gateway_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  Metrics::Source shard_metrics_;
  rpc::HttpDispatcher dispatcher_{registry_};
  std::unique_ptr<ClientPorts> ports_;
  std::unique_ptr<Ticker> ticker_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartDev(const DevOptions& options) {
  return OpenRole<DevRole>(options);
}

}  // namespace vectron
