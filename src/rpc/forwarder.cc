#include "rpc/forwarder.h"

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <array>
#include <memory>
#include <string>
#include <utility>

#include "base/status.h"
#include "rpc/grpc_call.h"

namespace vectron::rpc {
namespace {

using google::protobuf::Message;

// Headers of the caller that matter to the other side.
constexpr std::array<std::string_view, 4> kPassedOn = {"authorization", "x-api-key",
                                                       "x-vectron-bootstrap", "x-vectron-tenant"};

// One call on its way. Deletes itself when it has ended.
class ForwardedCall {
 public:
  ForwardedCall(ChannelPool& channels, CallContext& context, Message& response, RpcDone done)
      : channels_(channels), caller_(context), response_(response), done_(std::move(done)) {}

  static void Send(std::unique_ptr<ForwardedCall> self, const std::string& grpc_path,
                   const Message& request) {
    ForwardedCall& call = *self.release();
    call.grpc_path_ = grpc_path;
    call.request_bytes_ = SerializeMessage(request);
    for (const std::string_view name : kPassedOn) {
      if (const auto value = call.caller_.Header(name))
        call.context_.AddMetadata(std::string(name), std::string(*value));
    }
    if (!call.caller_.client.empty())
      call.context_.AddMetadata("x-forwarded-for", call.caller_.client);
    call.channels_.Begin(call.context_, call.caller_.deadline_nanos);
    call.stub_ = std::make_unique<grpc::GenericStub>(call.channels_.Next());
    call.stub_->UnaryCall(&call.context_, grpc_path, grpc::StubOptions(), &call.request_bytes_,
                          &call.response_bytes_,
                          [&call](const grpc::Status& status) { call.End(status); });
  }

 private:
  void End(const grpc::Status& status) {
    std::unique_ptr<ForwardedCall> self(this);
    absl::Status result = channels_.ResultOf(status, context_, grpc_path_);
    if (result.ok()) result = ParseMessage(response_bytes_, response_);
    response_.DiscardUnknownFields();
    const RpcDone done = std::move(done_);
    ChannelPool& channels = channels_;
    channels.Ending(context_);
    self.reset();
    channels.End();
    done(std::move(result));
  }

  ChannelPool& channels_;
  CallContext& caller_;
  Message& response_;
  RpcDone done_;
  std::string grpc_path_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericStub> stub_;
  grpc::ByteBuffer request_bytes_;
  grpc::ByteBuffer response_bytes_;
};

}  // namespace

absl::Status ForwardService(std::string_view service, ChannelPool& channels,
                            RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService(service));
  const std::string prefix = std::string(service) + ".";
  for (const auto& method : registry.methods()) {
    if (!method->name().starts_with(prefix) || method->scope() == options::SCOPE_INTERNAL) continue;
    if (method->streaming() || method->descriptor().client_streaming()) continue;
    ForwardRpc(method->name(), method->grpc_path(), channels, registry);
  }
  return absl::OkStatus();
}

void ForwardRpc(std::string_view name, std::string grpc_path, ChannelPool& channels,
                RpcRegistry& registry) {
  registry.UnaryAny(
      name, [&channels, grpc_path = std::move(grpc_path)](CallContext& context, Message& request,
                                                          Message& response, RpcDone done) {
        ForwardedCall::Send(
            std::make_unique<ForwardedCall>(channels, context, response, std::move(done)),
            grpc_path, request);
      });
}

}  // namespace vectron::rpc
