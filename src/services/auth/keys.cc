// API keys and what is made from them.

#include <algorithm>

#include "base/limits.h"
#include "base/status.h"
#include "services/auth/auth.h"
#include "services/auth/secrets.h"

namespace vectron::auth {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

absl::Status CheckName(std::string_view name) {
  if (name.empty() || name.size() > kMaxKeyNameBytes)
    return InvalidArgument("name: got {} characters, wanted 1 to {}", name.size(),
                           kMaxKeyNameBytes);
  if (!std::all_of(name.begin(), name.end(), [](char c) { return IsNameByte(c) || c == ' '; }))
    return InvalidArgument("name: wanted letters, digits, spaces, '_' and '-'");
  return absl::OkStatus();
}

absl::Status CheckRequest(const v1::CreateAPIKeyRequest& request, bool administrator,
                          int64_t now_s) {
  RETURN_IF_ERROR(CheckName(request.name()));
  if (!v1::KeyScope_IsValid(request.scope())) return InvalidArgument("scope: no known value");
  if (request.scope() == v1::KEY_SCOPE_ADMIN && !administrator)
    return PermissionDenied("scope: only an administrator may make a key of an administrator");
  if (request.scope() == v1::KEY_SCOPE_ADMIN && !request.collections().empty())
    return InvalidArgument(
        "collections: a key of KEY_SCOPE_ADMIN reaches users and keys, so patterns would not hold "
        "it; take KEY_SCOPE_WRITE or leave them out");
  if (static_cast<size_t>(request.collections_size()) > kMaxKeyPatterns)
    return InvalidArgument("collections: got {}, at most {}", request.collections_size(),
                           kMaxKeyPatterns);
  for (const std::string& pattern : request.collections()) {
    const bool good = !pattern.empty() && pattern.size() <= kMaxCollectionNameBytes &&
                      std::all_of(pattern.begin(), pattern.end(),
                                  [](char c) { return IsNameByte(c) || c == '*'; });
    if (!good) return InvalidArgument("collections: one is neither a name nor a pattern");
  }
  if (request.expires_at() != 0 && request.expires_at() <= now_s)
    return InvalidArgument("expires_at: it has passed");
  return absl::OkStatus();
}

void ToInfo(const store::v1::ApiKey& key, v1::APIKey& info) {
  info.set_key_prefix(key.prefix());
  info.set_user_id(key.user_id());
  info.set_created_at(key.created_at());
  info.set_name(key.name());
  info.set_scope(key.scope());
  *info.mutable_collections() = key.collections();
  info.set_expires_at(key.expires_at());
}

v1::CredentialKind KindOf(rpc::CredentialKind kind) {
  switch (kind) {
    case rpc::CredentialKind::kLogin:
      return v1::CREDENTIAL_KIND_LOGIN;
    case rpc::CredentialKind::kSdk:
      return v1::CREDENTIAL_KIND_SDK;
    case rpc::CredentialKind::kApiKey:
      return v1::CREDENTIAL_KIND_API_KEY;
  }
  return v1::CREDENTIAL_KIND_UNSPECIFIED;
}

v1::KeyScope ScopeOf(rpc::Access access) {
  switch (access) {
    case rpc::Access::kRead:
      return v1::KEY_SCOPE_READ;
    case rpc::Access::kWrite:
      return v1::KEY_SCOPE_WRITE;
    case rpc::Access::kAdmin:
      return v1::KEY_SCOPE_ADMIN;
  }
  return v1::KEY_SCOPE_UNSPECIFIED;
}

// "scope=KEY_SCOPE_READ collections=docs-*,news", for the audit log.
std::string DetailOf(const store::v1::ApiKey& key) {
  std::string detail = fmt::format("scope={}", v1::KeyScope_Name(key.scope()));
  for (int i = 0; i < key.collections_size(); ++i)
    detail += fmt::format("{}{}", i == 0 ? " collections=" : ",", key.collections(i));
  if (key.expires_at() != 0) detail += fmt::format(" expires_at={}", key.expires_at());
  return detail;
}

v1::Plan PlanOf(rpc::Plan plan) { return plan == rpc::Plan::kPaid ? v1::PAID : v1::FREE; }

}  // namespace

absl::Status Auth::CreateApiKey(Context& context, const v1::CreateAPIKeyRequest& request,
                                v1::CreateAPIKeyResponse& response) {
  ASSIGN_OR_RETURN(const UserPtr caller, CallerOf(context));
  RETURN_IF_ERROR(CheckRequest(request, caller->record.role() == v1::ROLE_ADMIN, NowSeconds()));
  if (directory_.KeysOf(caller->record.id()).size() >= kMaxKeysPerUser)
    return FailedPrecondition("the user has {} keys, the most allowed", kMaxKeysPerUser);
  const std::string full_key = NewApiKey();
  store::v1::ApiKey key;
  key.set_prefix(full_key.substr(0, kApiKeyPrefixBytes));
  key.set_user_id(caller->record.id());
  key.set_name(request.name());
  key.set_hash(std::string(AsText(ApiKeyHash(secret_, full_key))));
  key.set_created_at(NowSeconds());
  key.set_scope(request.scope() == v1::KEY_SCOPE_UNSPECIFIED ? v1::KEY_SCOPE_WRITE
                                                             : request.scope());
  *key.mutable_collections() = request.collections();
  key.set_expires_at(request.expires_at());
  context.audit_target = key.prefix();
  context.audit_detail = DetailOf(key);
  // The user is compared too: a key must not outlive a deletion that goes on meanwhile.
  RETURN_IF_ERROR(Commit(
      {.compares = {{ApiKeyKey(key.prefix()), 0}, {UserKey(caller->record.id()), caller->revision}},
       .writes = {{.key = ApiKeyKey(key.prefix()), .value = key.SerializeAsString()}}}));
  response.set_full_key(full_key);
  ToInfo(key, *response.mutable_key_info());
  return absl::OkStatus();
}

absl::Status Auth::DeleteApiKey(Context& context, const std::string& prefix) {
  if (prefix.empty()) return InvalidArgument("key_prefix: it is empty");
  context.audit_target = prefix;
  const ApiKeyPtr key = directory_.FindKey(prefix);
  // The same for a key that does not exist: whose keys there are is nobody else's business.
  if (key == nullptr || key->record.user_id() != context.tenant)
    return PermissionDenied("there is no such key of yours");
  const absl::Status status = Commit({.compares = {{ApiKeyKey(prefix), key->revision}},
                                      .writes = {{.key = ApiKeyKey(prefix), .value = {}}}});
  // Keys are never changed, so it has been deleted meanwhile.
  return absl::IsAborted(status) ? absl::OkStatus() : status;
}

absl::Status Auth::ListApiKeys(const Context& context, v1::ListAPIKeysResponse& response) const {
  for (const ApiKeyPtr& key : directory_.KeysOf(context.tenant))
    ToInfo(key->record, *response.add_keys());
  return absl::OkStatus();
}

absl::Status Auth::ValidateApiKey(const v1::ValidateAPIKeyRequest& request,
                                  v1::ValidateAPIKeyResponse& response) const {
  if (request.full_key().empty()) return InvalidArgument("full_key: it is empty");
  if (!request.full_key().starts_with(kApiKeyStart)) return absl::OkStatus();
  const rpc::Verdict verdict = verifier_.VerifyNow(request.full_key());
  if (absl::IsUnavailable(verdict.identity.status())) return verdict.identity.status();
  if (!verdict.identity.ok()) return absl::OkStatus();
  const rpc::Identity& identity = **verdict.identity;
  response.set_valid(true);
  response.set_user_id(identity.user_id);
  response.set_plan(v1::Plan_Name(PlanOf(identity.plan)));
  response.set_api_key_id(identity.key_prefix);
  return absl::OkStatus();
}

absl::Status Auth::CreateSdkJwt(Context& context, const v1::CreateSDKJWTRequest& request,
                                v1::CreateSDKJWTResponse& response) const {
  if (request.api_key_id().empty()) return InvalidArgument("api_key_id: it is empty");
  ASSIGN_OR_RETURN(const UserPtr caller, CallerOf(context));
  context.audit_target = request.api_key_id();
  const ApiKeyPtr key = directory_.FindKey(request.api_key_id());
  if (key == nullptr || key->record.user_id() != caller->record.id())
    return PermissionDenied("there is no such key of yours");
  const int64_t now = NowSeconds();
  int64_t expires = now + kSdkTokenSeconds;
  if (key->record.expires_at() != 0 && key->record.expires_at() <= now)
    return FailedPrecondition("API key {} has expired", key->record.prefix());
  if (key->record.expires_at() != 0) expires = std::min(expires, key->record.expires_at());
  response.set_sdk_jwt(directory_.key_ring()->Sign({.user_id = caller->record.id(),
                                                    .plan = v1::Plan_Name(caller->record.plan()),
                                                    .api_key = key->record.prefix(),
                                                    .token_id = RandomUuid(),
                                                    .issued_at = now,
                                                    .expires_at = expires},
                                                   now));
  return absl::OkStatus();
}

absl::Status Auth::GetAuthDetails(const v1::GetAuthDetailsForSDKRequest& request,
                                  v1::GetAuthDetailsForSDKResponse& response) const {
  if (request.api_key_id().empty()) return InvalidArgument("api_key_id: it is empty");
  RETURN_IF_ERROR(verifier_.CheckFresh());
  const ApiKeyPtr key = directory_.FindKey(request.api_key_id());
  const UserPtr user = key == nullptr ? nullptr : directory_.FindUser(key->record.user_id());
  if (user == nullptr || user->record.leaving()) return absl::OkStatus();
  if (key->record.expires_at() != 0 && key->record.expires_at() <= NowSeconds())
    return absl::OkStatus();
  response.set_user_id(user->record.id());
  response.set_plan(user->record.plan());
  response.set_success(true);
  return absl::OkStatus();
}

absl::Status Auth::VerifyCredential(const v1::VerifyCredentialRequest& request,
                                    v1::VerifyCredentialResponse& response) const {
  if (request.credential().empty() || request.credential().size() > rpc::kMaxCredentialBytes)
    return Unauthenticated("the credential is malformed");
  const rpc::Verdict verdict = verifier_.VerifyNow(request.credential());
  RETURN_IF_ERROR(verdict.identity.status());
  const rpc::Identity& identity = **verdict.identity;
  response.set_user_id(identity.user_id);
  response.set_role(identity.role == rpc::Role::kAdmin ? v1::ROLE_ADMIN : v1::ROLE_USER);
  response.set_plan(PlanOf(identity.plan));
  response.set_kind(KindOf(identity.kind));
  response.set_scope(ScopeOf(identity.access));
  for (const std::string& pattern : identity.collections) response.add_collections(pattern);
  response.set_key_prefix(identity.key_prefix);
  response.set_token_id(identity.token_id);
  response.set_issued_at(identity.issued_unix_s);
  response.set_expires_at(identity.expires_unix_s);
  const int64_t left_ms = (verdict.good_until_nanos - deps_.clock->MonotonicNanos()) / kNanosPerMs;
  response.set_good_for_ms(std::clamp<int64_t>(left_ms, 0, rpc::kMaxRemoteVerdictMs));
  return absl::OkStatus();
}

}  // namespace vectron::auth
