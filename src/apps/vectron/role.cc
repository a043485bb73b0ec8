#include "apps/vectron/role.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>

#include "base/status.h"

namespace vectron {
namespace {

// Binds `address` with port 0, and says which port that was. The socket is closed again.
template <typename Address>
absl::StatusOr<uint16_t> FreePortOf(Address& address, in_port_t& port, const std::string& host) {
  const int descriptor =
      ::socket(reinterpret_cast<const sockaddr&>(address).sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return Internal("socket: {}", std::strerror(errno));
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(descriptor, generic, sizeof address) == 0 &&
                     ::getsockname(descriptor, generic, &size) == 0;
  const int error = errno;
  ::close(descriptor);
  if (!bound) return Unavailable("no port of {} is free: {}", host, std::strerror(error));
  return ntohs(port);
}

}  // namespace

std::string Printable(const HostPort& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

absl::StatusOr<HostPort> WithFreePort(const HostPort& address) {
  if (address.port != 0) return address;
  HostPort result = address;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  if (::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    ASSIGN_OR_RETURN(result.port, FreePortOf(v4, v4.sin_port, address.host));
  } else if (::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    ASSIGN_OR_RETURN(result.port, FreePortOf(v6, v6.sin6_port, address.host));
  } else {
    return InvalidArgument("'{}' is no numeric address", address.host);
  }
  return result;
}

absl::StatusOr<std::vector<std::string>> SplitAddresses(const std::string& list) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (begin <= list.size()) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    if (parts.back().find(':') == std::string::npos) {
      return InvalidArgument("'{}' in '{}' is no HOST:PORT", parts.back(), list);
    }
    begin = end + 1;
  }
  return parts;
}

absl::StatusOr<std::vector<PlacementPeerAddress>> ParsePeers(const std::string& text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, SplitAddresses(text));
  std::vector<PlacementPeerAddress> peers;
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    const size_t slash = part.find('/');
    PlacementPeerAddress peer;
    const char* const begin = part.data();
    const auto [stop, error] =
        std::from_chars(begin, begin + std::min(equals, part.size()), peer.node);
    if (equals == std::string::npos || slash == std::string::npos || slash < equals ||
        error != std::errc() || stop != begin + equals || peer.node == 0) {
      return InvalidArgument(
          "'{}' is no placement node: wanted NUMBER=GRPC/RAFT, such as "
          "1=10.0.0.1:6001/10.0.0.1:7001",
          part);
    }
    peer.grpc = part.substr(equals + 1, slash - equals - 1);
    peer.raft = part.substr(slash + 1);
    peers.push_back(std::move(peer));
  }
  return peers;
}

absl::Status CheckPeers(const std::vector<PlacementPeerAddress>& peers, uint64_t node) {
  std::set<uint64_t> nodes;
  for (const PlacementPeerAddress& peer : peers) {
    if (!nodes.insert(peer.node).second) {
      return InvalidArgument("--peers names node {} twice", peer.node);
    }
  }
  if (!nodes.contains(node)) return InvalidArgument("--peers does not name node {}", node);
  if (nodes.size() != 1 && nodes.size() != 3 && nodes.size() != 5) {
    return InvalidArgument("--peers names {} nodes; placement runs on 1, 3 or 5", nodes.size());
  }
  return absl::OkStatus();
}

}  // namespace vectron
