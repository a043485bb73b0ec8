#include "rpc/rate_limit.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/client_address.h"
#include "rpc/error_table.h"
#include "rpc/route_rule.h"

namespace vectron::rpc {
namespace {

constexpr double kNanosPerSecond = 1e9;
constexpr int64_t kNanosPerMs = 1'000'000;
constexpr int64_t kActiveNanos = 60'000'000'000;
// Checking a key costs a hash, not a slow password hash, so it is allowed oftener than making one.
constexpr double kValidatesPerKey = 6;

std::unique_ptr<TokenBuckets> PerMinute(double count) {
  if (count <= 0) return nullptr;
  return std::make_unique<TokenBuckets>(count / 60, std::max(1.0, count));
}
std::unique_ptr<TokenBuckets> PerSecond(double count) {
  if (count <= 0) return nullptr;
  return std::make_unique<TokenBuckets>(count, std::max(1.0, count));
}

}  // namespace

TokenBuckets::TokenBuckets(double tokens_per_second, double burst)
    : per_nano_(tokens_per_second / kNanosPerSecond), burst_(burst) {
  CHECK(tokens_per_second > 0);
  CHECK(burst >= 1);
}

TokenBuckets::Bucket& TokenBuckets::Find(Shard& shard, std::string_view name, Bucket fresh) {
  const absl::string_view key(name.data(), name.size());
  const auto young = shard.young.find(key);
  if (young != shard.young.end()) return young->second;
  const auto old = shard.old.find(key);
  if (old != shard.old.end()) {
    fresh = old->second;
    shard.old.erase(old);
  }
  if (shard.young.size() >= kMaxNames / kShards / 2) {
    shard.old = std::move(shard.young);
    shard.young.clear();
  }
  return shard.young.emplace(std::string(name), fresh).first->second;
}

int64_t TokenBuckets::Take(std::string_view name, int64_t now_nanos) {
  Shard& shard = shards_[Hash64(name) % kShards];
  const absl::MutexLock lock(&shard.mutex);
  Bucket& bucket = Find(shard, name, {burst_, now_nanos});
  const double earned = static_cast<double>(now_nanos - bucket.at_nanos) * per_nano_;
  bucket.tokens = std::min(burst_, bucket.tokens + std::max(0.0, earned));
  bucket.at_nanos = std::max(bucket.at_nanos, now_nanos);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return 0;
  }
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil((1 - bucket.tokens) / per_nano_)));
}

void TokenBuckets::GiveBack(std::string_view name) {
  Shard& shard = shards_[Hash64(name) % kShards];
  const absl::MutexLock lock(&shard.mutex);
  const absl::string_view key(name.data(), name.size());
  for (auto* half : {&shard.young, &shard.old}) {
    const auto found = half->find(key);
    if (found != half->end()) found->second.tokens = std::min(burst_, found->second.tokens + 1);
  }
}

size_t TokenBuckets::Active(int64_t now_nanos, int64_t window_nanos) const {
  size_t count = 0;
  for (const Shard& shard : shards_) {
    const absl::MutexLock lock(&shard.mutex);
    for (const auto* half : {&shard.young, &shard.old}) {
      for (const auto& [name, bucket] : *half) {
        if (bucket.at_nanos + window_nanos >= now_nanos) ++count;
      }
    }
  }
  return count;
}

RateLimiter::RateLimiter(const RateLimits& limits, const Clock& clock, Metrics& metrics)
    : limits_(limits),
      clock_(clock),
      refused_(metrics.AddCounter("vectron_rate_limited_total", "Calls refused for their rate.")),
      login_(PerMinute(limits.login_per_minute)),
      register_(PerMinute(limits.register_per_minute)),
      key_(PerMinute(limits.key_per_minute)),
      validate_(PerMinute(limits.key_per_minute * kValidatesPerKey)),
      free_(PerSecond(limits.free_per_second)),
      paid_(PerSecond(limits.paid_per_second)) {}

RateLimiter::~RateLimiter() = default;

absl::Status RateLimiter::TakeAddress(const CallContext& context, TokenBuckets& buckets) {
  const std::string name = context.rule->name + " " + AddressBucket(context.client);
  const int64_t wait_nanos = buckets.Take(name, clock_.MonotonicNanos());
  if (wait_nanos == 0) return absl::OkStatus();
  refused_.Increment();
  return WithRetryAfter(ResourceExhausted("too many such calls from this address"),
                        (wait_nanos + kNanosPerMs - 1) / kNanosPerMs);
}

absl::Status RateLimiter::Take(const CallContext& context) {
  CHECK(context.rule != nullptr);
  if (context.rule->scope == options::SCOPE_INTERNAL) return absl::OkStatus();
  const std::string& rate_class = context.rule->rate_class;
  TokenBuckets* by_address = rate_class == "login"      ? login_.get()
                             : rate_class == "register" ? register_.get()
                             : rate_class == "key"      ? key_.get()
                             : rate_class == "validate" ? validate_.get()
                                                        : nullptr;
  if (by_address != nullptr) RETURN_IF_ERROR(TakeAddress(context, *by_address));
  if (context.identity == nullptr) return absl::OkStatus();
  const bool paid = context.identity->plan == Plan::kPaid;
  TokenBuckets* by_user = paid ? paid_.get() : free_.get();
  if (by_user == nullptr) return absl::OkStatus();
  const int64_t wait_nanos = by_user->Take(context.identity->user_id, clock_.MonotonicNanos());
  if (wait_nanos == 0) return absl::OkStatus();
  refused_.Increment();
  return WithRetryAfter(ResourceExhausted("more than {} requests per second",
                                          paid ? limits_.paid_per_second : limits_.free_per_second),
                        (wait_nanos + kNanosPerMs - 1) / kNanosPerMs);
}

Middleware RateLimiter::AsMiddleware() {
  return [this](CallContext& context, const RpcDone& next) { next(Take(context)); };
}

size_t RateLimiter::active_users() const {
  const int64_t now = clock_.MonotonicNanos();
  size_t count = 0;
  for (const auto* buckets : {free_.get(), paid_.get()}) {
    if (buckets != nullptr) count += buckets->Active(now, kActiveNanos);
  }
  return count;
}

}  // namespace vectron::rpc
