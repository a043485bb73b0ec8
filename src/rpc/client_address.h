#pragma once

// Which address a client has when proxies may stand before the server.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "rpc/call_context.h"

namespace vectron::rpc {

// Networks of proxies whose `x-forwarded-for` is believed. Immutable, thread-safe.
class TrustedProxies {
 public:
  TrustedProxies() = default;
  // "10.0.0.0/8", "127.0.0.1", "fd00::/8". InvalidArgument names the one that is none.
  static absl::StatusOr<TrustedProxies> Parse(const std::vector<std::string>& networks);
  // `address`: numeric, without a port.
  bool Contains(std::string_view address) const;

 private:
  struct Network {
    std::array<uint8_t, 16> address{};  // IPv4 as ::ffff:a.b.c.d
    int bits = 128;
  };
  std::vector<Network> networks_;
};

// The address without its port: "127.0.0.1:52100" -> "127.0.0.1", "[::1]:80" -> "::1".
std::string_view WithoutPort(std::string_view peer);

// The peer's address; when that is a trusted proxy (or `trust_peer` says so), the last address of
// `x-forwarded-for` that is none. "" in process.
std::string ClientAddress(const CallContext& context, const TrustedProxies& proxies,
                          bool trust_peer);

// What one client can easily have many of counts as one: an IPv6 address stands for its /64.
std::string AddressBucket(std::string_view address);

}  // namespace vectron::rpc
