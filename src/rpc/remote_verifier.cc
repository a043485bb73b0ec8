#include "rpc/remote_verifier.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/status.h"
#include "rpc/unary_client_call.h"
#include "vectron/auth.grpc.pb.h"

namespace vectron::rpc {
namespace {

using auth::v1::AuthService;
using auth::v1::VerifyCredentialRequest;
using auth::v1::VerifyCredentialResponse;

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kVerifyTimeoutMs = 2'000;
constexpr int64_t kBadVerdictMs = 1'000;  // a bad credential may be shown in a loop

absl::StatusOr<IdentityPtr> IdentityOf(const VerifyCredentialResponse& response) {
  auto identity = std::make_shared<Identity>();
  identity->user_id = response.user_id();
  identity->role = response.role() == auth::v1::ROLE_ADMIN ? Role::kAdmin : Role::kUser;
  identity->plan = response.plan() == auth::v1::PAID ? Plan::kPaid : Plan::kFree;
  switch (response.kind()) {
    case auth::v1::CREDENTIAL_KIND_LOGIN:
      identity->kind = CredentialKind::kLogin;
      break;
    case auth::v1::CREDENTIAL_KIND_SDK:
      identity->kind = CredentialKind::kSdk;
      break;
    case auth::v1::CREDENTIAL_KIND_API_KEY:
      identity->kind = CredentialKind::kApiKey;
      break;
    default:
      return Unavailable("the Auth service names a kind of credential unknown here");
  }
  switch (response.scope()) {
    case auth::v1::KEY_SCOPE_READ:
      identity->access = Access::kRead;
      break;
    case auth::v1::KEY_SCOPE_WRITE:
      identity->access = Access::kWrite;
      break;
    case auth::v1::KEY_SCOPE_ADMIN:
      identity->access = Access::kAdmin;
      break;
    default:
      return Unavailable("the Auth service names a scope unknown here");
  }
  if (identity->user_id.empty()) return Unavailable("the Auth service names nobody");
  identity->collections.assign(response.collections().begin(), response.collections().end());
  identity->key_prefix = response.key_prefix();
  identity->token_id = response.token_id();
  identity->issued_unix_s = response.issued_at();
  identity->expires_unix_s = response.expires_at();
  return IdentityPtr(std::move(identity));
}

}  // namespace

void RemoteVerifier::Verify(std::string_view credential, std::function<void(Verdict)> done) {
  using Call = UnaryClientCall<AuthService, VerifyCredentialRequest, VerifyCredentialResponse>;
  auto call = std::make_unique<Call>(channels_);
  call->request.set_credential(std::string(credential));
  const int64_t asked = clock_.MonotonicNanos();
  Call::Send(std::move(call), &Call::Async::VerifyCredential,
             asked + kVerifyTimeoutMs * kNanosPerMs,
             [asked, done = std::move(done)](const absl::Status& status,
                                             VerifyCredentialResponse& response) {
               Verdict verdict{.identity = absl::UnknownError("")};
               if (status.ok()) {
                 verdict.identity = IdentityOf(response);
                 verdict.good_until_nanos =
                     asked + std::clamp<int64_t>(response.good_for_ms(), 0, kMaxRemoteVerdictMs) *
                                 kNanosPerMs;
               } else if (absl::IsUnauthenticated(status)) {
                 verdict.identity = status;
                 verdict.good_until_nanos = asked + kBadVerdictMs * kNanosPerMs;
               } else {
                 verdict.identity =
                     Unavailable("credentials cannot be checked now: {}", MessageOf(status));
               }
               done(std::move(verdict));
             });
}

}  // namespace vectron::rpc
