#pragma once

// Remembers whose credentials are whose for as long as that may be believed, and asks only once
// when many calls show the same new one. Thread-safe.
//
// Keeps digests, not credentials. Good verdicts are kept until they end; bad ones too where
// checking costs a call elsewhere (their verifier gives them time to live); "cannot be known" never
// is.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/credential_verifier.h"

namespace vectron::rpc {

class VerdictCache {
 public:
  using Done = std::function<void(const absl::StatusOr<IdentityPtr>&)>;

  // Most entries: each takes some 150 bytes beside the identity.
  static constexpr size_t kMaxEntries = 65'536;
  // Calls that wait for one verdict; more are turned away.
  static constexpr size_t kMaxWaiting = 1'024;

  // All outlive the cache, and the cache outlives the checks under way.
  VerdictCache(CredentialVerifier& verifier, const Clock& clock, Metrics& metrics);

  // Unauthenticated, Unavailable; ResourceExhausted (kMaxWaiting). `done` is called once, on any
  // thread, maybe before the call returns.
  void Check(std::string_view credential, Done done);

 private:
  using Digest = std::array<uint64_t, 4>;  // SHA-256
  struct Shard {
    absl::Mutex mutex;
    // Two halves: when the young one is full it becomes the old one, and what is used of the old
    // one moves to the young one.
    absl::flat_hash_map<Digest, std::shared_ptr<const Verdict>> young ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<Digest, std::shared_ptr<const Verdict>> old ABSL_GUARDED_BY(mutex);
    absl::flat_hash_map<Digest, std::vector<Done>> waiting ABSL_GUARDED_BY(mutex);
  };
  static constexpr size_t kShards = 16;

  static void Put(Shard& shard, const Digest& digest, std::shared_ptr<const Verdict> verdict)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  std::shared_ptr<const Verdict> Find(Shard& shard, const Digest& digest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  void Arrived(Shard& shard, const Digest& digest, Verdict verdict);

  CredentialVerifier& verifier_;
  const Clock& clock_;
  Counter& hits_;
  Counter& misses_;
  std::array<Shard, kShards> shards_;
};

}  // namespace vectron::rpc
