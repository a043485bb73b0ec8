#include "apps/vectron/host_port.h"

#include <arpa/inet.h>

#include <charconv>
#include <string_view>

#include "base/status.h"

namespace vectron {

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

}  // namespace vectron
