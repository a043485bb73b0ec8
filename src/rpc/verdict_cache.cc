#include "rpc/verdict_cache.h"

#include <openssl/evp.h>

#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kBusyRetryMs = 100;

}  // namespace

VerdictCache::VerdictCache(CredentialVerifier& verifier, const Clock& clock, Metrics& metrics)
    : verifier_(verifier),
      clock_(clock),
      hits_(metrics.AddCounter("vectron_credential_checks_total", "Credentials checked.",
                               {{"cached", "yes"}})),
      misses_(metrics.AddCounter("vectron_credential_checks_total", "Credentials checked.",
                                 {{"cached", "no"}})) {}

std::shared_ptr<const Verdict> VerdictCache::Find(Shard& shard, const Digest& digest) {
  std::shared_ptr<const Verdict> found;
  const auto young = shard.young.find(digest);
  if (young != shard.young.end()) {
    found = young->second;
  } else {
    const auto old = shard.old.find(digest);
    if (old == shard.old.end()) return nullptr;
    found = std::move(old->second);
    shard.old.erase(old);
    Put(shard, digest, found);
  }
  if (found->generation != verifier_.generation()) return nullptr;
  return clock_.MonotonicNanos() < found->good_until_nanos ? found : nullptr;
}

void VerdictCache::Put(Shard& shard, const Digest& digest, std::shared_ptr<const Verdict> verdict) {
  if (shard.young.size() >= kMaxEntries / kShards / 2) {
    shard.old = std::move(shard.young);
    shard.young.clear();
  }
  shard.young[digest] = std::move(verdict);
}

void VerdictCache::Check(std::string_view credential, Done done) {
  if (credential.empty() || credential.size() > kMaxCredentialBytes) {
    return done(Unauthenticated("the credential is malformed"));
  }
  Digest digest{};
  static_assert(sizeof digest == 32);
  CHECK(EVP_Digest(credential.data(), credential.size(),
                   reinterpret_cast<unsigned char*>(digest.data()), nullptr, EVP_sha256(),
                   nullptr) == 1);
  Shard& shard = shards_[digest[0] % kShards];
  std::shared_ptr<const Verdict> found;
  bool first = false;
  bool full = false;
  {
    const absl::MutexLock lock(&shard.mutex);
    found = Find(shard, digest);
    if (found == nullptr) {
      std::vector<Done>& waiting = shard.waiting[digest];
      first = waiting.empty();
      full = waiting.size() >= kMaxWaiting;
      if (!full) waiting.push_back(std::move(done));
    }
  }
  if (found != nullptr) {
    hits_.Increment();
    return done(found->identity);
  }
  if (full) {
    return done(WithRetryAfter(
        ResourceExhausted("{} calls wait for the check of this credential", kMaxWaiting),
        kBusyRetryMs));
  }
  if (!first) return;
  misses_.Increment();
  verifier_.Verify(credential, [this, &shard, digest](Verdict verdict) {
    Arrived(shard, digest, std::move(verdict));
  });
}

void VerdictCache::Arrived(Shard& shard, const Digest& digest, Verdict verdict) {
  const auto shared = std::make_shared<const Verdict>(std::move(verdict));
  std::vector<Done> waiting;
  {
    const absl::MutexLock lock(&shard.mutex);
    const auto node = shard.waiting.find(digest);
    CHECK(node != shard.waiting.end());
    waiting = std::move(node->second);
    shard.waiting.erase(node);
    if (!absl::IsUnavailable(shared->identity.status()) &&
        shared->good_until_nanos > clock_.MonotonicNanos()) {
      Put(shard, digest, shared);
    }
  }
  for (const Done& done : waiting) done(shared->identity);
}

}  // namespace vectron::rpc
