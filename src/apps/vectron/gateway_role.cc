// `vectron gateway`: the clients' side of a cluster.

#include <unistd.h>

#include <utility>

#include "absl/time/time.h"
#include "apps/vectron/access.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/local_ranking.h"
#include "apps/vectron/operators.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/role.h"
#include "apps/vectron/ticker.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/grpc_server.h"
#include "rpc/http_dispatcher.h"
#include "rpc/http_server.h"
#include "rpc/placement_client.h"
#include "rpc/placement_operations.h"
#include "rpc/reranker_client.h"
#include "rpc/rpc_registry.h"
#include "rpc/worker_directory.h"
#include "services/gateway/gateway.h"

namespace vectron {
namespace {

constexpr int64_t kStopGraceMs = kDefaultWriteDeadlineMs;

// Members are made from first to last and go in the opposite order.
class GatewayRole : public Role {
 public:
  explicit GatewayRole(const GatewayRoleOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~GatewayRole() override { Stop(); }

  absl::Status Open() {
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    placement_ = std::make_unique<rpc::PlacementClient>(
        options_.placement, ClusterChannel(options_.cluster_secret),
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
                             .slow_queries = operators_->slow_queries(),
                             .ranking = ranking_->ranking()});
    RETURN_IF_ERROR(gateway_->Register(registry_));
    ranking_->Install(registry_);
    if (!placement_->WaitForMap(absl::ZeroDuration()).ok()) {
      LogInfo("waiting for the map of the cluster");
      RETURN_IF_ERROR(placement_->WaitForMap(absl::InfiniteDuration()));
    }
    if (options_.auth) {
      AccessOptions access = options_.access;
      access.data_dir = folder_->path();
      ASSIGN_OR_RETURN(access_, Access::Open(std::move(access), {.files = files_.get(),
                                                                 .resources = &resources_,
                                                                 .clock = &clock_,
                                                                 .metrics = &metrics_,
                                                                 .placement = placement_.get()}));
      access_->PlacementReady();
    }
    RETURN_IF_ERROR(Listen());
    operators_->Start(*http_);
    ranking_->Start();
    LogInfo("vectron {} gateway serves HTTP on {} and gRPC on {}", Version(),
            http_->bound_address(), grpc_->bound_address());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"role":"gateway","http":"{}","grpc":"{}","pid":{}}})",
                       http_->bound_address(), grpc_->bound_address(), ::getpid());
  }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    if (grpc_ != nullptr) grpc_->Stop(kStopGraceMs);
    if (http_ != nullptr) http_->Stop(kStopGraceMs);
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
    reranker_ = std::make_unique<rpc::FoundReranker>(
        placement_->caller(), ClusterChannel(options_.cluster_secret), clock_, timer_);
    ASSIGN_OR_RETURN(ranking_, LocalRanking::Open({.data_dir = folder_->path(), .config_path = {}},
                                                  {.files = files_.get(),
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
    if (options_.auth) {
      // Access is opened later, and before it is asked for.
      deps.rate_limits = [this] {
        const rpc::RateLimiter& limiter = access_->limiter();
        const double rps = limiter.limits().free_per_second;
        return gateway::RateLimitState{
            .enabled = rps > 0, .requests_per_second = rps, .active_users = limiter.active_users()};
      };
    }
    ASSIGN_OR_RETURN(operators_, Operators::Make(options_.operators, std::move(deps)));
    return absl::OkStatus();
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(operators_->Register(registry_));
    if (access_ != nullptr) RETURN_IF_ERROR(access_->Install(registry_));
    RETURN_IF_ERROR(dispatcher_.AddRpcs(kPlainServices));
    operators_->AddConsole(dispatcher_);
    dispatcher_.SetBodyLimit("vectron.v1.VectronService.Upsert", kMaxHttpBodyBytes);
    RETURN_IF_ERROR(AddPlainRoutes([] { return std::vector<std::string>(); }, metrics_, registry_,
                                   operators_->console(), dispatcher_));
    rpc::HttpServerOptions http;
    http.address = options_.http.host;
    http.port = options_.http.port;
    http.io_threads = threads_;
    http.tls = options_.tls;
    http.body_limit = [this](const rpc::HttpRequest& head) { return dispatcher_.BodyLimit(head); };
    ASSIGN_OR_RETURN(http_, rpc::HttpServer::Start(
                                std::move(http),
                                [this](rpc::HttpRequest request, rpc::HttpResponder responder) {
                                  dispatcher_.Handle(std::move(request), std::move(responder));
                                },
                                clock_, metrics_));
    rpc::GrpcServerOptions grpc;
    grpc.address = Printable(options_.grpc);
    grpc.tls = options_.tls;
    ASSIGN_OR_RETURN(grpc_, rpc::GrpcServer::Start(std::move(grpc), registry_));
    return absl::OkStatus();
  }

  const GatewayRoleOptions options_;
  const size_t threads_;
  bool stopped_ = false;

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;  // of users' records, which live elsewhere
  ThreadTimer timer_{clock_};
  rpc::WorkerDirectory workers_{ClusterChannel(options_.cluster_secret), clock_};
  std::unique_ptr<rpc::PlacementClient> placement_;
  std::unique_ptr<rpc::PlacementOperations> operations_;
  std::unique_ptr<Operators> operators_;
  std::unique_ptr<Access> access_;
  std::unique_ptr<rpc::FoundReranker> reranker_;
  std::unique_ptr<LocalRanking> ranking_;
  std::unique_ptr<gateway::Gateway> gateway_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  rpc::HttpDispatcher dispatcher_{registry_};
  std::unique_ptr<rpc::HttpServer> http_;
  std::unique_ptr<rpc::GrpcServer> grpc_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartGateway(const GatewayRoleOptions& options) {
  auto role = std::make_unique<GatewayRole>(options);
  RETURN_IF_ERROR(role->Open());
  return std::unique_ptr<Role>(std::move(role));
}

}  // namespace vectron
