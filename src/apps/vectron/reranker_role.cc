#include "apps/vectron/reranker_role.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "apps/vectron/access_flags.h"
#include "apps/vectron/cluster_port.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/local_reranker.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/ranking_flags.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/placement_caller.h"
#include "rpc/rpc_registry.h"
#include "services/reranker/registration.h"

namespace vectron {
namespace {

constexpr int64_t kStopGraceMs = 5'000;

// Members are made from first to last and go in the opposite order.
class RerankerRole : public Role {
 public:
  explicit RerankerRole(const RerankerRoleOptions& options) : options_(options) {}
  ~RerankerRole() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    ASSIGN_OR_RETURN(
        reranker_,
        LocalReranker::Open(
            {.config_path = options_.config_path, .model_dir = folder_->path() + "/ranking"},
            {.files = files_.get(), .clock = &clock_, .metrics = &metrics_}));
    RETURN_IF_ERROR(reranker_->reranker().Register(registry_));
    ASSIGN_OR_RETURN(grpc_, ClusterPort::Start({.address = options_.grpc,
                                                .cluster = options_.cluster,
                                                .audit_dir = folder_->path() + "/audit"},
                                               {.registry = &registry_,
                                                .files = files_.get(),
                                                .clock = &clock_,
                                                .metrics = &metrics_}));
    placement_ = std::make_unique<rpc::PlacementCaller>(
        options_.placement, rpc::ClusterChannel(options_.cluster), clock_, timer_);
    registration_ = std::make_unique<reranker::Registration>(
        options_.advertise.empty() ? grpc_->bound_address() : options_.advertise,
        reranker_->reranker().Strategies(), *placement_, clock_, timer_);
    metrics_port_.Serve([] { return std::vector<std::string>(); });
    LogInfo("vectron {} reranker serves gRPC on {}", Version(), grpc_->bound_address());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"role":"reranker","grpc":"{}"{},"pid":{}}})",
                       grpc_->bound_address(), metrics_port_.ReadyField(), ::getpid());
  }

  void Reload(const LiveSettings& /*settings*/) override {}  // of these it has none

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    metrics_port_.Leave();
    registration_.reset();
    placement_.reset();
    if (grpc_ != nullptr) grpc_->Stop(kStopGraceMs);
    reranker_.reset();  // ends what is under way, and saves what was learned
    LogInfo("stopped");
  }

 private:
  const RerankerRoleOptions options_;
  bool stopped_ = false;

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  ThreadTimer timer_{clock_};
  std::unique_ptr<LocalReranker> reranker_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  std::unique_ptr<ClusterPort> grpc_;
  std::unique_ptr<rpc::PlacementCaller> placement_;
  std::unique_ptr<reranker::Registration> registration_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartReranker(const RerankerRoleOptions& options) {
  return OpenRole<RerankerRole>(options);
}

struct RerankerCommand::Flags {
  CLI::App* command = nullptr;
  RerankerRoleOptions options;
  std::string grpc = "127.0.0.1:50051";
  std::string placement;
  ClusterFlags cluster;
  MetricsFlags metrics;
};

RerankerCommand::RerankerCommand(CLI::App& app) : flags_(std::make_unique<Flags>()) {
  Flags& flags = *flags_;
  flags.command =
      app.add_subcommand("reranker", "Orders results by what words, age and feedback say.");
  CLI::App& command = *flags.command;
  command
      .add_option("--data", flags.options.data_dir, "Folder of what was learned; made when missing")
      ->required();
  command.add_option("--grpc", flags.grpc, "HOST:PORT for gateways; port 0 picks a free one")
      ->capture_default_str();
  command.add_option("--advertise-grpc", flags.options.advertise,
                     "HOST:PORT by which gateways reach it, when that is another than --grpc");
  AddRankingConfigFlag(command, flags.options.config_path);
  command
      .add_option("--placement", flags.placement,
                  "HOST:PORT of every placement node, separated by commas")
      ->required();
  AddClusterSecretFlag(command, flags.cluster);
  AddClusterTlsFlags(command, flags.cluster);
  AddMetricsFlags(command, flags.metrics);
}
RerankerCommand::~RerankerCommand() = default;

bool RerankerCommand::chosen() const { return flags_->command->parsed(); }

absl::StatusOr<RoleStarter> RerankerCommand::Check() const {
  RerankerRoleOptions options = flags_->options;
  ASSIGN_OR_RETURN(options.grpc, ParseHostPort(flags_->grpc));
  ASSIGN_OR_RETURN(options.placement, SplitAddresses(flags_->placement));
  ASSIGN_OR_RETURN(options.cluster, ToClusterCredentials(flags_->cluster));
  ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(flags_->metrics));
  return RoleStarter([options] { return StartReranker(options); });
}

}  // namespace vectron
