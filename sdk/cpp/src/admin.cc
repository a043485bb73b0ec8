#include "vectron/admin.h"

#include "connection.h"
#include "convert.h"

namespace vectron {
namespace {

using internal::Connection;
using internal::Kind;
using Management = management::v1::ManagementService::StubInterface;
using Vectron = v1::VectronService::StubInterface;

struct Caller {
  Connection& connection;
  Timeout timeout;
};

// One unary call; its answer as JSON.
template <typename Stub, typename Request, typename Response>
Payload Ask(const Caller& caller, Kind kind, Stub& stub, const Request& request,
            grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*)) {
  Response response;
  const auto attempt = [&](grpc::ClientContext* context) {
    response.Clear();
    return (stub.*method)(context, request, &response);
  };
  caller.connection.Run(kind, attempt, caller.timeout);
  return internal::JsonOf(response);
}
template <typename Request, typename Response>
Payload Read(const Caller& caller, const Request& request,
             grpc::Status (Management::*method)(grpc::ClientContext*, const Request&, Response*)) {
  return Ask(caller, Kind::kRead, caller.connection.management(), request, method);
}
template <typename Request, typename Response>
Payload Change(const Caller& caller, const Request& request,
               grpc::Status (Management::*method)(grpc::ClientContext*, const Request&,
                                                  Response*)) {
  return Ask(caller, Kind::kOtherWrite, caller.connection.management(), request, method);
}

Payload Drain(const Caller& caller, const std::string& worker_id, bool cancel) {
  management::v1::DrainWorkerRequest request;
  request.set_worker_id(worker_id);
  request.set_cancel(cancel);
  return Change(caller, request, &Management::DrainWorker);
}
Payload Balance(const Caller& caller, bool dry_run) {
  management::v1::RebalanceRequest request;
  request.set_dry_run(dry_run);
  return Change(caller, request, &Management::Rebalance);
}

}  // namespace

Payload Admin::Health() {
  return Read({*connection_, timeout_}, management::v1::GetSystemHealthRequest(),
              &Management::GetSystemHealth);
}
Payload Admin::Stats() {
  return Read({*connection_, timeout_}, management::v1::GetGatewayStatsRequest(),
              &Management::GetGatewayStats);
}
Payload Admin::Workers() {
  return Read({*connection_, timeout_}, management::v1::ListWorkersRequest(),
              &Management::ListWorkers);
}
Payload Admin::Collections() {
  return Read({*connection_, timeout_}, management::v1::ListCollectionsRequest(),
              &Management::ListCollections);
}
Payload Admin::Alerts(const std::string& status, const std::string& level, uint32_t limit) {
  management::v1::ListAlertsRequest request;
  request.set_status(status);
  request.set_level(level);
  request.set_limit(limit);
  return Read({*connection_, timeout_}, request, &Management::ListAlerts);
}
Payload Admin::ResolveAlert(const std::string& id) {
  management::v1::ResolveAlertRequest request;
  request.set_id(id);
  return Change({*connection_, timeout_}, request, &Management::ResolveAlert);
}

Payload Admin::DrainWorker(const std::string& worker_id) {
  return Drain({*connection_, timeout_}, worker_id, false);
}
Payload Admin::CancelDrain(const std::string& worker_id) {
  return Drain({*connection_, timeout_}, worker_id, true);
}
Payload Admin::RemoveWorker(const std::string& worker_id) {
  management::v1::RemoveWorkerRequest request;
  request.set_worker_id(worker_id);
  return Change({*connection_, timeout_}, request, &Management::RemoveWorker);
}
Payload Admin::Rebalance() { return Balance({*connection_, timeout_}, false); }
Payload Admin::PlanRebalance() { return Balance({*connection_, timeout_}, true); }

Payload Admin::TimeSeries(std::chrono::seconds window,
                          std::optional<std::chrono::system_clock::time_point> until,
                          uint32_t max_points) {
  management::v1::GetTimeSeriesRequest request;
  request.set_window_seconds(static_cast<uint32_t>(window.count()));
  request.set_max_points(max_points);
  if (until) {
    using std::chrono::milliseconds;
    const auto since_epoch = std::chrono::duration_cast<milliseconds>(until->time_since_epoch());
    request.set_until(static_cast<double>(since_epoch.count()));
  }
  return Read({*connection_, timeout_}, request, &Management::GetTimeSeries);
}
Payload Admin::SlowQueries(const std::string& collection, uint32_t limit) {
  management::v1::ListSlowQueriesRequest request;
  request.set_collection(collection);
  request.set_limit(limit);
  return Read({*connection_, timeout_}, request, &Management::ListSlowQueries);
}

Payload Admin::Ranking(const std::string& collection) {
  v1::GetRankingRequest request;
  request.set_collection(collection);
  return Ask({*connection_, timeout_}, Kind::kRead, connection_->vectron(), request,
             &Vectron::GetRanking);
}
Payload Admin::ControlRanking(const std::string& collection, RankingAction action,
                              uint64_t version) {
  v1::ControlRankingRequest request;
  request.set_collection(collection);
  request.set_action(static_cast<reranker::v1::ModelAction>(action));
  request.set_version(version);
  return Ask({*connection_, timeout_}, Kind::kOtherWrite, connection_->vectron(), request,
             &Vectron::ControlRanking);
}

}  // namespace vectron
