#pragma once

// What every route, RPC or plain, says about who may use it.

#include <string>

#include "vectron/options.pb.h"

namespace vectron::rpc {

struct RouteRule {
  std::string
      name;  // "vectron.v1.VectronService.Search", or "GET /v1/admin/stats" of a plain route
  options::Scope scope = options::SCOPE_UNSPECIFIED;
  std::string rate_class;  // "read", "write", "login", ...
  bool changes = false;    // it is no mere reading: what an administrator does by it is audited

  // Has room of its own, so that who looks after a busy server gets through.
  bool manages() const { return rate_class == "manage"; }
};

}  // namespace vectron::rpc
