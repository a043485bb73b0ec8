#pragma once

// The gRPC port that other parts of a cluster come to, over a registry of internal RPCs: how
// worker, placement node and reranker serve.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/vectron/host_port.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/audit_log.h"
#include "rpc/cluster_secret.h"
#include "rpc/grpc_server.h"
#include "rpc/rpc_registry.h"

namespace vectron {

struct ClusterPortOptions {
  HostPort address;
  rpc::ClusterCredentials cluster;  // what callers show; its certificates are shown to them
  std::string audit_dir;            // made when missing
};

// What it borrows; all outlive it.
struct ClusterPortDeps {
  rpc::RpcRegistry* registry = nullptr;  // has its services, and no middleware yet
  FileSystem* files = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
};

// Thread-safe.
class ClusterPort {
 public:
  // Lets callers in who show the cluster's credentials, opens the audit log, binds and serves.
  // Errors: those of files, Unavailable (address taken), InvalidArgument (TLS files).
  static absl::StatusOr<std::unique_ptr<ClusterPort>> Start(const ClusterPortOptions& options,
                                                            const ClusterPortDeps& deps);

  const std::string& bound_address() const { return server_->bound_address(); }
  // Takes no new requests and lets those under way finish, for `grace_ms` at most. The second call
  // does nothing.
  void Stop(int64_t grace_ms);

 private:
  ClusterPort() = default;

  std::unique_ptr<rpc::AuditLog> audit_;  // before the server, whose calls it is told of
  std::unique_ptr<rpc::GrpcServer> server_;
};

}  // namespace vectron
