#include "rpc/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/status.h"

namespace vectron::rpc {
namespace {

using Bytes = std::array<uint8_t, 16>;
constexpr size_t kMaxForwardedBytes = 2'048;  // longer headers are not looked at
constexpr int kV4PrefixBits = 96;

// IPv4 as ::ffff:a.b.c.d.
std::optional<Bytes> ParseAddress(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1] = {};
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  Bytes bytes{};
  if (::inet_pton(AF_INET6, buffer, bytes.data()) == 1) return bytes;
  bytes[10] = bytes[11] = 0xff;
  if (::inet_pton(AF_INET, buffer, bytes.data() + 12) == 1) return bytes;
  return std::nullopt;
}

bool IsV4(const Bytes& bytes) {
  return std::all_of(bytes.begin(), bytes.begin() + 10, [](uint8_t b) { return b == 0; }) &&
         bytes[10] == 0xff && bytes[11] == 0xff;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

absl::StatusOr<TrustedProxies> TrustedProxies::Parse(const std::vector<std::string>& networks) {
  TrustedProxies proxies;
  for (const std::string& text : networks) {
    const size_t slash = text.find('/');
    const auto address = ParseAddress(std::string_view(text).substr(0, slash));
    if (!address) return InvalidArgument("'{}' is no address or network", text);
    Network network{*address, 128};
    if (slash != std::string::npos) {
      int bits = -1;
      const char* const end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data() + slash + 1, end, bits);
      const int most = IsV4(*address) ? 32 : 128;
      if (error != std::errc() || stop != end || bits < 0 || bits > most)
        return InvalidArgument("'{}' is no network", text);
      network.bits = IsV4(*address) ? kV4PrefixBits + bits : bits;
    }
    proxies.networks_.push_back(network);
  }
  return proxies;
}

bool TrustedProxies::Contains(std::string_view address) const {
  if (networks_.empty()) return false;
  const auto bytes = ParseAddress(address);
  if (!bytes) return false;
  return std::any_of(networks_.begin(), networks_.end(), [&bytes](const Network& network) {
    const auto whole = static_cast<size_t>(network.bits / 8);
    const int rest = network.bits % 8;
    if (!std::equal(bytes->begin(), bytes->begin() + static_cast<std::ptrdiff_t>(whole),
                    network.address.begin()))
      return false;
    return rest == 0 || ((*bytes)[whole] >> (8 - rest)) == (network.address[whole] >> (8 - rest));
  });
}

std::string_view WithoutPort(std::string_view peer) {
  if (peer.starts_with('[')) return peer.substr(1, peer.find(']') - 1);
  const size_t colon = peer.find(':');
  // More than one colon: an IPv6 address without a port.
  return peer.find(':', colon + 1) == std::string_view::npos ? peer.substr(0, colon) : peer;
}

std::string ClientAddress(const CallContext& context, const TrustedProxies& proxies,
                          bool trust_peer) {
  const std::string peer = context.Peer();
  std::string address(WithoutPort(peer));
  if (!trust_peer && !proxies.Contains(address)) return address;
  const auto forwarded = context.Header("x-forwarded-for");
  if (!forwarded || forwarded->size() > kMaxForwardedBytes) return address;
  std::string_view rest = *forwarded;
  while (!rest.empty()) {
    const size_t comma = rest.rfind(',');
    const std::string_view last =
        WithoutPort(Trim(comma == std::string_view::npos ? rest : rest.substr(comma + 1)));
    if (!ParseAddress(last)) return address;  // not made by a proxy of ours
    address = std::string(last);
    if (comma == std::string_view::npos || !proxies.Contains(address)) return address;
    rest = rest.substr(0, comma);
  }
  return address;
}

std::string AddressBucket(std::string_view address) {
  const auto bytes = ParseAddress(address);
  if (!bytes) return std::string(address);
  const size_t size = IsV4(*bytes) ? 16 : 8;
  return {reinterpret_cast<const char*>(bytes->data()), size};
}

}  // namespace vectron::rpc
