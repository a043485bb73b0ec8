#include "services/auth/verifier.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/status.h"
#include "rpc/cluster_secret.h"

namespace vectron::auth {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr size_t kApiKeyTextBytes = sizeof kApiKeyStart - 1 + (kApiKeyBytes * 4 + 2) / 3;

rpc::Access AccessOf(v1::KeyScope scope) {
  switch (scope) {
    case v1::KEY_SCOPE_ADMIN:
      return rpc::Access::kAdmin;
    case v1::KEY_SCOPE_WRITE:
      return rpc::Access::kWrite;
    default:
      return rpc::Access::kRead;
  }
}

}  // namespace

Sha256 ApiKeyHash(std::string_view secret, std::string_view full_key) {
  return HmacSha256(secret, fmt::format("vectron api key {}", full_key));
}

std::string NewApiKey() { return kApiKeyStart + Base64UrlEncode(RandomBytes(kApiKeyBytes)); }

absl::Status LocalVerifier::CheckFresh() const {
  const int64_t behind_ms = (clock_.MonotonicNanos() - directory_.fresh_at_nanos()) / kNanosPerMs;
  if (behind_ms <= rpc::kMaxAuthStalenessMs) return absl::OkStatus();
  return Unavailable("the Auth service's store has not answered for {} ms", behind_ms);
}

absl::Status LocalVerifier::SetUser(std::string_view user_id, rpc::Identity& identity) const {
  const UserPtr user = directory_.FindUser(user_id);
  if (user == nullptr || user->record.leaving()) return Unauthenticated("the user is no more");
  identity.user_id = user->record.id();
  identity.role = user->record.role() == v1::ROLE_ADMIN ? rpc::Role::kAdmin : rpc::Role::kUser;
  identity.plan = user->record.plan() == v1::PAID ? rpc::Plan::kPaid : rpc::Plan::kFree;
  return absl::OkStatus();
}

absl::Status LocalVerifier::SetKey(const ApiKeyPtr& key, rpc::Identity& identity) const {
  const store::v1::ApiKey& record = key->record;
  if (record.expires_at() != 0 && clock_.UnixMillis() >= record.expires_at() * 1000)
    return Unauthenticated("the API key has expired");
  RETURN_IF_ERROR(SetUser(record.user_id(), identity));
  identity.access = AccessOf(record.scope());
  identity.collections.assign(record.collections().begin(), record.collections().end());
  identity.key_prefix = record.prefix();
  identity.expires_unix_s = record.expires_at();
  return absl::OkStatus();
}

absl::StatusOr<rpc::Identity> LocalVerifier::FromApiKey(std::string_view full_key) const {
  const absl::Status unknown = Unauthenticated("the API key is not known");
  if (full_key.size() != kApiKeyTextBytes) return unknown;
  const ApiKeyPtr key = directory_.FindKey(full_key.substr(0, kApiKeyPrefixBytes));
  const Sha256 hash = ApiKeyHash(secret_, full_key);
  if (key == nullptr || !rpc::SecretsEqual(key->record.hash(), AsText(hash))) return unknown;
  rpc::Identity identity;
  identity.kind = rpc::CredentialKind::kApiKey;
  RETURN_IF_ERROR(SetKey(key, identity));
  return identity;
}

absl::StatusOr<rpc::Identity> LocalVerifier::FromToken(std::string_view token) const {
  ASSIGN_OR_RETURN(const Claims claims,
                   directory_.key_ring()->Verify(token, clock_.UnixMillis() / 1000));
  rpc::Identity identity;
  if (claims.api_key.empty()) {
    identity.kind = rpc::CredentialKind::kLogin;
    identity.access = rpc::Access::kAdmin;  // what the role allows
    const UserPtr user = directory_.FindUser(claims.user_id);
    const bool other_epoch =
        user != nullptr && user->record.session_epoch() != claims.session_epoch;
    if (other_epoch || claims.session_id.empty() || directory_.SessionEnded(claims.session_id))
      return Unauthenticated("the session has ended");
    identity.session_id = claims.session_id;
    identity.session_began_unix_s = claims.session_began;
    RETURN_IF_ERROR(SetUser(claims.user_id, identity));
  } else {
    const ApiKeyPtr key = directory_.FindKey(claims.api_key);
    if (key == nullptr || key->record.user_id() != claims.user_id)
      return Unauthenticated("the API key of the token is no more");
    RETURN_IF_ERROR(SetKey(key, identity));
    identity.kind = rpc::CredentialKind::kSdk;
    // A token made from a key never reaches users, keys or plans.
    identity.access = std::min(identity.access, rpc::Access::kWrite);
  }
  if (directory_.SessionEnded(claims.token_id)) return Unauthenticated("the session has ended");
  identity.token_id = claims.token_id;
  identity.issued_unix_s = claims.issued_at;
  identity.expires_unix_s = identity.expires_unix_s == 0
                                ? claims.expires_at
                                : std::min(identity.expires_unix_s, claims.expires_at);
  return identity;
}

rpc::Verdict LocalVerifier::VerifyNow(std::string_view credential) const {
  rpc::Verdict verdict{.identity = absl::UnknownError(""), .generation = directory_.generation()};
  const absl::Status fresh = CheckFresh();
  if (!fresh.ok()) {
    verdict.identity = fresh;
    return verdict;
  }
  const int64_t fresh_at = directory_.fresh_at_nanos();
  absl::StatusOr<rpc::Identity> identity =
      credential.starts_with(kApiKeyStart) ? FromApiKey(credential) : FromToken(credential);
  if (!identity.ok()) {  // quickly found again, so not worth remembering
    verdict.identity = identity.status();
    return verdict;
  }
  verdict.good_until_nanos = fresh_at + rpc::kMaxVerdictMs * kNanosPerMs;
  if (identity->expires_unix_s != 0) {
    const int64_t left_ms =
        (identity->expires_unix_s + kTokenLeewaySeconds) * 1000 - clock_.UnixMillis();
    verdict.good_until_nanos =
        std::min(verdict.good_until_nanos, clock_.MonotonicNanos() + left_ms * kNanosPerMs);
  }
  verdict.identity = std::make_shared<const rpc::Identity>(*std::move(identity));
  return verdict;
}

void LocalVerifier::Verify(std::string_view credential, std::function<void(rpc::Verdict)> done) {
  done(VerifyNow(credential));
}

}  // namespace vectron::auth
