#pragma once

// What a handler knows of a call beside its request.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "rpc/identity.h"

namespace vectron::rpc {

class RpcMethod;
struct RouteRule;

enum class Protocol { kInProcess, kHttp, kGrpc };

// Lives from the start of a call until its `done` returns. Confined to whoever holds the call: the
// middlewares one after the other, then the handler.
class CallContext {
 public:
  CallContext() = default;
  virtual ~CallContext() = default;
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  // The last value of an HTTP header or gRPC metadata key, which the nearest proxy wrote where
  // several have; `name` in lower case. Valid as long as the context.
  virtual std::optional<std::string_view> Header(std::string_view name) const {
    (void)name;
    return std::nullopt;
  }
  // Address of the other end of the connection (which may be a proxy), "127.0.0.1:52100"; empty in
  // process.
  virtual std::string Peer() const { return {}; }
  // The other end of the connection has shown a certificate that the CA of this port signed.
  virtual bool PeerCertified() const { return false; }

  Protocol protocol = Protocol::kInProcess;
  const RpcMethod* method = nullptr;  // set by the registry before the first middleware; null for
                                      // a plain route
  const RouteRule* rule = nullptr;    // set with it, for plain routes too
  int64_t start_nanos = 0;            // monotonic
  // When the caller stops waiting, monotonic, 0 for never: from gRPC's deadline or the HTTP header
  // `x-request-timeout-ms`.
  int64_t deadline_nanos = 0;
  std::string tenant;        // owner of what the call makes and sees; "" when credentials are off
  IdentityPtr identity;      // null when credentials are off and on routes that need none
  std::string client;        // the client's own address without port, set with the identity
  std::string admitted_as;   // whose room it takes, set by the admission; "" for nobody's
  std::string audit_target;  // what the call is about, for the audit log: never a secret
  std::string audit_detail;  // what was asked for in a few words, "role=ROLE_ADMIN": neither
};

}  // namespace vectron::rpc
