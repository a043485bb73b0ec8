#pragma once

// The two ports that clients come to, HTTP and gRPC, over one registry: how every command that
// serves users starts and stops them.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "apps/vectron/host_port.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/grpc_server.h"
#include "rpc/http_dispatcher.h"
#include "rpc/http_server.h"
#include "rpc/rpc_registry.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"

namespace vectron {

struct ClientPortsOptions {
  HostPort http;
  HostPort grpc;
  rpc::TlsFiles http_tls;  // none: plain
  rpc::TlsFiles grpc_tls;
  int64_t min_grpc_ping_interval_ms = 10'000;  // as rpc::GrpcServerOptions::min_ping_interval_ms
  rpc::WebRules web = {};
  size_t io_threads = 0;  // of HTTP; 0: one per processor
};

// What it borrows; all complete, all outlive it.
struct ClientPortsDeps {
  const rpc::HttpDispatcher* dispatcher = nullptr;
  const rpc::RpcRegistry* registry = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
};

// Thread-safe.
class ClientPorts {
 public:
  // Binds and serves. Errors: Unavailable (address taken), InvalidArgument (TLS files,
  // origins).
  static absl::StatusOr<std::unique_ptr<ClientPorts>> Start(const ClientPortsOptions& options,
                                                            const ClientPortsDeps& deps);

  const std::string& http_address() const { return http_->bound_address(); }
  const std::string& grpc_address() const { return grpc_->bound_address(); }
  struct Connections {
    uint64_t http = 0;
    uint64_t grpc = 0;
  };
  // Open ones.
  Connections connections() const;

  // Takes no new requests and lets those under way finish, for `grace_ms` at most on each port. The
  // second call does nothing.
  void Stop(int64_t grace_ms);

 private:
  ClientPorts() = default;

  std::unique_ptr<rpc::HttpServer> http_;
  std::unique_ptr<rpc::GrpcServer> grpc_;
};

}  // namespace vectron
