#pragma once

// The receiving side of the gRPC peer transport: takes frames, gives snapshots away. Part of the
// gRPC peer transport.

#include <grpcpp/impl/codegen/service_type.h>

#include <memory>

#include "rpc/peer_core.h"

namespace vectron::rpc {

std::unique_ptr<grpc::Service> MakePeerService(std::shared_ptr<PeerCore> core);

}  // namespace vectron::rpc
