#pragma once

// What operators and the console see and do: vectron.management.v1.ManagementService.
//
// At every interval one sample is taken: the view of the cluster, checks of the services, the calls
// of the interval. From it come the charts, the alerts and what health says of services that are
// asked in the background. Everything else is read when it is asked for.
//
// Thread-safe. The servers that call in stop before it goes.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/alert_rules.h"
#include "services/gateway/alerts.h"
#include "services/gateway/cluster_view.h"
#include "services/gateway/slow_queries.h"
#include "services/gateway/statistics.h"
#include "services/gateway/time_series.h"
#include "vectron/management.pb.h"

namespace vectron::gateway {

// A service that is asked at every sample whether it is well. `check` calls back once, on any
// thread, within a few seconds, and does not block.
struct ServiceProbe {
  struct Result {
    ServiceState state = ServiceState::kDown;
    std::string error = {};     // why it is not up
    std::string endpoint = {};  // where it was found; "": as the probe says
  };
  std::string name;
  std::string endpoint;
  // Answers with nothing while there is no such service.
  std::function<void(std::function<void(std::optional<Result>)>)> check;
  bool essential = true;  // else the system serves on without it
};

struct RateLimitState {
  bool enabled = false;
  double requests_per_second = 0;  // of one user without a plan of its own
  uint64_t active_users = 0;
};

// What the servers measure themselves.
struct ServerLoad {
  uint64_t http_connections = 0;
  uint64_t grpc_connections = 0;
  uint64_t received_bytes = 0;  // HTTP and messages of gRPC, since the start; as the next
  uint64_t sent_bytes = 0;
};

// What management borrows; all outlive it.
struct ManagementDeps {
  ClusterSources sources;
  FileSystem* files = nullptr;
  Timer* timer = nullptr;
  Executor* executor = nullptr;          // for what blocks on the disk
  SlowQueryLog* slow_queries = nullptr;  // null: none is kept
  std::function<ServerLoad()> server_load;
  std::function<RateLimitState()> rate_limits;  // null: there are none
  std::vector<ServiceProbe> probes;
};

struct ManagementOptions {
  std::string dir;  // of its own; made when missing
  std::string version;
  int64_t interval_ms = TimeSeries::kFineStepMs;
  AlertThresholds thresholds;
  uint64_t seed = 0;  // of the ids of alerts, another one for each gateway
};

class Management {
 public:
  // Errors: what the disk says. Damaged files begin anew, which is logged.
  static absl::StatusOr<std::unique_ptr<Management>> Make(ManagementOptions options,
                                                          ManagementDeps deps);
  // Waits for what is under way.
  ~Management();
  Management(const Management&) = delete;
  Management& operator=(const Management&) = delete;

  // Adds ManagementService and its handlers.
  absl::Status Register(rpc::RpcRegistry& registry);
  // Once, before the servers start: counts the calls of all services of the registry.
  void Watch(rpc::RpcRegistry& registry);
  // Takes a sample at every interval from now on. `endpoint` is the gateway's address, for people.
  void Start(std::string endpoint);
  // Holds from the next sample on. Thread-safe.
  void SetThresholds(const AlertThresholds& thresholds);
  // Takes no further sample; returns when none is under way. The second call does nothing.
  void Stop();

 private:
  // State of the counters at the begin of an interval.
  struct Baseline {
    int64_t monotonic_nanos = 0;
    CallStatistics::Kinds calls;
    ServerLoad load;
  };
  using ViewDone = std::function<void(ClusterViewPtr)>;

  Management(ManagementOptions options, ManagementDeps deps);

  // Counts what is under way, so that the end can wait for it.
  void Enter();
  void Leave();
  // Gives a view that was begun not long before the call; calls at the same time share one.
  void View(ViewDone done);

  void Arm();
  void Sample();
  void FinishSample(const ClusterViewPtr& view);
  void CheckServices();
  void TakeCheck(size_t probe_index, int64_t begin_nanos,
                 std::optional<ServiceProbe::Result> result);
  // Services as of the view and the last checks; the gateway itself first.
  std::vector<ServiceCheck> Services(const ClusterView& view) const;
  LastMinute::Answer LastMinuteCalls() const;
  Baseline TakeBaseline() const;
  SeriesSample Figures(const Baseline& before, const Baseline& now, const ClusterView& view) const;
  absl::Status AddSamples(const ClusterView& view);
  AlertThresholds Thresholds() const;
  absl::Status UpdateAlerts(const ClusterView& view);

  void RegisterReports(rpc::RpcRegistry& registry);
  void RegisterActions(rpc::RpcRegistry& registry);
  void RegisterRecords(rpc::RpcRegistry& registry);
  void FillHealth(const ClusterView& view, management::v1::SystemHealth& response) const;
  void FillStats(management::v1::GatewayStatsReport& response) const;
  void ListAlerts(const management::v1::ListAlertsRequest& request,
                  management::v1::ListAlertsResponse& response) const;
  absl::Status FillSeries(const management::v1::GetTimeSeriesRequest& request,
                          management::v1::GetTimeSeriesResponse& response) const;

  const ManagementOptions options_;
  const ManagementDeps deps_;
  const Clock& clock_;
  const int64_t start_nanos_;
  std::unique_ptr<TimeSeries> series_;
  std::unique_ptr<AlertBook> alerts_;
  CallStatistics statistics_;
  const rpc::RpcRegistry* registry_ = nullptr;  // set by Watch

  // Of the sample under way, of which there is one at most.
  Baseline fine_begin_;
  Baseline coarse_begin_;

  mutable absl::Mutex mutex_;
  std::string endpoint_ ABSL_GUARDED_BY(mutex_);
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool sampling_ ABSL_GUARDED_BY(mutex_) = false;
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  AlertThresholds thresholds_ ABSL_GUARDED_BY(mutex_);
  bool viewing_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<ViewDone> view_waiters_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::optional<ServiceCheck>> checks_ ABSL_GUARDED_BY(mutex_);  // by probe
  int64_t placement_succeeded_unix_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  LastMinute last_minute_ ABSL_GUARDED_BY(mutex_);
  ProcessUsage usage_ ABSL_GUARDED_BY(mutex_);
  int64_t usage_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  double cpu_percent_ ABSL_GUARDED_BY(mutex_) = 0;      // of this process, over the last interval
  bool series_failed_ ABSL_GUARDED_BY(mutex_) = false;  // said so already
  bool alerts_failed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace vectron::gateway
