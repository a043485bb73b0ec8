#pragma once

// Remembers whose credentials are whose for as long as that may be believed, and asks only once
// when many calls show the same new one. Thread-safe.
//
// A credential that nobody has shown to be good here costs its address a token until it turns out
// to be good, so that one who tries credentials is slowed down, and others behind the same address
// go on with those that they have been using.
//
// Keeps digests, not credentials. Good verdicts are kept until they end; bad ones too where
// checking costs a call elsewhere (their verifier gives them time to live); "cannot be known" never
// is.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/credential_verifier.h"
#include "rpc/rate_limit.h"

namespace vectron::rpc {

class VerdictCache {
 public:
  using Done = std::function<void(const absl::StatusOr<IdentityPtr>&)>;

  // Most entries: each takes some 150 bytes beside the identity.
  static constexpr size_t kMaxEntries = 65'536;
  // Calls that wait for one verdict; more are turned away.
  static constexpr size_t kMaxWaiting = 1'024;

  // All outlive the cache, and the cache outlives the checks under way. bad_per_minute: bad
  // credentials that an address may show; 0: any number.
  VerdictCache(CredentialVerifier& verifier, const Clock& clock, Metrics& metrics,
               double bad_per_minute = 0);
  ~VerdictCache();

  // Unauthenticated, Unavailable; ResourceExhausted (kMaxWaiting, bad_per_minute). `done` is called
  // once, on any thread, maybe before the call returns. address: the client's; "" is not limited.
  void Check(std::string_view credential, Done done, std::string_view address = {});

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
  // The last verdict that was kept, whether it still holds or not; null: none was.
  static std::shared_ptr<const Verdict> Find(Shard& shard, const Digest& digest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  bool Holds(const Verdict& verdict) const;
  // Takes a token of the address; else how long to wait for one.
  absl::Status TakeTry(const std::string& bucket);
  // bucket: whose token was taken; "": nobody's.
  void Arrived(Shard& shard, const Digest& digest, const std::string& bucket, Verdict verdict);

  CredentialVerifier& verifier_;
  const Clock& clock_;
  const std::unique_ptr<TokenBuckets> tries_;  // null: no limit
  Counter& hits_;
  Counter& misses_;
  std::array<Shard, kShards> shards_;
};

}  // namespace vectron::rpc
