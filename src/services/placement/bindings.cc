// The handlers of PlacementService: requests over gRPC to the calls of service.h and back.

#include "base/status.h"
#include "services/placement/service.h"

namespace vectron::placement {
namespace {

namespace pb = placementdriver::v1;
using rpc::CallContext;
using rpc::RpcDone;

std::string Named(std::string_view method) {
  return fmt::format("vectron.placementdriver.v1.PlacementService.{}", method);
}

// What a call that changes something is about, for the audit log.
std::string TargetOf(const pb::DrainWorkerRequest& request) {
  return "worker " + request.worker_id();
}
std::string TargetOf(const pb::RemoveWorkerRequest& request) {
  return "worker " + request.worker_id();
}
std::string TargetOf(const pb::CreateCollectionRequest& request) {
  return request.has_schema() ? request.schema().name() : request.name();
}
std::string TargetOf(const pb::DeleteCollectionRequest& request) { return request.name(); }
template <typename Request>
std::string TargetOf(const Request&) {
  return {};
}
std::string DetailOf(const pb::DrainWorkerRequest& request) {
  return request.cancel() ? "cancel" : "";
}
std::string DetailOf(const pb::RebalanceRequest& request) {
  return request.dry_run() ? "dry run" : "";
}
template <typename Request>
std::string DetailOf(const Request&) {
  return {};
}

template <typename Request, typename Response>
void Bind(rpc::RpcRegistry& registry, std::string_view name, PlacementService& service,
          void (PlacementService::*call)(const Request&, PlacementService::Done<Response>)) {
  registry.Unary<Request, Response>(Named(name), [&service, call](
                                                     CallContext& context, Request& request,
                                                     Response& response, RpcDone done) {
    context.audit_target = TargetOf(request);
    context.audit_detail = DetailOf(request);
    (service.*call)(request, [&response, done = std::move(done)](absl::StatusOr<Response> answer) {
      if (answer.ok()) response = *std::move(answer);
      done(answer.status());
    });
  });
}

}  // namespace

absl::Status PlacementService::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.placementdriver.v1.PlacementService"));
  using Service = PlacementService;
  Bind(registry, "GetLeader", *this, &Service::GetLeader);
  Bind(registry, "RegisterWorker", *this, &Service::RegisterWorker);
  Bind(registry, "Heartbeat", *this, &Service::Heartbeat);
  Bind(registry, "ListWorkers", *this, &Service::ListWorkers);
  Bind(registry, "DrainWorker", *this, &Service::DrainWorker);
  Bind(registry, "RemoveWorker", *this, &Service::RemoveWorker);
  Bind(registry, "Rebalance", *this, &Service::Rebalance);
  Bind(registry, "RegisterReranker", *this, &Service::RegisterReranker);
  Bind(registry, "RerankerHeartbeat", *this, &Service::RerankerHeartbeat);
  Bind(registry, "ListRerankers", *this, &Service::ListRerankers);
  Bind(registry, "GetReranker", *this, &Service::GetReranker);
  Bind(registry, "CreateCollection", *this, &Service::CreateCollection);
  Bind(registry, "DeleteCollection", *this, &Service::DeleteCollection);
  Bind(registry, "ListCollections", *this, &Service::ListCollections);
  Bind(registry, "GetCollectionStatus", *this, &Service::GetCollectionStatus);
  Bind(registry, "GetWorker", *this, &Service::GetWorker);
  Bind(registry, "ListWorkersForCollection", *this, &Service::ListWorkersForCollection);
  Bind(registry, "GetMap", *this, &Service::GetMap);
  registry.Stream<pb::WatchMapRequest, pb::ClusterMap>(
      Named("WatchMap"),
      [this](CallContext&, pb::WatchMapRequest& request, rpc::ServerStream<pb::ClusterMap> stream) {
        WatchMap(request, std::move(stream));
      });
  return absl::OkStatus();
}

}  // namespace vectron::placement
