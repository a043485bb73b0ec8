#pragma once

// Addresses, as options name them: those to listen on, and those of others.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace vectron {

struct HostPort {
  std::string host;  // numeric address
  uint16_t port = 0;
};
// "127.0.0.1:8080", "[::1]:8080", "localhost:8080" (which is 127.0.0.1). InvalidArgument for
// anything but such an address and a port.
absl::StatusOr<HostPort> ParseHostPort(const std::string& text);
bool IsLoopback(const std::string& host);
// "127.0.0.1:8080", "[::1]:8080".
std::string Printable(const HostPort& address);
// The same address with a port that is free now, when its port is 0. (Others have to be told it
// before it can be bound.) Unavailable: no port is free, or the address is none of this machine.
absl::StatusOr<HostPort> WithFreePort(const HostPort& address);

// "a:1,b:2" as its parts, which may have names for hosts; InvalidArgument for a part without a
// port.
absl::StatusOr<std::vector<std::string>> SplitAddresses(const std::string& list);

}  // namespace vectron
