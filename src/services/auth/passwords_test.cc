#include "services/auth/passwords.h"

#include <gtest/gtest.h>

namespace vectron::auth {
namespace {

constexpr HashCost kCheap{.memory_kib = 64, .passes = 1};

TEST(Email, IsCheckedAndLowered) {
  EXPECT_EQ(*NormalizeEmail("Ada.Lovelace+x@Example.ORG"), "ada.lovelace+x@example.org");
  for (const char* bad : {"", "a", "a@", "@b.org", "a@b", "a b@c.org", "a@b..org", "a..b@c.org",
                          ".a@b.org", "a.@b.org", "a@-b.org", "a@b-.org", "a@b_c.org", "a@@b.org",
                          "a\n@b.org", "a@b.org.", "\xc3\xa4@b.org", "a@b.org\"", "<a@b.org>"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(NormalizeEmail(bad).status())) << bad;
  }
  const std::string domain =
      "@" + std::string(60, 'd') + "." + std::string(60, 'e') + "." + std::string(60, 'f') + ".org";
  EXPECT_TRUE(NormalizeEmail(std::string(64, 'a') + domain).ok());
  EXPECT_FALSE(NormalizeEmail(std::string(65, 'a') + domain).ok());
  EXPECT_FALSE(NormalizeEmail(std::string(10, 'a') + "@" + std::string(64, 'd') + ".org").ok());
}

TEST(Password, WantsLengthAndThreeKinds) {
  for (const char* good : {"Abcdefg1", "abcdef-1", "ABCDEF-1", "Abcdefg-", "Ab1-Ab1-"})
    EXPECT_TRUE(CheckPassword(good).ok()) << good;
  for (const char* bad : {"", "Abcde-1", "abcdefgh", "abcdefg1", "ABCDEFG1", "--------1"})
    EXPECT_TRUE(absl::IsInvalidArgument(CheckPassword(bad))) << bad;
  EXPECT_TRUE(CheckPassword("Aa1" + std::string(125, 'x')).ok());
  EXPECT_FALSE(CheckPassword("Aa1" + std::string(126, 'x')).ok());
}

TEST(PasswordHash, KnowsItsPasswordOnly) {
  const std::string hash = HashPassword("Correct-1", kCheap);
  EXPECT_TRUE(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$")) << hash;
  EXPECT_EQ(*PasswordMatches("Correct-1", hash), true);
  EXPECT_EQ(*PasswordMatches("correct-1", hash), false);
  EXPECT_EQ(*PasswordMatches("", hash), false);
  EXPECT_NE(HashPassword("Correct-1", kCheap), hash) << "each has a salt of its own";
  EXPECT_TRUE(absl::IsDataLoss(PasswordMatches("Correct-1", hash.substr(0, 20)).status()));
}

TEST(PasswordHash, CostsByDefaultWhatIsSaid) {
  EXPECT_TRUE(HashPassword("Correct-1", {}).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
}

}  // namespace
}  // namespace vectron::auth
