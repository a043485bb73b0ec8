#pragma once

// Keeps one caller from filling the server, and refuses at once what could not be answered in time
// anyway.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/rpc_registry.h"

namespace vectron::rpc {

struct AdmissionOptions {
  // Calls under way of one user, or of one address where there is no user. Well below the bound of
  // all calls (RpcRegistryOptions), so that the others always find room.
  size_t max_in_flight_per_caller = 512;
  size_t max_managing_per_caller = 64;  // of the class "manage", counted apart
};

// Thread-safe. Added as middleware after the policy, and as observer.
class Admission {
 public:
  Admission(const AdmissionOptions& options, const Clock& clock, Metrics& metrics);

  // ResourceExhausted with the time after which to try again. Of a method that has lately taken
  // longer than a call's deadline leaves, one call in 16 is let through all the same, so that the
  // estimate stays true.
  absl::Status Enter(CallContext& context);
  // Of every call that ended, let in or not.
  void Leave(CallContext& context, absl::StatusCode code);

  Middleware AsMiddleware();
  CallObserver AsObserver();

 private:
  static constexpr size_t kShards = 16;
  struct Shard {
    absl::Mutex mutex;
    absl::flat_hash_map<std::string, size_t> in_flight ABSL_GUARDED_BY(mutex);
  };
  // What the quicker calls of a method take. Falls at once, rises slowly: a few long calls among
  // short ones do not count, all of them being slow does.
  struct Pace {
    std::atomic<int64_t> nanos{0};
    std::atomic<uint64_t> late{0};
  };
  Shard& ShardOf(const std::string& caller);
  Pace& PaceOf(const RpcMethod& method);

  const AdmissionOptions options_;
  const Clock& clock_;
  Counter& crowded_;
  Counter& hopeless_;
  std::array<Shard, kShards> shards_;
  absl::Mutex mutex_;
  absl::flat_hash_map<const RpcMethod*, std::unique_ptr<Pace>> paces_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::rpc
