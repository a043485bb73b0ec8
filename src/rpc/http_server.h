#pragma once

// HTTP/1.1 over TCP: connections, limits, time-outs, keep-alive and pipelining; what a request
// means is the handler's business.
//
// One event loop per I/O thread; a connection stays with its loop. The handler runs in the loop, so
// what it does there delays the other connections of that loop: quick work is done at once, what
// must wait is handed on and answered later. Refused without asking the handler, each with the JSON
// error body and the connection closed after it: malformed head 400, both or several of
// Content-Length and Transfer-Encoding 400, folded header lines 400, no or two Host headers 400,
// unknown transfer coding 501, a content coding 415, head too large 431, body too large 413, slow
// head 408, body that stops coming 408, too many connections 503. RFC 9110, RFC 9112.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "rpc/http_message.h"
#include "rpc/tls.h"

namespace vectron::rpc {

class HttpExchange;

// The right to answer one request, once. Copies share it. May be used on any thread and may outlive
// the server (the answer then goes nowhere). When the last copy goes without an answer the client
// gets a 500.
class HttpResponder {
 public:
  explicit HttpResponder(std::shared_ptr<HttpExchange> exchange) : exchange_(std::move(exchange)) {}
  // CHECKs that it is the first answer.
  void Send(HttpResponse response) const;
  // Adds headers to the answer, whoever gives it. Before the responder is handed on.
  void AddHeaders(std::vector<std::pair<std::string, std::string>> headers) const;

 private:
  std::shared_ptr<HttpExchange> exchange_;  // shared: handlers keep it in copyable callbacks
};

// Called in an I/O thread; must not block. Does not throw.
using HttpHandler = std::function<void(HttpRequest request, HttpResponder responder)>;

struct HttpServerOptions {
  std::string address = "127.0.0.1";  // numeric; "::" for all of both families
  uint16_t port = 0;                  // 0 picks a free one
  TlsFiles tls = {};                  // none: plain
  size_t io_threads = 0;              // 0: one per processor
  size_t max_head_bytes = kMaxHttpHeadBytes;
  size_t max_headers = kMaxHttpHeaders;
  size_t max_connections = kMaxHttpConnections;
  int64_t head_timeout_ms = kHttpHeadTimeoutMs;             // first byte of a head to its last
  int64_t body_idle_timeout_ms = kHttpBodyIdleTimeoutMs;    // between two bytes of a body
  int64_t body_timeout_ms = 20 * kHttpBodyIdleTimeoutMs;    // end of a head to its body's last byte
  int64_t keep_alive_timeout_ms = kHttpKeepAliveTimeoutMs;  // between two requests
  int64_t write_idle_timeout_ms = kHttpBodyIdleTimeoutMs;  // a client that does not read its answer
  // Largest body of a request whose head has come; asked before a byte of the body is read.
  // Default: kMaxHttpBodyBytes.
  std::function<size_t(const HttpRequest& head)> body_limit;
};

// Thread-safe.
class HttpServer {
 public:
  // Binds and serves. `clock` and `metrics` outlive the server. Errors: InvalidArgument (address,
  // TLS files), Unavailable (cannot bind, with the reason).
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(HttpServerOptions options,
                                                           HttpHandler handler, const Clock& clock,
                                                           Metrics& metrics);
  // Stops at once if Stop was not called.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "127.0.0.1:8080", "[::1]:8080"
  const std::string& bound_address() const;
  uint16_t port() const;
  size_t connection_count() const;

  // Takes no new connections, closes idle ones, lets requests under way finish for up to
  // `grace_ms`, then closes the rest and joins the threads. Not from a handler. The second call
  // does nothing.
  void Stop(int64_t grace_ms);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vectron::rpc
