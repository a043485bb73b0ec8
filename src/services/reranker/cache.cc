#include "services/reranker/cache.h"

#include <xxhash.h>

#include <algorithm>

namespace vectron::reranker {
namespace {

constexpr size_t kEntryOverhead = 160;  // list and map nodes of one entry

}  // namespace

CacheKey KeyOf(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {.high = hash.high64, .low = hash.low64};
}

bool Concerns(const CacheEntry& entry, std::string_view query, const std::vector<uint64_t>& ids) {
  if (!query.empty() && entry.query != query) return false;
  if (ids.empty()) return true;
  return std::any_of(ids.begin(), ids.end(), [&](uint64_t id) {
    return std::binary_search(entry.ids.begin(), entry.ids.end(), id);
  });
}

MemoryCache::MemoryCache(size_t bytes, const Clock& clock)
    : shard_bytes_(bytes / 16), clock_(clock) {}

std::optional<std::string> MemoryCache::Get(const CacheKey& key) {
  Shard& shard = ShardOf(key);
  const absl::MutexLock lock(&shard.mutex);
  const auto found = shard.by_key.find(key);
  if (found == shard.by_key.end()) return std::nullopt;
  if (found->second->expires_nanos <= clock_.MonotonicNanos()) {
    Drop(shard, found->second);
    return std::nullopt;
  }
  shard.by_use.splice(shard.by_use.begin(), shard.by_use, found->second);
  return found->second->entry.value;
}

void MemoryCache::Put(const CacheKey& key, CacheEntry entry, int64_t ttl_ms) {
  Stored stored{.key = key,
                .entry = std::move(entry),
                .expires_nanos = clock_.MonotonicNanos() + ttl_ms * 1'000'000};
  stored.bytes = stored.entry.value.size() + stored.entry.query.size() +
                 stored.entry.ids.size() * sizeof(uint64_t) + kEntryOverhead;
  if (stored.bytes > shard_bytes_) return;
  Shard& shard = ShardOf(key);
  const absl::MutexLock lock(&shard.mutex);
  if (const auto found = shard.by_key.find(key); found != shard.by_key.end()) {
    Drop(shard, found->second);
  }
  shard.bytes += stored.bytes;
  shard.by_use.push_front(std::move(stored));
  shard.by_key[key] = shard.by_use.begin();
  while (shard.bytes > shard_bytes_) Drop(shard, std::prev(shard.by_use.end()));
}

size_t MemoryCache::Invalidate(std::string_view query, const std::vector<uint64_t>& ids) {
  size_t dropped = 0;
  for (Shard& shard : shards_) {
    const absl::MutexLock lock(&shard.mutex);
    for (auto it = shard.by_use.begin(); it != shard.by_use.end();) {
      const auto next = std::next(it);
      if (Concerns(it->entry, query, ids)) {
        Drop(shard, it);
        ++dropped;
      }
      it = next;
    }
  }
  return dropped;
}

void MemoryCache::Drop(Shard& shard, std::list<Stored>::iterator stored) {
  shard.bytes -= stored->bytes;
  shard.by_key.erase(stored->key);
  shard.by_use.erase(stored);
}

}  // namespace vectron::reranker
