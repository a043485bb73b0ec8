#pragma once

// Answers of rerankings by everything that changes them. Two implementations: memory, and memory in
// front of a Redis shared by several rerankers (redis_cache.h).

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace vectron::reranker {

// 128 bits: two requests with the same key would need a collision of XXH3-128.
struct CacheKey {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const CacheKey&) const = default;
};
// Hashes length-prefixed parts, so that no two lists of parts give the same bytes.
CacheKey KeyOf(std::string_view bytes);

struct CacheEntry {
  std::string value;
  std::string query;
  std::vector<uint64_t> ids;  // hashes of the candidates' ids, sorted
};

// Thread-safe. Failures are misses.
class RankCache {
 public:
  virtual ~RankCache() = default;
  virtual std::optional<std::string> Get(const CacheKey& key) = 0;
  virtual void Put(const CacheKey& key, CacheEntry entry, int64_t ttl_ms) = 0;
  // Drops the entries of this query that have one of these ids; an empty query or no ids: of any.
  // Returns how many there were.
  virtual size_t Invalidate(std::string_view query, const std::vector<uint64_t>& ids) = 0;
};

// Whether an invalidation means this entry.
bool Concerns(const CacheEntry& entry, std::string_view query, const std::vector<uint64_t>& ids);

// At most `bytes` in 16 shards, each dropping what was used least lately. An invalidation finds the
// entries that it means by two indexes per shard, from queries and from ids. `clock` outlives it.
class MemoryCache : public RankCache {
 public:
  MemoryCache(size_t bytes, const Clock& clock);
  std::optional<std::string> Get(const CacheKey& key) override;
  void Put(const CacheKey& key, CacheEntry entry, int64_t ttl_ms) override;
  size_t Invalidate(std::string_view query, const std::vector<uint64_t>& ids) override;

 private:
  struct Stored {
    CacheKey key;
    CacheEntry entry;
    int64_t expires_nanos = 0;
    size_t bytes = 0;
  };
  using Place = std::list<Stored>::iterator;
  // The entries of a query or an id, by their hashes; none is empty.
  using Index = std::unordered_map<uint64_t, std::vector<Place>>;
  struct KeyHash {
    size_t operator()(const CacheKey& key) const { return key.low; }
  };
  struct Shard {
    absl::Mutex mutex;
    std::list<Stored> by_use ABSL_GUARDED_BY(mutex);  // latest first
    std::unordered_map<CacheKey, Place, KeyHash> by_key ABSL_GUARDED_BY(mutex);
    Index by_query ABSL_GUARDED_BY(mutex);
    Index by_id ABSL_GUARDED_BY(mutex);
    size_t bytes ABSL_GUARDED_BY(mutex) = 0;
  };
  static void Unindex(Index& index, uint64_t hash, Place stored);
  static void Drop(Shard& shard, Place stored) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  // Drops those of the entries that an invalidation means.
  static size_t DropConcerned(Shard& shard, const std::vector<Place>& entries,
                              std::string_view query, const std::vector<uint64_t>& ids)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);
  Shard& ShardOf(const CacheKey& key) { return shards_[key.high % shards_.size()]; }

  const size_t shard_bytes_;
  const Clock& clock_;
  std::array<Shard, 16> shards_;
};

}  // namespace vectron::reranker
