#include "apps/vectronctl/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron::ctl {
namespace {

constexpr int64_t kFirstPauseMs = 50;
constexpr int64_t kLongestPauseMs = 3'000;

absl::Status FromGrpc(const grpc::Status& status, const std::string& address) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  const std::string& message = status.error_message();
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return Unavailable(
        "{} cannot be reached or is busy: {}. Is the server running (vectron dev --data DIR), and "
        "is --host its gRPC address?",
        address, message);
  }
  if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) {
    return Unauthenticated("{} (--api-key or VECTRON_API_KEY takes an API key or a token)",
                           message);
  }
  const bool no_collection = status.error_code() == grpc::StatusCode::NOT_FOUND &&
                             message.starts_with("collection") && message.ends_with("not exist");
  if (no_collection) {
    return NotFound("{} (vectronctl list shows the collections)", message);
  }
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return DeadlineExceeded("no answer in time: {} (--timeout-ms allows more)", message);
  }
  return absl::Status(code, message);
}

}  // namespace

struct Client::Connection {
  std::unique_ptr<v1::VectronService::Stub> stub;

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(const ClientOptions& options, const Request& request,
                                grpc::Status (v1::VectronService::Stub::*method)(
                                    grpc::ClientContext*, const Request&, Response*)) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::milliseconds(options.timeout_ms));
    if (!options.credential.empty())
      context.AddMetadata("authorization", "Bearer " + options.credential);
    if (!options.tenant.empty()) context.AddMetadata("x-vectron-tenant", options.tenant);
    Response response;
    RETURN_IF_ERROR(FromGrpc(((*stub).*method)(&context, request, &response), options.address));
    return response;
  }
};

Client::Client(const ClientOptions& options)
    : options_(options), connection_(std::make_unique<Connection>()) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxGrpcMessageBytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(kMaxGrpcMessageBytes));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   1'000);  // a server that restarts is soon back
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  const auto credentials =
      options.tls_ca.empty()
          ? grpc::InsecureChannelCredentials()
          : grpc::SslCredentials({options.tls_ca, options.tls_key, options.tls_certificate});
  connection_->stub = v1::VectronService::NewStub(
      grpc::CreateCustomChannel(options.address, credentials, arguments));
}
Client::~Client() = default;

absl::Status Client::CreateCollection(const v1::CreateCollectionRequest& request) {
  return connection_
      ->Call<v1::CreateCollectionRequest, v1::CreateCollectionResponse>(
          options_, request, &v1::VectronService::Stub::CreateCollection)
      .status();
}
absl::Status Client::DeleteCollection(const std::string& name) {
  v1::DeleteCollectionRequest request;
  request.set_name(name);
  return connection_
      ->Call<v1::DeleteCollectionRequest, v1::DeleteCollectionResponse>(
          options_, request, &v1::VectronService::Stub::DeleteCollection)
      .status();
}
absl::StatusOr<v1::ListCollectionsResponse> Client::ListCollections() {
  return connection_->Call<v1::ListCollectionsRequest, v1::ListCollectionsResponse>(
      options_, {}, &v1::VectronService::Stub::ListCollections);
}
absl::StatusOr<v1::GetCollectionStatusResponse> Client::Describe(const std::string& name) {
  v1::GetCollectionStatusRequest request;
  request.set_name(name);
  return connection_->Call<v1::GetCollectionStatusRequest, v1::GetCollectionStatusResponse>(
      options_, request, &v1::VectronService::Stub::GetCollectionStatus);
}
absl::StatusOr<v1::UpsertResponse> Client::Upsert(const v1::UpsertRequest& request) {
  return connection_->Call<v1::UpsertRequest, v1::UpsertResponse>(
      options_, request, &v1::VectronService::Stub::Upsert);
}
absl::StatusOr<v1::SearchResponse> Client::Search(const v1::SearchRequest& request) {
  return connection_->Call<v1::SearchRequest, v1::SearchResponse>(
      options_, request, &v1::VectronService::Stub::Search);
}
absl::StatusOr<v1::Point> Client::Get(const std::string& collection, const std::string& id) {
  v1::GetRequest request;
  request.set_collection(collection);
  request.set_id(id);
  ASSIGN_OR_RETURN(auto response, (connection_->Call<v1::GetRequest, v1::GetResponse>(
                                      options_, request, &v1::VectronService::Stub::Get)));
  return std::move(*response.mutable_point());
}
absl::Status Client::Delete(const std::string& collection, const std::string& id) {
  v1::DeleteRequest request;
  request.set_collection(collection);
  request.set_id(id);
  return connection_
      ->Call<v1::DeleteRequest, v1::DeleteResponse>(options_, request,
                                                    &v1::VectronService::Stub::Delete)
      .status();
}
absl::StatusOr<v1::ScrollResponse> Client::Scroll(const v1::ScrollRequest& request) {
  return connection_->Call<v1::ScrollRequest, v1::ScrollResponse>(
      options_, request, &v1::VectronService::Stub::ScrollPoints);
}

bool IsWorthRetrying(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kDeadlineExceeded;
}

absl::Status CallWithRetry(const RetryOptions& options, const std::function<absl::Status()>& call) {
  Random random(SeedFromSystem());
  int64_t waited_ms = 0;
  int64_t pause_ms = kFirstPauseMs;
  for (;;) {
    absl::Status status = call();
    if (!IsWorthRetrying(status) || waited_ms >= options.patience_ms) return status;
    if (options.stop && options.stop()) return status;
    const int64_t jittered =
        pause_ms / 2 + static_cast<int64_t>(random.Below(static_cast<uint64_t>(pause_ms)));
    std::this_thread::sleep_for(std::chrono::milliseconds(jittered));
    waited_ms += jittered;
    pause_ms = std::min(kLongestPauseMs, pause_ms * 2);
  }
}

}  // namespace vectron::ctl
