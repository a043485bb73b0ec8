#include "rpc/tenancy.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/identity.h"
#include "rpc/route_rule.h"
#include "vectron/auth.pb.h"

namespace vectron::rpc {
namespace {

constexpr char kListUsers[] = "vectron.auth.v1.AuthService.ListUsers";
constexpr uint32_t kAlike = 16;  // ids that differ in their last digit only

bool MakesCollection(const CallContext& context) {
  return context.method != nullptr && context.method->name().ends_with(".CreateCollection");
}

bool DeletesCollection(const CallContext& context) {
  return context.method != nullptr && context.method->name().ends_with(".DeleteCollection");
}

// Whether there is one user.
struct Lookup {
  auth::v1::ListUsersRequest request;
  auth::v1::ListUsersResponse response;

  bool Found(std::string_view user_id) const {
    return std::any_of(response.users().begin(), response.users().end(),
                       [user_id](const auto& user) { return user.id() == user_id; });
  }
};

// The owner of the one collection of this name; "" when there is none.
absl::StatusOr<std::string> OnlyOwnerOf(PlacementApi& placement, std::string_view collection) {
  std::string owner;
  for (const auto& record : placement.AllCollections()) {
    if (record->schema.name != collection) continue;
    if (!owner.empty()) {
      return FailedPrecondition(
          "several tenants have a collection '{}': name one in x-vectron-tenant", collection);
    }
    owner = record->owner;
  }
  return owner;
}

// Makes an administrator's call one for the tenant that has the collection he has not.
absl::Status ActForOwner(PlacementApi& placement, CallContext& context,
                         const std::string& collection) {
  const Identity* const identity = context.identity.get();
  if (identity == nullptr || !ActsAsAdmin(identity) || context.tenant != identity->user_id)
    return absl::OkStatus();
  if (context.Header("x-vectron-tenant").has_value()) return absl::OkStatus();  // his own is meant
  if (placement.FindCollection(context.tenant, collection) != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::string owner, OnlyOwnerOf(placement, collection));
  if (owner.empty()) return absl::OkStatus();
  if (DeletesCollection(context)) {
    return NotFound(
        "you have no collection '{}'; to delete another tenant's, name that one in "
        "x-vectron-tenant",
        collection);
  }
  context.tenant = std::move(owner);
  return absl::OkStatus();
}

}  // namespace

CollectionGuard TenancyGuard(PlacementApi& placement) {
  return [&placement](CallContext& context, const std::string& collection, RpcDone next) {
    if (context.identity != nullptr) {
      if (context.audit_target.empty()) context.audit_target = collection;
      if (!MayUseCollection(context.identity.get(), collection)) {
        return next(PermissionDenied("API key {} is not for collection '{}'",
                                     context.identity->key_prefix, collection));
      }
    }
    if (MakesCollection(context) ||
        placement.FindCollection(context.tenant, collection) != nullptr) {
      return next(absl::OkStatus());
    }
    placement.CatchUp(
        [&placement, &context, &collection, next = std::move(next)](const absl::Status& caught_up) {
          absl::Status status = ActForOwner(placement, context, collection);
          if (status.ok() && placement.FindCollection(context.tenant, collection) == nullptr) {
            status = Annotate(caught_up, fmt::format("collection '{}'", collection));
          }
          next(std::move(status));
        });
  };
}

Middleware TenantMustExist(const RpcRegistry& registry) {
  const RpcMethod* const list = registry.Find(kListUsers);
  CHECK(list != nullptr && list->unary != nullptr);
  return [list](CallContext& context, RpcDone next) {
    const Identity* const identity = context.identity.get();
    const bool foreign = identity != nullptr && context.tenant != identity->user_id;
    if (!foreign || !MakesCollection(context)) return next(absl::OkStatus());
    CHECK(!context.tenant.empty());
    const auto lookup = std::make_shared<Lookup>();  // lives until its answer is there
    lookup->request.set_after_id(context.tenant.substr(0, context.tenant.size() - 1));
    lookup->request.set_limit(kAlike);
    list->unary(context, lookup->request, lookup->response,
                [lookup, &context, next = std::move(next)](absl::Status status) {
                  if (status.ok() && !lookup->Found(context.tenant)) {
                    status = NotFound("x-vectron-tenant: there is no user {}", context.tenant);
                  }
                  next(std::move(status));
                });
  };
}

}  // namespace vectron::rpc
