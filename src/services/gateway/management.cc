#include "services/gateway/management.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "services/gateway/management_report.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;

}  // namespace

absl::StatusOr<std::unique_ptr<Management>> Management::Make(ManagementOptions options,
                                                             ManagementDeps deps) {
  CHECK(deps.files != nullptr && deps.timer != nullptr && deps.executor != nullptr);
  CHECK(deps.server_load != nullptr && deps.sources.clock != nullptr);
  CHECK_GT(options.interval_ms, 0);
  RETURN_IF_ERROR(deps.files->MakeDirs(options.dir));
  std::unique_ptr<Management> management(new Management(std::move(options), std::move(deps)));
  const std::string& dir = management->options_.dir;
  FileSystem& files = *management->deps_.files;
  ASSIGN_OR_RETURN(management->series_,
                   TimeSeries::Open(dir, files, management->options_.interval_ms));
  ASSIGN_OR_RETURN(management->alerts_,
                   AlertBook::Open(dir + "/alerts", files, management->options_.seed));
  return management;
}

Management::Management(ManagementOptions options, ManagementDeps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      clock_(*deps_.sources.clock),
      start_nanos_(clock_.MonotonicNanos()),
      statistics_(clock_) {
  const absl::MutexLock lock(&mutex_);
  checks_.resize(deps_.probes.size());
  thresholds_ = options_.thresholds;
}

Management::~Management() { Stop(); }

void Management::Enter() {
  const absl::MutexLock lock(&mutex_);
  ++under_way_;
}

void Management::Leave() {
  const absl::MutexLock lock(&mutex_);
  CHECK_GT(under_way_, size_t{0});
  --under_way_;
}

void Management::Watch(rpc::RpcRegistry& registry) {
  registry_ = &registry;
  statistics_.Watch(registry);
}

void Management::Start(std::string endpoint) {
  CHECK(registry_ != nullptr);
  fine_begin_ = TakeBaseline();
  coarse_begin_ = fine_begin_;
  {
    const absl::MutexLock lock(&mutex_);
    endpoint_ = std::move(endpoint);
    last_minute_.Add(fine_begin_.monotonic_nanos / kNanosPerMs, fine_begin_.calls.data());
    usage_ = ReadProcessUsage();
    usage_nanos_ = fine_begin_.monotonic_nanos;
  }
  CheckServices();
  Arm();
}

void Management::Stop() {
  Timer::Id timer = 0;
  {
    const absl::MutexLock lock(&mutex_);
    stopped_ = true;
    std::swap(timer, timer_);
  }
  if (timer != 0 && deps_.timer->Cancel(timer)) Leave();
  const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_ == 0; };
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&none));
}

// What waits in the timer counts as under way.
void Management::Arm() {
  const absl::MutexLock lock(&mutex_);
  if (stopped_) return;
  ++under_way_;
  timer_ = deps_.timer->At(clock_.MonotonicNanos() + options_.interval_ms * kNanosPerMs, [this] {
    bool sample = false;
    {
      const absl::MutexLock armed(&mutex_);
      timer_ = 0;
      sample = !stopped_ && !std::exchange(sampling_, true);
      if (sample) ++under_way_;
    }
    Arm();
    if (sample) deps_.executor->Schedule([this] { Sample(); });
    Leave();
  });
}

void Management::Sample() {
  CheckServices();
  View([this](const ClusterViewPtr& view) {
    deps_.executor->Schedule([this, view] { FinishSample(view); });
  });
}

void Management::FinishSample(const ClusterViewPtr& view) {
  const absl::Status series = AddSamples(*view);
  const absl::Status alerts = UpdateAlerts(*view);
  bool say_series = false;
  bool say_alerts = false;
  {
    const absl::MutexLock lock(&mutex_);
    say_series = !series.ok() && !series_failed_;
    say_alerts = !alerts.ok() && !alerts_failed_;
    series_failed_ = !series.ok();
    alerts_failed_ = !alerts.ok();
    sampling_ = false;
  }
  if (say_series) LogWarning("figures for charts are not on disk: {}", MessageOf(series));
  if (say_alerts) LogWarning("alerts are not on disk: {}", MessageOf(alerts));
  Leave();
}

void Management::View(ViewDone done) {
  {
    const absl::MutexLock lock(&mutex_);
    view_waiters_.push_back(std::move(done));
    if (std::exchange(viewing_, true)) return;
    ++under_way_;
  }
  TakeClusterView(deps_.sources, [this](const ClusterViewPtr& view) {
    std::vector<ViewDone> waiters;
    {
      const absl::MutexLock lock(&mutex_);
      waiters.swap(view_waiters_);
      viewing_ = false;
      if (view->placement.status.ok()) placement_succeeded_unix_ms_ = view->unix_ms;
    }
    for (const ViewDone& waiter : waiters) waiter(view);
    Leave();
  });
}

void Management::CheckServices() {
  for (size_t i = 0; i < deps_.probes.size(); ++i) {
    Enter();
    const int64_t start = clock_.MonotonicNanos();
    deps_.probes[i].check([this, i, start](std::optional<ServiceProbe::Result> result) {
      TakeCheck(i, start, std::move(result));
      Leave();
    });
  }
}

void Management::TakeCheck(size_t probe_index, int64_t begin_nanos,
                           std::optional<ServiceProbe::Result> result) {
  const ServiceProbe& probe = deps_.probes[probe_index];
  const int64_t now_ms = clock_.UnixMillis();
  const absl::MutexLock lock(&mutex_);
  std::optional<ServiceCheck>& check = checks_[probe_index];
  if (!result.has_value()) {
    check.reset();
    return;
  }
  const int64_t succeeded = check.has_value() ? check->succeeded_unix_ms : 0;
  check = {.name = probe.name,
           .endpoint = result->endpoint.empty() ? probe.endpoint : std::move(result->endpoint),
           .state = result->state,
           .error = std::move(result->error),
           .response_ms = static_cast<double>(clock_.MonotonicNanos() - begin_nanos) * 1e-6,
           .checked_unix_ms = now_ms,
           .succeeded_unix_ms = result->state == ServiceState::kUp ? now_ms : succeeded,
           .essential = probe.essential};
}

std::vector<ServiceCheck> Management::Services(const ClusterView& view) const {
  std::vector<ServiceCheck> services;
  const LastMinute::Answer minute = LastMinuteCalls();
  ServiceCheck& gateway = services.emplace_back();
  gateway.name = "gateway";
  gateway.state = ServiceState::kUp;  // it answers
  gateway.checked_unix_ms = view.unix_ms;
  gateway.succeeded_unix_ms = view.unix_ms;
  if (minute.calls.count > 0) {
    gateway.response_ms =
        static_cast<double>(minute.calls.nanos) * 1e-6 / static_cast<double>(minute.calls.count);
  }
  ServiceCheck& placement = services.emplace_back();
  placement.name = "placement";
  placement.endpoint = deps_.sources.placement_endpoint;
  placement.state = view.placement.status.ok() ? ServiceState::kUp : ServiceState::kDown;
  placement.error = std::string(MessageOf(view.placement.status));
  placement.response_ms = view.placement.milliseconds;
  placement.checked_unix_ms = view.unix_ms;
  for (const rpc::WorkerDescription& worker : view.workers) {
    ServiceCheck check;
    check.name = WorkerLabel(worker.id);
    check.endpoint = worker.grpc_address;
    const auto answer = view.answers.find(worker.id);
    const bool answered = answer != view.answers.end() && answer->second.status.ok();
    check.worker = true;
    check.state = answered && worker.healthy   ? ServiceState::kUp
                  : answered || worker.healthy ? ServiceState::kDegraded
                                               : ServiceState::kDown;
    if (!worker.healthy) check.error = "it sends no heartbeats";
    if (answer != view.answers.end()) {
      check.response_ms = answer->second.milliseconds;
      if (!answered) check.error = std::string(MessageOf(answer->second.status));
    }
    check.checked_unix_ms = view.unix_ms;
    check.succeeded_unix_ms = answered ? view.unix_ms : worker.last_heartbeat_unix_ms;
    services.push_back(std::move(check));
  }
  const absl::MutexLock lock(&mutex_);
  services.front().endpoint = endpoint_;
  services[1].succeeded_unix_ms = placement_succeeded_unix_ms_;
  for (const std::optional<ServiceCheck>& check : checks_) {
    if (check.has_value()) services.push_back(*check);
  }
  return services;
}

LastMinute::Answer Management::LastMinuteCalls() const {
  // Read under the lock, so that no sample is newer.
  const absl::MutexLock lock(&mutex_);
  return last_minute_.Since(clock_.MonotonicMillis(), statistics_.Totals().data());
}

Management::Baseline Management::TakeBaseline() const {
  return {.monotonic_nanos = clock_.MonotonicNanos(),
          .calls = statistics_.Totals(),
          .load = deps_.server_load()};
}

SeriesSample Management::Figures(const Baseline& before, const Baseline& now,
                                 const ClusterView& view) const {
  SeriesSample sample;
  sample.unix_ms = clock_.UnixMillis();
  const double seconds =
      std::max(static_cast<double>(now.monotonic_nanos - before.monotonic_nanos) * 1e-9, 1e-3);
  const auto rate = [seconds](uint64_t count) { return static_cast<double>(count) / seconds; };
  const CallTotals calls = now.calls.data().Since(before.calls.data());
  const auto count_of = [&](CallKind kind) {
    return now.calls.of(kind).Since(before.calls.of(kind)).count;
  };
  sample[Figure::kRequestsPerSecond] = rate(calls.count);
  sample[Figure::kErrorsPerSecond] = rate(calls.faults);
  if (const auto p50 = calls.QuantileMs(0.5)) sample[Figure::kP50Ms] = *p50;
  if (const auto p99 = calls.QuantileMs(0.99)) sample[Figure::kP99Ms] = *p99;
  sample[Figure::kSearchesPerSecond] = rate(count_of(CallKind::kSearch));
  sample[Figure::kWritesPerSecond] = rate(count_of(CallKind::kWrite));
  const ClusterTotals totals = TotalsOf(view);
  if (totals.points_known) sample[Figure::kVectors] = static_cast<double>(totals.points);
  sample[Figure::kCollections] = static_cast<double>(totals.collections);
  sample[Figure::kDiskBytes] = static_cast<double>(totals.disk_bytes);
  if (view.placement.status.ok()) {
    sample[Figure::kHealthyWorkers] = static_cast<double>(totals.healthy_workers);
    sample[Figure::kMemoryBytes] = static_cast<double>(totals.memory_bytes);
    sample[Figure::kCpuPercent] = totals.cpu_percent;
    if (totals.least_free_bytes > 0) {
      sample[Figure::kDiskFreeBytes] = static_cast<double>(totals.least_free_bytes);
    }
  }
  sample[Figure::kConnections] =
      static_cast<double>(now.load.http_connections + now.load.grpc_connections);
  sample[Figure::kReceivedBytesPerSecond] =
      rate(now.load.received_bytes - before.load.received_bytes);
  sample[Figure::kSentBytesPerSecond] = rate(now.load.sent_bytes - before.load.sent_bytes);
  sample[Figure::kActiveAlerts] = static_cast<double>(alerts_->active_count());
  return sample;
}

absl::Status Management::AddSamples(const ClusterView& view) {
  const Baseline now = TakeBaseline();
  const ProcessUsage usage = ReadProcessUsage();
  {
    const absl::MutexLock lock(&mutex_);
    last_minute_.Add(now.monotonic_nanos / kNanosPerMs, now.calls.data());
    const double seconds = static_cast<double>(now.monotonic_nanos - usage_nanos_) * 1e-9;
    if (seconds > 0) cpu_percent_ = 100 * (usage.cpu_seconds - usage_.cpu_seconds) / seconds;
    usage_ = usage;
    usage_nanos_ = now.monotonic_nanos;
  }
  const absl::Status fine = series_->AddFine(Figures(fine_begin_, now, view));
  fine_begin_ = now;
  // Half an interval of tolerance: a tick that comes a little early still closes its minute.
  const int64_t coarse_ms = (now.monotonic_nanos - coarse_begin_.monotonic_nanos) / kNanosPerMs;
  if (coarse_ms + options_.interval_ms / 2 < TimeSeries::kCoarseStepMs) return fine;
  const absl::Status coarse = series_->AddCoarse(Figures(coarse_begin_, now, view));
  coarse_begin_ = now;
  return fine.ok() ? coarse : fine;
}

void Management::SetThresholds(const AlertThresholds& thresholds) {
  const absl::MutexLock lock(&mutex_);
  thresholds_ = thresholds;
}

AlertThresholds Management::Thresholds() const {
  const absl::MutexLock lock(&mutex_);
  return thresholds_;
}

absl::Status Management::UpdateAlerts(const ClusterView& view) {
  const LastMinute::Answer minute = LastMinuteCalls();
  const Measurements measurements{.view = &view,
                                  .services = Services(view),
                                  .calls = minute.calls.count,
                                  .faults = minute.calls.faults,
                                  .p99_ms = minute.calls.QuantileMs(0.99)};
  return alerts_->Update(clock_.UnixMillis(),
                         FindAlertConditions(measurements, Thresholds(),
                                             [this](AlertRule rule, std::string_view subject) {
                                               return alerts_->Stands(rule, subject);
                                             }));
}

}  // namespace vectron::gateway
