#include "rpc/tenancy.h"

#include <string>

#include "base/status.h"
#include "rpc/identity.h"
#include "rpc/route_rule.h"

namespace vectron::rpc {
namespace {

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

}  // namespace

CollectionGuard TenancyGuard(PlacementApi& placement) {
  return [&placement](CallContext& context, std::string_view collection) -> absl::Status {
    const Identity* identity = context.identity.get();
    if (identity == nullptr) return absl::OkStatus();
    if (context.audit_target.empty()) context.audit_target = std::string(collection);
    if (!MayUseCollection(identity, collection)) {
      return PermissionDenied("API key {} is not for collection '{}'", identity->key_prefix,
                              collection);
    }
    const bool makes = context.method->name().ends_with(".CreateCollection");
    if (makes || !ActsAsAdmin(identity) || context.tenant != identity->user_id)
      return absl::OkStatus();
    if (placement.FindCollection(context.tenant, std::string(collection)) != nullptr)
      return absl::OkStatus();
    ASSIGN_OR_RETURN(std::string owner, OnlyOwnerOf(placement, collection));
    if (!owner.empty()) context.tenant = std::move(owner);
    return absl::OkStatus();
  };
}

}  // namespace vectron::rpc
