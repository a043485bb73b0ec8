// `vectron gateway`: the clients' side of a cluster.

#include <unistd.h>

#include <atomic>
#include <utility>

#include "absl/time/time.h"
#include "apps/vectron/access.h"
#include "apps/vectron/auth_watch.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/gateway_ports.h"
#include "apps/vectron/local_ranking.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/operators.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/role.h"
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
#include "rpc/placement_client.h"
#include "rpc/placement_operations.h"
#include "rpc/reranker_client.h"
#include "rpc/rpc_registry.h"
#include "rpc/tenancy.h"
#include "rpc/worker_directory.h"
#include "services/gateway/gateway.h"

namespace vectron {
namespace {

constexpr int64_t kStopGraceMs = kDefaultWriteDeadlineMs;
constexpr char kListCollections[] = "vectron.management.v1.ManagementService.ListCollections";

// Whether a call would be told, without a map, that there are no collections.
bool NeedsMap(const rpc::CallContext& context) {
  if (context.method == nullptr) return false;
  const std::string& name = context.method->name();
  return name.starts_with("vectron.v1.") || name == kListCollections;
}

// Members are made from first to last and go in the opposite order.
class GatewayRole : public Role {
 public:
  explicit GatewayRole(const GatewayRoleOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~GatewayRole() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    placement_ = std::make_unique<rpc::PlacementClient>(
        options_.placement, channel_,
        rpc::PlacementClientDeps{.clock = &clock_, .timer = &timer_, .workers = &workers_});
    RETURN_IF_ERROR(MakeOperators());
    RETURN_IF_ERROR(MakeRanking());
    gateway_ = std::make_unique<gateway::Gateway>(
        gateway::GatewayDeps{.placement = placement_.get(),
                             .worker_of = [this](WorkerId worker) { return workers_.Find(worker); },
                             .clock = &clock_,
                             .timer = &timer_,
                             .seed = SeedFromSystem(),
                             .patience_ms = kDefaultWriteDeadlineMs,
                             .default_shard_count = 0,
                             .default_replication_factor = 0,
                             .hedge = options_.hedge,
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
                                                                 .placement = placement_.get()}));
      access_->PlacementReady();
      auth_watch_ = std::make_unique<AuthWatch>(
          [this](auto done) { access_->CheckService(std::move(done)); }, clock_);
      auth_watch_->Tick();
      ticker_ = std::make_unique<Ticker>([this] { auth_watch_->Tick(); });
    }
    RETURN_IF_ERROR(Listen());
    metrics_port_.Serve([this] { return Problems(); });
    RETURN_IF_ERROR(WaitForMap());
    operators_->Start(*ports_);
    ranking_->Start();
    LogInfo("vectron {} gateway serves HTTP on {} and gRPC on {}", Version(),
            ports_->http_address(), ports_->grpc_address());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"role":"gateway","http":"{}","grpc":"{}"{},"pid":{}}})",
                       ports_->http_address(), ports_->grpc_address(), metrics_port_.ReadyField(),
                       ::getpid());
  }

  void Reload(const LiveSettings& settings) override {
    if (access_ != nullptr) access_->SetLimits(settings.limits);
    operators_->SetThresholds(settings.slow_query_ms, settings.thresholds);
  }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    metrics_port_.Leave();
    if (ports_ != nullptr) ports_->Stop(kStopGraceMs);
    ticker_.reset();
    auth_watch_.reset();
    large_.Drain();  // what callers that are gone have left
    if (operators_ != nullptr) operators_->Stop();
    if (access_ != nullptr) access_->Stop();
    if (ranking_ != nullptr) ranking_->Stop();
    reranker_.reset();  // its calls answer through the gateway's ranking
    ranking_.reset();
    gateway_.reset();
    operators_.reset();
    access_.reset();
    operations_.reset();
    placement_.reset();
    LogInfo("stopped");
  }

 private:
  absl::Status MakeRanking() {
    reranker_ =
        std::make_unique<rpc::FoundReranker>(placement_->caller(), channel_, clock_, timer_);
    LocalRankingOptions ranking = options_.ranking;
    ranking.data_dir = folder_->path();
    ASSIGN_OR_RETURN(ranking_, LocalRanking::Open(ranking, {.files = files_.get(),
                                                            .clock = &clock_,
                                                            .timer = &timer_,
                                                            .metrics = &metrics_,
                                                            .placement = placement_.get(),
                                                            .reranker = reranker_.get(),
                                                            .seed = SeedFromSystem()}));
    return absl::OkStatus();
  }

  absl::Status MakeOperators() {
    operations_ = std::make_unique<rpc::PlacementOperations>(placement_->caller(), clock_);
    OperatorDeps deps;
    deps.sources = {.placement = placement_.get(),
                    .operations = operations_.get(),
                    .worker_of = [this](WorkerId worker) { return workers_.Find(worker); },
                    .clock = &clock_,
                    .placement_endpoint = options_.placement.front()};
    deps.files = files_.get();
    deps.timer = &timer_;
    deps.metrics = &metrics_;
    deps.dir = folder_->path() + "/management";
    // Both are opened later, and before they are asked for.
    if (options_.auth) {
      AddAccess([this]() -> Access& { return *access_; }, options_.access.auth_address, deps);
    }
    deps.probes.push_back({.name = "reranker",
                           .endpoint = {},
                           .check = [this](const auto& done) { CheckReranker(done); },
                           .essential = false});
    ASSIGN_OR_RETURN(operators_, Operators::Make(options_.operators, std::move(deps)));
    return absl::OkStatus();
  }

  void CheckReranker(std::function<void(std::optional<gateway::ServiceProbe::Result>)> done) {
    reranker_->Check(
        [done = std::move(done)](const absl::Status& status, const std::string& address) {
          if (address.empty()) return done(std::nullopt);
          done(gateway::ServiceProbe::Result{
              .state = status.ok() ? gateway::ServiceState::kUp : gateway::ServiceState::kDown,
              .error = std::string(MessageOf(status)),
              .endpoint = address});
        });
  }

  absl::Status WaitForMap() {
    if (!placement_->WaitForMap(absl::ZeroDuration()).ok()) {
      LogInfo("waiting for the map of the cluster");
      RETURN_IF_ERROR(placement_->WaitForMap(absl::InfiniteDuration()));
    }
    has_map_ = true;
    return absl::OkStatus();
  }

  // Once it has a map a gateway serves by it, whatever becomes of placement.
  rpc::Middleware MapMiddleware() {
    return [this](rpc::CallContext& context, const rpc::RpcDone& next) {
      if (has_map_ || !NeedsMap(context)) return next(absl::OkStatus());
      next(Unavailable("this gateway waits for the map of the cluster: no placement node answers"));
    };
  }

  std::vector<std::string> Problems() const {
    std::vector<std::string> problems;
    if (!has_map_) problems.emplace_back("no placement node has given its map of the cluster yet");
    if (auth_watch_ == nullptr) return problems;
    std::string problem = auth_watch_->Problem();
    if (!problem.empty()) problems.push_back(std::move(problem));
    return problems;
  }

  absl::Status Listen() {
    if (access_ != nullptr) RETURN_IF_ERROR(access_->Install(registry_));
    registry_.SetCollectionGuard(rpc::TenancyGuard(*placement_));
    dispatcher_.RunLargeOn(large_);
    registry_.AddMiddleware(MapMiddleware());
    ASSIGN_OR_RETURN(ports_, OpenGatewayPorts({.http = options_.http,
                                               .grpc = options_.grpc,
                                               .tls = options_.tls,
                                               .web = options_.web,
                                               .io_threads = threads_},
                                              {.registry = &registry_,
                                               .dispatcher = &dispatcher_,
                                               .operators = operators_.get(),
                                               .problems = [this] { return Problems(); },
                                               .clock = &clock_,
                                               .metrics = &metrics_}));
    return absl::OkStatus();
  }

  const GatewayRoleOptions options_;
  const size_t threads_;
  bool stopped_ = false;
  std::atomic<bool> has_map_{false};

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;    // of users' records, which live elsewhere
  ThreadPool large_{"large", threads_};  // requests with large bodies
  ThreadTimer timer_{clock_};
  const rpc::ChannelOptions channel_ = rpc::ClusterChannel(options_.cluster);  // to all others
  rpc::WorkerDirectory workers_{channel_, clock_};
  std::unique_ptr<rpc::PlacementClient> placement_;
  std::unique_ptr<rpc::PlacementOperations> operations_;
  std::unique_ptr<Operators> operators_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<AuthWatch> auth_watch_;  // with access_
  std::unique_ptr<Ticker> ticker_;
  std::unique_ptr<rpc::FoundReranker> reranker_;
  std::unique_ptr<LocalRanking> ranking_;
  std::unique_ptr<gateway::Gateway> gateway_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  rpc::HttpDispatcher dispatcher_{registry_};
  std::unique_ptr<ClientPorts> ports_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartGateway(const GatewayRoleOptions& options) {
  return OpenRole<GatewayRole>(options);
}

}  // namespace vectron
