#pragma once

// How often a client may call: a token bucket per user and plan for what needs a credential, and
// per address for what gives one out.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

// Token buckets by name, all of one rate. Thread-safe. At most kMaxNames names are remembered; one
// that is forgotten begins full again.
class TokenBuckets {
 public:
  static constexpr size_t kMaxNames = 65'536;

  // tokens_per_second > 0, burst >= 1: what a bucket holds when full.
  TokenBuckets(double tokens_per_second, double burst);

  // Takes one token: 0 when there was one, else the nanoseconds until there will be.
  int64_t Take(std::string_view name, int64_t now_nanos);
  // Puts a token back that was taken.
  void GiveBack(std::string_view name);
  // Names whose bucket was used in the last `window_nanos`.
  size_t Active(int64_t now_nanos, int64_t window_nanos) const;

 private:
  struct Bucket {
    double tokens = 0;
    int64_t at_nanos = 0;
  };
  struct Shard {
    mutable absl::Mutex mutex;
    absl::flat_hash_map<std::string, Bucket> young ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<std::string, Bucket> old ABSL_GUARDED_BY(mutex);
  };
  static constexpr size_t kShards = 16;
  static Bucket& Find(Shard& shard, std::string_view name, Bucket fresh)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const double per_nano_;
  const double burst_;
  std::array<Shard, kShards> shards_;
};

// 0: no limit.
struct RateLimits {
  double login_per_minute = 5;  // per address, as the next two
  double register_per_minute = 3;
  // Making keys and tokens from keys, refreshing tokens, changing the password.
  double key_per_minute = 10;
  double bad_credentials_per_minute = 600;  // per address: VerdictCache's
  double free_per_second = 100;             // per user of that plan
  double paid_per_second = 1'000;
};

// Thread-safe.
class RateLimiter {
 public:
  RateLimiter(const RateLimits& limits, const Clock& clock, Metrics& metrics);
  ~RateLimiter();

  // ResourceExhausted with the time after which to try again.
  absl::Status Take(const CallContext& context);
  Middleware AsMiddleware();

  // Holds for calls that begin afterwards. Where a limit stays as it was, what clients have used up
  // of it stays used up.
  void SetLimits(const RateLimits& limits);
  RateLimits limits() const { return current()->limits; }
  // Users that called within the last minute.
  size_t active_users() const;
  uint64_t refused() const { return refused_.value(); }

 private:
  // Limits and what is left of them; null where there is no limit. Buckets are shared with the
  // state before, where their limit is the same, and a state with the calls that look at it.
  struct State {
    RateLimits limits;
    std::shared_ptr<TokenBuckets> login, registrations, key, validate, free, paid;
  };
  std::shared_ptr<const State> current() const;
  absl::Status TakeAddress(const CallContext& context, TokenBuckets& buckets);

  const Clock& clock_;
  Counter& refused_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const State> state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::rpc
