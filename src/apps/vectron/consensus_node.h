#pragma once

// The consensus of one process: log, groups, and the way to other nodes. What workers and placement
// nodes share.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "apps/vectron/host_port.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "rpc/cluster_secret.h"
#include "rpc/grpc_server.h"
#include "rpc/peer_transport_grpc.h"
#include "rpc/rpc_registry.h"
#include "shard/group_host.h"
#include "shard/log_store.h"
#include "shard/snapshot_registry.h"
#include "storage/rocks_kv.h"

namespace vectron {

struct ConsensusOptions {
  std::string log_dir;
  uint64_t node = 0;
  std::string cluster_id;
  rpc::ClusterCredentials cluster;
  HostPort listen;
  uint64_t seed = 0;  // of election time-outs
};

// All outlive the node.
struct ConsensusDeps {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  Timer* timer = nullptr;
  Metrics* metrics = nullptr;
  storage::RocksResources* resources = nullptr;
  Executor* apply_executor = nullptr;
  // Where another node's consensus is; nullopt while that is not known.
  std::function<std::optional<std::string>(uint64_t node)> resolve;
};

// Thread-compatible.
class ConsensusNode {
 public:
  // Opens the log and begins to take part. Errors: those of the log, Unavailable (address taken).
  static absl::StatusOr<std::unique_ptr<ConsensusNode>> Start(const ConsensusOptions& options,
                                                              const ConsensusDeps& deps);
  // All groups are detached by then.
  ~ConsensusNode();

  shard::GroupHost& host() { return *host_; }
  consensus::SnapshotTransport& snapshots() { return *transport_; }
  shard::SnapshotRegistry& registry() { return registry_; }
  // Ends the talk with other nodes; what is attached hears no more of them.
  void StopTalking();

 private:
  ConsensusNode(const ConsensusOptions& options, const ConsensusDeps& deps);

  const ConsensusOptions options_;
  const ConsensusDeps deps_;
  ThreadPool file_executor_{"snapfiles", 2};
  shard::SnapshotRegistry registry_;
  rpc::RpcRegistry no_rpcs_;
  std::unique_ptr<shard::LogStore> logs_;
  std::unique_ptr<rpc::GrpcPeerTransport> transport_;
  std::unique_ptr<shard::GroupHost> host_;
  std::unique_ptr<rpc::GrpcServer> server_;
  Metrics::Source figures_;  // of the host
};

}  // namespace vectron
