#pragma once

// The RPCs of a registry over gRPC, by the callback API: quick handlers run in gRPC's own threads.
//
// Serves the standard health service ("" and every service are SERVING until Stop) and server
// reflection.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/limits.h"
#include "rpc/rpc_registry.h"
#include "rpc/tls.h"

namespace grpc {
class Channel;
class Service;
}  // namespace grpc

namespace vectron::rpc {

// What servers take that other parts of the cluster call: those ping every kPeerPingMs while a call
// waits (channel_pool.h), and who pings oftener than is taken loses the connection with all its
// calls.
inline constexpr int64_t kMinPeerPingIntervalMs = kPeerPingMs / 2;

struct GrpcServerOptions {
  // "127.0.0.1:8081"; port 0 picks a free one. Empty: no port, for in-process channels only.
  std::string address = "127.0.0.1:0";
  TlsFiles tls = {};                                // none: plain
  size_t max_message_bytes = kMaxGrpcMessageBytes;  // of a request; larger ones RESOURCE_EXHAUSTED
  size_t max_concurrent_streams = kMaxConcurrentStreams;  // per connection
  size_t memory_quota_bytes = size_t{1} << 30;            // gRPC's own buffers of all connections
  int64_t min_ping_interval_ms = 10'000;  // a client that pings oftener is sent away
  int64_t keep_alive_time_ms = 60'000;    // pings of ours on a quiet connection, to find dead peers
  int64_t keep_alive_timeout_ms = 20'000;
  // 0: never; else clients reconnect now and then and find new servers.
  int64_t max_connection_age_ms = 0;
  std::vector<grpc::Service*> extra_services =
      {};  // beside the registry's; they outlive the server
};

// Thread-safe.
class GrpcServer {
 public:
  // Binds and serves; the registry is complete and outlives the server. Errors: Unavailable when it
  // cannot bind, InvalidArgument for TLS files that do not do.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(GrpcServerOptions options,
                                                           const RpcRegistry& registry);
  // Stops at once if Stop was not called.
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // "127.0.0.1:8081"; empty without a port.
  const std::string& bound_address() const;
  int port() const;
  // A channel into this server without a socket.
  std::shared_ptr<grpc::Channel> InProcessChannel();

  // Reports NOT_SERVING, takes no new calls, lets those under way finish for up to `grace_ms`,
  // cancels the rest and returns when all have ended. The second call does nothing.
  void Stop(int64_t grace_ms);

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vectron::rpc
