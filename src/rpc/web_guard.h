#pragma once

// Pages of other sites: whose scripts may read what this server answers (CORS), and, where no
// credentials are checked, that none of them reaches it at all.
//
// Without credentials being able to connect is the whole right, and a browser on the machine lends
// it to every page it shows: a page can send "simple" requests across sites, and one whose name is
// made to resolve to this machine (DNS rebinding) can read the answers, too. The former shows in
// `Origin`, the latter in `Host`. Fetch Standard, section 3.2.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/client_address.h"
#include "rpc/http_message.h"

namespace vectron::rpc {

struct WebRules {
  std::vector<std::string> allowed_origins = {};  // "https://app.example.org"
  bool checks_credentials = true;
};

// Immutable, thread-safe.
class WebGuard {
 public:
  // InvalidArgument names the origin that is none.
  static absl::StatusOr<WebGuard> Make(WebRules rules);

  // PermissionDenied, where no credentials are checked, unless the request names this machine by a
  // loopback address or "localhost" and comes from no page, one of this machine or an allowed one.
  absl::Status Check(const HttpRequest& request) const;
  // What lets a page of an allowed origin read the answer, and what tells it before that its
  // request will be taken. Empty when no origins are allowed.
  std::vector<std::pair<std::string, std::string>> AnswerHeaders(const HttpRequest& request) const;

 private:
  WebGuard() = default;
  bool IsAllowed(std::string_view origin) const;
  bool IsLoopback(std::string_view host) const;

  WebRules rules_;
  TrustedProxies loopback_;
};

}  // namespace vectron::rpc
