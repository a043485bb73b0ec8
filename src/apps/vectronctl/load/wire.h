#pragma once

// The client's side of one connection, written by hand so that a benchmark's client takes little of
// the machine it measures: requests are prepared bytes, one is in flight at a time, and no thread
// or queue stands in between.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::load {

enum class WireKind { kHttp, kGrpc };

struct Answer {
  absl::Status status;  // Unknown with the server's words when it refused
  std::string body;     // JSON, or the serialised message
};

// Turns bytes from a socket into answers and requests into bytes. Thread-compatible.
class Wire {
 public:
  virtual ~Wire() = default;
  // Appends what a fresh connection sends first.
  virtual void Open(std::string& out) = 0;
  // Begins a request; none is in flight. `request` stays valid until its answer: for HTTP the whole
  // request, for gRPC the serialised message.
  virtual void Ask(std::string_view request, std::string& out) = 0;
  // Takes what it can from the front of `in`, appends what must be sent, and returns the answer
  // when it is whole. An error: the connection is of no more use.
  virtual absl::StatusOr<std::optional<Answer>> Feed(std::string& in, std::string& out) = 0;
  // The server wants this connection closed before the next request.
  virtual bool wants_close() const = 0;
};

// HTTP/1.1 with keep-alive (RFC 9112); answers need a Content-Length.
std::unique_ptr<Wire> NewHttpWire();
// gRPC over HTTP/2 with prior knowledge (RFC 9113), without header compression (RFC 7541 literals
// only). method:
// "/vectron.v1.VectronService/Search".
// credential: an API key or a token to show; "" for none.
std::unique_ptr<Wire> NewGrpcWire(const std::string& authority, const std::string& method,
                                  const std::string& credential = {});

// A whole HTTP request with a JSON body.
std::string HttpPost(const std::string& host, const std::string& path, std::string_view body);
// The same request with a credential; "" leaves it as it is.
std::string WithCredential(std::string request, const std::string& credential);

}  // namespace vectron::load
