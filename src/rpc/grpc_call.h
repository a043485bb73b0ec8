#pragma once

// Inside of the gRPC server: one call, unary or streaming. Messages are parsed and written here, on
// an arena, from gRPC's raw buffers, so that one piece of code serves every RPC. Only
// grpc_server.cc and grpc_call.cc include this.

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/synchronization/mutex.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

class GrpcCallContext final : public CallContext {
 public:
  GrpcCallContext(grpc::CallbackServerContext& server_context, const Clock& clock);
  std::optional<std::string_view> Header(std::string_view name) const override;
  std::string Peer() const override;
  bool PeerCertified() const override;

 private:
  const grpc::CallbackServerContext& server_context_;
};

// Starts a call and gives the reactor gRPC wants. `request` and `response` live as gRPC has it:
// until the call is finished.
grpc::ServerUnaryReactor* StartUnaryCall(const RpcRegistry& registry, const RpcMethod& method,
                                         grpc::CallbackServerContext& server_context,
                                         const grpc::ByteBuffer& request,
                                         grpc::ByteBuffer& response);
grpc::ServerWriteReactor<grpc::ByteBuffer>* StartStreamCall(
    const RpcRegistry& registry, const RpcMethod& method,
    grpc::CallbackServerContext& server_context, const grpc::ByteBuffer& request);
grpc::ServerReadReactor<grpc::ByteBuffer>* StartClientStreamCall(
    const RpcRegistry& registry, const RpcMethod& method,
    grpc::CallbackServerContext& server_context, grpc::ByteBuffer& response);

// Messages from and to gRPC's raw buffers. InvalidArgument: the bytes are no such message.
absl::Status ParseMessage(const grpc::ByteBuffer& bytes, google::protobuf::Message& message);
grpc::ByteBuffer SerializeMessage(const google::protobuf::Message& message);

}  // namespace vectron::rpc
