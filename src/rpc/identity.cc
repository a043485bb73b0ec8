#include "rpc/identity.h"

#include <algorithm>

namespace vectron::rpc {

bool MatchesPattern(std::string_view pattern, std::string_view text) {
  size_t p = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;  // the last one seen, and where its text began
  size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool MayUseCollection(const Identity* identity, std::string_view collection) {
  if (identity == nullptr || identity->collections.empty()) return true;
  return std::any_of(
      identity->collections.begin(), identity->collections.end(),
      [collection](const std::string& pattern) { return MatchesPattern(pattern, collection); });
}

}  // namespace vectron::rpc
