#include "rpc/rpc_registry.h"

#include <algorithm>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

constexpr std::array<const char*, 3> kProtocolNames = {"in_process", "http", "grpc"};
// Calls end within milliseconds; a client should not hammer meanwhile.
constexpr int64_t kBusyRetryMs = 100;

const google::protobuf::FieldDescriptor* CollectionFieldOf(
    const google::protobuf::MethodDescriptor& method) {
  const auto* field = method.input_type()->FindFieldByName("collection");
  if (field == nullptr && method.name().find("Collection") != std::string::npos)
    field = method.input_type()->FindFieldByName("name");
  const bool text = field != nullptr && !field->is_repeated() &&
                    field->type() == google::protobuf::FieldDescriptor::TYPE_STRING;
  return text ? field : nullptr;
}

}  // namespace

RpcMethod::RpcMethod(const google::protobuf::MethodDescriptor& descriptor, Metrics& metrics)
    : descriptor_(descriptor),
      grpc_path_("/" + descriptor.service()->full_name() + "/" + descriptor.name()),
      route_(descriptor.options().GetExtension(options::route)),
      rule_{descriptor.full_name(), route_.scope(),
            route_.rate_class().empty() ? "read" : route_.rate_class(),
            route_.verb() != "GET" && route_.scope() != options::SCOPE_READ},
      collection_field_(CollectionFieldOf(descriptor)),
      metrics_(metrics) {
  for (size_t i = 0; i < seconds_.size(); ++i) {
    seconds_[i] = &metrics.AddHistogram(
        "vectron_rpc_seconds", "Time of a call from its head to its end.",
        {{"method", name()}, {"protocol", kProtocolNames[i]}}, LatencyBounds());
  }
}

void RpcMethod::Record(Protocol protocol, absl::StatusCode code, double seconds) const {
  const auto row = static_cast<size_t>(protocol);
  const auto number = static_cast<size_t>(code);
  const size_t column =
      number < ended_[row].size() ? number : static_cast<size_t>(absl::StatusCode::kUnknown);
  Counter* counter = ended_[row][column].load(std::memory_order_acquire);
  if (counter == nullptr) {
    counter = &metrics_.AddCounter("vectron_rpc_calls_total", "Calls ended.",
                                   {{"method", name()},
                                    {"protocol", kProtocolNames[row]},
                                    {"code", std::string(CodeName(code))}});
    ended_[row][column].store(counter, std::memory_order_release);
  }
  counter->Increment();
  seconds_[row]->Observe(seconds);
}

RpcMethod::Stats RpcMethod::stats() const {
  Stats stats;
  for (size_t row = 0; row < ended_.size(); ++row) {
    stats.total_seconds += seconds_[row]->sum();
    for (size_t column = 0; column < ended_[row].size(); ++column) {
      const Counter* counter = ended_[row][column].load(std::memory_order_acquire);
      if (counter == nullptr) continue;
      stats.count += counter->value();
      if (column != 0) stats.errors += counter->value();
    }
  }
  return stats;
}

RpcRegistry::RpcRegistry(Metrics& metrics, const Clock& clock, RpcRegistryOptions options)
    : metrics_(metrics),
      clock_(clock),
      options_(options),
      in_flight_gauge_(metrics.AddGauge("vectron_rpc_in_flight", "Calls begun and not ended.")),
      grpc_received_(metrics.AddCounter("vectron_grpc_received_bytes_total",
                                        "Bytes of messages received over gRPC.")),
      grpc_sent_(metrics.AddCounter("vectron_grpc_sent_bytes_total",
                                    "Bytes of messages sent over gRPC.")) {
  CHECK(options_.max_in_flight > 0 && options_.max_managing > 0);
}

RpcRegistry::~RpcRegistry() = default;

absl::Status RpcRegistry::AddService(std::string_view full_name) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(std::string(full_name));
  CHECK(service != nullptr);
  CHECK(std::find(services_.begin(), services_.end(), service) == services_.end());
  services_.push_back(service);
  for (int i = 0; i < service->method_count(); ++i) {
    auto method = std::make_unique<RpcMethod>(*service->method(i), metrics_);
    if (method->scope() == options::SCOPE_UNSPECIFIED) {
      return FailedPrecondition("{} has no scope in its route option", method->name());
    }
    by_name_.emplace(method->name(), method.get());
    methods_.push_back(std::move(method));
  }
  return absl::OkStatus();
}

RpcMethod& RpcRegistry::Claim(std::string_view name, const google::protobuf::Message& request,
                              const google::protobuf::Message& response, Shape shape) {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end());
  RpcMethod& method = *found->second;
  CHECK(method.request_prototype == nullptr);
  CHECK_EQ(method.descriptor().input_type()->full_name(), request.GetDescriptor()->full_name());
  CHECK_EQ(method.descriptor().output_type()->full_name(), response.GetDescriptor()->full_name());
  CHECK_EQ(method.streaming(), shape == Shape::kServer);
  CHECK_EQ(method.client_streaming(), shape == Shape::kClient);
  method.request_prototype = &request;
  method.response_prototype = &response;
  return method;
}

void RpcRegistry::Json(std::string_view name, JsonHandler handler) {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end());
  CHECK(!found->second->json);
  CHECK(!found->second->route().verb().empty());
  const auto* field = found->second->collection_field();
  CHECK(field == nullptr ||
        found->second->route().path().find("{" + field->name() + "}") != std::string::npos);
  found->second->json = std::move(handler);
}

void RpcRegistry::AddMiddleware(Middleware middleware) {
  middlewares_.push_back(std::move(middleware));
}

void RpcRegistry::AddObserver(CallObserver observer) { observers_.push_back(std::move(observer)); }

void RpcRegistry::SetCollectionGuard(CollectionGuard guard) { guard_ = std::move(guard); }

void RpcRegistry::Guard(CallContext& context, const google::protobuf::Message& request,
                        RpcDone next) const {
  const auto* field = context.method->collection_field();
  if (field == nullptr || guard_ == nullptr) return next(absl::OkStatus());
  std::string scratch;  // for reflection; a generated message has the string itself
  const std::string& name = request.GetReflection()->GetStringReference(request, field, &scratch);
  CHECK(&name != &scratch);
  guard_(context, name, std::move(next));
}

void RpcRegistry::Guard(CallContext& context, const PathParams& params, RpcDone next) const {
  const auto* field = context.method->collection_field();
  if (field == nullptr || guard_ == nullptr) return next(absl::OkStatus());
  const auto param = std::find_if(params.begin(), params.end(), [field](const auto& entry) {
    return entry.first == field->name();
  });
  CHECK(param != params.end());
  guard_(context, param->second, std::move(next));
}

void RpcRegistry::UnaryAny(std::string_view name, AnyHandler handler) {
  const auto found = by_name_.find(name);
  CHECK(found != by_name_.end());
  auto* factory = google::protobuf::MessageFactory::generated_factory();
  const auto& descriptor = found->second->descriptor();
  const auto* request = factory->GetPrototype(descriptor.input_type());
  const auto* response = factory->GetPrototype(descriptor.output_type());
  CHECK(request != nullptr && response != nullptr);
  Claim(name, *request, *response, Shape::kUnary).unary = std::move(handler);
}

const RpcMethod* RpcRegistry::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

void RpcRegistry::Begin(const RpcMethod& method, CallContext& context, RpcDone admitted) const {
  context.method = &method;
  context.rule = &method.rule();
  if (context.start_nanos == 0) context.start_nanos = clock_.MonotonicNanos();
  const bool manages = method.rule().manages();
  const size_t before = (manages ? managing_ : in_flight_).fetch_add(1, std::memory_order_relaxed);
  in_flight_gauge_.Add(1);
  if (before >= (manages ? options_.max_managing : options_.max_in_flight)) {
    admitted(WithRetryAfter(ResourceExhausted("{} calls are in flight, the most allowed", before),
                            kBusyRetryMs));
    return;
  }
  if (context.deadline_nanos != 0 && context.deadline_nanos <= clock_.MonotonicNanos()) {
    admitted(DeadlineExceeded("the deadline had passed when the call arrived"));
    return;
  }
  RunMiddleware(0, context, std::move(admitted));
}

void RpcRegistry::AdmitPlain(const RouteRule& rule, CallContext& context, RpcDone admitted) const {
  context.rule = &rule;
  if (context.start_nanos == 0) context.start_nanos = clock_.MonotonicNanos();
  RunMiddleware(0, context, [this, &context, admitted = std::move(admitted)](absl::Status status) {
    for (const CallObserver& observer : observers_) observer(context, status.code());
    admitted(std::move(status));
  });
}

void RpcRegistry::RunMiddleware(size_t index, CallContext& context, RpcDone admitted) const {
  if (index == middlewares_.size()) {
    admitted(absl::OkStatus());
    return;
  }
  middlewares_[index](context,
                      [this, index, &context, admitted = std::move(admitted)](absl::Status status) {
                        if (!status.ok()) {
                          admitted(std::move(status));
                        } else {
                          RunMiddleware(index + 1, context, admitted);
                        }
                      });
}

void RpcRegistry::End(CallContext& context, absl::StatusCode code) const {
  CHECK(context.method != nullptr);
  const bool manages = context.method->rule().manages();
  const size_t before = (manages ? managing_ : in_flight_).fetch_sub(1, std::memory_order_relaxed);
  CHECK_GT(before, 0u);
  in_flight_gauge_.Add(-1);
  const int64_t nanos = clock_.MonotonicNanos() - context.start_nanos;
  context.method->Record(context.protocol, code, static_cast<double>(nanos) * 1e-9);
  for (const CallObserver& observer : observers_) observer(context, code);
}

}  // namespace vectron::rpc
