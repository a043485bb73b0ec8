#include "rpc/admission.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kCrowdedRetryMs = 100;
constexpr int64_t kRiseShare = 32;  // the pace rises by this part of the difference per call
constexpr uint64_t kProbeEvery = 16;

}  // namespace

Admission::Admission(const AdmissionOptions& options, const Clock& clock, Metrics& metrics)
    : options_(options),
      clock_(clock),
      crowded_(metrics.AddCounter("vectron_shed_total", "Calls refused to keep the server free.",
                                  {{"why", "caller"}})),
      hopeless_(metrics.AddCounter("vectron_shed_total", "Calls refused to keep the server free.",
                                   {{"why", "deadline"}})) {
  CHECK(options_.max_in_flight_per_caller > 0 && options_.max_managing_per_caller > 0);
}

Admission::Shard& Admission::ShardOf(const std::string& caller) {
  return shards_[Hash64(caller) % kShards];
}

Admission::Pace& Admission::PaceOf(const RpcMethod& method) {
  const absl::MutexLock lock(&mutex_);
  std::unique_ptr<Pace>& pace = paces_[&method];
  if (pace == nullptr) pace = std::make_unique<Pace>();
  return *pace;
}

absl::Status Admission::Enter(CallContext& context) {
  if (context.method == nullptr) return absl::OkStatus();  // plain routes are few and quick
  if (context.deadline_nanos != 0) {
    Pace& pace = PaceOf(*context.method);
    const int64_t takes = pace.nanos.load(std::memory_order_relaxed);
    const int64_t left = context.deadline_nanos - clock_.MonotonicNanos();
    if (left < takes && pace.late.fetch_add(1, std::memory_order_relaxed) % kProbeEvery != 0) {
      hopeless_.Increment();
      return WithRetryAfter(
          ResourceExhausted("{} takes {} ms at present, the deadline leaves {} ms",
                            context.method->descriptor().name(), takes / kNanosPerMs,
                            std::max<int64_t>(0, left) / kNanosPerMs),
          std::max<int64_t>(1, takes / kNanosPerMs));
    }
  }
  context.admitted_as = context.identity != nullptr ? context.identity->user_id : context.client;
  if (context.admitted_as.empty()) return absl::OkStatus();  // in process, or credentials are off
  const bool manages = context.rule->manages();
  if (manages) context.admitted_as += " manages";
  const size_t most =
      manages ? options_.max_managing_per_caller : options_.max_in_flight_per_caller;
  Shard& shard = ShardOf(context.admitted_as);
  {
    const absl::MutexLock lock(&shard.mutex);
    size_t& count = shard.in_flight[context.admitted_as];
    if (count < most) {
      ++count;
      return absl::OkStatus();
    }
  }
  context.admitted_as.clear();
  crowded_.Increment();
  return WithRetryAfter(
      ResourceExhausted("{} calls of this caller are under way, the most allowed", most),
      kCrowdedRetryMs);
}

void Admission::Leave(CallContext& context, absl::StatusCode code) {
  if (context.method == nullptr) return;
  if (code == absl::StatusCode::kOk) {
    Pace& pace = PaceOf(*context.method);
    const int64_t took = clock_.MonotonicNanos() - context.start_nanos;
    const int64_t before = pace.nanos.load(std::memory_order_relaxed);
    pace.nanos.store(took < before ? took : before + (took - before) / kRiseShare,
                     std::memory_order_relaxed);
  }
  if (context.admitted_as.empty()) return;
  Shard& shard = ShardOf(context.admitted_as);
  const absl::MutexLock lock(&shard.mutex);
  const auto found = shard.in_flight.find(context.admitted_as);
  CHECK(found != shard.in_flight.end());
  if (--found->second == 0) shard.in_flight.erase(found);
}

Middleware Admission::AsMiddleware() {
  return [this](CallContext& context, const RpcDone& next) { next(Enter(context)); };
}
CallObserver Admission::AsObserver() {
  return [this](CallContext& context, absl::StatusCode code) { Leave(context, code); };
}

}  // namespace vectron::rpc
