#include "rpc/http_dispatcher.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/json_transcoder.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kMaxTimeoutMs = int64_t{24} * 3600 * 1000;

class HttpCallContext final : public CallContext {
 public:
  explicit HttpCallContext(const HttpRequest& request) : request_(request) {
    protocol = Protocol::kHttp;
    start_nanos = request.start_nanos;
  }
  std::optional<std::string_view> Header(std::string_view name) const override {
    return request_.Header(name);
  }
  std::string Peer() const override {
    return request_.peer == nullptr ? std::string() : *request_.peer;
  }

 private:
  const HttpRequest& request_;
};

// 0 without the header. InvalidArgument for anything but a whole number of milliseconds up to a
// day.
absl::StatusOr<int64_t> DeadlineOf(const HttpRequest& request) {
  const auto header = request.Header("x-request-timeout-ms");
  if (!header) return 0;
  int64_t millis = 0;
  const auto [end, error] =
      std::from_chars(header->data(), header->data() + header->size(), millis);
  if (error != std::errc() || end != header->data() + header->size() || millis < 1 ||
      millis > kMaxTimeoutMs) {
    return InvalidArgument("x-request-timeout-ms: got \"{}\", wanted 1 to {}",
                           header->substr(0, 32), kMaxTimeoutMs);
  }
  return request.start_nanos + millis * kNanosPerMs;
}

// What a client sent as its name of the request comes back, when it is harmless in a header.
std::optional<std::string> EchoedRequestId(const HttpRequest& request) {
  const auto id = request.Header("x-request-id");
  if (!id || id->empty() || id->size() > kMaxRequestIdBytes) return std::nullopt;
  if (!std::all_of(id->begin(), id->end(), [](char c) { return c > ' ' && c < 0x7f; }))
    return std::nullopt;
  return std::string(*id);
}

absl::Status CheckPathFields(const RpcMethod& method) {
  const auto& input = *method.descriptor().input_type();
  std::string_view path = method.route().path();
  for (size_t open = path.find('{'); open != std::string_view::npos;
       open = path.find('{', open + 1)) {
    const size_t close = path.find('}', open);
    if (close == std::string_view::npos) break;  // the route table says what is wrong
    const std::string name(path.substr(open + 1, close - open - 1));
    const auto* field = input.FindFieldByName(name);
    if (field == nullptr || field->is_repeated() ||
        field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
      return FailedPrecondition("route {} of {}: {{{}}} is no singular scalar field of {}", path,
                                method.name(), name, input.full_name());
    }
  }
  return absl::OkStatus();
}

}  // namespace

// One RPC under way: everything the handler refers to. Kept alive by the callbacks, and gone with
// the last of them.
class HttpDispatcher::Call : public std::enable_shared_from_this<Call> {
 public:
  Call(const RpcRegistry& registry, const RpcMethod& method, HttpRequest request,
       HttpResponder responder)
      : registry_(registry),
        method_(method),
        request_(std::move(request)),
        responder_(std::move(responder)),
        context_(request_) {}

  ~Call() {
    if (!ended_) registry_.End(context_, absl::StatusCode::kInternal);
  }

  // for_large: null, or where a large request is run.
  void Start(Executor* for_large) {
    absl::StatusOr<int64_t> deadline = DeadlineOf(request_);
    if (deadline.ok()) context_.deadline_nanos = *deadline;
    registry_.Begin(
        method_, context_,
        [self = shared_from_this(), bad = deadline.status(), for_large](absl::Status status) {
          if (status.ok()) status = bad;
          if (!status.ok()) return self->Fail(status);
          if (for_large == nullptr || self->request_.body.size() <= kLargeBodyBytes) {
            return self->Run();
          }
          for_large->Schedule([self] { self->Run(); });
        });
  }

 private:
  void Run() {
    if (method_.json) {
      return registry_.Guard(context_, request_.params,
                             [self = shared_from_this()](const absl::Status& status) {
                               if (!status.ok()) return self->Fail(status);
                               self->HandleJson();
                             });
    }
    if (!method_.unary) return Fail(Unimplemented("{} is not served here", method_.name()));
    auto* request = method_.request_prototype->New(&arena_);
    absl::Status status = ApplyQuery(request_.query(), *request);
    if (status.ok() && method_.route().body())
      status = MessageFromJson(request_.body.padded(), *request);
    if (status.ok()) status = ApplyPathParams(request_.params, *request);
    if (!status.ok()) return Fail(status);
    registry_.Guard(context_, *request,
                    [self = shared_from_this(), request](const absl::Status& guarded) {
                      if (!guarded.ok()) return self->Fail(guarded);
                      self->HandleMessage(*request);
                    });
  }

  void HandleJson() {
    method_.json(context_, request_, [self = shared_from_this()](absl::StatusOr<std::string> json) {
      if (!json.ok()) return self->Fail(json.status());
      self->Succeed(*std::move(json));
    });
  }

  void HandleMessage(google::protobuf::Message& request) {
    auto* response = method_.response_prototype->New(&arena_);
    method_.unary(context_, request, *response,
                  [self = shared_from_this(), response](absl::Status result) {
                    if (!result.ok()) return self->Fail(result);
                    std::string json;
                    MessageToJson(*response, json);
                    self->Succeed(std::move(json));
                  });
  }

  void Succeed(std::string json) {
    HttpResponse response;
    response.body = std::move(json);
    Finish(std::move(response), absl::StatusCode::kOk);
  }
  void Fail(const absl::Status& status) { Finish(ErrorResponse(status), status.code()); }

  void Finish(HttpResponse response, absl::StatusCode code) {
    if (auto id = EchoedRequestId(request_))
      response.headers.emplace_back("X-Request-Id", *std::move(id));
    ended_ = true;
    registry_.End(context_, code);
    responder_.Send(std::move(response));
  }

  const RpcRegistry& registry_;
  const RpcMethod& method_;
  HttpRequest request_;
  HttpResponder responder_;
  HttpCallContext context_;
  google::protobuf::Arena arena_;
  bool ended_ = false;
};

// A plain route whose caller is being checked.
class HttpDispatcher::PlainCall : public std::enable_shared_from_this<PlainCall> {
 public:
  PlainCall(const HttpHandler& handler, HttpRequest request, HttpResponder responder)
      : handler_(handler),
        request_(std::move(request)),
        responder_(std::move(responder)),
        context_(request_) {}

  void Start(const RpcRegistry& registry, const RouteRule& rule) {
    registry.AdmitPlain(rule, context_, [self = shared_from_this()](const absl::Status& status) {
      if (!status.ok()) return self->responder_.Send(ErrorResponse(status));
      self->request_.identity = self->context_.identity;
      self->handler_(std::move(self->request_), std::move(self->responder_));
    });
  }

 private:
  const HttpHandler& handler_;
  HttpRequest request_;
  HttpResponder responder_;
  HttpCallContext context_;
};

HttpDispatcher::HttpDispatcher(const RpcRegistry& registry) : registry_(registry) {}
HttpDispatcher::~HttpDispatcher() = default;

absl::Status HttpDispatcher::AddRpcs(const std::set<std::string>& plain_services) {
  for (const auto& method : registry_.methods()) {
    const auto& route = method->route();
    if (route.verb().empty()) continue;
    const HttpVerb verb = VerbOf(route.verb());
    if (verb == HttpVerb::kOther || method->streaming()) {
      return FailedPrecondition("route of {}: {} cannot be served over HTTP", method->name(),
                                route.verb());
    }
    RETURN_IF_ERROR(CheckPathFields(*method));
    const bool plain = plain_services.contains(method->descriptor().service()->full_name());
    const absl::Status added = table_.Add({verb, route.path(), plain, targets_.size()});
    if (!added.ok()) return FailedPrecondition("route of {}: {}", method->name(), MessageOf(added));
    targets_.push_back({.method = method.get(), .plain = nullptr});
  }
  return absl::OkStatus();
}

absl::Status HttpDispatcher::AddPlain(HttpVerb verb, std::string path, options::Scope scope,
                                      HttpHandler handler) {
  CHECK(handler != nullptr);
  CHECK(scope != options::SCOPE_UNSPECIFIED);
  auto rule = std::make_unique<const RouteRule>(
      RouteRule{std::string(VerbName(verb)) + " " + path, scope,
                verb == HttpVerb::kGet ? "read" : "write", verb != HttpVerb::kGet});
  const absl::Status added = table_.Add({verb, std::move(path), true, targets_.size()});
  if (!added.ok()) return FailedPrecondition("{}", MessageOf(added));
  targets_.push_back({.plain = std::move(handler), .rule = std::move(rule)});
  return absl::OkStatus();
}

void HttpDispatcher::SetFallback(HttpHandler handler) {
  CHECK(handler != nullptr);
  fallback_ = std::move(handler);
}

void HttpDispatcher::RunLargeOn(Executor& executor) { for_large_ = &executor; }

void HttpDispatcher::SetBodyLimit(std::string_view rpc_name, size_t bytes) {
  const auto found =
      std::find_if(targets_.begin(), targets_.end(), [rpc_name](const Target& target) {
        return target.method != nullptr && target.method->name() == rpc_name;
      });
  CHECK(found != targets_.end());
  found->body_limit = bytes;
}

size_t HttpDispatcher::BodyLimit(const HttpRequest& head) const {
  const RouteTable::Result match = table_.Match(head.verb, head.path());
  return match.outcome == RouteTable::Outcome::kMatch ? targets_[match.route->target].body_limit
                                                      : kMaxPlainBodyBytes;
}

void HttpDispatcher::Handle(HttpRequest request, HttpResponder responder) const {
  RouteTable::Result match = table_.Match(request.verb, request.path());
  switch (match.outcome) {
    case RouteTable::Outcome::kMatch:
      break;
    case RouteTable::Outcome::kBadEscape:
      return responder.Send(ErrorResponse(InvalidArgument("the path has a bad percent escape")));
    case RouteTable::Outcome::kNotFound:
      if (fallback_ != nullptr) return fallback_(std::move(request), std::move(responder));
      return responder.Send(ErrorResponse(NotFound("there is no such path")));
    case RouteTable::Outcome::kWrongVerb: {
      HttpResponse response;
      if (request.verb == HttpVerb::kOptions) {
        response.status = 204;
      } else {
        response = ErrorResponse(Unimplemented("the path does not take this method"),
                                 match.route->plain ? 405 : 501);
      }
      response.headers.emplace_back("Allow", std::move(match.allowed));
      return responder.Send(std::move(response));
    }
  }
  request.params = std::move(match.params);
  const Target& target = targets_[match.route->target];
  if (target.method == nullptr) {
    if (target.rule->scope == options::SCOPE_PUBLIC)
      return target.plain(std::move(request), std::move(responder));
    std::make_shared<PlainCall>(target.plain, std::move(request), std::move(responder))
        ->Start(registry_, *target.rule);
    return;
  }
  std::make_shared<Call>(registry_, *target.method, std::move(request), std::move(responder))
      ->Start(for_large_);
}

}  // namespace vectron::rpc
