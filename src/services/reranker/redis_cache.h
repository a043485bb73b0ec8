#pragma once

// A cache in Redis, shared by several rerankers, behind one in memory.
//
// Keys are `vectron:rr:1:` and 32 hex digits; a value is checksummed. A command may take 8 ms; when
// one fails Redis is left alone for a second, so that a search does not wait for it. Thread-safe:
// a small pool of connections, made on first use. Searches never fail for want of Redis. The
// process ignores SIGPIPE.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/metrics.h"
#include "services/reranker/cache.h"

struct redisContext;

namespace vectron::reranker {

class RedisCache : public RankCache {
 public:
  // address: "host:port" or "unix:/path". InvalidArgument. Does not connect yet.
  static absl::StatusOr<std::unique_ptr<RedisCache>> Make(const std::string& address,
                                                          std::unique_ptr<RankCache> front,
                                                          const Clock& clock, Metrics& metrics);
  ~RedisCache() override;
  std::optional<std::string> Get(const CacheKey& key) override;
  void Put(const CacheKey& key, CacheEntry entry, int64_t ttl_ms) override;
  size_t Invalidate(std::string_view query, const std::vector<uint64_t>& ids) override;

 private:
  struct Address {
    std::string host;  // or the path of a socket, with port 0
    int port = 0;
  };
  using Connection = std::unique_ptr<redisContext, void (*)(redisContext*)>;

  RedisCache(Address address, std::unique_ptr<RankCache> front, const Clock& clock,
             Metrics& metrics);
  // Null while Redis is left alone or cannot be reached.
  Connection Take();
  void GiveBack(Connection connection);
  void Failed();
  size_t InvalidateRemote(std::string_view query, const std::vector<uint64_t>& ids);

  const Address address_;
  const std::unique_ptr<RankCache> front_;
  const Clock& clock_;
  Counter& errors_;
  absl::Mutex mutex_;
  std::vector<Connection> idle_ ABSL_GUARDED_BY(mutex_);
  int64_t quiet_until_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron::reranker
