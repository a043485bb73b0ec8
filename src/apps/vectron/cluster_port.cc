#include "apps/vectron/cluster_port.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/policy.h"

namespace vectron {

absl::StatusOr<std::unique_ptr<ClusterPort>> ClusterPort::Start(const ClusterPortOptions& options,
                                                                const ClusterPortDeps& deps) {
  CHECK(deps.registry != nullptr && deps.files != nullptr);
  CHECK(deps.clock != nullptr && deps.metrics != nullptr);
  std::unique_ptr<ClusterPort> port(new ClusterPort());
  deps.registry->AddMiddleware(
      rpc::PolicyMiddleware({.cluster_secret = options.cluster.secret,
                             .trust_certificates = options.cluster.tls.enabled()}));
  ASSIGN_OR_RETURN(port->audit_, rpc::AuditLog::Open({.dir = options.audit_dir}, *deps.files,
                                                     *deps.clock, *deps.metrics));
  deps.registry->AddObserver(port->audit_->AsObserver());
  rpc::GrpcServerOptions server;
  server.address = Printable(options.address);
  server.tls = options.cluster.tls;
  server.min_ping_interval_ms = rpc::kMinPeerPingIntervalMs;
  ASSIGN_OR_RETURN(port->server_, rpc::GrpcServer::Start(std::move(server), *deps.registry));
  return port;
}

void ClusterPort::Stop(int64_t grace_ms) { server_->Stop(grace_ms); }

}  // namespace vectron
