#pragma once

// One unary call of a client, over gRPC's callback API. Included by the clients' .cc only: grpcpp
// is heavy.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <utility>

#include "rpc/cancellation.h"
#include "rpc/channel_pool.h"

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

  // cancellation: may be null; ends it as Cancelled.
  static void Send(std::unique_ptr<UnaryClientCall> self, Method method, int64_t deadline_nanos,
                   Done done, std::shared_ptr<Cancellation> cancellation = nullptr) {
    UnaryClientCall& call = *self.release();  // from here on the callback owns it
    call.done_ = std::move(done);
    call.cancellation_ = std::move(cancellation);
    call.channels_.Begin(call.context_, deadline_nanos);
    if (call.cancellation_ != nullptr) {
      call.cancellation_->SetHook([&call] { call.context_.TryCancel(); });
    }
    call.stub_ = Service::NewStub(call.channels_.Next());
    Async& async = *call.stub_->async();
    (async.*method)(&call.context_, &call.request, &call.response_,
                    [&call](const grpc::Status& status) { call.End(status); });
  }

  Request request;

 private:
  void End(const grpc::Status& status) {
    std::unique_ptr<UnaryClientCall> self(this);
    bool called_off = false;
    if (cancellation_ != nullptr) {
      cancellation_->SetHook(nullptr);
      called_off = cancellation_->cancelled();
    }
    done_(called_off && !status.ok()
              ? absl::CancelledError("called off")
              : channels_.ResultOf(status, context_, Service::service_full_name()),
          response_);
    done_ = nullptr;
    ChannelPool& channels = channels_;
    channels.Ending(context_);
    self.reset();
    channels.End();
  }

  ChannelPool& channels_;
  grpc::ClientContext context_;
  std::unique_ptr<typename Service::Stub> stub_;
  Response response_;
  Done done_;
  std::shared_ptr<Cancellation> cancellation_;
};

}  // namespace vectron::rpc
