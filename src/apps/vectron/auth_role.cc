#include "apps/vectron/auth_role.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "apps/vectron/access_flags.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/ticker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/grpc_server.h"
#include "rpc/http_dispatcher.h"
#include "rpc/http_server.h"
#include "rpc/placement_client.h"
#include "rpc/rpc_registry.h"
#include "rpc/worker_directory.h"

namespace vectron {
namespace {

constexpr int64_t kStopGraceMs = 5'000;

// Members are made from first to last and go in the opposite order.
class AuthRole : public Role {
 public:
  explicit AuthRole(const AuthRoleOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~AuthRole() override { Stop(); }

  absl::Status Open() {
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.access.data_dir, *files_));
    if (!options_.placement.empty()) {
      placement_ = std::make_unique<rpc::PlacementClient>(
          options_.placement, ClusterChannel(options_.access.cluster_secret),
          rpc::PlacementClientDeps{.clock = &clock_, .timer = &timer_, .workers = &workers_});
    }
    AccessOptions access = options_.access;
    access.data_dir = folder_->path();
    ASSIGN_OR_RETURN(access_, Access::Open(std::move(access), {.files = files_.get(),
                                                               .resources = &resources_,
                                                               .clock = &clock_,
                                                               .metrics = &metrics_,
                                                               .placement = placement_.get()}));
    RETURN_IF_ERROR(access_->Install(registry_));
    RETURN_IF_ERROR(Listen());
    if (placement_ != nullptr) access_->PlacementReady();
    LogInfo("vectron {} auth serves HTTP on {} and gRPC on {}", Version(), http_->bound_address(),
            grpc_->bound_address());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"role":"auth","http":"{}","grpc":"{}","pid":{}}})",
                       http_->bound_address(), grpc_->bound_address(), ::getpid());
  }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    if (grpc_ != nullptr) grpc_->Stop(kStopGraceMs);
    if (http_ != nullptr) http_->Stop(kStopGraceMs);
    if (access_ != nullptr) access_->Stop();
    placement_.reset();
    access_.reset();
    LogInfo("stopped");
  }

 private:
  std::vector<std::string> Problems() const {
    const absl::Status health = access_->Health();
    if (health.ok()) return {};
    return {std::string(MessageOf(health))};
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(dispatcher_.AddRpcs());
    RETURN_IF_ERROR(
        AddPlainRoutes([this] { return Problems(); }, metrics_, registry_, nullptr, dispatcher_));
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

  const AuthRoleOptions options_;
  const size_t threads_;
  bool stopped_ = false;

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;
  ThreadTimer timer_{clock_};
  rpc::WorkerDirectory workers_{ClusterChannel(options_.access.cluster_secret), clock_};
  std::unique_ptr<rpc::PlacementClient> placement_;
  std::unique_ptr<Access> access_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  rpc::HttpDispatcher dispatcher_{registry_};
  std::unique_ptr<rpc::HttpServer> http_;
  std::unique_ptr<rpc::GrpcServer> grpc_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartAuth(const AuthRoleOptions& options) {
  auto role = std::make_unique<AuthRole>(options);
  RETURN_IF_ERROR(role->Open());
  return std::unique_ptr<Role>(std::move(role));
}

// --- The subcommand ---

struct AuthCommand::Flags {
  CLI::App* command = nullptr;
  std::string data;
  std::string http = "127.0.0.1:8092";
  std::string grpc = "127.0.0.1:8091";
  std::string etcd;
  std::string placement;
  std::string secret_file;
  AccessFlags access;
  size_t threads = 0;
};

AuthCommand::AuthCommand(CLI::App& app) : flags_(std::make_unique<Flags>()) {
  CLI::App& command = *app.add_subcommand("auth", "Keeps users, sessions and API keys.");
  Flags& flags = *flags_;
  flags.command = &command;
  command
      .add_option("--data", flags.data,
                  "Folder of its secret, its audit log and, without --etcd, its records")
      ->required();
  command.add_option("--http", flags.http, "HOST:PORT of HTTP; port 0 picks a free one")
      ->capture_default_str();
  command.add_option("--grpc", flags.grpc, "HOST:PORT of gRPC; port 0 picks a free one")
      ->capture_default_str();
  command.add_option("--etcd", flags.etcd,
                     "HOST:PORT of each etcd node, numeric, separated by commas; several instances "
                     "of this service may share one etcd");
  command.add_option("--auth-secret-file", flags.secret_file,
                     "The service's secret, the same for all instances; by default made in --data");
  command.add_option("--placement", flags.placement,
                     "HOST:PORT of every placement node, to delete the collections of users");
  command.add_option("--threads", flags.threads, "Threads for requests; 0: one per processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddAccessFlags(command, flags.access);
  command.get_option("--cluster-secret-file")->required();
  AddTlsFlags(command, flags.access.tls);
}
AuthCommand::~AuthCommand() = default;

bool AuthCommand::chosen() const { return flags_->command->parsed(); }

absl::StatusOr<std::function<absl::StatusOr<std::unique_ptr<Role>>()>> AuthCommand::Check() const {
  AuthRoleOptions options;
  ASSIGN_OR_RETURN(options.http, ParseHostPort(flags_->http));
  ASSIGN_OR_RETURN(options.grpc, ParseHostPort(flags_->grpc));
  ASSIGN_OR_RETURN(options.access, ToAccessOptions(flags_->access, flags_->data));
  options.access.secret_file = flags_->secret_file;
  options.tls = flags_->access.tls;
  options.threads = flags_->threads;
  if (!flags_->etcd.empty()) {
    ASSIGN_OR_RETURN(options.access.etcd, SplitAddresses(flags_->etcd));
  }
  if (!flags_->placement.empty()) {
    ASSIGN_OR_RETURN(options.placement, SplitAddresses(flags_->placement));
  }
  return [options] { return StartAuth(options); };
}

}  // namespace vectron
