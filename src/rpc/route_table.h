#pragma once

// From verb and path to what answers there.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "rpc/http_message.h"

namespace vectron::rpc {

// Paths are patterns of segments: a literal, `{name}` (one segment, not empty) or, last, `**` (any
// rest, also none). Where several match, a literal beats a name and a name beats `**`, from left to
// right. Immutable once filled; thread-compatible.
class RouteTable {
 public:
  // plain: a wrong verb on its path is 405 (else 501). target: what the caller makes of it, given
  // back by Match.
  struct Route {
    HttpVerb verb = HttpVerb::kGet;
    std::string path;
    bool plain = false;
    size_t target = 0;
  };

  // AlreadyExists when a route of the same verb matches exactly the same paths; InvalidArgument for
  // a malformed pattern.
  absl::Status Add(Route route);

  enum class Outcome { kMatch, kNotFound, kWrongVerb, kBadEscape };
  struct Result {
    Outcome outcome = Outcome::kNotFound;
    const Route* route = nullptr;  // of a match; of a wrong verb, one that has that path
    PathParams params;             // of a match; names refer to the table
    std::string allowed;           // of a wrong verb: "GET, HEAD, POST"
  };
  // `path` as sent, without the query. Segments are percent-decoded one by one, so "%2F" is no
  // separator. A HEAD matches a GET route.
  Result Match(HttpVerb verb, std::string_view path) const;

  const std::vector<std::unique_ptr<Route>>& routes() const { return routes_; }

 private:
  struct Pattern {
    enum class Kind : uint8_t { kLiteral, kName, kRest };
    struct Segment {
      Kind kind;
      std::string text;
    };
    std::vector<Segment> segments;
    const Route* route = nullptr;
  };
  static absl::Status Parse(std::string_view path, std::vector<Pattern::Segment>& segments);

  std::vector<std::unique_ptr<Route>> routes_;
  std::vector<Pattern> patterns_;  // most specific first
};

// Appends the decoded bytes; false for a bad escape ("%", "%2", "%zz"). `plus_is_space`: as in a
// query.
bool PercentDecode(std::string_view text, bool plus_is_space, std::string& out);

}  // namespace vectron::rpc
