#pragma once

// The handlers of all RPCs, free of any protocol, and what runs before and after each of them.
//
// Order of a call, over both protocols: bound on calls in flight -> middlewares in the order they
// were added -> request parsed -> handler -> metrics. Set up completely before a server starts;
// thread-safe from then on.
//
//   RpcRegistry registry(metrics, clock, {});
//   RETURN_IF_ERROR(registry.AddService("vectron.v1.VectronService"));  // reads routes and scopes
//   registry.Unary<v1::GetRequest, v1::GetResponse>(
//       "vectron.v1.VectronService.Get",
//       [this](CallContext& context, v1::GetRequest& request, v1::GetResponse& response,
//              RpcDone done) {...});

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/http_message.h"
#include "rpc/route_rule.h"
#include "vectron/options.pb.h"

namespace vectron::rpc {

// Ends a call; once, on any thread, maybe before the handler returns. The context, request and
// response are gone when it returns.
using RpcDone = std::function<void(absl::Status)>;

// The request may be plundered, the response is filled in place (it may live on an arena: use Swap
// or set_allocated only with that in mind) before `done(OK)`; it is ignored after an error.
template <typename Request, typename Response>
using UnaryHandler = std::function<void(CallContext&, Request&, Response&, RpcDone done)>;

// The answers of a server-streaming call. Thread-safe; kept alive by whoever still wants to write.
class AnyServerStream {
 public:
  virtual ~AnyServerStream() = default;
  // Queues one message. False, and nothing queued, when kMaxQueuedStreamMessages wait for a slow
  // reader or the call has ended.
  virtual bool WriteMessage(const google::protobuf::Message& message) = 0;
  // Queues the last message whatever waits, and ends the call with OK after it. The call has then
  // ended.
  virtual void FinishWithMessage(const google::protobuf::Message& message) = 0;
  // Ends the call after what is queued. Only the first end counts. A stream dropped without an end
  // is INTERNAL.
  virtual void Finish(absl::Status status) = 0;
  // The client has gone or its deadline has passed; writes go nowhere.
  virtual bool cancelled() const = 0;
};
// A slow reader holds at most this many answers in memory.
inline constexpr size_t kMaxQueuedStreamMessages = 16;

template <typename Response>
class ServerStream {
 public:
  explicit ServerStream(std::shared_ptr<AnyServerStream> stream) : stream_(std::move(stream)) {}
  bool Write(const Response& response) { return stream_->WriteMessage(response); }
  void FinishWith(const Response& response) { stream_->FinishWithMessage(response); }
  void Finish(absl::Status status) { stream_->Finish(std::move(status)); }
  bool cancelled() const { return stream_->cancelled(); }

 private:
  std::shared_ptr<AnyServerStream> stream_;  // shared: each part of a fan-out holds it
};

// The context and the request live until the stream has ended.
template <typename Request, typename Response>
using StreamHandler = std::function<void(CallContext&, Request&, ServerStream<Response>)>;

// The requests of a client-streaming call, and its one answer: made when the call begins. Called by
// one thread at a time. A message may be plundered; `next(OK)` asks for the one after it, an error
// ends the call. After the last one OnEnd fills the response, then `done`. Each of the two is
// called once, on any thread. Destroyed when the call has ended, which may be without OnEnd (the
// caller has gone).
template <typename Request, typename Response>
class RequestStream {
 public:
  virtual ~RequestStream() = default;
  virtual void OnMessage(Request& request, RpcDone next) = 0;
  virtual void OnEnd(Response& response, RpcDone done) = 0;
};
using AnyRequestStream = RequestStream<google::protobuf::Message, google::protobuf::Message>;
template <typename Request, typename Response>
using ClientStreamHandler =
    std::function<std::unique_ptr<RequestStream<Request, Response>>(CallContext&)>;

// Answers an RPC over HTTP from the raw body, past the generic transcoder: `done` takes the JSON of
// the response. The request lives until `done` returns.
using JsonDone = std::function<void(absl::StatusOr<std::string> json)>;
using JsonHandler = std::function<void(CallContext&, HttpRequest& request, JsonDone done)>;

// Runs before a handler: calls `next` once, on any thread, with OK to go on or with the error that
// ends the call.
using Middleware = std::function<void(CallContext&, RpcDone next)>;

// Asked, with the collection a call names, between the parsing of its request and the handler, over
// both protocols: whether the caller may use it. May set the tenant of the call. Calls `next` once,
// on any thread; the name lives until then.
using CollectionGuard =
    std::function<void(CallContext&, const std::string& collection, RpcDone next)>;

// Told of every call that has ended; must not block.
using CallObserver = std::function<void(CallContext&, absl::StatusCode)>;

// One RPC. Everything but the counters is fixed once the servers start.
class RpcMethod {
 public:
  RpcMethod(const google::protobuf::MethodDescriptor& descriptor, Metrics& metrics);

  const google::protobuf::MethodDescriptor& descriptor() const { return descriptor_; }
  // "vectron.v1.VectronService.Search"
  const std::string& name() const { return descriptor_.full_name(); }
  // "/vectron.v1.VectronService/Search"
  const std::string& grpc_path() const { return grpc_path_; }
  const options::Route& route() const { return route_; }
  options::Scope scope() const { return route_.scope(); }
  const RouteRule& rule() const { return rule_; }
  // The field of the request that names a collection: `collection`, or `name` of an RPC on
  // collections themselves. Null when there is none.
  const google::protobuf::FieldDescriptor* collection_field() const { return collection_field_; }
  bool streaming() const { return descriptor_.server_streaming(); }
  bool client_streaming() const { return descriptor_.client_streaming(); }

  // Calls ended so far, those that ended with an error, and the seconds they took together.
  struct Stats {
    uint64_t count = 0;
    uint64_t errors = 0;
    double total_seconds = 0;
  };
  Stats stats() const;

  // At most one of the first three is set; json may be set beside unary.
  std::function<void(CallContext&, google::protobuf::Message&, google::protobuf::Message&, RpcDone)>
      unary;
  std::function<void(CallContext&, google::protobuf::Message&, std::shared_ptr<AnyServerStream>)>
      stream;
  std::function<std::unique_ptr<AnyRequestStream>(CallContext&)> client_stream;
  JsonHandler json;
  const google::protobuf::Message* request_prototype = nullptr;  // set with each of them but json
  const google::protobuf::Message* response_prototype = nullptr;

 private:
  friend class RpcRegistry;
  void Record(Protocol protocol, absl::StatusCode code, double seconds) const;

  const google::protobuf::MethodDescriptor& descriptor_;
  std::string grpc_path_;
  options::Route route_;
  RouteRule rule_;
  const google::protobuf::FieldDescriptor* collection_field_ = nullptr;
  Metrics& metrics_;
  static constexpr size_t kProtocols = 3;
  static constexpr size_t kCodes = 17;  // of absl::StatusCode
  std::array<Histogram*, kProtocols> seconds_{};
  // Made on first use.
  mutable std::array<std::array<std::atomic<Counter*>, kCodes>, kProtocols> ended_{};
};

// Calls begun and not ended; past it RESOURCE_EXHAUSTED with a hint to try again.
struct RpcRegistryOptions {
  size_t max_in_flight = 4096;
  // Of the class "manage", which have room of their own: who looks after a server that is flooded
  // gets through.
  size_t max_managing = 256;
};

class RpcRegistry {
 public:
  // `metrics` and `clock` outlive the registry, and the registry the servers.
  RpcRegistry(Metrics& metrics, const Clock& clock, RpcRegistryOptions options);
  ~RpcRegistry();
  RpcRegistry(const RpcRegistry&) = delete;
  RpcRegistry& operator=(const RpcRegistry&) = delete;

  // Makes the RPCs of a service known; those that never get a handler answer UNIMPLEMENTED.
  // `full_name` as in "vectron.v1.VectronService", of a linked-in proto file (CHECK).
  // FailedPrecondition names an RPC without a scope.
  absl::Status AddService(std::string_view full_name);

  // The handler of one RPC of an added service; name, types and kind must match and it must be the
  // first (CHECK).
  template <typename Request, typename Response>
  void Unary(std::string_view name, UnaryHandler<Request, Response> handler) {
    RpcMethod& method =
        Claim(name, Request::default_instance(), Response::default_instance(), Shape::kUnary);
    method.unary = [handler = std::move(handler)](
                       CallContext& context, google::protobuf::Message& request,
                       google::protobuf::Message& response, RpcDone done) {
      handler(context, static_cast<Request&>(request), static_cast<Response&>(response),
              std::move(done));
    };
  }
  template <typename Request, typename Response>
  void Stream(std::string_view name, StreamHandler<Request, Response> handler) {
    RpcMethod& method =
        Claim(name, Request::default_instance(), Response::default_instance(), Shape::kServer);
    method.stream = [handler = std::move(handler)](CallContext& context,
                                                   google::protobuf::Message& request,
                                                   std::shared_ptr<AnyServerStream> stream) {
      handler(context, static_cast<Request&>(request), ServerStream<Response>(std::move(stream)));
    };
  }
  template <typename Request, typename Response>
  void ClientStream(std::string_view name, ClientStreamHandler<Request, Response> handler) {
    // The typed stream behind the untyped one.
    class Untyped final : public AnyRequestStream {
     public:
      explicit Untyped(std::unique_ptr<RequestStream<Request, Response>> typed)
          : typed_(std::move(typed)) {}
      void OnMessage(google::protobuf::Message& request, RpcDone next) override {
        typed_->OnMessage(static_cast<Request&>(request), std::move(next));
      }
      void OnEnd(google::protobuf::Message& response, RpcDone done) override {
        typed_->OnEnd(static_cast<Response&>(response), std::move(done));
      }

     private:
      const std::unique_ptr<RequestStream<Request, Response>> typed_;
    };
    RpcMethod& method =
        Claim(name, Request::default_instance(), Response::default_instance(), Shape::kClient);
    method.client_stream = [handler = std::move(handler)](CallContext& context) {
      return std::make_unique<Untyped>(handler(context));
    };
  }
  // As Unary, for a handler that works with any message: for RPCs that are passed on as they are.
  using AnyHandler = std::function<void(CallContext&, google::protobuf::Message& request,
                                        google::protobuf::Message& response, RpcDone done)>;
  void UnaryAny(std::string_view name, AnyHandler handler);
  // A hand-made HTTP form of an RPC that has a route; a collection that the RPC names must be a
  // parameter of its path (CHECK), where the guard finds it.
  void Json(std::string_view name, JsonHandler handler);
  void AddMiddleware(Middleware middleware);
  void AddObserver(CallObserver observer);
  void SetCollectionGuard(CollectionGuard guard);

  // Null when unknown.
  const RpcMethod* Find(std::string_view name) const;
  // In the order of their services and declarations.
  const std::vector<std::unique_ptr<RpcMethod>>& methods() const { return methods_; }
  const std::vector<const google::protobuf::ServiceDescriptor*>& services() const {
    return services_;
  }
  const Clock& clock() const { return clock_; }
  // Without those that manage.
  size_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

  // For the servers. Begin counts the call and runs the middlewares, then `admitted` with OK or the
  // refusal; either way End follows exactly once. The context lives until End.
  void Begin(const RpcMethod& method, CallContext& context, RpcDone admitted) const;
  void End(CallContext& context, absl::StatusCode code) const;

  // For the gRPC server: the bytes of its messages, as they are before compression.
  void CountReceived(size_t bytes) const { grpc_received_.Increment(bytes); }
  void CountSent(size_t bytes) const { grpc_sent_.Increment(bytes); }

  // Asks the collection guard, if there is one and the method names a collection: `next` with OK or
  // the refusal. The context, and the request or the parameters, live until then.
  void Guard(CallContext& context, const google::protobuf::Message& request, RpcDone next) const;
  void Guard(CallContext& context, const PathParams& params, RpcDone next) const;

  // As Begin, for a plain route: the middlewares run, but the call is not counted, so that health
  // and management are seen when the RPCs are busy. There is no End: it ends with `admitted`.
  void AdmitPlain(const RouteRule& rule, CallContext& context, RpcDone admitted) const;

 private:
  enum class Shape { kUnary, kServer, kClient };  // who sends more than one message
  RpcMethod& Claim(std::string_view name, const google::protobuf::Message& request,
                   const google::protobuf::Message& response, Shape shape);
  void RunMiddleware(size_t index, CallContext& context, RpcDone admitted) const;

  Metrics& metrics_;
  const Clock& clock_;
  RpcRegistryOptions options_;
  std::vector<const google::protobuf::ServiceDescriptor*> services_;
  std::vector<std::unique_ptr<RpcMethod>> methods_;
  std::map<std::string, RpcMethod*, std::less<>> by_name_;
  std::vector<Middleware> middlewares_;
  std::vector<CallObserver> observers_;
  CollectionGuard guard_;
  mutable std::atomic<size_t> in_flight_{0};
  mutable std::atomic<size_t> managing_{0};
  Gauge& in_flight_gauge_;
  Counter& grpc_received_;
  Counter& grpc_sent_;
};

}  // namespace vectron::rpc
