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

absl::Status LocalVerifier::SetKey(const ApiKeyPtr& key, Finding& finding) const {
  const store::v1::ApiKey& record = key->record;
  rpc::Identity& identity = finding.identity;
  if (record.expires_at() != 0) finding.end_unix_ms = record.expires_at() * 1000;
  if (clock_.UnixMillis() >= finding.end_unix_ms) return Unauthenticated("the API key has expired");
  RETURN_IF_ERROR(SetUser(record.user_id(), identity));
  identity.access = AccessOf(record.scope());
  identity.collections.assign(record.collections().begin(), record.collections().end());
  identity.key_prefix = record.prefix();
  identity.expires_unix_s = record.expires_at();
  return absl::OkStatus();
}

absl::StatusOr<LocalVerifier::Finding> LocalVerifier::FromApiKey(std::string_view full_key) const {
  const absl::Status unknown = Unauthenticated("the API key is not known");
  if (full_key.size() != kApiKeyTextBytes) return unknown;
  const ApiKeyPtr key = directory_.FindKey(full_key.substr(0, kApiKeyPrefixBytes));
  const Sha256 hash = ApiKeyHash(secret_, full_key);
  if (key == nullptr || !rpc::SecretsEqual(key->record.hash(), AsText(hash))) return unknown;
  Finding finding;
  finding.identity.kind = rpc::CredentialKind::kApiKey;
  RETURN_IF_ERROR(SetKey(key, finding));
  return finding;
}

absl::StatusOr<LocalVerifier::Finding> LocalVerifier::FromToken(std::string_view token) const {
  ASSIGN_OR_RETURN(const Claims claims,
                   directory_.key_ring()->Verify(token, clock_.UnixMillis() / 1000));
  Finding finding;
  rpc::Identity& identity = finding.identity;
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
    RETURN_IF_ERROR(SetKey(key, finding));
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
  // The leeway is for the clocks of those who check tokens; a key's end is in the record.
  finding.end_unix_ms =
      std::min(finding.end_unix_ms, (claims.expires_at + kTokenLeewaySeconds) * 1000);
  return finding;
}

rpc::Verdict LocalVerifier::VerifyNow(std::string_view credential) const {
  rpc::Verdict verdict{.identity = absl::UnknownError(""), .generation = directory_.generation()};
  const absl::Status fresh = CheckFresh();
  if (!fresh.ok()) {
    verdict.identity = fresh;
    return verdict;
  }
  const int64_t fresh_at = directory_.fresh_at_nanos();
  absl::StatusOr<Finding> finding =
      credential.starts_with(kApiKeyStart) ? FromApiKey(credential) : FromToken(credential);
  if (!finding.ok()) {  // quickly found again, so not worth remembering
    verdict.identity = finding.status();
    return verdict;
  }
  verdict.good_until_nanos = fresh_at + rpc::kMaxVerdictMs * kNanosPerMs;
  if (finding->end_unix_ms != kNever) {
    const int64_t left_ms = finding->end_unix_ms - clock_.UnixMillis();
    verdict.good_until_nanos =
        std::min(verdict.good_until_nanos, clock_.MonotonicNanos() + left_ms * kNanosPerMs);
  }
  verdict.identity = std::make_shared<const rpc::Identity>(std::move(finding->identity));
  return verdict;
}

void LocalVerifier::Verify(std::string_view credential, std::function<void(rpc::Verdict)> done) {
  done(VerifyNow(credential));
}

}  // namespace vectron::auth
