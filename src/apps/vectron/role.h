#pragma once

// A running role: what every subcommand of `vectron` that serves has in common, and how worker,
// placement and gateway are started.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "apps/vectron/host_port.h"
#include "apps/vectron/local_ranking.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/operators.h"
#include "apps/vectron/reload.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"
#include "services/gateway/hedging.h"

namespace vectron {

// Thread-compatible.
class Role {
 public:
  virtual ~Role() = default;  // stops when Stop was not called
  // The line of JSON that says that it serves, without the new line.
  virtual std::string ReadyLine() const = 0;
  // Takes on what may change while it runs. Before Stop.
  virtual void Reload(const LiveSettings& settings) = 0;
  // Takes no new requests, lets those under way finish, passes leaderships on, flushes and closes
  // what it holds. The second call does nothing.
  virtual void Stop() = 0;
};

// Starts a role whose options have been checked.
using RoleStarter = std::function<absl::StatusOr<std::unique_ptr<Role>>()>;

// Makes a role of a class that has a constructor from `options`, and opens it. For the functions
// that start roles.
template <typename Concrete, typename Options>
absl::StatusOr<std::unique_ptr<Role>> OpenRole(const Options& options) {
  auto role = std::make_unique<Concrete>(options);
  RETURN_IF_ERROR(role->Open());
  return std::unique_ptr<Role>(std::move(role));
}

struct WorkerRoleOptions {
  std::string data_dir;
  HostPort grpc;
  HostPort raft;
  std::string advertise_grpc;  // as others reach it; "": as bound
  std::string advertise_raft;
  std::vector<std::string> placement;  // addresses of the placement nodes
  rpc::ClusterCredentials cluster;
  std::string rack;
  std::string zone;
  std::string region;
  bool search_only = false;
  MetricsOptions metrics;
  size_t threads = 0;
  uint64_t max_open_files = ~uint64_t{0};
};
// Returns when it serves what it held before, and has an id. Waits for placement at its first start
// only. Errors: as StartDev's, and FailedPrecondition (placement does not want this node).
absl::StatusOr<std::unique_ptr<Role>> StartWorker(const WorkerRoleOptions& options);

struct PlacementPeerAddress {
  uint64_t node = 0;
  std::string grpc;
  std::string raft;
};
// "1=127.0.0.1:6001/127.0.0.1:7001,2=...": node=grpc/raft. InvalidArgument.
absl::StatusOr<std::vector<PlacementPeerAddress>> ParsePeers(const std::string& text);

// InvalidArgument unless `peers` names 1, 3 or 5 nodes, each once, and `node` among them.
absl::Status CheckPeers(const std::vector<PlacementPeerAddress>& peers, uint64_t node);

struct PlacementRoleOptions {
  std::string data_dir;
  uint64_t node = 0;
  std::vector<PlacementPeerAddress> peers;  // all there shall be, this node included
  bool join = false;                        // a group that is there; see placement_node.h
  HostPort grpc;                            // to bind; host "": as in `peers`
  HostPort raft;
  rpc::ClusterCredentials cluster;
  int64_t heartbeat_ms = 5'000;
  int64_t dead_after_ms = 300'000;
  MetricsOptions metrics;
  size_t threads = 0;
};
absl::StatusOr<std::unique_ptr<Role>> StartPlacement(const PlacementRoleOptions& options);

struct GatewayRoleOptions {
  std::string data_dir;  // of the audit log, samples and alerts; no points
  HostPort http;
  HostPort grpc;
  std::vector<std::string> placement;
  rpc::ClusterCredentials cluster;
  bool auth = true;
  AccessOptions access;  // looked at with auth; its data_dir is not
  OperatorOptions operators;
  rpc::TlsFiles tls;
  rpc::WebRules web;
  gateway::HedgeOptions hedge;
  LocalRankingOptions ranking;  // what it says of feedback; its data_dir is not looked at
  MetricsOptions metrics;
  size_t threads = 0;
};
// Returns when it has the map of the cluster. Its ports are there before: until then /readyz says
// why it is not ready, and calls that need the map are Unavailable.
absl::StatusOr<std::unique_ptr<Role>> StartGateway(const GatewayRoleOptions& options);

}  // namespace vectron
