// Any bytes as a token, and as a payload that is signed well: refused as Unauthenticated, or read.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "services/auth/tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using vectron::auth::Base64UrlEncode;
  constexpr int64_t kNow = 1'700'000'000;
  vectron::auth::KeyRing ring;
  ring.Add("k", {vectron::auth::Algorithm::kHs256, "secret", 0});
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto claims = ring.Verify(bytes, kNow);
  CHECK(absl::IsUnauthenticated(claims.status()) || claims.ok());
  const std::string text =
      Base64UrlEncode(R"({"alg":"HS256","kid":"k"})") + "." + Base64UrlEncode(bytes);
  const auto mac = vectron::auth::HmacSha256("secret", text);
  const auto own = ring.Verify(text + "." + Base64UrlEncode(vectron::auth::AsText(mac)), kNow);
  CHECK(absl::IsUnauthenticated(own.status()) || own.ok());
  if (own.ok()) CHECK(!own->user_id.empty() && own->expires_at + 5 > kNow);
  return 0;
}
