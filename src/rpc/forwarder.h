#pragma once

// RPCs that another server answers, passed on as they are: how the gateway serves the routes of the
// Auth service in front of it.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "rpc/channel_pool.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

// Adds the service and a handler for each of its unary RPCs but the internal ones, which stay
// unserved here. A call takes along the caller's credential and address; the channels' metadata
// holds the cluster's credential, for which the other side believes the address. `channels`
// outlives the servers. Errors of AddService.
absl::Status ForwardService(std::string_view service, ChannelPool& channels, RpcRegistry& registry);

// One RPC of a service that the registry has, answered by the RPC at `grpc_path` of the other
// server, whose messages have the same fields; what only those have is dropped.
void ForwardRpc(std::string_view name, std::string grpc_path, ChannelPool& channels,
                RpcRegistry& registry);

}  // namespace vectron::rpc
