#pragma once

// Which collections a caller may name.

#include "rpc/placement_api.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

// Refuses (PermissionDenied) a collection that the API key at hand is not for. One that the kept
// map does not have is looked for in what placement knows by now, so that it is found as soon as
// another gateway has made it; Unavailable when placement cannot be asked. An administrator who
// names no tenant and has no such collection acts for the one tenant that has it;
// FailedPrecondition when several do, and NotFound where it is to be deleted: for that the tenant
// is named. `placement` outlives the registry.
CollectionGuard TenancyGuard(PlacementApi& placement);

// Lets an administrator make a collection for another tenant only if there is that user: NotFound.
// Asks the AuthService of the registry, here or elsewhere, with the caller's credential; runs after
// the policy. The registry has that service, and outlives the middleware.
Middleware TenantMustExist(const RpcRegistry& registry);

}  // namespace vectron::rpc
