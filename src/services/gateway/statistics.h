#pragma once

// What the gateway has served: counts and times of calls, per RPC, as they end.
//
// Times go into buckets of which eight make a factor of two, so that a quantile is right to an
// eighth.

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/call_once.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "rpc/rpc_registry.h"

namespace vectron::gateway {

inline constexpr size_t kLatencyBuckets = 232;  // 1 us to 9 minutes

// The bucket of a duration; what is outside counts to the first or last. Monotone.
size_t LatencyBucketOf(int64_t nanos);
// Nanoseconds at the middle of a bucket.
double LatencyBucketNanos(size_t bucket);

// Of one RPC or of several together.
struct CallTotals {
  uint64_t count = 0;
  uint64_t errors = 0;  // anything but OK
  // By a fault of ours: Unknown, DeadlineExceeded, Internal, Unavailable, DataLoss.
  uint64_t faults = 0;
  uint64_t nanos = 0;  // all of them together
  std::array<uint64_t, kLatencyBuckets> buckets{};

  void Add(const CallTotals& other);
  // What came after `before`, an earlier state of the same.
  CallTotals Since(const CallTotals& before) const;
  // Milliseconds below which the fraction q in [0, 1] of the calls took; nothing without calls.
  std::optional<double> QuantileMs(double q) const;
};

bool IsFault(absl::StatusCode code);

enum class CallKind : uint8_t {
  kSearch,
  kWrite,  // of points
  kOther,
  kManagement  // operators' own calls, and what the console asks again and again
};

// Thread-safe.
class CallStatistics {
 public:
  // `clock` outlives it.
  explicit CallStatistics(const Clock& clock) : clock_(clock) {}
  CallStatistics(const CallStatistics&) = delete;
  CallStatistics& operator=(const CallStatistics&) = delete;

  // Counts the calls of all RPCs that the registry has when the first one ends; once, before its
  // servers start. It outlives the servers.
  void Watch(rpc::RpcRegistry& registry);

  struct Endpoint {
    const rpc::RpcMethod* method = nullptr;
    CallTotals totals;
  };
  // In the registry's order.
  std::vector<Endpoint> Endpoints() const;
  struct Kinds {
    std::array<CallTotals, 4> by_kind;  // by CallKind
    const CallTotals& of(CallKind kind) const { return by_kind[static_cast<size_t>(kind)]; }
    CallTotals data() const;  // all but management
    CallTotals all() const;
  };
  Kinds Totals() const;

 private:
  struct Counters {
    const rpc::RpcMethod* method = nullptr;
    CallKind kind = CallKind::kOther;
    std::atomic<uint64_t> errors{0};
    std::atomic<uint64_t> faults{0};
    std::atomic<uint64_t> nanos{0};
    std::array<std::atomic<uint64_t>, kLatencyBuckets> buckets{};
  };
  struct Table {
    std::vector<std::unique_ptr<Counters>> counters;  // in the registry's order
    absl::flat_hash_map<const rpc::RpcMethod*, Counters*> by_method;
  };
  static CallTotals Read(const Counters& counters);
  void Count(const rpc::CallContext& context, absl::StatusCode code);
  // Made at the first use, when the registry is complete.
  const Table& table() const;

  const Clock& clock_;
  const rpc::RpcRegistry* registry_ = nullptr;  // set by Watch
  mutable absl::once_flag once_;
  mutable Table table_;  // fixed by table()
};

// The calls of the last minute, from samples taken now and then. Thread-compatible.
class LastMinute {
 public:
  static constexpr int64_t kSpanMs = 60'000;

  // Keeps what is needed to look back kSpanMs, however often it is called. Times do not go back.
  void Add(int64_t monotonic_ms, const CallTotals& totals);
  struct Answer {
    CallTotals calls;
    double seconds = 0;  // that they came in; 0 when nothing was sampled yet
  };
  // The calls since the newest sample that is kSpanMs old, or the oldest there is.
  Answer Since(int64_t monotonic_ms, const CallTotals& now) const;

 private:
  struct Sample {
    int64_t monotonic_ms = 0;
    CallTotals totals;
  };
  std::deque<Sample> samples_;  // oldest first
};

}  // namespace vectron::gateway
