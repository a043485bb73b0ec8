#pragma once

// TLS of gRPC's ports and channels, from the same files as HTTP's.

#include <memory>
#include <string>

#include "rpc/tls.h"

namespace grpc {
class ServerCredentials;
}  // namespace grpc

namespace vectron::rpc {

// What a port listens with; plain when no files are named. gRPC reads the files again by itself,
// some seconds after they change.
std::shared_ptr<grpc::ServerCredentials> GrpcServerCredentials(const TlsFiles& files);

}  // namespace vectron::rpc
