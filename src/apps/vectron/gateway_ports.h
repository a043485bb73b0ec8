#pragma once

// The two ports of a process with a gateway, and what they serve beside its RPCs: management, the
// console, the plain routes. One order of setting up for every command that runs a gateway.

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectron/client_ports.h"
#include "apps/vectron/host_port.h"
#include "apps/vectron/operators.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/http_dispatcher.h"
#include "rpc/rpc_registry.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"

namespace vectron {

struct GatewayPortsOptions {
  HostPort http;
  HostPort grpc;
  rpc::TlsFiles tls;      // of both; none: plain
  rpc::WebRules web;      // of HTTP
  size_t io_threads = 0;  // of HTTP; 0: one per processor
};

// What it borrows; all outlive the ports.
struct GatewayPortsDeps {
  rpc::RpcRegistry* registry = nullptr;       // has the gateway's services and its middlewares
  rpc::HttpDispatcher* dispatcher = nullptr;  // over it, and empty
  Operators* operators = nullptr;
  std::function<std::vector<std::string>()> problems;  // as AddPlainRoutes
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
};

// Adds what is missing to registry and dispatcher, binds and serves. Errors: as ClientPorts::Start.
absl::StatusOr<std::unique_ptr<ClientPorts>> OpenGatewayPorts(const GatewayPortsOptions& options,
                                                              const GatewayPortsDeps& deps);

}  // namespace vectron
