#pragma once

// HTTP requests to RPCs and plain routes: the part between the HTTP server and the registry.

#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "rpc/http_server.h"
#include "rpc/route_table.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

// Largest body of an RPC or a plain route that did not ask for more; its JSON holds no vectors.
inline constexpr size_t kMaxPlainBodyBytes = size_t{4} << 20;
// From this size on a body is parsed for a millisecond and more: see RunLargeOn.
inline constexpr size_t kLargeBodyBytes = size_t{1} << 20;

// Filled first, then used by the server from all its threads.
//
//   HttpDispatcher dispatcher(registry);
//   RETURN_IF_ERROR(dispatcher.AddRpcs());
//   RETURN_IF_ERROR(dispatcher.AddPlain(HttpVerb::kGet, "/healthz",
//                                       options::SCOPE_PUBLIC, handler));
//   options.body_limit = [&](const HttpRequest& head) { return dispatcher.BodyLimit(head); };
//   HttpServer::Start(options, [&](HttpRequest request, HttpResponder responder) {
//     dispatcher.Handle(std::move(request), std::move(responder)); }, clock, metrics);
//
// Answers of its own, with the JSON error body: unknown path 404 (code 5) unless there is a
// fallback; wrong verb 501 (code 12), on a path of plain routes 405 with Allow; bad percent escape
// 400; OPTIONS on a known path 204 with Allow; an RPC without a handler 501.
class HttpDispatcher {
 public:
  // `registry` outlives it.
  explicit HttpDispatcher(const RpcRegistry& registry);
  ~HttpDispatcher();
  HttpDispatcher(const HttpDispatcher&) = delete;
  HttpDispatcher& operator=(const HttpDispatcher&) = delete;

  // Adds the route of every RPC of the registry that has one. FailedPrecondition, naming it, for a
  // route that clashes, whose pattern is malformed or whose parameter is no singular scalar field
  // of the request.
  // `plain_services`: full names of services whose routes answer a wrong verb as plain routes do.
  absl::Status AddRpcs(const std::set<std::string>& plain_services = {});
  // A route that is no RPC, and what a caller needs to use it (not SCOPE_UNSPECIFIED: CHECK). On a
  // public one no middleware runs before the handler, which is called in an I/O thread; on others
  // all of them do, it is called by whoever ran the last one, and finds in the request who asks.
  // Errors as above.
  absl::Status AddPlain(HttpVerb verb, std::string path, options::Scope scope, HttpHandler handler);
  // Answers paths that no route knows, as a public plain route; it sends the 404 itself.
  void SetFallback(HttpHandler handler);
  // Lets the bodies of one RPC be this large (default kMaxPlainBodyBytes); the RPC must be known
  // (CHECK).
  void SetBodyLimit(std::string_view rpc_name, size_t bytes);

  // Where RPCs with a larger body than kLargeBodyBytes are parsed and handled, once they are
  // admitted: in an I/O thread they would keep its other connections waiting. It outlives the
  // server. Without it they are handled where all others are.
  void RunLargeOn(Executor& executor);

  size_t BodyLimit(const HttpRequest& head) const;
  void Handle(HttpRequest request, HttpResponder responder) const;

 private:
  struct Target {
    const RpcMethod* method = nullptr;  // null: a plain route
    HttpHandler plain;
    size_t body_limit = kMaxPlainBodyBytes;
    std::unique_ptr<const RouteRule> rule = nullptr;  // of a plain route
  };
  class Call;
  class PlainCall;

  const RpcRegistry& registry_;
  RouteTable table_;
  std::vector<Target> targets_;
  HttpHandler fallback_;           // null: 404
  Executor* for_large_ = nullptr;  // null: no other place
};

}  // namespace vectron::rpc
