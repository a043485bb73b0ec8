#include "rpc/identity.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace vectron::rpc {
namespace {

// The twin: by trying every split at a star.
bool MatchesByTrying(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*')
    return !text.empty() && pattern[0] == text[0] &&
           MatchesByTrying(pattern.substr(1), text.substr(1));
  for (size_t i = 0; i <= text.size(); ++i) {
    if (MatchesByTrying(pattern.substr(1), text.substr(i))) return true;
  }
  return false;
}

TEST(MatchesPattern, AgreesWithTryingEverySplit) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  int matches = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string pattern;
    std::string text;
    for (uint64_t n = random.Below(6); n > 0; --n) pattern += "ab*"[random.Below(3)];
    for (uint64_t n = random.Below(7); n > 0; --n) text += "ab"[random.Below(2)];
    const bool wanted = MatchesByTrying(pattern, text);
    ASSERT_EQ(MatchesPattern(pattern, text), wanted) << pattern << " " << text;
    matches += wanted ? 1 : 0;
  }
  EXPECT_GT(matches, 1'000);
}

TEST(MayUseCollection, GoesByTheKeysPatterns) {
  EXPECT_TRUE(MayUseCollection(nullptr, "any"));
  Identity identity;
  EXPECT_TRUE(MayUseCollection(&identity, "any"));
  identity.collections = {"docs-*", "news"};
  EXPECT_TRUE(MayUseCollection(&identity, "docs-2024"));
  EXPECT_TRUE(MayUseCollection(&identity, "news"));
  EXPECT_FALSE(MayUseCollection(&identity, "news2"));
  EXPECT_FALSE(MayUseCollection(&identity, "doc"));
}

}  // namespace
}  // namespace vectron::rpc
