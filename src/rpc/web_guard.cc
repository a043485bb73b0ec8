#include "rpc/web_guard.h"

#include <algorithm>
#include <optional>

#include "base/status.h"
#include "model/text.h"

namespace vectron::rpc {
namespace {

constexpr char kMethods[] = "GET, POST, PUT, DELETE";
constexpr char kRequestHeaders[] =
    "authorization, content-type, x-api-key, x-request-id, x-request-timeout-ms, "
    "x-vectron-bootstrap, x-vectron-tenant";
constexpr char kAnswerHeaders[] = "Retry-After, X-Request-Id, Allow, ETag";
constexpr char kPreflightSeconds[] = "600";

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// HOST[:PORT] of an origin; nullopt when it is none.
std::optional<std::string_view> AuthorityOf(std::string_view origin) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (!origin.starts_with(scheme)) continue;
    const std::string_view authority = origin.substr(scheme.size());
    const bool plain = std::all_of(authority.begin(), authority.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
             std::string_view(".-_:[]").find(c) != std::string_view::npos;
    });
    if (plain && !WithoutPort(authority).empty()) return authority;
  }
  return std::nullopt;
}

std::string_view WithoutDefaultPort(std::string_view origin) {
  const std::string_view port = origin.starts_with("https://") ? ":443" : ":80";
  if (origin.ends_with(port)) origin.remove_suffix(port.size());
  return origin;
}

}  // namespace

absl::StatusOr<WebGuard> WebGuard::Make(WebRules rules) {
  WebGuard guard;
  for (std::string& origin : rules.allowed_origins) {
    origin = Lower(origin);  // as browsers send it
    if (!AuthorityOf(origin).has_value()) {
      return InvalidArgument(
          "{} is no origin: wanted SCHEME://HOST or SCHEME://HOST:PORT, such as "
          "https://app.example.org",
          Quote(origin));
    }
    origin.resize(WithoutDefaultPort(origin).size());  // browsers leave it out
  }
  guard.rules_ = std::move(rules);
  ASSIGN_OR_RETURN(guard.loopback_, TrustedProxies::Parse({"127.0.0.0/8", "::1"}));
  return guard;
}

bool WebGuard::IsAllowed(std::string_view origin) const {
  const auto& allowed = rules_.allowed_origins;
  return std::find(allowed.begin(), allowed.end(), origin) != allowed.end();
}

bool WebGuard::IsLoopback(std::string_view host) const {
  if (host.starts_with('[')) {  // "[::1]" or "[::1]:8080", nothing else behind the address
    const size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    if (end + 1 < host.size() && host[end + 1] != ':') return false;
  }
  const std::string_view name = WithoutPort(host);
  return loopback_.Contains(name) || Lower(name) == "localhost";
}

absl::Status WebGuard::Check(const HttpRequest& request) const {
  if (rules_.checks_credentials) return absl::OkStatus();
  // Without the header (HTTP/1.0) it is no browser's.
  const std::string_view host = request.Header("host").value_or("localhost");
  if (!IsLoopback(host)) {
    return PermissionDenied(
        "host {} is refused while credentials are off: connect to 127.0.0.1, [::1] or localhost, "
        "or start the server with credentials",
        Quote(host));
  }
  const auto origin = request.Header("origin");
  if (!origin || IsAllowed(*origin)) return absl::OkStatus();
  if (const auto authority = AuthorityOf(*origin); authority && IsLoopback(*authority)) {
    return absl::OkStatus();
  }
  return PermissionDenied(
      "a page of origin {} is refused while credentials are off: name it with --allow-origin, or "
      "start the server with credentials",
      Quote(*origin));
}

std::vector<std::pair<std::string, std::string>> WebGuard::AnswerHeaders(
    const HttpRequest& request) const {
  std::vector<std::pair<std::string, std::string>> headers;
  if (rules_.allowed_origins.empty()) return headers;
  headers.emplace_back("Vary", "Origin");
  const auto origin = request.Header("origin");
  if (!origin || !IsAllowed(*origin)) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", *origin);
  if (request.verb == HttpVerb::kOptions && request.Header("access-control-request-method")) {
    headers.emplace_back("Access-Control-Allow-Methods", kMethods);
    headers.emplace_back("Access-Control-Allow-Headers", kRequestHeaders);
    headers.emplace_back("Access-Control-Max-Age", kPreflightSeconds);
  } else {
    headers.emplace_back("Access-Control-Expose-Headers", kAnswerHeaders);
  }
  return headers;
}

}  // namespace vectron::rpc
