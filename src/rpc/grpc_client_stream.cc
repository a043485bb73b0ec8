// One client-streaming call: requests are read one at a time, each when the one before it has been
// dealt with, so that a slow handler slows the sender down.

#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/grpc_call.h"

namespace vectron::rpc {
namespace {

using google::protobuf::Message;

// Deletes itself in OnDone, as gRPC's callback API has it: after Finish, with which every way ends.
class ClientStreamCall final : public grpc::ServerReadReactor<grpc::ByteBuffer> {
 public:
  ClientStreamCall(const RpcRegistry& registry, const RpcMethod& method,
                   grpc::CallbackServerContext& server_context, grpc::ByteBuffer& response)
      : registry_(registry),
        method_(method),
        response_(response),
        context_(server_context, registry.clock()) {}

  void Start() {
    registry_.Begin(method_, context_, [this](absl::Status status) {
      if (!status.ok()) return End(status);
      stream_ = method_.client_stream(context_);
      StartRead(&bytes_);
    });
  }

  void OnReadDone(bool ok) override {
    arena_.Reset();
    if (!ok) {  // the last one has been read, or the caller has gone: then nobody reads the answer
      message_ = method_.response_prototype->New(&arena_);
      return stream_->OnEnd(*message_, [this](absl::Status status) { End(status); });
    }
    registry_.CountReceived(bytes_.Length());
    Message* request = method_.request_prototype->New(&arena_);
    absl::Status parsed = ParseMessage(bytes_, *request);
    if (!parsed.ok()) return End(parsed);
    stream_->OnMessage(*request, [this](absl::Status status) {
      if (!status.ok()) return End(status);
      StartRead(&bytes_);
    });
  }
  void OnDone() override { delete this; }

 private:
  void End(const absl::Status& status) {
    if (status.ok()) {
      response_ = SerializeMessage(*message_);
      registry_.CountSent(response_.Length());
    }
    stream_.reset();
    registry_.End(context_, status.code());
    Finish(ToGrpc(status));
  }

  const RpcRegistry& registry_;
  const RpcMethod& method_;
  grpc::ByteBuffer& response_;
  GrpcCallContext context_;
  grpc::ByteBuffer bytes_;
  google::protobuf::Arena arena_;
  std::unique_ptr<AnyRequestStream> stream_;
  Message* message_ = nullptr;
};

}  // namespace

grpc::ServerReadReactor<grpc::ByteBuffer>* StartClientStreamCall(
    const RpcRegistry& registry, const RpcMethod& method,
    grpc::CallbackServerContext& server_context, grpc::ByteBuffer& response) {
  auto* const call = new ClientStreamCall(registry, method, server_context, response);
  call->Start();
  return call;
}

}  // namespace vectron::rpc
