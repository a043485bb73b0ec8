#include "rpc/grpc_call.h"

#include <grpc/support/time.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

using google::protobuf::Message;

constexpr int64_t kNanosPerMs = 1'000'000;

class UnaryCall : public std::enable_shared_from_this<UnaryCall> {
 public:
  UnaryCall(const RpcRegistry& registry, const RpcMethod& method,
            grpc::CallbackServerContext& server_context, const grpc::ByteBuffer& request,
            grpc::ByteBuffer& response)
      : registry_(registry),
        method_(method),
        reactor_(*server_context.DefaultReactor()),  // gRPC allows one call of this
        request_(request),
        response_(response),
        context_(server_context, registry.clock()) {}

  ~UnaryCall() {
    if (!finished_) Finish(Internal("the call was dropped without an answer"));
  }

  void Start() {
    registry_.CountReceived(request_.Length());
    registry_.Begin(method_, context_, [self = shared_from_this()](absl::Status status) {
      if (!status.ok()) return self->Finish(std::move(status));
      self->Run();
    });
  }
  grpc::ServerUnaryReactor* reactor() const { return &reactor_; }

 private:
  void Run() {
    Message* request = method_.request_prototype->New(&arena_);
    absl::Status parsed = ParseMessage(request_, *request);
    if (!parsed.ok()) return Finish(std::move(parsed));
    registry_.Guard(context_, *request, [self = shared_from_this(), request](absl::Status status) {
      if (!status.ok()) return self->Finish(std::move(status));
      self->Handle(*request);
    });
  }
  void Handle(Message& request) {
    message_ = method_.response_prototype->New(&arena_);
    method_.unary(context_, request, *message_, [self = shared_from_this()](absl::Status status) {
      self->Finish(std::move(status));
    });
  }

  // gRPC may free its side of the call as soon as the reactor has finished: nothing of it is
  // touched after.
  void Finish(absl::Status status) {
    CHECK(!finished_);
    finished_ = true;
    if (status.ok()) {
      response_ = SerializeMessage(*message_);
      registry_.CountSent(response_.Length());
    }
    registry_.End(context_, status.code());
    reactor_.Finish(ToGrpc(status));
  }

  const RpcRegistry& registry_;
  const RpcMethod& method_;
  grpc::ServerUnaryReactor& reactor_;
  const grpc::ByteBuffer& request_;
  grpc::ByteBuffer& response_;
  GrpcCallContext context_;
  google::protobuf::Arena arena_;
  Message* message_ = nullptr;
  bool finished_ = false;
};

class StreamCall;

// Lives as long as gRPC wants and passes its reactions on.
class StreamReactor final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  explicit StreamReactor(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<StreamCall> call_;  // shared: the handler's side holds it, too
};

// Thread-safe. At most one operation (a write, or the finish) is with gRPC at a time; the finish is
// the last.
class StreamCall : public std::enable_shared_from_this<StreamCall> {
 public:
  StreamCall(const RpcRegistry& registry, const RpcMethod& method,
             grpc::CallbackServerContext& server_context, const grpc::ByteBuffer& request)
      : registry_(registry),
        method_(method),
        request_(request),
        context_(server_context, registry.clock()) {}

  void Start(StreamReactor& reactor);
  bool Write(const Message& message);
  void WriteLast(const Message& message);
  void Finish(absl::Status status);
  bool cancelled() const {
    const absl::MutexLock lock(&mutex_);
    return cancelled_;
  }

  void OnWriteDone(bool ok);
  void OnCancel();

 private:
  void Run();
  // Hands gRPC the next operation if it has none.
  void Next();
  // The first end counts; true for it.
  bool End(absl::Status status, std::optional<grpc::ByteBuffer> last);

  const RpcRegistry& registry_;
  const RpcMethod& method_;
  const grpc::ByteBuffer& request_;
  GrpcCallContext context_;
  google::protobuf::Arena arena_;
  StreamReactor* reactor_ = nullptr;  // valid until the finish has been handed over

  mutable absl::Mutex mutex_;
  std::deque<grpc::ByteBuffer> queue_
      ABSL_GUARDED_BY(mutex_);  // the front one is with gRPC while busy_
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  bool finish_sent_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

// What a handler writes to. Dropped by the last of its holders, it ends the call if nothing else
// did.
class StreamHandle final : public AnyServerStream {
 public:
  explicit StreamHandle(std::shared_ptr<StreamCall> call) : call_(std::move(call)) {}
  ~StreamHandle() override { call_->Finish(Internal("the stream was dropped without an end")); }
  bool WriteMessage(const Message& message) override { return call_->Write(message); }
  void FinishWithMessage(const Message& message) override { call_->WriteLast(message); }
  void Finish(absl::Status status) override { call_->Finish(std::move(status)); }
  bool cancelled() const override { return call_->cancelled(); }

 private:
  std::shared_ptr<StreamCall> call_;
};

void StreamReactor::OnWriteDone(bool ok) { call_->OnWriteDone(ok); }
void StreamReactor::OnCancel() { call_->OnCancel(); }

void StreamCall::Start(StreamReactor& reactor) {
  reactor_ = &reactor;
  registry_.CountReceived(request_.Length());
  registry_.Begin(method_, context_, [self = shared_from_this()](absl::Status status) {
    if (!status.ok()) return self->Finish(std::move(status));
    self->Run();
  });
}

void StreamCall::Run() {
  Message* request = method_.request_prototype->New(&arena_);
  absl::Status parsed = ParseMessage(request_, *request);
  if (!parsed.ok()) return Finish(std::move(parsed));
  registry_.Guard(context_, *request, [self = shared_from_this(), request](absl::Status status) {
    if (!status.ok()) return self->Finish(std::move(status));
    self->method_.stream(self->context_, *request, std::make_shared<StreamHandle>(self));
  });
}

bool StreamCall::Write(const Message& message) {
  grpc::ByteBuffer bytes = SerializeMessage(message);
  {
    const absl::MutexLock lock(&mutex_);
    if (end_ || cancelled_ || queue_.size() >= kMaxQueuedStreamMessages) return false;
    queue_.push_back(std::move(bytes));
  }
  Next();
  return true;
}

bool StreamCall::End(absl::Status status, std::optional<grpc::ByteBuffer> last) {
  absl::StatusCode code = status.code();
  {
    const absl::MutexLock lock(&mutex_);
    if (end_) return false;
    end_ = ToGrpc(status);
    if (cancelled_) {
      code = absl::StatusCode::kCancelled;
    } else if (last) {
      queue_.push_back(std::move(*last));
    }
  }
  registry_.End(context_, code);
  return true;
}

void StreamCall::WriteLast(const Message& message) {
  if (End(absl::OkStatus(), SerializeMessage(message))) Next();
}

void StreamCall::Finish(absl::Status status) {
  if (End(std::move(status), std::nullopt)) Next();
}

void StreamCall::Next() {
  const grpc::ByteBuffer* front = nullptr;
  grpc::Status status;
  {
    const absl::MutexLock lock(&mutex_);
    if (busy_ || finish_sent_) return;
    if (!queue_.empty()) {
      busy_ = true;
      front = &queue_.front();
    } else if (end_) {
      finish_sent_ = true;
      status = *end_;
    } else {
      return;
    }
  }
  if (front != nullptr) {
    reactor_->StartWrite(front);
  } else {
    reactor_->Finish(status);
  }
}

void StreamCall::OnWriteDone(bool ok) {
  {
    const absl::MutexLock lock(&mutex_);
    CHECK(busy_);
    busy_ = false;
    if (ok) registry_.CountSent(queue_.front().Length());
    queue_.pop_front();
    if (!ok) cancelled_ = true;
    if (cancelled_) queue_.clear();
  }
  Next();
}

void StreamCall::OnCancel() {
  const absl::MutexLock lock(&mutex_);
  cancelled_ = true;
}

}  // namespace

absl::Status ParseMessage(const grpc::ByteBuffer& bytes, Message& message) {
  grpc::ByteBuffer view(bytes);  // counts the slices up; nothing is copied
  grpc::ProtoBufferReader reader(&view);
  if (!message.ParseFromZeroCopyStream(&reader)) {
    return InvalidArgument("the request is no {}", message.GetDescriptor()->full_name());
  }
  return absl::OkStatus();
}

grpc::ByteBuffer SerializeMessage(const Message& message) {
  const size_t size = message.ByteSizeLong();
  grpc::Slice slice(size);
  // The slice has just been made and has no other owner, so writing to it is sound.
  message.SerializeWithCachedSizesToArray(const_cast<uint8_t*>(slice.begin()));
  return grpc::ByteBuffer(&slice, 1);
}

GrpcCallContext::GrpcCallContext(grpc::CallbackServerContext& server_context, const Clock& clock)
    : server_context_(server_context) {
  protocol = Protocol::kGrpc;
  start_nanos = clock.MonotonicNanos();
  const gpr_timespec deadline = server_context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) != 0) {
    const auto left_ms = static_cast<int64_t>(
        gpr_time_to_millis(gpr_time_sub(deadline, gpr_now(deadline.clock_type))));
    deadline_nanos = start_nanos + left_ms * kNanosPerMs;
  }
}

std::optional<std::string_view> GrpcCallContext::Header(std::string_view name) const {
  const auto& metadata = server_context_.client_metadata();
  const auto [begin, end] = metadata.equal_range(grpc::string_ref(name.data(), name.size()));
  if (begin == end) return std::nullopt;
  const grpc::string_ref& last = std::prev(end)->second;
  return std::string_view(last.data(), last.size());
}

bool GrpcCallContext::PeerCertified() const {
  const auto shown = server_context_.auth_context();
  return shown != nullptr && shown->IsPeerAuthenticated();
}

std::string GrpcCallContext::Peer() const {
  // "ipv4:127.0.0.1:52100", "ipv6:%5B::1%5D:52100", "inproc:..."
  std::string peer = server_context_.peer();
  if (peer.starts_with("ipv4:")) return peer.substr(5);
  if (!peer.starts_with("ipv6:")) return {};
  peer.erase(0, 5);
  for (const auto& [escape, character] : {std::pair{"%5B", "["}, std::pair{"%5D", "]"}}) {
    if (const size_t at = peer.find(escape); at != std::string::npos)
      peer.replace(at, 3, character);
  }
  return peer;
}

grpc::ServerUnaryReactor* StartUnaryCall(const RpcRegistry& registry, const RpcMethod& method,
                                         grpc::CallbackServerContext& server_context,
                                         const grpc::ByteBuffer& request,
                                         grpc::ByteBuffer& response) {
  const auto call =
      std::make_shared<UnaryCall>(registry, method, server_context, request, response);
  call->Start();
  return call->reactor();
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* StartStreamCall(
    const RpcRegistry& registry, const RpcMethod& method,
    grpc::CallbackServerContext& server_context, const grpc::ByteBuffer& request) {
  auto call = std::make_shared<StreamCall>(registry, method, server_context, request);
  // Deletes itself in OnDone, as gRPC's callback API has it.
  auto* reactor = new StreamReactor(call);
  call->Start(*reactor);
  return reactor;
}

}  // namespace vectron::rpc
