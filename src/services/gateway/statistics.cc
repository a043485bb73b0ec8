#include "services/gateway/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "base/check.h"

namespace vectron::gateway {
namespace {

// A bucket is the position of the highest bit and the three bits below it.
constexpr int kFirstBit = 10;  // 1,024 ns
constexpr size_t kPerOctave = 8;
constexpr size_t kMaxSamples = 128;
constexpr int64_t kLeastGapMs = LastMinute::kSpanMs / 120;  // so that they span the minute

CallKind KindOf(const rpc::RpcMethod& method) {
  const std::string_view name = method.name();
  if (name.starts_with("vectron.management.v1.")) return CallKind::kManagement;
  if (name == "vectron.v1.VectronService.Search" ||
      name == "vectron.v1.VectronService.SearchStream") {
    return CallKind::kSearch;
  }
  if (name == "vectron.v1.VectronService.Upsert" || name == "vectron.v1.VectronService.Delete") {
    return CallKind::kWrite;
  }
  return CallKind::kOther;
}

}  // namespace

size_t LatencyBucketOf(int64_t nanos) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(nanos, 0));
  const int bit = static_cast<int>(std::bit_width(value)) - 1;
  if (bit < kFirstBit) return 0;
  const size_t below = (value >> (bit - 3)) & (kPerOctave - 1);
  const size_t bucket = static_cast<size_t>(bit - kFirstBit) * kPerOctave + below;
  return std::min(bucket, kLatencyBuckets - 1);
}

double LatencyBucketNanos(size_t bucket) {
  CHECK_LT(bucket, kLatencyBuckets);
  const double octave = std::ldexp(1.0, kFirstBit + static_cast<int>(bucket / kPerOctave));
  return octave * (1 + (static_cast<double>(bucket % kPerOctave) + 0.5) / kPerOctave);
}

bool IsFault(absl::StatusCode code) {
  return code == absl::StatusCode::kUnknown || code == absl::StatusCode::kDeadlineExceeded ||
         code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnavailable ||
         code == absl::StatusCode::kDataLoss;
}

void CallTotals::Add(const CallTotals& other) {
  count += other.count;
  errors += other.errors;
  faults += other.faults;
  nanos += other.nanos;
  for (size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
}

CallTotals CallTotals::Since(const CallTotals& before) const {
  CallTotals result;
  result.count = count - before.count;
  result.errors = errors - before.errors;
  result.faults = faults - before.faults;
  result.nanos = nanos - before.nanos;
  for (size_t i = 0; i < buckets.size(); ++i) result.buckets[i] = buckets[i] - before.buckets[i];
  return result;
}

std::optional<double> CallTotals::QuantileMs(double q) const {
  uint64_t total = 0;
  for (const uint64_t bucket : buckets) total += bucket;
  if (total == 0) return std::nullopt;
  const auto wanted = static_cast<uint64_t>(std::ceil(q * static_cast<double>(total)));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (seen >= std::max<uint64_t>(wanted, 1)) return LatencyBucketNanos(i) * 1e-6;
  }
  return LatencyBucketNanos(buckets.size() - 1) * 1e-6;
}

void CallStatistics::Watch(rpc::RpcRegistry& registry) {
  CHECK(registry_ == nullptr);
  registry_ = &registry;
  registry.AddObserver(
      [this](rpc::CallContext& context, absl::StatusCode code) { Count(context, code); });
}

const CallStatistics::Table& CallStatistics::table() const {
  CHECK(registry_ != nullptr);
  absl::call_once(once_, [this] {
    for (const auto& method : registry_->methods()) {
      auto counters = std::make_unique<Counters>();
      counters->method = method.get();
      counters->kind = KindOf(*method);
      table_.by_method.emplace(method.get(), counters.get());
      table_.counters.push_back(std::move(counters));
    }
  });
  return table_;
}

void CallStatistics::Count(const rpc::CallContext& context, absl::StatusCode code) {
  const auto& by_method = table().by_method;
  const auto found = by_method.find(context.method);  // of a plain route null, and so not found
  if (found == by_method.end()) return;
  Counters& counters = *found->second;
  const int64_t nanos = std::max<int64_t>(clock_.MonotonicNanos() - context.start_nanos, 0);
  counters.nanos.fetch_add(static_cast<uint64_t>(nanos), std::memory_order_relaxed);
  counters.buckets[LatencyBucketOf(nanos)].fetch_add(1, std::memory_order_relaxed);
  if (code != absl::StatusCode::kOk) counters.errors.fetch_add(1, std::memory_order_release);
  if (IsFault(code)) counters.faults.fetch_add(1, std::memory_order_release);
}

CallTotals CallStatistics::Read(const Counters& counters) {
  CallTotals totals;
  // In the opposite order of counting, so that there are never more errors than calls.
  totals.faults = counters.faults.load(std::memory_order_acquire);
  totals.errors = counters.errors.load(std::memory_order_acquire);
  for (size_t i = 0; i < totals.buckets.size(); ++i) {
    totals.buckets[i] = counters.buckets[i].load(std::memory_order_relaxed);
    totals.count += totals.buckets[i];
  }
  totals.nanos = counters.nanos.load(std::memory_order_relaxed);
  return totals;
}

std::vector<CallStatistics::Endpoint> CallStatistics::Endpoints() const {
  std::vector<Endpoint> endpoints;
  for (const auto& counters : table().counters) {
    endpoints.push_back({.method = counters->method, .totals = Read(*counters)});
  }
  return endpoints;
}

CallStatistics::Kinds CallStatistics::Totals() const {
  Kinds kinds;
  for (const auto& counters : table().counters) {
    kinds.by_kind[static_cast<size_t>(counters->kind)].Add(Read(*counters));
  }
  return kinds;
}

CallTotals CallStatistics::Kinds::data() const {
  CallTotals totals = of(CallKind::kSearch);
  totals.Add(of(CallKind::kWrite));
  totals.Add(of(CallKind::kOther));
  return totals;
}

CallTotals CallStatistics::Kinds::all() const {
  CallTotals totals = data();
  totals.Add(of(CallKind::kManagement));
  return totals;
}

void LastMinute::Add(int64_t monotonic_ms, const CallTotals& totals) {
  if (!samples_.empty() && monotonic_ms - samples_.back().monotonic_ms < kLeastGapMs) return;
  samples_.push_back({.monotonic_ms = monotonic_ms, .totals = totals});
  // The first one stays as long as the second is too young to take its place.
  while (samples_.size() > kMaxSamples ||
         (samples_.size() > 1 && monotonic_ms - samples_[1].monotonic_ms >= kSpanMs)) {
    samples_.pop_front();
  }
}

LastMinute::Answer LastMinute::Since(int64_t monotonic_ms, const CallTotals& now) const {
  if (samples_.empty()) return {};
  const Sample* base = &samples_.front();
  for (const Sample& sample : samples_) {
    if (monotonic_ms - sample.monotonic_ms >= kSpanMs) base = &sample;
  }
  return {.calls = now.Since(base->totals),
          .seconds = static_cast<double>(monotonic_ms - base->monotonic_ms) * 1e-3};
}

}  // namespace vectron::gateway
