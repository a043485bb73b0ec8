#include "services/auth/tokens.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "services/auth/secrets.h"

namespace vectron::auth {
namespace {

constexpr int64_t kNow = 1'700'000'000;

KeyRing RingOf(const std::string& id, const std::string& bytes, int64_t created_at = 0) {
  KeyRing ring;
  ring.Add(id, {Algorithm::kHs256, bytes, created_at});
  return ring;
}
Claims SomeClaims() {
  return {.user_id = "user-1",
          .plan = "FREE",
          .api_key = "",
          .token_id = "j-1",
          .issued_at = kNow,
          .expires_at = kNow + 100,
          .session_epoch = 3,
          .session_id = "s-1",
          .session_began = kNow - 50};
}
// A token as an attacker makes it: any header and payload, signed with any bytes or not at all.
std::string Forge(const std::string& header, const std::string& payload, const std::string& key) {
  const std::string text = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  return text + "." + (key.empty() ? "" : Base64UrlEncode(AsText(HmacSha256(key, text))));
}

TEST(Base64Url, GivesEachByteStringOneText) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  for (int i = 0; i < 2'000; ++i) {
    std::string bytes;
    for (uint64_t n = random.Below(70); n > 0; --n) bytes += static_cast<char>(random.Below(256));
    const std::string text = Base64UrlEncode(bytes);
    ASSERT_EQ(Base64UrlDecode(text), bytes);
    if (!text.empty()) {  // any other last character is either another text or none
      std::string other = text;
      other.back() = other.back() == 'A' ? 'B' : 'A';
      ASSERT_NE(Base64UrlDecode(other), bytes);
    }
  }
  for (const char* bad : {"A", "AAAAA", "AA==", "A+", "A/", "AB", "AAB", " AA", "AA\n"})
    EXPECT_EQ(Base64UrlDecode(bad), std::nullopt) << bad;
}

TEST(HmacSha256, IsThatOfRfc4231) {
  const auto hex = [](const Sha256& hash) {
    std::string text;
    for (const uint8_t byte : hash) text += fmt::format("{:02x}", byte);
    return text;
  };
  EXPECT_EQ(hex(HmacSha256(std::string(20, '\x0b'), "Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Tokens, ComeBackAsTheyWere) {
  const KeyRing ring = RingOf("k1", "secret");
  const absl::StatusOr<Claims> claims = ring.Verify(ring.Sign(SomeClaims(), kNow), kNow);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->user_id, "user-1");
  EXPECT_EQ(claims->plan, "FREE");
  EXPECT_EQ(claims->api_key, "");
  EXPECT_EQ(claims->token_id, "j-1");
  EXPECT_EQ(claims->issued_at, kNow);
  EXPECT_EQ(claims->expires_at, kNow + 100);
  EXPECT_EQ(claims->session_epoch, 3u);
  EXPECT_EQ(claims->session_id, "s-1");
  EXPECT_EQ(claims->session_began, kNow - 50);
}

TEST(Tokens, HoldFromTheirBeginToTheirEndWithFiveSecondsOfLeeway) {
  const KeyRing ring = RingOf("k1", "secret");
  const std::string token = ring.Sign(SomeClaims(), kNow);
  EXPECT_TRUE(ring.Verify(token, kNow - 5).ok());
  EXPECT_FALSE(ring.Verify(token, kNow - 6).ok());
  EXPECT_TRUE(ring.Verify(token, kNow + 104).ok());
  EXPECT_FALSE(ring.Verify(token, kNow + 105).ok());
}

TEST(Tokens, TolerateUnknownClaims) {
  const KeyRing ring = RingOf("k1", "secret");
  const std::string payload =
      R"({"iss":"vectron","sub":"u","user_id":"u","iat":1,"nbf":1,"exp":9e9,"jti":"j","new":{"a":[1]}})";
  EXPECT_TRUE(
      ring.Verify(Forge(R"({"alg":"HS256","kid":"k1","other":1})", payload, "secret"), kNow).ok());
}

// Every attack of the list is refused; the token they start from is good.
TEST(Tokens, RefuseEveryForgery) {
  KeyRing ring = RingOf("k1", "secret");
  ring.Add("k2", {Algorithm::kHs256, "other secret", 0});
  const std::string good_header = R"({"alg":"HS256","kid":"k1","typ":"JWT"})";
  const std::string good =
      R"({"iss":"vectron","sub":"u","user_id":"u","iat":1,"nbf":1,"exp":9000000000,"jti":"j"})";
  ASSERT_TRUE(ring.Verify(Forge(good_header, good, "secret"), kNow).ok());
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string payload = good;
    payload.replace(payload.find(from), from.size(), to);
    return payload;
  };
  const std::string token = Forge(good_header, good, "secret");
  const std::vector<std::pair<const char*, std::string>> attacks = {
      {"no signature", Forge(R"({"alg":"none","kid":"k1"})", good, "")},
      {"alg none, signed", Forge(R"({"alg":"none","kid":"k1"})", good, "secret")},
      {"alg None", Forge(R"({"alg":"None","kid":"k1"})", good, "secret")},
      {"alg HS512", Forge(R"({"alg":"HS512","kid":"k1"})", good, "secret")},
      {"alg RS256, HMAC by a public key", Forge(R"({"alg":"RS256","kid":"k1"})", good, "secret")},
      {"alg lower case", Forge(R"({"alg":"hs256","kid":"k1"})", good, "secret")},
      {"alg missing", Forge(R"({"kid":"k1"})", good, "secret")},
      {"alg no text", Forge(R"({"alg":1,"kid":"k1"})", good, "secret")},
      {"kid missing", Forge(R"({"alg":"HS256"})", good, "secret")},
      {"kid unknown", Forge(R"({"alg":"HS256","kid":"k3"})", good, "secret")},
      {"kid of another key", Forge(R"({"alg":"HS256","kid":"k2"})", good, "secret")},
      {"kid a path",
       Forge(R"({"alg":"HS256","kid":"../../dev/null"})", good, std::string(1, '\0'))},
      {"kid an injection", Forge(R"({"alg":"HS256","kid":"k1' OR '1'='1"})", good, "secret")},
      {"kid a list", Forge(R"({"alg":"HS256","kid":["k1"]})", good, "secret")},
      {"kid long",
       Forge(R"({"alg":"HS256","kid":")" + std::string(200, 'k') + "\"}", good, "secret")},
      {"own key in the header",
       Forge(R"({"alg":"HS256","kid":"mine","jwk":{"kty":"oct","k":"bWluZQ"}})", good, "mine")},
      {"key by address", Forge(R"({"alg":"HS256","kid":"x","jku":"http://e/k"})", good, "mine")},
      {"crit", Forge(R"({"alg":"HS256","kid":"k1","crit":["exp"]})", good, "secret")},
      {"empty key", Forge(good_header, good, "") + Base64UrlEncode(AsText(HmacSha256("", "x")))},
      {"other secret", Forge(good_header, good, "guess")},
      {"signature cut", token.substr(0, token.size() - 4)},
      {"signature longer", token + "AAAA"},
      {"signature padded", token + "="},
      {"payload changed",
       [&] {
         std::string changed = token;
         const size_t at = changed.find('.') + 10;
         changed[at] = changed[at] == 'A' ? 'B' : 'A';
         return changed;
       }()},
      {"two parts", token.substr(0, token.rfind('.'))},
      {"four parts", token + ".AAAA"},
      {"only dots", ".."},
      {"empty", ""},
      {"header no JSON", Forge("HS256", good, "secret")},
      {"header a list", Forge("[]", good, "secret")},
      {"payload no JSON", Forge(good_header, "user", "secret")},
      {"payload a list", Forge(good_header, "[]", "secret")},
      {"another issuer", Forge(good_header, with("\"vectron\"", "\"other\""), "secret")},
      {"no issuer", Forge(good_header, with("\"iss\"", "\"isx\""), "secret")},
      {"no user", Forge(good_header, with("\"user_id\"", "\"user\""), "secret")},
      {"user and subject differ",
       Forge(good_header, with("\"sub\":\"u\"", "\"sub\":\"v\""), "secret")},
      {"user empty",
       Forge(good_header, with("\"sub\":\"u\",\"user_id\":\"u\"", "\"sub\":\"\",\"user_id\":\"\""),
             "secret")},
      {"no end", Forge(good_header, with("\"exp\"", "\"expx\""), "secret")},
      {"end a text", Forge(good_header, with("9000000000", "\"9000000000\""), "secret")},
      {"end negative", Forge(good_header, with("9000000000", "-1"), "secret")},
      {"end huge", Forge(good_header, with("9000000000", "1e300"), "secret")},
      {"expired", Forge(good_header, with("9000000000", "1600000000"), "secret")},
      {"not yet valid", Forge(good_header, with("\"nbf\":1", "\"nbf\":1700000006"), "secret")},
      {"issued in the future",
       Forge(good_header, with("\"iat\":1", "\"iat\":1700000006"), "secret")},
      {"no id", Forge(good_header, with("\"jti\"", "\"jtx\""), "secret")},
      {"too long", Forge(good_header, good + std::string(kMaxTokenBytes, ' '), "secret")},
      {"a megabyte", std::string(1 << 20, 'A')},
      {"bytes that are no text", std::string("\xff\xfe.\0.\x80", 6)},
  };
  for (const auto& [name, attack] : attacks) {
    const absl::StatusOr<Claims> claims = ring.Verify(attack, kNow);
    EXPECT_TRUE(absl::IsUnauthenticated(claims.status())) << name << ": " << claims.status();
  }
}

TEST(Tokens, RefuseRandomChanges) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  const KeyRing ring = RingOf("k1", "secret");
  const std::string token = ring.Sign(SomeClaims(), kNow);
  for (int i = 0; i < 5'000; ++i) {
    std::string changed = token;
    for (uint64_t n = 1 + random.Below(3); n > 0; --n)
      changed[random.Below(changed.size())] = static_cast<char>(random.Below(256));
    if (changed == token) continue;
    ASSERT_FALSE(ring.Verify(changed, kNow).ok()) << changed;
  }
}

TEST(KeyRing, SignsWithTheNewestKeyThatHasSpread) {
  KeyRing ring = RingOf("old", "1", kNow - 1'000);
  ring.Add("middle", {Algorithm::kHs256, "2", kNow - 100});
  ring.Add("new", {Algorithm::kHs256, "3", kNow - 5});
  EXPECT_EQ(ring.IdToSignWith(kNow), "middle");
  EXPECT_EQ(ring.IdToSignWith(kNow + 60), "new");
  EXPECT_EQ(RingOf("only", "1", kNow).IdToSignWith(kNow), "only");
  const std::string token = RingOf("old", "1").Sign(SomeClaims(), kNow);
  EXPECT_TRUE(ring.Verify(token, kNow).ok()) << "older keys stay good";
}

TEST(SecretFile, IsKeptFromAllButItsOwnerOrTheGroupOfAMount) {
  constexpr uid_t kRoot = 0;
  constexpr uid_t kSelf = 10'001;
  EXPECT_TRUE(IsKept(0100600, kSelf, kSelf));
  EXPECT_FALSE(IsKept(0100640, kSelf, kSelf));
  EXPECT_FALSE(IsKept(0100604, kSelf, kSelf));
  EXPECT_TRUE(IsKept(0100440, kRoot, kSelf)) << "what a container sees of a mounted secret";
  EXPECT_FALSE(IsKept(0100460, kRoot, kSelf));
  EXPECT_FALSE(IsKept(0100644, kRoot, kSelf));
  EXPECT_FALSE(IsKept(0100640, kRoot, kRoot));
}

}  // namespace
}  // namespace vectron::auth
