#include "apps/vectron/auth_role.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

#include "apps/vectron/access_flags.h"
#include "apps/vectron/client_ports.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/ticker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/timer.h"
#include "rpc/http_dispatcher.h"
#include "rpc/placement_client.h"
#include "rpc/rpc_registry.h"
#include "rpc/worker_directory.h"
#include "services/auth/etcd_meta_store.h"

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
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.access.data_dir, *files_));
    if (!options_.placement.empty()) {
      placement_ = std::make_unique<rpc::PlacementClient>(
          options_.placement, channel_,
          rpc::PlacementClientDeps{.clock = &clock_, .timer = &timer_, .workers = &workers_});
    }
    AccessOptions access = options_.access;
    access.data_dir = folder_->path();
    access.trust_certificates = access.cluster.tls.enabled();
    ASSIGN_OR_RETURN(access_, Access::Open(std::move(access), {.files = files_.get(),
                                                               .resources = &resources_,
                                                               .clock = &clock_,
                                                               .metrics = &metrics_,
                                                               .placement = placement_.get()}));
    RETURN_IF_ERROR(access_->Install(registry_));
    RETURN_IF_ERROR(Listen());
    if (placement_ != nullptr) access_->PlacementReady();
    metrics_port_.Serve([this] { return Problems(); });
    LogInfo("vectron {} auth serves HTTP on {} and gRPC on {}", Version(), ports_->http_address(),
            ports_->grpc_address());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(R"({{"ready":true,"role":"auth","http":"{}","grpc":"{}"{},"pid":{}}})",
                       ports_->http_address(), ports_->grpc_address(), metrics_port_.ReadyField(),
                       ::getpid());
  }

  void Reload(const LiveSettings& settings) override { access_->SetLimits(settings.limits); }

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    metrics_port_.Leave();
    if (ports_ != nullptr) ports_->Stop(kStopGraceMs);
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

  // Gateways come to the gRPC port, which shows them the cluster's certificate and asks for theirs;
  // users may come without one.
  rpc::TlsFiles GrpcTls() const {
    rpc::TlsFiles tls = options_.access.cluster.tls;
    if (!tls.enabled()) return options_.tls;
    tls.client_optional = true;
    return tls;
  }

  absl::Status Listen() {
    RETURN_IF_ERROR(dispatcher_.AddRpcs());
    RETURN_IF_ERROR(
        AddPlainRoutes([this] { return Problems(); }, metrics_, registry_, nullptr, dispatcher_));
    ASSIGN_OR_RETURN(ports_, ClientPorts::Start({.http = options_.http,
                                                 .grpc = options_.grpc,
                                                 .http_tls = options_.tls,
                                                 .grpc_tls = GrpcTls(),
                                                 .min_grpc_ping_interval_ms =
                                                     rpc::kMinPeerPingIntervalMs,  // of gateways
                                                 .web = options_.web,
                                                 .io_threads = threads_},
                                                {.dispatcher = &dispatcher_,
                                                 .registry = &registry_,
                                                 .clock = &clock_,
                                                 .metrics = &metrics_}));
    return absl::OkStatus();
  }

  const AuthRoleOptions options_;
  const size_t threads_;
  bool stopped_ = false;

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;
  ThreadTimer timer_{clock_};
  const rpc::ChannelOptions channel_ = rpc::ClusterChannel(options_.access.cluster);
  rpc::WorkerDirectory workers_{channel_, clock_};
  std::unique_ptr<rpc::PlacementClient> placement_;
  std::unique_ptr<Access> access_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  rpc::HttpDispatcher dispatcher_{registry_};
  std::unique_ptr<ClientPorts> ports_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartAuth(const AuthRoleOptions& options) {
  return OpenRole<AuthRole>(options);
}

// --- The subcommand ---

struct AuthCommand::Flags {
  CLI::App* command = nullptr;
  std::string data;
  std::string http = "127.0.0.1:8092";
  std::string grpc = "127.0.0.1:8091";
  std::string etcd;
  rpc::TlsFiles etcd_tls;
  std::string placement;
  std::string secret_file;
  AccessFlags access;
  MetricsFlags metrics;
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
                     "HOST:PORT of each etcd node, numeric and separated by commas, or one with a "
                     "name; several instances of this service may share one etcd");
  CLI::Option* const etcd_ca =
      command.add_option("--etcd-tls-ca", flags.etcd_tls.ca,
                         "CA (PEM) that signed the certificates of etcd: it is spoken to over TLS");
  CLI::Option* const etcd_certificate =
      command.add_option("--etcd-tls-cert", flags.etcd_tls.certificate,
                         "Certificate (PEM) shown to etcd, where it asks for one");
  CLI::Option* const etcd_key = command.add_option("--etcd-tls-key", flags.etcd_tls.key,
                                                   "Private key (PEM) of that certificate");
  etcd_certificate->needs(etcd_ca)->needs(etcd_key);
  etcd_key->needs(etcd_certificate);
  command.add_option("--auth-secret-file", flags.secret_file,
                     "The service's secret, the same for all instances; by default made in --data");
  command.add_option("--placement", flags.placement,
                     "HOST:PORT of every placement node, to delete the collections of users");
  command.add_option("--threads", flags.threads, "Threads for requests; 0: one per processor")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  AddAccessFlags(command, flags.access);
  AddTlsFlags(command, flags.access.tls);
  AddClusterTlsFlags(command, flags.access.cluster);
  AddMetricsFlags(command, flags.metrics);
}
AuthCommand::~AuthCommand() = default;

bool AuthCommand::chosen() const { return flags_->command->parsed(); }

absl::StatusOr<RoleStarter> AuthCommand::Check() const {
  AuthRoleOptions options;
  ASSIGN_OR_RETURN(options.http, ParseHostPort(flags_->http));
  ASSIGN_OR_RETURN(options.grpc, ParseHostPort(flags_->grpc));
  ASSIGN_OR_RETURN(options.access, ToAccessOptions(flags_->access, flags_->data));
  ASSIGN_OR_RETURN(options.access.cluster, ToClusterCredentials(flags_->access.cluster));
  options.access.secret_file = flags_->secret_file;
  options.access.etcd_tls = flags_->etcd_tls;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  for (const std::string& path : {options.access.etcd_tls.ca, options.access.etcd_tls.certificate,
                                  options.access.etcd_tls.key}) {
    if (!path.empty()) RETURN_IF_ERROR(files->ReadAll(path).status());
  }
  options.tls = flags_->access.tls;
  ASSIGN_OR_RETURN(options.web, ToWebRules(flags_->access, /*checks_credentials=*/true));
  RETURN_IF_ERROR(CheckTls(options.tls));
  options.threads = flags_->threads;
  ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(flags_->metrics));
  if (!flags_->etcd.empty()) {
    ASSIGN_OR_RETURN(options.access.etcd, SplitAddresses(flags_->etcd));
    // Refused now rather than by the start, which makes it again.
    const auto store = auth::EtcdMetaStore::Make(
        {.endpoints = options.access.etcd, .tls = options.access.etcd_tls});
    if (!store.ok()) return Annotate(store.status(), "--etcd");
  }
  if (!flags_->placement.empty()) {
    ASSIGN_OR_RETURN(options.placement, SplitAddresses(flags_->placement));
  }
  return RoleStarter([options] { return StartAuth(options); });
}

}  // namespace vectron
