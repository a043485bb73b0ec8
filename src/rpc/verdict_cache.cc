#include "rpc/verdict_cache.h"

#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "rpc/client_address.h"
#include "rpc/error_table.h"

namespace vectron::rpc {
namespace {

constexpr int64_t kBusyRetryMs = 100;
constexpr int64_t kNanosPerMs = 1'000'000;

}  // namespace

VerdictCache::VerdictCache(CredentialVerifier& verifier, const Clock& clock, Metrics& metrics,
                           double bad_per_minute)
    : verifier_(verifier),
      clock_(clock),
      tries_(bad_per_minute <= 0 ? nullptr
                                 : std::make_unique<TokenBuckets>(bad_per_minute / 60,
                                                                  std::max(1.0, bad_per_minute))),
      hits_(metrics.AddCounter("vectron_credential_checks_total", "Credentials checked.",
                               {{"cached", "yes"}})),
      misses_(metrics.AddCounter("vectron_credential_checks_total", "Credentials checked.",
                                 {{"cached", "no"}})) {}

VerdictCache::~VerdictCache() = default;

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
  return found;
}

bool VerdictCache::Holds(const Verdict& verdict) const {
  return verdict.generation == verifier_.generation() &&
         clock_.MonotonicNanos() < verdict.good_until_nanos;
}

absl::Status VerdictCache::TakeTry(const std::string& bucket) {
  const int64_t wait_nanos = tries_->Take(bucket, clock_.MonotonicNanos());
  if (wait_nanos == 0) return absl::OkStatus();
  return WithRetryAfter(ResourceExhausted("too many bad credentials came from this address"),
                        (wait_nanos + kNanosPerMs - 1) / kNanosPerMs);
}

void VerdictCache::Put(Shard& shard, const Digest& digest, std::shared_ptr<const Verdict> verdict) {
  if (shard.young.size() >= kMaxEntries / kShards / 2) {
    shard.old = std::move(shard.young);
    shard.young.clear();
  }
  shard.young[digest] = std::move(verdict);
}

void VerdictCache::Check(std::string_view credential, Done done, std::string_view address) {
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
  std::string bucket;
  bool first = false;
  absl::Status refusal;
  {
    const absl::MutexLock lock(&shard.mutex);
    found = Find(shard, digest);
    const bool was_good = found != nullptr && found->identity.ok();
    if (found != nullptr && !Holds(*found)) found = nullptr;
    if (found == nullptr) {
      first = !shard.waiting.contains(digest);
      if (first && !was_good && tries_ != nullptr && !address.empty()) {
        bucket = AddressBucket(address);
        refusal = TakeTry(bucket);
      } else if (!first && shard.waiting[digest].size() >= kMaxWaiting) {
        refusal = WithRetryAfter(
            ResourceExhausted("{} calls wait for the check of this credential", kMaxWaiting),
            kBusyRetryMs);
      }
      if (refusal.ok()) shard.waiting[digest].push_back(std::move(done));
    }
  }
  if (found != nullptr) {
    hits_.Increment();
    return done(found->identity);
  }
  if (!refusal.ok()) return done(refusal);
  if (!first) return;
  misses_.Increment();
  verifier_.Verify(credential, [this, &shard, digest, bucket](Verdict verdict) {
    Arrived(shard, digest, bucket, std::move(verdict));
  });
}

void VerdictCache::Arrived(Shard& shard, const Digest& digest, const std::string& bucket,
                           Verdict verdict) {
  const auto shared = std::make_shared<const Verdict>(std::move(verdict));
  const bool bad = absl::IsUnauthenticated(shared->identity.status());
  if (!bucket.empty() && !bad) tries_->GiveBack(bucket);
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
    } else if (bad) {  // was good once, perhaps
      shard.young.erase(digest);
      shard.old.erase(digest);
    }
  }
  for (const Done& done : waiting) done(shared->identity);
}

}  // namespace vectron::rpc
