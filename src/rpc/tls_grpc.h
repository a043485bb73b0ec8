#pragma once

// TLS of gRPC's ports and channels, from the same files as HTTP's. gRPC reads the files again by
// itself, some seconds after they change, for connections made from then on. A certificate and a
// key that do not belong together, as while one of two files has been replaced, refuse new
// connections until they do.

#include <memory>

#include "rpc/tls.h"

namespace grpc {
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace vectron::rpc {

// What a port listens with; plain when no files are named.
std::shared_ptr<grpc::ServerCredentials> GrpcServerCredentials(const TlsFiles& files);

enum class ServerNames {
  kChecked,  // the server's certificate names the address it was reached by
  kAny,      // whatever a certificate names, when the CA has signed it
};
// What a client connects with: the server must show a certificate that `files.ca` signed; the
// client shows its own if there is one. Plain without a CA. A watch of the files belongs to each
// call's result: make it once and share it.
std::shared_ptr<grpc::ChannelCredentials> GrpcChannelCredentials(
    const TlsFiles& files, ServerNames names = ServerNames::kChecked);

}  // namespace vectron::rpc
