#include "services/reranker/cache.h"

#include <xxhash.h>

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace vectron::reranker {
namespace {

constexpr size_t kEntryOverhead = 256;  // list and map nodes of one entry
constexpr size_t kIdBytes = 80;         // of an id: in the entry, and its node of the index

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
  entry.ids.erase(std::unique(entry.ids.begin(), entry.ids.end()), entry.ids.end());
  Stored stored{.key = key,
                .entry = std::move(entry),
                .expires_nanos = clock_.MonotonicNanos() + ttl_ms * 1'000'000};
  stored.bytes = stored.entry.value.size() + stored.entry.query.size() +
                 stored.entry.ids.size() * kIdBytes + kEntryOverhead;
  if (stored.bytes > shard_bytes_) return;
  Shard& shard = ShardOf(key);
  const absl::MutexLock lock(&shard.mutex);
  if (const auto found = shard.by_key.find(key); found != shard.by_key.end()) {
    Drop(shard, found->second);
  }
  shard.bytes += stored.bytes;
  shard.by_use.push_front(std::move(stored));
  const Place place = shard.by_use.begin();
  shard.by_key[key] = place;
  shard.by_query[Hash64(place->entry.query)].push_back(place);
  for (const uint64_t id : place->entry.ids) shard.by_id[id].push_back(place);
  while (shard.bytes > shard_bytes_) Drop(shard, std::prev(shard.by_use.end()));
}

size_t MemoryCache::Invalidate(std::string_view query, const std::vector<uint64_t>& ids) {
  size_t dropped = 0;
  // Copies: what is dropped leaves the lists of the indexes.
  const auto entries_of = [](const Index& index, uint64_t hash) {
    const auto found = index.find(hash);
    return found == index.end() ? std::vector<Place>() : found->second;
  };
  for (Shard& shard : shards_) {
    const absl::MutexLock lock(&shard.mutex);
    if (!query.empty()) {
      dropped += DropConcerned(shard, entries_of(shard.by_query, Hash64(query)), query, ids);
      continue;
    }
    for (const uint64_t id : ids) {
      dropped += DropConcerned(shard, entries_of(shard.by_id, id), query, ids);
    }
    while (ids.empty() && !shard.by_use.empty()) {
      Drop(shard, shard.by_use.begin());
      ++dropped;
    }
  }
  return dropped;
}

size_t MemoryCache::DropConcerned(Shard& shard, const std::vector<Place>& entries,
                                  std::string_view query, const std::vector<uint64_t>& ids) {
  size_t dropped = 0;
  for (const Place stored : entries) {
    if (!Concerns(stored->entry, query, ids)) continue;
    Drop(shard, stored);
    ++dropped;
  }
  return dropped;
}

void MemoryCache::Unindex(Index& index, uint64_t hash, Place stored) {
  const auto found = index.find(hash);
  CHECK(found != index.end());
  std::vector<Place>& entries = found->second;
  const auto place = std::find(entries.begin(), entries.end(), stored);
  CHECK(place != entries.end());
  *place = entries.back();
  entries.pop_back();
  if (entries.empty()) index.erase(found);
}

void MemoryCache::Drop(Shard& shard, Place stored) {
  shard.bytes -= stored->bytes;
  Unindex(shard.by_query, Hash64(stored->entry.query), stored);
  for (const uint64_t id : stored->entry.ids) Unindex(shard.by_id, id, stored);
  shard.by_key.erase(stored->key);
  shard.by_use.erase(stored);
}

}  // namespace vectron::reranker
