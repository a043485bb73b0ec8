#include "apps/vectron/cluster_commands.h"

#include <CLI/CLI.hpp>

#include "apps/vectron/access_flags.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/operator_flags.h"
#include "apps/vectron/ranking_flags.h"
#include "base/file.h"
#include "base/status.h"

namespace vectron {
namespace {

absl::StatusOr<HostPort> ParseOptional(const std::string& text) {
  if (text.empty()) return HostPort();
  return ParseHostPort(text);
}

}  // namespace

struct ClusterCommands::Flags {
  CLI::App* worker = nullptr;
  CLI::App* placement = nullptr;
  CLI::App* gateway = nullptr;

  std::string data;
  std::string grpc;
  std::string raft;
  std::string http = "127.0.0.1:8080";
  ClusterFlags cluster;  // of worker and placement
  std::string placement_nodes;
  std::string peers;
  std::string auth = "on";
  std::string auth_address;
  std::string hedge_reads = "off";
  LocalRankingOptions ranking;
  AccessFlags access;
  OperatorOptions operators;
  uint64_t node = 0;
  bool join = false;
  WorkerRoleOptions labels;
  int64_t heartbeat_ms = 5'000;
  int64_t dead_after_ms = 300'000;
  MetricsFlags metrics;
  size_t threads = 0;

  void AddCluster(CLI::App& command) {
    AddClusterSecretFlag(command, cluster);
    AddClusterTlsFlags(command, cluster);
  }
  void AddThreads(CLI::App& command) {
    command.add_option("--threads", threads, "Threads for requests; 0: one per processor")
        ->check(CLI::Range(0, 1024))
        ->capture_default_str();
  }
  void AddPlacementNodes(CLI::App& command) {
    command
        .add_option("--placement", placement_nodes,
                    "HOST:PORT of every placement node, separated by commas")
        ->required();
  }
  void AddWorker(CLI::App& app) {
    worker = app.add_subcommand("worker", "Holds shards: one node of a cluster's data plane.");
    worker->add_option("--data", data, "Folder that holds all data; made when missing")->required();
    worker->add_option("--grpc", grpc, "HOST:PORT for gateways (127.0.0.1:9090); port 0 picks one");
    worker->add_option("--raft", raft, "HOST:PORT for other workers (127.0.0.1:9191)");
    AddPlacementNodes(*worker);
    AddCluster(*worker);
    AddThreads(*worker);
    worker->add_option("--advertise-grpc", labels.advertise_grpc,
                       "HOST:PORT by which gateways reach it, when that is another than --grpc");
    worker->add_option("--advertise-raft", labels.advertise_raft, "The same for --raft");
    worker->add_option("--rack", labels.rack, "Failure domain: replicas are spread over racks");
    worker->add_option("--zone", labels.zone, "... zones");
    worker->add_option("--region", labels.region, "... and regions");
    worker->add_flag("--search-only", labels.search_only,
                     "Takes replicas for reads alone; never votes");
    AddMetricsFlags(*worker, metrics);
  }
  void AddPlacement(CLI::App& app) {
    placement = app.add_subcommand(
        "placement", "Decides which worker holds which shard: one of 1, 3 or 5 nodes.");
    placement->add_option("--data", data, "Folder that holds all data; made when missing")
        ->required();
    placement->add_option("--node", node, "Number of this node in --peers")->required();
    placement
        ->add_option("--peers", peers,
                     "All placement nodes as NUMBER=GRPC/RAFT, separated by commas, the same on "
                     "each: 1=10.0.0.1:6001/10.0.0.1:7001,2=...")
        ->required();
    placement->add_flag("--join", join,
                        "Without data, wait to be taken in by the nodes in --peers that serve "
                        "already, in place of founding a cluster with them");
    placement->add_option("--grpc", grpc, "HOST:PORT to bind, when it is not the one in --peers");
    placement->add_option("--raft", raft, "The same for the second address");
    AddCluster(*placement);
    AddThreads(*placement);
    placement->add_option("--heartbeat-ms", heartbeat_ms, "Between two words of a worker")
        ->check(CLI::Range(100, 60'000))
        ->capture_default_str();
    placement
        ->add_option("--dead-after-ms", dead_after_ms,
                     "Replicas of a worker that is silent for this long are replaced")
        ->check(CLI::Range(1'000, 86'400'000))
        ->capture_default_str();
    AddMetricsFlags(*placement, metrics);
  }
  void AddGateway(CLI::App& app) {
    gateway = app.add_subcommand("gateway", "Answers clients over HTTP and gRPC; any number.");
    gateway
        ->add_option(
            "--data", data,
            "Folder of the audit log, samples and alerts; made when missing; holds no points")
        ->required();
    gateway->add_option("--http", http, "HOST:PORT of HTTP; port 0 picks a free one")
        ->capture_default_str();
    gateway->add_option("--grpc", grpc, "HOST:PORT of gRPC (127.0.0.1:8081)");
    AddPlacementNodes(*gateway);
    AddAuthFlag(*gateway, auth);
    gateway->add_option(
        "--auth-address", auth_address,
        "HOST:PORT of gRPC of the Auth service (vectron auth); needed with --auth on");
    gateway
        ->add_option("--hedge-reads", hedge_reads,
                     "Ask a second replica for a read that has no answer after so many "
                     "milliseconds; 'auto': after what 19 of 20 reads take; 'off'")
        ->capture_default_str();
    AddFeedbackFlags(*gateway, ranking);
    AddThreads(*gateway);
    AddAccessFlags(*gateway, access);
    AddTlsFlags(*gateway, access.tls);
    AddClusterTlsFlags(*gateway, access.cluster);
    AddOperatorFlags(*gateway, operators);
    AddMetricsFlags(*gateway, metrics);
  }

  absl::StatusOr<RoleStarter> CheckWorker(uint64_t max_open_files) const {
    WorkerRoleOptions options = labels;
    options.data_dir = data;
    options.threads = threads;
    options.max_open_files = max_open_files;
    ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(metrics));
    ASSIGN_OR_RETURN(options.grpc, ParseHostPort(grpc.empty() ? "127.0.0.1:9090" : grpc));
    ASSIGN_OR_RETURN(options.raft, ParseHostPort(raft.empty() ? "127.0.0.1:9191" : raft));
    ASSIGN_OR_RETURN(options.placement, SplitAddresses(placement_nodes));
    ASSIGN_OR_RETURN(options.cluster, ToClusterCredentials(cluster));
    return RoleStarter([options] { return StartWorker(options); });
  }
  absl::StatusOr<RoleStarter> CheckPlacement() const {
    PlacementRoleOptions options;
    options.data_dir = data;
    options.node = node;
    options.join = join;
    options.threads = threads;
    options.heartbeat_ms = heartbeat_ms;
    options.dead_after_ms = dead_after_ms;
    ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(metrics));
    ASSIGN_OR_RETURN(options.peers, ParsePeers(peers));
    RETURN_IF_ERROR(CheckPeers(options.peers, node));
    ASSIGN_OR_RETURN(options.grpc, ParseOptional(grpc));
    ASSIGN_OR_RETURN(options.raft, ParseOptional(raft));
    ASSIGN_OR_RETURN(options.cluster, ToClusterCredentials(cluster));
    return RoleStarter([options] { return StartPlacement(options); });
  }
  absl::StatusOr<RoleStarter> CheckGateway() const {
    GatewayRoleOptions options;
    options.threads = threads;
    ASSIGN_OR_RETURN(options.metrics, ToMetricsOptions(metrics));
    ASSIGN_OR_RETURN(options.http, ParseHostPort(http));
    ASSIGN_OR_RETURN(options.grpc, ParseHostPort(grpc.empty() ? "127.0.0.1:8081" : grpc));
    ASSIGN_OR_RETURN(options.placement, SplitAddresses(placement_nodes));
    ASSIGN_OR_RETURN(options.cluster, ToClusterCredentials(access.cluster));
    const auto hedge = gateway::ParseHedgeOptions(hedge_reads);
    if (!hedge.ok()) return Annotate(hedge.status(), "--hedge-reads");
    options.hedge = *hedge;
    options.ranking = ranking;
    options.data_dir = data;
    options.operators = operators;
    RETURN_IF_ERROR(CheckOperatorOptions(operators, *NewPosixFileSystem()));
    options.tls = access.tls;
    RETURN_IF_ERROR(CheckTls(access.tls));
    options.auth = auth == "on";
    ASSIGN_OR_RETURN(options.web, ToWebRules(access, options.auth));
    if (options.auth) {
      if (auth_address.empty()) return InvalidArgument("--auth on needs --auth-address");
      ASSIGN_OR_RETURN(options.access, ToAccessOptions(access, data));
      options.access.auth_address = auth_address;
      options.access.cluster = options.cluster;
      return RoleStarter([options] { return StartGateway(options); });
    }
    RETURN_IF_ERROR(CheckLoopbackOnly(options.http, options.grpc));
    return RoleStarter([options] { return StartGateway(options); });
  }
};

ClusterCommands::ClusterCommands(CLI::App& app) : flags_(std::make_unique<Flags>()) {
  flags_->AddWorker(app);
  flags_->AddPlacement(app);
  flags_->AddGateway(app);
}
ClusterCommands::~ClusterCommands() = default;

bool ClusterCommands::chosen() const {
  return flags_->worker->parsed() || flags_->placement->parsed() || flags_->gateway->parsed();
}

absl::StatusOr<RoleStarter> ClusterCommands::Check(uint64_t max_open_files) const {
  if (flags_->worker->parsed()) return flags_->CheckWorker(max_open_files);
  if (flags_->placement->parsed()) return flags_->CheckPlacement();
  return flags_->CheckGateway();
}

}  // namespace vectron
