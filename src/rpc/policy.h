#pragma once

// Who may call what: one table from route to right, made at build time from the options beside the
// RPCs (proto/policy_gen.cc), and the middleware that applies it to both protocols.

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "rpc/call_context.h"
#include "rpc/client_address.h"
#include "rpc/route_rule.h"
#include "rpc/rpc_registry.h"
#include "rpc/verdict_cache.h"

namespace vectron::rpc {

struct PolicyRow {
  std::string_view rpc;   // "vectron.v1.VectronService.Search"
  std::string_view verb;  // "" when the RPC has no HTTP form
  std::string_view path;
  options::Scope scope;
  std::string_view rate_class;
};
// Every RPC of Vectron.
std::span<const PolicyRow> PolicyTable();

// Whether a caller may use a route. `identity` is null when no credential of a user was shown;
// `cluster`: the cluster's credential was. Unauthenticated when a credential is missing,
// PermissionDenied when it does not reach that far.
//   public    everyone
//   read      every user and key
//   write     users, keys that may write
//   user      a login session: neither an API key nor a token made from one
//   admin     an administrator's login session or unrestricted key
//   internal  another part of the cluster
absl::Status Allows(options::Scope scope, const Identity* identity, bool cluster);

// The credential a call shows: what follows "Bearer " in `authorization`, or `x-api-key`. Empty
// when there is neither; InvalidArgument when `authorization` is something else.
absl::StatusOr<std::string_view> CredentialOf(const CallContext& context);

struct PolicyOptions {
  // Null where no users come, on the ports of the cluster: then only public and internal routes can
  // be used.
  VerdictCache* verdicts = nullptr;
  std::string cluster_secret = {};  // "": nobody shows it
  // Who comes with a certificate of the port's CA is of the cluster: set where that is its CA.
  bool trust_certificates = false;
  TrustedProxies proxies = {};
};

// Fills identity, tenant and client of the context, then allows or refuses. An administrator may
// name the tenant to act for in `x-vectron-tenant`. A cached verdict costs some 2 us.
// `options.verdicts` outlives the registry.
Middleware PolicyMiddleware(PolicyOptions options);

}  // namespace vectron::rpc
