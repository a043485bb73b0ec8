#include "services/gateway/hedging.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/status.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kMaxDelayMs = 60'000;
// A second try sooner than this would seldom be the first to answer.
constexpr int64_t kMinMeasuredNanos = kNanosPerMilli;
constexpr uint32_t kEnoughTimes = 100;
constexpr uint32_t kRemembered = 4'096;  // then all counts are halved
constexpr uint32_t kLookEvery = 64;

// The quarters of each doubling: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 ...
size_t BucketOf(uint64_t micros) {
  if (micros < 4) return micros;
  const auto log = static_cast<size_t>(std::bit_width(micros)) - 1;
  return 4 * (log - 1) + ((micros >> (log - 2)) & 3);
}

// The least number of microseconds above a bucket.
uint64_t EndOf(size_t bucket) {
  if (bucket < 4) return bucket + 1;
  const size_t log = bucket / 4 + 1;
  return (uint64_t{4} + bucket % 4 + 1) << (log - 2);
}

}  // namespace

absl::StatusOr<HedgeOptions> ParseHedgeOptions(std::string_view text) {
  if (text == "off") return HedgeOptions();
  if (text == "auto") return HedgeOptions{.mode = HedgeOptions::Mode::kMeasured};
  int64_t millis = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), millis);
  if (error != std::errc() || end != text.data() + text.size() || millis < 1 ||
      millis > kMaxDelayMs) {
    return InvalidArgument("'{}': wanted 'off', 'auto' or 1 to {} milliseconds", text, kMaxDelayMs);
  }
  return HedgeOptions{.mode = HedgeOptions::Mode::kFixed, .delay_ms = millis};
}

void TailTime::Note(int64_t nanos) {
  const auto micros = static_cast<uint64_t>(std::max<int64_t>(nanos, 0)) / 1'000;
  const absl::MutexLock lock(&mutex_);
  counts_[std::min(BucketOf(micros), kBuckets - 1)] += 1;
  if (++total_ < kEnoughTimes || total_ % kLookEvery != 0) return;
  uint32_t left = total_ / 20;  // above the percentile
  size_t bucket = kBuckets - 1;
  while (bucket > 0 && counts_[bucket] <= left) left -= counts_[bucket--];
  nanos_.store(static_cast<int64_t>(EndOf(bucket)) * 1'000, std::memory_order_relaxed);
  if (total_ < kRemembered) return;
  total_ = 0;
  for (uint32_t& count : counts_) total_ += count /= 2;
}

int64_t Hedging::DelayNanos(ReadKind kind) const {
  switch (options_.mode) {
    case HedgeOptions::Mode::kOff:
      return 0;
    case HedgeOptions::Mode::kFixed:
      return options_.delay_ms * kNanosPerMilli;
    case HedgeOptions::Mode::kMeasured:
      break;
  }
  const int64_t measured = times_[static_cast<size_t>(kind)].nanos();
  return measured == 0 ? 0 : std::max(measured, kMinMeasuredNanos);
}

void Hedging::Note(ReadKind kind, int64_t nanos) {
  if (options_.mode != HedgeOptions::Mode::kMeasured) return;
  times_[static_cast<size_t>(kind)].Note(nanos);
}

}  // namespace vectron::gateway
