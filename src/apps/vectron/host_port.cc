#include "apps/vectron/host_port.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

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

absl::StatusOr<HostPort> ParseHostPort(const std::string& text) {
  const absl::Status wrong = InvalidArgument(
      "'{}' is no address: wanted HOST:PORT with a numeric host or localhost, such as "
      "127.0.0.1:8080 or [::1]:8080",
      text);
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong;
  HostPort result{.host = text.substr(0, colon), .port = 0};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, result.port);
  if (error != std::errc() || stop != end) return wrong;
  if (result.host == "localhost") result.host = "127.0.0.1";
  const bool bracketed = result.host.starts_with('[') && result.host.ends_with(']');
  if (bracketed) result.host = result.host.substr(1, result.host.size() - 2);
  unsigned char address[sizeof(in6_addr)];
  if (::inet_pton(bracketed ? AF_INET6 : AF_INET, result.host.c_str(), address) != 1) return wrong;
  return result;
}

bool IsLoopback(const std::string& host) {
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

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

}  // namespace vectron
