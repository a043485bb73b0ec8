#pragma once

// When a read that has no answer yet is sent to a second replica ("hedged requests": Dean &
// Barroso, The Tail at Scale, CACM 2013): a slow replica then costs one more read instead of a late
// answer.

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace vectron::gateway {

struct HedgeOptions {
  enum class Mode { kOff, kFixed, kMeasured };
  Mode mode = Mode::kOff;
  int64_t delay_ms = 0;  // of kFixed
};
// "off", "auto" (what 19 of 20 reads take), or milliseconds from 1 to 60,000. InvalidArgument.
absl::StatusOr<HedgeOptions> ParseHedgeOptions(std::string_view text);

// Kinds of reads, which take differently long.
enum class ReadKind : uint8_t { kGet, kScan, kSearch };

// The 95th percentile of times, of the last few thousand of them. Thread-safe.
class TailTime {
 public:
  void Note(int64_t nanos);
  // 0 until enough is known.
  int64_t nanos() const { return nanos_.load(std::memory_order_relaxed); }

 private:
  // Four buckets for each doubling of microseconds: up to 2^32 of them.
  static constexpr size_t kBuckets = 128;
  absl::Mutex mutex_;
  std::array<uint32_t, kBuckets> counts_ ABSL_GUARDED_BY(mutex_) = {};
  uint32_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  std::atomic<int64_t> nanos_{0};
};

// Thread-safe.
class Hedging {
 public:
  explicit Hedging(const HedgeOptions& options) : options_(options) {}

  bool on() const { return options_.mode != HedgeOptions::Mode::kOff; }
  // How long a read may be without an answer before another replica is asked too; 0: for ever.
  int64_t DelayNanos(ReadKind kind) const;
  // A read took so long.
  void Note(ReadKind kind, int64_t nanos);

 private:
  const HedgeOptions options_;
  std::array<TailTime, 3> times_;  // by ReadKind
};

}  // namespace vectron::gateway
