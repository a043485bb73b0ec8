#include "rpc/policy.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "model/text.h"
#include "rpc/cluster_secret.h"

namespace vectron::rpc {
namespace {

constexpr PolicyRow kTable[] = {
#include "vectron/policy_table.inc"
};

// As the Auth service makes the ids of users: "user-" and a UUID.
bool IsUserId(std::string_view id) {
  constexpr std::string_view kStart = "user-";
  constexpr size_t kUuidBytes = 36;
  return id.size() == kStart.size() + kUuidBytes && id.starts_with(kStart) &&
         std::all_of(id.begin() + kStart.size(), id.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
         });
}

bool StartsWithBearer(std::string_view text) {
  constexpr std::string_view kBearer = "bearer ";
  return text.size() > kBearer.size() &&
         std::equal(kBearer.begin(), kBearer.end(), text.begin(), [](char wanted, char got) {
           return wanted == (got >= 'A' && got <= 'Z' ? got - 'A' + 'a' : got);
         });
}

bool ShowsClusterSecret(const CallContext& context, const std::string& secret) {
  if (secret.empty()) return false;
  const auto shown = context.Header(kClusterSecretHeader);
  return shown && SecretsEqual(*shown, secret);
}

absl::Status SetCaller(CallContext& context, const IdentityPtr& identity) {
  context.identity = identity;
  context.tenant = identity->user_id;
  const auto tenant = context.Header("x-vectron-tenant");
  if (!tenant || *tenant == identity->user_id) return absl::OkStatus();
  if (!ActsAsAdmin(identity.get()))
    return PermissionDenied("only an administrator may act for another tenant");
  if (!IsUserId(*tenant))
    return InvalidArgument("x-vectron-tenant: {} is no id of a user", Quote(*tenant));
  context.tenant = std::string(*tenant);
  return absl::OkStatus();
}

}  // namespace

std::span<const PolicyRow> PolicyTable() { return kTable; }

absl::Status Allows(options::Scope scope, const Identity* identity, bool cluster) {
  if (scope == options::SCOPE_PUBLIC) return absl::OkStatus();
  if (scope == options::SCOPE_INTERNAL) {
    if (cluster) return absl::OkStatus();
    if (identity != nullptr) return PermissionDenied("this is for other parts of the cluster only");
    return Unauthenticated("the cluster's credential is missing or wrong");
  }
  if (identity == nullptr) {
    return Unauthenticated(
        "no credential: send 'authorization: Bearer TOKEN' with a token or an API key");
  }
  switch (scope) {
    case options::SCOPE_READ:
      return absl::OkStatus();
    case options::SCOPE_WRITE:
      if (identity->access != Access::kRead) return absl::OkStatus();
      return PermissionDenied("API key {} may only read", identity->key_prefix);
    case options::SCOPE_USER:
      if (identity->kind == CredentialKind::kLogin) return absl::OkStatus();
      return PermissionDenied(
          "this needs a login; an API key or a token made from one will not do");
    case options::SCOPE_ADMIN:
      if (ActsAsAdmin(identity)) return absl::OkStatus();
      return PermissionDenied("this is for administrators");
    default:
      return PermissionDenied("this route takes nobody");
  }
}

absl::StatusOr<std::string_view> CredentialOf(const CallContext& context) {
  if (const auto header = context.Header("authorization")) {
    if (!StartsWithBearer(*header))
      return InvalidArgument("authorization: wanted 'Bearer' and a token or an API key");
    return header->substr(7);
  }
  return context.Header("x-api-key").value_or(std::string_view());
}

Middleware PolicyMiddleware(PolicyOptions options) {
  // Shared: a Middleware is copied.
  return [options = std::make_shared<const PolicyOptions>(std::move(options))](CallContext& context,
                                                                               RpcDone next) {
    CHECK(context.rule != nullptr);
    const options::Scope scope = context.rule->scope;
    const bool cluster = ShowsClusterSecret(context, options->cluster_secret) ||
                         (options->trust_certificates && context.PeerCertified());
    context.client = ClientAddress(context, options->proxies, cluster);
    if (scope == options::SCOPE_PUBLIC || (scope == options::SCOPE_INTERNAL && cluster))
      return next(absl::OkStatus());
    const absl::StatusOr<std::string_view> credential = CredentialOf(context);
    if (!credential.ok()) return next(Unauthenticated("{}", MessageOf(credential.status())));
    if (credential->empty() || options->verdicts == nullptr)
      return next(Allows(scope, nullptr, cluster));
    options->verdicts->Check(
        *credential,
        [&context, scope, cluster,
         next = std::move(next)](const absl::StatusOr<IdentityPtr>& identity) {
          if (!identity.ok()) return next(identity.status());
          absl::Status status = SetCaller(context, *identity);
          if (status.ok()) status = Allows(scope, identity->get(), cluster);
          next(std::move(status));
        },
        context.client);
  };
}

}  // namespace vectron::rpc
