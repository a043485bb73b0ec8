#include "apps/vectron/gateway_ports.h"

#include <set>

#include "apps/vectron/plain_routes.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron {

absl::StatusOr<std::unique_ptr<ClientPorts>> OpenGatewayPorts(const GatewayPortsOptions& options,
                                                              const GatewayPortsDeps& deps) {
  // The services whose routes answer a wrong verb with 405.
  const std::set<std::string> plain_services = {"vectron.management.v1.ManagementService"};
  RETURN_IF_ERROR(deps.operators->Register(*deps.registry));
  rpc::HttpDispatcher& dispatcher = *deps.dispatcher;
  RETURN_IF_ERROR(dispatcher.AddRpcs(plain_services));
  deps.operators->AddConsole(dispatcher);
  dispatcher.SetBodyLimit("vectron.v1.VectronService.Upsert", kMaxHttpBodyBytes);
  RETURN_IF_ERROR(AddPlainRoutes(deps.problems, *deps.metrics, *deps.registry,
                                 deps.operators->console(), dispatcher));
  return ClientPorts::Start({.http = options.http,
                             .grpc = options.grpc,
                             .http_tls = options.tls,
                             .grpc_tls = options.tls,
                             .web = options.web,
                             .io_threads = options.io_threads},
                            {.dispatcher = &dispatcher,
                             .registry = deps.registry,
                             .clock = deps.clock,
                             .metrics = deps.metrics});
}

}  // namespace vectron
