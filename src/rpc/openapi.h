#pragma once

// The description of the HTTP interface for tools and people, made from the protos.

#include <string>
#include <string_view>

#include "rpc/rpc_registry.h"

namespace vectron::rpc {

struct OpenApiInfo {
  std::string title = "Vectron";
  std::string version;
};

// An OpenAPI 3.1 document (JSON) of every RPC of the registry that has an HTTP route: paths,
// parameters, schemas of all messages they reach, the error body. Messages with the typed payload
// show `payload` as an object of any values and no `fields`. Descriptions are the comments of the
// protos.
std::string OpenApiJson(const RpcRegistry& registry, const OpenApiInfo& info);

}  // namespace vectron::rpc
