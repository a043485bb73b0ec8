// `vectron placement`: one node of the placement driver.

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "apps/vectron/cluster_port.h"
#include "apps/vectron/consensus_node.h"
#include "apps/vectron/data_folder.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/plain_routes.h"
#include "apps/vectron/role.h"
#include "apps/vectron/ticker.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "services/placement/placement_node.h"

namespace vectron {
namespace {

constexpr int64_t kStopGraceMs = 2'000;
// What placement nodes call their cluster among themselves: its real id is known once it is
// founded.
constexpr char kPlacementCluster[] = "placement";

void AddFigures(const placement::PlacementNode::View& view, std::vector<MetricSample>& samples) {
  AddFigure(samples, "vectron_placement_leader", "1 on the placement node that leads, else 0.",
            view.is_leader ? 1 : 0);
  AddFigure(samples, "vectron_placement_applied_index",
            "Changes of the map that this placement node has applied.",
            static_cast<double>(view.applied_index));
  AddFigure(samples, "vectron_placement_voters",
            "Placement nodes with a vote, as this one knows it.", static_cast<double>(view.voters));
  AddFigure(samples, "vectron_placement_workers", "Workers that placement knows, dead ones too.",
            static_cast<double>(view.workers));
  AddFigure(samples, "vectron_placement_collections", "Collections that placement knows.",
            static_cast<double>(view.collections));
  AddFigure(samples, "vectron_placement_state_differences_total",
            "Shards whose replicas were found to hold different points at one log entry.",
            static_cast<double>(view.differences_found));
  AddFigure(samples, "vectron_placement_differing_shards",
            "Shards whose replicas hold different points at one log entry, as the leader knows.",
            static_cast<double>(view.differing_groups));
}

// Members are made from first to last and go in the opposite order.
class PlacementRole : public Role {
 public:
  explicit PlacementRole(const PlacementRoleOptions& options)
      : options_(options), threads_(ThreadCount(options.threads)) {}
  ~PlacementRole() override { Stop(); }

  absl::Status Open() {
    RETURN_IF_ERROR(CheckPeers(options_.peers, options_.node));
    own_ = &*std::find_if(options_.peers.begin(), options_.peers.end(),
                          [this](const auto& peer) { return peer.node == options_.node; });
    RETURN_IF_ERROR(metrics_port_.Start(options_.metrics));
    ASSIGN_OR_RETURN(folder_, DataFolder::Open(options_.data_dir, *files_));
    ASSIGN_OR_RETURN(const HostPort grpc, Bind(options_.grpc, own_->grpc));
    ASSIGN_OR_RETURN(const HostPort raft, Bind(options_.raft, own_->raft));
    ASSIGN_OR_RETURN(consensus_, ConsensusNode::Start(
                                     {.log_dir = folder_->path() + "/log",
                                      .node = options_.node,
                                      .cluster_id = kPlacementCluster,
                                      .cluster = options_.cluster,
                                      .listen = raft,
                                      .seed = SeedFromSystem()},
                                     {.files = files_.get(),
                                      .clock = &clock_,
                                      .timer = &timer_,
                                      .metrics = &metrics_,
                                      .resources = &resources_,
                                      .apply_executor = &apply_,
                                      .resolve = [this](uint64_t node) { return Resolve(node); }}));
    RETURN_IF_ERROR(OpenNode());
    RETURN_IF_ERROR(node_->Register(registry_));
    ASSIGN_OR_RETURN(grpc_, ClusterPort::Start({.address = grpc,
                                                .cluster = options_.cluster,
                                                .audit_dir = folder_->path() + "/audit"},
                                               {.registry = &registry_,
                                                .files = files_.get(),
                                                .clock = &clock_,
                                                .metrics = &metrics_}));
    serving_ = true;
    Show();
    LogInfo("vectron {} placement node {} serves on {}, data in {}", Version(), options_.node,
            grpc_->bound_address(), folder_->path());
    return absl::OkStatus();
  }

  std::string ReadyLine() const override {
    return fmt::format(
        R"({{"ready":true,"role":"placement","id":{},"grpc":"{}","raft":"{}"{},"pid":{}}})",
        options_.node, own_->grpc, own_->raft, metrics_port_.ReadyField(), ::getpid());
  }

  void Reload(const LiveSettings& /*settings*/) override {}  // of these it has none

  void Stop() override {
    if (std::exchange(stopped_, true)) return;
    metrics_port_.Leave();
    figures_ = {};
    if (serving_) {
      LogInfo("stopping");
      const absl::Status handed = consensus_->host().HandOverAll();
      if (!handed.ok()) LogWarning("still leading: {}", MessageOf(handed));
    }
    if (node_ != nullptr) node_->Stop();
    if (grpc_ != nullptr) grpc_->Stop(kStopGraceMs);
    node_.reset();
    consensus_.reset();
    if (serving_) LogInfo("stopped");
  }

 private:
  // To those who watch.
  void Show() {
    figures_ = metrics_.AddSource(
        [this](std::vector<MetricSample>& samples) { AddFigures(node_->view(), samples); });
    metrics_port_.Serve([this] {
      std::vector<std::string> problems;
      const placement::PlacementNode::View view = node_->view();
      if (view.leader_address.empty()) problems.emplace_back("placement has no leader");
      if (!view.is_member) problems.emplace_back("this node waits to be taken in by the others");
      return problems;
    });
  }

  static absl::StatusOr<HostPort> Bind(const HostPort& wanted, const std::string& advertised) {
    if (!wanted.host.empty()) return wanted;
    return ParseHostPort(advertised);
  }

  std::optional<std::string> Resolve(uint64_t node) const {
    for (const PlacementPeerAddress& peer : options_.peers) {
      if (peer.node == node) return peer.raft;
    }
    return std::nullopt;
  }

  absl::Status OpenNode() {
    placement::PlacementNodeOptions options;
    options.data_dir = folder_->path();
    options.node = WorkerId{options_.node};
    options.join = options_.join;
    for (const PlacementPeerAddress& peer : options_.peers) {
      options.peers.push_back({.node = WorkerId{peer.node}, .grpc_address = peer.grpc});
    }
    options.placement.heartbeat_interval_ms = options_.heartbeat_ms;
    options.placement.dead_after_ms = options_.dead_after_ms;
    options.seed = SeedFromSystem();
    ASSIGN_OR_RETURN(node_, placement::PlacementNode::Open(
                                options, {.files = files_.get(),
                                          .clock = &clock_,
                                          .timer = &timer_,
                                          .host = &consensus_->host(),
                                          .executor = &control_,
                                          .snapshot_transport = &consensus_->snapshots(),
                                          .snapshot_registry = &consensus_->registry()}));
    return absl::OkStatus();
  }

  const PlacementRoleOptions options_;
  const size_t threads_;
  const PlacementPeerAddress* own_ = nullptr;  // in options_.peers
  bool stopped_ = false;
  bool serving_ = false;

  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  Metrics metrics_;
  MetricsPort metrics_port_{metrics_, clock_};
  std::unique_ptr<DataFolder> folder_;
  storage::RocksResources resources_;
  ThreadPool apply_{"apply", threads_};
  ThreadPool control_{"control", 2};
  ThreadTimer timer_{clock_};
  std::unique_ptr<ConsensusNode> consensus_;
  std::unique_ptr<placement::PlacementNode> node_;
  rpc::RpcRegistry registry_{metrics_, clock_, {}};
  Metrics::Source figures_;  // of the node
  std::unique_ptr<ClusterPort> grpc_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Role>> StartPlacement(const PlacementRoleOptions& options) {
  return OpenRole<PlacementRole>(options);
}

}  // namespace vectron
