// The handlers of ManagementService.

#include <charconv>

#include "base/limits.h"
#include "base/status.h"
#include "services/gateway/management.h"
#include "services/gateway/management_report.h"

namespace vectron::gateway {
namespace {

namespace pb = management::v1;
using rpc::CallContext;
using rpc::RpcDone;

constexpr int kMaxHealthAlerts = 100;
constexpr uint32_t kDefaultSeriesSeconds = 3'600;
constexpr uint32_t kMaxSeriesSeconds = 7 * 24 * 3'600;
constexpr uint32_t kDefaultSeriesPoints = 360;
constexpr uint32_t kMaxSeriesPoints = 2'200;
constexpr uint32_t kDefaultSlowQueries = 100;

std::string Named(std::string_view method) {
  return fmt::format("vectron.management.v1.ManagementService.{}", method);
}

// A whole decimal number, or nothing.
std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

absl::StatusOr<WorkerId> ParseWorker(std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with("worker-")) digits.remove_prefix(7);
  const std::optional<uint64_t> number = ParseNumber(digits);
  if (!number.has_value() || *number == 0) {
    return InvalidArgument("worker_id: got \"{}\", wanted a number such as 3", text.substr(0, 64));
  }
  return WorkerId{*number};
}

// Everyone may see that it is well or not; only operators see why. Without credentials everyone is
// one.
bool SeesEverything(const CallContext& context) {
  return context.identity == nullptr || rpc::ActsAsAdmin(context.identity.get());
}

bool PassesLevel(const AlertRecord& alert, const std::string& level) {
  return level.empty() || level == AlertLevelName(alert.level);
}

}  // namespace

absl::Status Management::Register(rpc::RpcRegistry& registry) {
  RETURN_IF_ERROR(registry.AddService("vectron.management.v1.ManagementService"));
  RegisterReports(registry);
  RegisterActions(registry);
  RegisterRecords(registry);
  return absl::OkStatus();
}

void Management::RegisterReports(rpc::RpcRegistry& registry) {
  registry.Unary<pb::GetSystemHealthRequest, pb::SystemHealth>(
      Named("GetSystemHealth"), [this](CallContext& context, pb::GetSystemHealthRequest&,
                                       pb::SystemHealth& response, RpcDone done) {
        View([this, everything = SeesEverything(context), &response,
              done = std::move(done)](const ClusterViewPtr& view) {
          FillHealth(*view, response);
          if (!everything) {
            response.clear_services();
            response.clear_alerts();
            response.clear_metrics();
          }
          done(absl::OkStatus());
        });
      });
  registry.Unary<pb::GetGatewayStatsRequest, pb::GatewayStatsReport>(
      Named("GetGatewayStats"), [this](CallContext&, pb::GetGatewayStatsRequest&,
                                       pb::GatewayStatsReport& response, RpcDone done) {
        FillStats(response);
        done(absl::OkStatus());
      });
  registry.Unary<pb::ListWorkersRequest, pb::ListWorkersResponse>(
      Named("ListWorkers"), [this](CallContext&, pb::ListWorkersRequest&,
                                   pb::ListWorkersResponse& response, RpcDone done) {
        View([&response, done = std::move(done)](const ClusterViewPtr& view) {
          if (!view->placement.status.ok()) return done(view->placement.status);
          WorkersToProto(*view, response);
          done(absl::OkStatus());
        });
      });
  registry.Unary<pb::ListCollectionsRequest, pb::ListCollectionsResponse>(
      Named("ListCollections"), [this](CallContext&, pb::ListCollectionsRequest&,
                                       pb::ListCollectionsResponse& response, RpcDone done) {
        View([&response, done = std::move(done)](const ClusterViewPtr& view) {
          CollectionsToProto(*view, response);
          done(absl::OkStatus());
        });
      });
}

void Management::RegisterActions(rpc::RpcRegistry& registry) {
  registry.Unary<pb::DrainWorkerRequest, pb::DrainWorkerResponse>(
      Named("DrainWorker"), [this](CallContext& context, pb::DrainWorkerRequest& request,
                                   pb::DrainWorkerResponse& response, RpcDone done) {
        context.audit_target = "worker " + request.worker_id();
        if (request.cancel()) context.audit_detail = "cancel";
        const absl::StatusOr<WorkerId> worker = ParseWorker(request.worker_id());
        if (!worker.ok()) return done(worker.status());
        deps_.sources.operations->DrainWorker(
            *worker, request.cancel() ? rpc::DrainMode::kCancel : rpc::DrainMode::kStart,
            [&response, done = std::move(done)](absl::StatusOr<uint32_t> left) {
              if (!left.ok()) return done(left.status());
              response.set_success(true);
              response.set_shards_left(*left);
              done(absl::OkStatus());
            });
      });
  registry.Unary<pb::RemoveWorkerRequest, pb::RemoveWorkerResponse>(
      Named("RemoveWorker"), [this](CallContext& context, pb::RemoveWorkerRequest& request,
                                    pb::RemoveWorkerResponse& response, RpcDone done) {
        context.audit_target = "worker " + request.worker_id();
        const absl::StatusOr<WorkerId> worker = ParseWorker(request.worker_id());
        if (!worker.ok()) return done(worker.status());
        response.set_success(true);
        deps_.sources.operations->RemoveWorker(*worker, std::move(done));
      });
  registry.Unary<pb::RebalanceRequest, pb::RebalanceResponse>(
      Named("Rebalance"), [this](CallContext& context, pb::RebalanceRequest& request,
                                 pb::RebalanceResponse& response, RpcDone done) {
        const bool dry_run = request.dry_run();
        if (dry_run) context.audit_detail = "dry run";
        deps_.sources.operations->Rebalance(
            dry_run ? rpc::RebalanceMode::kDryRun : rpc::RebalanceMode::kStart,
            [&response, dry_run,
             done = std::move(done)](absl::StatusOr<std::vector<rpc::PlannedMove>> moves) {
              if (!moves.ok()) return done(moves.status());
              for (const rpc::PlannedMove& move : *moves) MoveToProto(move, *response.add_moves());
              response.set_started(!dry_run && !moves->empty());
              done(absl::OkStatus());
            });
      });
}

void Management::RegisterRecords(rpc::RpcRegistry& registry) {
  registry.Unary<pb::ListAlertsRequest, pb::ListAlertsResponse>(
      Named("ListAlerts"), [this](CallContext&, pb::ListAlertsRequest& request,
                                  pb::ListAlertsResponse& response, RpcDone done) {
        const std::string& status = request.status();
        const std::string& level = request.level();
        if (!status.empty() && status != "active" && status != "resolved") {
          return done(InvalidArgument("status: got \"{}\", wanted active or resolved", status));
        }
        if (!level.empty() && level != "info" && level != "warning" && level != "critical") {
          return done(
              InvalidArgument("level: got \"{}\", wanted info, warning or critical", level));
        }
        ListAlerts(request, response);
        done(absl::OkStatus());
      });
  registry.Unary<pb::ResolveAlertRequest, pb::ResolveAlertResponse>(
      Named("ResolveAlert"), [this](CallContext& context, pb::ResolveAlertRequest& request,
                                    pb::ResolveAlertResponse& response, RpcDone done) {
        context.audit_target = "alert " + request.id();
        const std::optional<uint64_t> id = ParseNumber(request.id());
        if (!id.has_value()) return done(NotFound("alert {} does not exist", request.id()));
        std::string by = context.identity == nullptr ? "operator" : context.identity->user_id;
        Enter();
        deps_.executor->Schedule([this, id = *id, by = std::move(by), &response,
                                  done = std::move(done)] {
          const absl::StatusOr<AlertRecord> alert = alerts_->Resolve(id, by, clock_.UnixMillis());
          if (alert.ok()) {
            response.set_success(true);
            response.set_alert_id(std::to_string(id));
            response.set_message(fmt::format("\"{}\" is resolved", alert->title));
          }
          done(alert.status());
          Leave();
        });
      });
  registry.Unary<pb::GetTimeSeriesRequest, pb::GetTimeSeriesResponse>(
      Named("GetTimeSeries"),
      [this](CallContext&, pb::GetTimeSeriesRequest& request, pb::GetTimeSeriesResponse& response,
             RpcDone done) { done(FillSeries(request, response)); });
  registry.Unary<pb::ListSlowQueriesRequest, pb::ListSlowQueriesResponse>(
      Named("ListSlowQueries"), [this](CallContext&, pb::ListSlowQueriesRequest& request,
                                       pb::ListSlowQueriesResponse& response, RpcDone done) {
        if (deps_.slow_queries != nullptr) {
          const SlowQueryLog& log = *deps_.slow_queries;
          const uint32_t limit = request.limit() == 0 ? kDefaultSlowQueries : request.limit();
          for (pb::SlowQuery& query : log.Newest(request.collection(), limit)) {
            *response.add_queries() = std::move(query);
          }
          response.set_threshold_ms(log.threshold_ms());
          response.set_total(static_cast<double>(log.total()));
        }
        done(absl::OkStatus());
      });
}

void Management::FillHealth(const ClusterView& view, pb::SystemHealth& response) const {
  const std::vector<ServiceCheck> services = Services(view);
  const std::vector<AlertRecord> active = alerts_->Active();
  response.set_overall_status(std::string(OverallStatus(services, active, view)));
  response.set_timestamp(static_cast<double>(clock_.UnixMillis()));
  for (const ServiceCheck& service : services) {
    ServiceToProto(service, *response.add_services());
  }
  for (const AlertRecord& alert : active) {
    if (response.alerts_size() == kMaxHealthAlerts) break;
    AlertToProto(alert, *response.add_alerts());
  }
  const ClusterTotals totals = TotalsOf(view);
  const ServerLoad load = deps_.server_load();
  pb::SystemMetrics& metrics = *response.mutable_metrics();
  metrics.set_total_vectors(static_cast<double>(totals.points));
  metrics.set_total_collections(static_cast<double>(totals.collections));
  metrics.set_active_workers(static_cast<double>(totals.healthy_workers));
  metrics.set_storage_used(static_cast<double>(totals.disk_bytes));
  metrics.set_memory_used(static_cast<double>(totals.memory_bytes));
  metrics.set_cpu_usage(totals.cpu_percent);
  metrics.mutable_network_io()->set_bytes_in(static_cast<double>(load.received_bytes));
  metrics.mutable_network_io()->set_bytes_out(static_cast<double>(load.sent_bytes));
}

void Management::FillStats(pb::GatewayStatsReport& response) const {
  CallTotals all;
  pb::GatewayStats& stats = *response.mutable_stats();
  for (const CallStatistics::Endpoint& endpoint : statistics_.Endpoints()) {
    all.Add(endpoint.totals);
    EndpointToProto(endpoint, *response.add_endpoints());
  }
  *stats.mutable_endpoints() = response.endpoints();
  const LastMinute::Answer minute = LastMinuteCalls();
  const ServerLoad load = deps_.server_load();
  stats.set_uptime(static_cast<double>(clock_.MonotonicNanos() - start_nanos_) * 1e-9);
  stats.set_total_requests(static_cast<double>(all.count));
  stats.set_http_connections(static_cast<double>(load.http_connections));
  stats.set_grpc_connections(static_cast<double>(load.grpc_connections));
  stats.set_active_connections(stats.http_connections() + stats.grpc_connections());
  stats.set_calls_in_flight(static_cast<double>(registry_->in_flight()));
  if (all.count > 0) {
    const auto count = static_cast<double>(all.count);
    stats.set_error_rate(100 * static_cast<double>(all.errors) / count);
    stats.set_average_response_time(static_cast<double>(all.nanos) * 1e-6 / count);
  }
  if (minute.calls.count > 0 && minute.seconds > 0) {
    const auto count = static_cast<double>(minute.calls.count);
    stats.set_requests_per_second(count / minute.seconds);
    stats.set_p50_ms(*minute.calls.QuantileMs(0.5));
    stats.set_p99_ms(*minute.calls.QuantileMs(0.99));
    stats.set_server_error_rate(100 * static_cast<double>(minute.calls.faults) / count);
  }
  pb::RateLimitStats& limits = *stats.mutable_rate_limit();
  if (deps_.rate_limits != nullptr) {
    const RateLimitState state = deps_.rate_limits();
    limits.set_enabled(state.enabled);
    limits.set_rps(state.requests_per_second);
    limits.set_active_users(static_cast<double>(state.active_users));
  }
  stats.set_version(options_.version);
  const ProcessUsage usage = ReadProcessUsage();
  pb::ProcessStats& process = *stats.mutable_process();
  process.set_memory_bytes(static_cast<double>(usage.resident_bytes));
  process.set_open_files(static_cast<double>(usage.open_files));
  process.set_max_files(static_cast<double>(usage.max_files));
  process.set_threads(static_cast<double>(usage.threads));
  const absl::MutexLock lock(&mutex_);
  process.set_cpu_percent(cpu_percent_);
}

void Management::ListAlerts(const pb::ListAlertsRequest& request,
                            pb::ListAlertsResponse& response) const {
  const uint32_t limit = request.limit() == 0 ? ~uint32_t{0} : request.limit();
  uint32_t total = 0;
  const auto add = [&](const std::vector<AlertRecord>& alerts) {
    for (const AlertRecord& alert : alerts) {
      if (!PassesLevel(alert, request.level())) continue;
      if (total++ < limit) AlertToProto(alert, *response.add_alerts());
    }
  };
  if (request.status() != "resolved") add(alerts_->Active());
  if (request.status() != "active") add(alerts_->Resolved());
  response.set_count(static_cast<uint32_t>(response.alerts_size()));
  response.set_total(total);
}

absl::Status Management::FillSeries(const pb::GetTimeSeriesRequest& request,
                                    pb::GetTimeSeriesResponse& response) const {
  const uint32_t seconds =
      request.window_seconds() == 0 ? kDefaultSeriesSeconds : request.window_seconds();
  const uint32_t points = request.max_points() == 0 ? kDefaultSeriesPoints : request.max_points();
  if (seconds > kMaxSeriesSeconds) {
    return InvalidArgument("window_seconds: got {}, at most {} are kept", seconds,
                           kMaxSeriesSeconds);
  }
  if (points > kMaxSeriesPoints) {
    return InvalidArgument("max_points: got {}, wanted 1 to {}", points, kMaxSeriesPoints);
  }
  constexpr double kMaxUnixMs = 1e15;
  if (!(request.until() >= 0 && request.until() <= kMaxUnixMs)) {
    return InvalidArgument("until: got {}, wanted milliseconds since 1970", request.until());
  }
  const int64_t until =
      request.until() == 0 ? clock_.UnixMillis() : static_cast<int64_t>(request.until());
  const TimeSeries::Answer answer = series_->Query(
      {.from_ms = until - int64_t{seconds} * 1'000, .until_ms = until, .max_points = points});
  response.set_step_seconds(static_cast<uint32_t>(answer.step_ms / 1'000));
  for (const SeriesSample& sample : answer.points) SampleToProto(sample, *response.add_points());
  return absl::OkStatus();
}

}  // namespace vectron::gateway
