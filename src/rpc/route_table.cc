#include "rpc/route_table.h"

#include <algorithm>
#include <set>

#include "base/status.h"

namespace vectron::rpc {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "/a//b" gives "a", "", "b"; "/" gives one empty segment.
using Segments = absl::InlinedVector<std::string_view, 8>;
Segments Split(std::string_view path) {
  Segments segments;
  path.remove_prefix(1);
  for (;;) {
    const size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

bool VerbMatches(HttpVerb route, HttpVerb asked) {
  return route == asked || (asked == HttpVerb::kHead && route == HttpVerb::kGet);
}

}  // namespace

bool PercentDecode(std::string_view text, bool plus_is_space, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size()) return false;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return false;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return true;
}

absl::Status RouteTable::Parse(std::string_view path, std::vector<Pattern::Segment>& segments) {
  if (path.empty() || path.front() != '/')
    return InvalidArgument("route \"{}\" does not begin with a slash", path);
  std::set<std::string_view> names;
  for (const std::string_view text : Split(path)) {
    if (!segments.empty() && segments.back().kind == Pattern::Kind::kRest) {
      return InvalidArgument("route \"{}\" has segments after **", path);
    }
    if (text == "**") {
      segments.push_back({Pattern::Kind::kRest, ""});
    } else if (text.size() > 2 && text.front() == '{' && text.back() == '}') {
      const std::string_view name = text.substr(1, text.size() - 2);
      if (!names.insert(name).second)
        return InvalidArgument("route \"{}\" names {} twice", path, name);
      segments.push_back({Pattern::Kind::kName, std::string(name)});
    } else if (text.find_first_of("{}*%") != std::string_view::npos) {
      return InvalidArgument("route \"{}\": segment \"{}\" is no literal, {{name}} or **", path,
                             text);
    } else {
      segments.push_back({Pattern::Kind::kLiteral, std::string(text)});
    }
  }
  return absl::OkStatus();
}

absl::Status RouteTable::Add(Route route) {
  Pattern pattern;
  RETURN_IF_ERROR(Parse(route.path, pattern.segments));
  // Order: kinds from left to right, a literal first; equal kinds by their literals.
  const auto less = [](const Pattern& a, const Pattern& b) {
    return std::lexicographical_compare(
        a.segments.begin(), a.segments.end(), b.segments.begin(), b.segments.end(),
        [](const Pattern::Segment& x, const Pattern::Segment& y) {
          if (x.kind != y.kind) return x.kind < y.kind;
          return x.kind == Pattern::Kind::kLiteral && x.text < y.text;
        });
  };
  const auto [begin, end] = std::equal_range(patterns_.begin(), patterns_.end(), pattern, less);
  for (auto it = begin; it != end; ++it) {
    if (it->route->verb == route.verb) {
      return AlreadyExists("{} {} clashes with {}", VerbName(route.verb), route.path,
                           it->route->path);
    }
  }
  routes_.push_back(std::make_unique<Route>(std::move(route)));
  pattern.route = routes_.back().get();
  patterns_.insert(end, std::move(pattern));
  return absl::OkStatus();
}

RouteTable::Result RouteTable::Match(HttpVerb verb, std::string_view path) const {
  Result result;
  if (path.empty() || path.front() != '/') return result;
  Segments segments = Split(path);
  // Storage of decoded segments; reserved, so that views into it stay.
  std::vector<std::string> decoded;
  if (path.find('%') != std::string_view::npos) {
    decoded.reserve(segments.size());
    for (std::string_view& segment : segments) {
      if (!PercentDecode(segment, false, decoded.emplace_back())) {
        result.outcome = Outcome::kBadEscape;
        return result;
      }
      segment = decoded.back();
    }
  }
  const auto matches = [&segments](const Pattern& pattern) {
    const bool rest = pattern.segments.back().kind == Pattern::Kind::kRest;
    const size_t fixed = pattern.segments.size() - (rest ? 1 : 0);
    if (rest ? segments.size() < fixed : segments.size() != fixed) return false;
    for (size_t i = 0; i < fixed; ++i) {
      const Pattern::Segment& wanted = pattern.segments[i];
      if (wanted.kind == Pattern::Kind::kLiteral ? wanted.text != segments[i] : segments[i].empty())
        return false;
    }
    return true;
  };
  std::set<std::string_view> allowed;
  for (const Pattern& pattern : patterns_) {
    if (!matches(pattern)) continue;
    if (VerbMatches(pattern.route->verb, verb)) {
      result.outcome = Outcome::kMatch;
      result.route = pattern.route;
      for (size_t i = 0; i < pattern.segments.size() && i < segments.size(); ++i) {
        if (pattern.segments[i].kind == Pattern::Kind::kName) {
          result.params.emplace_back(pattern.segments[i].text, std::string(segments[i]));
        }
      }
      return result;
    }
    if (result.route == nullptr) result.route = pattern.route;
    allowed.insert(VerbName(pattern.route->verb));
    if (pattern.route->verb == HttpVerb::kGet) allowed.insert("HEAD");
  }
  if (allowed.empty()) return result;
  result.outcome = Outcome::kWrongVerb;
  for (const std::string_view name : allowed) {
    if (!result.allowed.empty()) result.allowed += ", ";
    result.allowed += name;
  }
  return result;
}

}  // namespace vectron::rpc
