#pragma once

// One unary call of a client, over gRPC's callback API. Included by the clients' .cc only: grpcpp
// is heavy.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <utility>

#include "base/status.h"
#include "rpc/channel_pool.h"
#include "rpc/error_table.h"

namespace vectron::rpc {

// Service is the generated service, `method` one of its async_interface's; the stub is as cheap as
// a pointer, so each call makes its own. Make it, fill `request`, Send it with std::move.
template <typename Service, typename Request, typename Response>
class UnaryClientCall {
 public:
  using Async = typename Service::StubInterface::async_interface;
  using Method = void (Async::*)(grpc::ClientContext*, const Request*, Response*,
                                 std::function<void(grpc::Status)>);
  // `response` is plundered; what it holds after an error means nothing.
  using Done = std::function<void(const absl::Status&, Response& response)>;

  explicit UnaryClientCall(ChannelPool& channels) : channels_(channels) {}

  static void Send(std::unique_ptr<UnaryClientCall> self, Method method, int64_t deadline_nanos,
                   Done done) {
    UnaryClientCall& call = *self.release();  // from here on the callback owns it
    call.done_ = std::move(done);
    call.channels_.Begin(call.context_, deadline_nanos);
    call.stub_ = Service::NewStub(call.channels_.Next());
    Async& async = *call.stub_->async();
    (async.*method)(&call.context_, &call.request, &call.response_,
                    [&call](const grpc::Status& status) { call.End(status); });
  }

  Request request;

 private:
  void End(const grpc::Status& status) {
    std::unique_ptr<UnaryClientCall> self(this);
    const absl::Status result = FromGrpc(status);
    done_(result.ok() ? result : Annotate(channels_.address(), result), response_);
    done_ = nullptr;
    ChannelPool& channels = channels_;
    channels.Ending(context_);
    self.reset();
    channels.End();
  }
  // What gRPC itself says of a connection that fails names nobody.
  static absl::Status Annotate(const std::string& address, const absl::Status& status) {
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
    absl::Status named(status.code(), fmt::format("{}: {}", address, MessageOf(status)));
    status.ForEachPayload([&named](absl::string_view url, const absl::Cord& payload) {
      named.SetPayload(url, payload);
    });
    return named;
  }

  ChannelPool& channels_;
  grpc::ClientContext context_;
  std::unique_ptr<typename Service::Stub> stub_;
  Response response_;
  Done done_;
};

}  // namespace vectron::rpc
