#pragma once

// Addresses to listen on, as options name them.

#include <cstdint>
#include <string>

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

}  // namespace vectron
