#include "services/auth/tokens.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <optional>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/json_text.h"

namespace vectron::auth {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

// A key this old is known to every server.
constexpr int64_t kKeySpreadSeconds = 10;
constexpr size_t kMaxKeyIdBytes = 64;
constexpr int64_t kMaxUnixSeconds = int64_t{1} << 40;  // so that sums cannot overflow

absl::Status Bad(std::string_view why) { return Unauthenticated("the token is {}", why); }

void AppendText(std::string_view name, std::string_view value, std::string& json) {
  json += fmt::format("{}\"{}\":", json.size() > 1 ? "," : "", name);
  rpc::AppendJsonString(value, json);
}
void AppendNumber(std::string_view name, int64_t value, std::string& json) {
  json += fmt::format("{}\"{}\":{}", json.size() > 1 ? "," : "", name, value);
}

std::optional<std::string> TextOf(const object& json, std::string_view name) {
  std::string_view value;
  if (json[name].get(value) != simdjson::SUCCESS) return std::nullopt;
  return std::string(value);
}

// RFC 7519 allows fractions in times.
std::optional<int64_t> TimeOf(const object& json, std::string_view name) {
  double value = 0;
  if (json[name].get(value) != simdjson::SUCCESS) return std::nullopt;
  if (!(value >= 0 && value < static_cast<double>(kMaxUnixSeconds))) return std::nullopt;
  return static_cast<int64_t>(value);
}

// A part of a token, decoded and parsed. The parser holds what the object refers to.
class JsonPart {
 public:
  // False when it is no base64url of one JSON object.
  bool Parse(std::string_view part) {
    auto bytes = Base64UrlDecode(part);
    if (!bytes) return false;
    bytes_ = std::move(*bytes);
    element root;
    return parser_.parse(bytes_).get(root) == simdjson::SUCCESS &&
           root.get(object_) == simdjson::SUCCESS;
  }
  const object& json() const { return object_; }

 private:
  std::string bytes_;
  simdjson::dom::parser parser_{kMaxTokenBytes};
  object object_;
};

std::string_view NameOf(Algorithm algorithm) {
  CHECK(algorithm == Algorithm::kHs256);
  return "HS256";
}

absl::StatusOr<Claims> ClaimsOf(const object& json, int64_t now) {
  if (TextOf(json, "iss") != kTokenIssuer) return Bad("not of this issuer");
  Claims claims;
  auto user_id = TextOf(json, "user_id");
  auto subject = TextOf(json, "sub");
  auto token_id = TextOf(json, "jti");
  const auto issued = TimeOf(json, "iat");
  const auto not_before = TimeOf(json, "nbf");
  const auto expires = TimeOf(json, "exp");
  if (!user_id || user_id->empty() || user_id != subject || !token_id || token_id->empty() ||
      !issued || !not_before || !expires) {
    return Bad("without a claim it needs");
  }
  if (now >= *expires + kTokenLeewaySeconds) return Bad("expired");
  if (now + kTokenLeewaySeconds < *not_before || now + kTokenLeewaySeconds < *issued)
    return Bad("not valid yet");
  claims.user_id = std::move(*user_id);
  claims.token_id = std::move(*token_id);
  claims.issued_at = *issued;
  claims.expires_at = *expires;
  claims.plan = TextOf(json, "plan").value_or("");
  claims.api_key = TextOf(json, "api_key").value_or("");
  claims.session_epoch = static_cast<uint64_t>(TimeOf(json, "ses").value_or(0));
  claims.session_id = TextOf(json, "sid").value_or("");
  claims.session_began = TimeOf(json, "auth_time").value_or(0);
  return claims;
}

}  // namespace

const std::string& KeyRing::IdToSignWith(int64_t now_unix_s) const {
  CHECK(!keys_.empty());
  const std::pair<const std::string, SigningKeyBytes>* chosen = nullptr;
  const auto rank = [now_unix_s](const auto& entry) {
    // Those that are spread come first, the newest before the others; of the rest the oldest.
    const bool spread = entry.second.created_at + kKeySpreadSeconds <= now_unix_s;
    return std::make_tuple(spread, spread ? entry.second.created_at : -entry.second.created_at,
                           std::string_view(entry.first));
  };
  for (const auto& entry : keys_) {
    if (chosen == nullptr || rank(entry) > rank(*chosen)) chosen = &entry;
  }
  return chosen->first;
}

std::string KeyRing::Sign(const Claims& claims, int64_t now_unix_s) const {
  const std::string& id = IdToSignWith(now_unix_s);
  const SigningKeyBytes& key = keys_.at(id);
  std::string header = "{";
  AppendText("alg", NameOf(key.algorithm), header);
  AppendText("kid", id, header);
  AppendText("typ", "JWT", header);
  header += "}";
  std::string payload = "{";
  AppendText("iss", kTokenIssuer, payload);
  AppendText("sub", claims.user_id, payload);
  AppendText("user_id", claims.user_id, payload);
  if (!claims.plan.empty()) AppendText("plan", claims.plan, payload);
  AppendText("api_key", claims.api_key, payload);
  AppendNumber("iat", claims.issued_at, payload);
  AppendNumber("nbf", claims.issued_at, payload);
  AppendNumber("exp", claims.expires_at, payload);
  AppendText("jti", claims.token_id, payload);
  if (claims.session_epoch != 0)
    AppendNumber("ses", static_cast<int64_t>(claims.session_epoch), payload);
  if (!claims.session_id.empty()) {
    AppendText("sid", claims.session_id, payload);
    AppendNumber("auth_time", claims.session_began, payload);
  }
  payload += "}";
  std::string token = Base64UrlEncode(header) + "." + Base64UrlEncode(payload);
  token += "." + Base64UrlEncode(AsText(HmacSha256(key.bytes, token)));
  return token;
}

absl::StatusOr<Claims> KeyRing::Verify(std::string_view token, int64_t now_unix_s) const {
  if (token.size() > kMaxTokenBytes) return Bad("too long");
  const size_t first = token.find('.');
  const size_t second = token.find('.', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos ||
      token.find('.', second + 1) != std::string_view::npos) {
    return Bad("malformed");
  }
  JsonPart header;
  if (!header.Parse(token.substr(0, first))) return Bad("malformed");
  const auto key_id = TextOf(header.json(), "kid");
  if (!key_id || key_id->size() > kMaxKeyIdBytes) return Bad("signed with a key unknown here");
  const auto key = keys_.find(*key_id);
  if (key == keys_.end()) return Bad("signed with a key unknown here");
  if (TextOf(header.json(), "alg") != NameOf(key->second.algorithm))
    return Bad("signed with an algorithm that is not its key's");
  if (header.json()["crit"].error() == simdjson::SUCCESS) return Bad("not understood");
  const auto signature = Base64UrlDecode(token.substr(second + 1));
  if (!signature) return Bad("malformed");
  const Sha256 wanted = HmacSha256(key->second.bytes, token.substr(0, second));
  if (!rpc::SecretsEqual(*signature, AsText(wanted))) return Bad("not signed by this server");
  JsonPart payload;
  if (!payload.Parse(token.substr(first + 1, second - first - 1))) return Bad("malformed");
  return ClaimsOf(payload.json(), now_unix_s);
}

}  // namespace vectron::auth
