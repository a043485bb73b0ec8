#include "rpc/grpc_server.h"

#include <grpc/grpc.h>
#include <grpcpp/channel.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/status.h"
#include "rpc/grpc_call.h"
#include "rpc/tls_grpc.h"

namespace vectron::rpc {
namespace {

// One service of the registry, given to gRPC the way its generated code does it, but over raw
// buffers. Methods without a handler are left out: gRPC answers UNIMPLEMENTED for them.
class RegistryService final : public grpc::Service {
 public:
  RegistryService(const RpcRegistry& registry, const google::protobuf::ServiceDescriptor& service) {
    int index = 0;
    for (const auto& method : registry.methods()) {
      if (method->descriptor().service() != &service || method->request_prototype == nullptr)
        continue;
      AddMethodOf(registry, *method, index++);
    }
  }

 private:
  void AddMethodOf(const RpcRegistry& registry, const RpcMethod& method, int index) {
    using grpc::ByteBuffer;
    using grpc::internal::RpcServiceMethod;
    const auto type = method.streaming()          ? grpc::internal::RpcMethod::SERVER_STREAMING
                      : method.client_streaming() ? grpc::internal::RpcMethod::CLIENT_STREAMING
                                                  : grpc::internal::RpcMethod::NORMAL_RPC;
    AddMethod(new RpcServiceMethod(method.grpc_path().c_str(), type, nullptr));
    if (method.streaming()) {
      MarkMethodRawCallback(
          index, new grpc::internal::CallbackServerStreamingHandler<ByteBuffer, ByteBuffer>(
                     [&registry, &method](grpc::CallbackServerContext* context,
                                          const ByteBuffer* request) {
                       return StartStreamCall(registry, method, *context, *request);
                     }));
    } else if (method.client_streaming()) {
      MarkMethodRawCallback(
          index,
          new grpc::internal::CallbackClientStreamingHandler<ByteBuffer, ByteBuffer>(
              [&registry, &method](grpc::CallbackServerContext* context, ByteBuffer* response) {
                return StartClientStreamCall(registry, method, *context, *response);
              }));
    } else {
      MarkMethodRawCallback(
          index, new grpc::internal::CallbackUnaryHandler<ByteBuffer, ByteBuffer>(
                     [&registry, &method](grpc::CallbackServerContext* context,
                                          const ByteBuffer* request, ByteBuffer* response) {
                       return StartUnaryCall(registry, method, *context, *request, *response);
                     }));
    }
  }
};

constexpr int kStreamWindowBytes = 4 << 20;

int ToInt(int64_t value) {
  return static_cast<int>(std::min<int64_t>(value, std::numeric_limits<int>::max()));
}

void SetLimits(const GrpcServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(ToInt(static_cast<int64_t>(options.max_message_bytes)));
  builder.SetMaxSendMessageSize(-1);  // answers are bounded by what makes them
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             ToInt(static_cast<int64_t>(options.max_concurrent_streams)));
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             ToInt(options.min_ping_interval_ms));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, ToInt(options.keep_alive_time_ms));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, ToInt(options.keep_alive_timeout_ms));
  if (options.max_connection_age_ms > 0) {
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                               ToInt(options.max_connection_age_ms));
  }
  // Statistics per connection that nothing reads, and probes that grow the flow-control window by
  // pinging: together a tenth of a call. The window is set to what a large upsert wants instead.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
  grpc::ResourceQuota quota("vectron");
  quota.Resize(options.memory_quota_bytes);
  builder.SetResourceQuota(quota);
}

// What is switched on or off for the whole process, once.
void ConfigureProcess() {
  static const bool configured = [] {
#ifdef NDEBUG
    // Debian builds absl with its deadlock detector, which takes a fifth of a call's time here;
    // debug builds keep it.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  CHECK(configured);
}

}  // namespace

struct GrpcServer::Impl {
  std::vector<std::unique_ptr<RegistryService>> services;
  std::unique_ptr<grpc::Server> server;
  std::string bound_address;
  int port = 0;
  absl::Mutex stop_mutex;
  bool stopped ABSL_GUARDED_BY(stop_mutex) = false;
};

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GrpcServer::~GrpcServer() { Stop(0); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(GrpcServerOptions options,
                                                              const RpcRegistry& registry) {
  ConfigureProcess();
  auto impl = std::make_unique<Impl>();
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  if (!options.address.empty()) {
    if (options.tls.enabled()) RETURN_IF_ERROR(TlsContext::Load(options.tls).status());
    builder.AddListeningPort(options.address, GrpcServerCredentials(options.tls), &impl->port);
  }
  for (const auto* service : registry.services()) {
    impl->services.push_back(std::make_unique<RegistryService>(registry, *service));
    builder.RegisterService(impl->services.back().get());
  }
  for (grpc::Service* service : options.extra_services) builder.RegisterService(service);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return Unavailable("cannot listen on {} for gRPC", options.address);
  if (!options.address.empty()) {
    if (impl->port == 0) return Unavailable("cannot listen on {} for gRPC", options.address);
    impl->bound_address =
        options.address.substr(0, options.address.rfind(':') + 1) + std::to_string(impl->port);
  }
  for (const auto* service : registry.services()) {
    impl->server->GetHealthCheckService()->SetServingStatus(service->full_name(), true);
  }
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

const std::string& GrpcServer::bound_address() const { return impl_->bound_address; }
int GrpcServer::port() const { return impl_->port; }

std::shared_ptr<grpc::Channel> GrpcServer::InProcessChannel() {
  return impl_->server->InProcessChannel(grpc::ChannelArguments());
}

void GrpcServer::Stop(int64_t grace_ms) {
  {
    const absl::MutexLock lock(&impl_->stop_mutex);
    if (std::exchange(impl_->stopped, true)) return;
  }
  impl_->server->GetHealthCheckService()->Shutdown();
  impl_->server->Shutdown(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(grace_ms, GPR_TIMESPAN)));
  impl_->server->Wait();
}

}  // namespace vectron::rpc
