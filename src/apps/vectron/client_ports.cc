#include "apps/vectron/client_ports.h"

#include <utility>

#include "apps/vectron/socket_count.h"
#include "base/check.h"
#include "base/status.h"

namespace vectron {

absl::StatusOr<std::unique_ptr<ClientPorts>> ClientPorts::Start(const ClientPortsOptions& options,
                                                                const ClientPortsDeps& deps) {
  CHECK(deps.dispatcher != nullptr && deps.registry != nullptr);
  CHECK(deps.clock != nullptr && deps.metrics != nullptr);
  std::unique_ptr<ClientPorts> ports(new ClientPorts());
  const rpc::HttpDispatcher& dispatcher = *deps.dispatcher;
  ASSIGN_OR_RETURN(const rpc::WebGuard guard, rpc::WebGuard::Make(options.web));
  rpc::HttpServerOptions http;
  http.address = options.http.host;
  http.port = options.http.port;
  http.io_threads = options.io_threads;
  http.tls = options.http_tls;
  http.body_limit = [&dispatcher](const rpc::HttpRequest& head) {
    return dispatcher.BodyLimit(head);
  };
  ASSIGN_OR_RETURN(ports->http_, rpc::HttpServer::Start(
                                     std::move(http),
                                     [&dispatcher, guard](rpc::HttpRequest request,
                                                          rpc::HttpResponder responder) {
                                       responder.AddHeaders(guard.AnswerHeaders(request));
                                       const absl::Status refusal = guard.Check(request);
                                       if (!refusal.ok())
                                         return responder.Send(rpc::ErrorResponse(refusal));
                                       dispatcher.Handle(std::move(request), std::move(responder));
                                     },
                                     *deps.clock, *deps.metrics));
  rpc::GrpcServerOptions grpc;
  grpc.address = Printable(options.grpc);
  grpc.tls = options.grpc_tls;
  grpc.min_ping_interval_ms = options.min_grpc_ping_interval_ms;
  ASSIGN_OR_RETURN(ports->grpc_, rpc::GrpcServer::Start(std::move(grpc), *deps.registry));
  return ports;
}

ClientPorts::Connections ClientPorts::connections() const {
  return {.http = http_->connection_count(),
          .grpc = EstablishedConnections(static_cast<uint16_t>(grpc_->port()))};
}

void ClientPorts::Stop(int64_t grace_ms) {
  if (grpc_ != nullptr) grpc_->Stop(grace_ms);
  if (http_ != nullptr) http_->Stop(grace_ms);
}

}  // namespace vectron
