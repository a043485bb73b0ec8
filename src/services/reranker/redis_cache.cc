#include "services/reranker/redis_cache.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr timeval kTimeout = {.tv_sec = 0, .tv_usec = 8'000};
constexpr int64_t kQuietNanos = 1'000'000'000;
constexpr size_t kMaxIdle = 8;
constexpr std::string_view kPrefix = "vectron:rr:1:";
constexpr int kScanCount = 500;
constexpr size_t kMaxScans = 10'000;    // of one invalidation: five million keys
constexpr int64_t kFrontTtlMs = 5'000;  // of what came from Redis: its own end is not known

using Reply = std::unique_ptr<redisReply, void (*)(void*)>;

Reply Wrap(void* reply) { return {static_cast<redisReply*>(reply), freeReplyObject}; }

std::string NameOf(const CacheKey& key) {
  return fmt::format("{}{:016x}{:016x}", kPrefix, key.high, key.low);
}

std::string Encode(const CacheEntry& entry) {
  std::string bytes(4, '\0');
  PutLengthPrefixed(bytes, entry.value);
  PutLengthPrefixed(bytes, entry.query);
  PutVarint(bytes, entry.ids.size());
  for (const uint64_t id : entry.ids) PutFixed(bytes, id);
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(4));
  std::memcpy(bytes.data(), &crc, sizeof crc);
  return bytes;
}

bool Decode(std::string_view bytes, CacheEntry& entry) {
  ByteReader reader(bytes);
  uint32_t crc = 0;
  if (!reader.ReadFixed(crc) || Crc32c(bytes.substr(4)) != crc) return false;
  std::string_view value;
  std::string_view query;
  uint64_t count = 0;
  if (!reader.ReadLengthPrefixed(value) || !reader.ReadLengthPrefixed(query) ||
      !reader.ReadVarint(count) || count != reader.remaining() / sizeof(uint64_t)) {
    return false;
  }
  entry.value = value;
  entry.query = query;
  entry.ids.resize(count);
  for (uint64_t& id : entry.ids) reader.ReadFixed(id);
  return reader.ok() && reader.remaining() == 0;
}

bool IsText(const Reply& reply) { return reply != nullptr && reply->type == REDIS_REPLY_STRING; }

}  // namespace

absl::StatusOr<std::unique_ptr<RedisCache>> RedisCache::Make(const std::string& address,
                                                             std::unique_ptr<RankCache> front,
                                                             const Clock& clock, Metrics& metrics) {
  Address parsed;
  if (address.starts_with("unix:")) {
    parsed.host = address.substr(5);
    if (parsed.host.empty()) return InvalidArgument("redis address '{}': no path", address);
  } else {
    const size_t colon = address.rfind(':');
    const char* end = address.data() + address.size();
    if (colon == std::string::npos || colon == 0) {
      return InvalidArgument("redis address '{}': wanted host:port or unix:/path", address);
    }
    parsed.host = address.substr(0, colon);
    const auto number = std::from_chars(address.data() + colon + 1, end, parsed.port);
    if (number.ptr != end || number.ec != std::errc() || parsed.port < 1 || parsed.port > 65'535) {
      return InvalidArgument("redis address '{}': bad port", address);
    }
  }
  return std::unique_ptr<RedisCache>(
      new RedisCache(std::move(parsed), std::move(front), clock, metrics));
}

RedisCache::RedisCache(Address address, std::unique_ptr<RankCache> front, const Clock& clock,
                       Metrics& metrics)
    : address_(std::move(address)),
      front_(std::move(front)),
      clock_(clock),
      errors_(metrics.AddCounter("vectron_rerank_redis_errors_total",
                                 "Commands to Redis that failed or timed out.")) {}

RedisCache::~RedisCache() = default;

RedisCache::Connection RedisCache::Take() {
  Connection connection(nullptr, redisFree);
  {
    const absl::MutexLock lock(&mutex_);
    if (clock_.MonotonicNanos() < quiet_until_nanos_) return connection;
    if (!idle_.empty()) {
      connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  connection.reset(address_.port == 0
                       ? redisConnectUnixWithTimeout(address_.host.c_str(), kTimeout)
                       : redisConnectWithTimeout(address_.host.c_str(), address_.port, kTimeout));
  if (connection == nullptr || connection->err != 0 ||
      redisSetTimeout(connection.get(), kTimeout) != REDIS_OK) {
    connection.reset();
    Failed();
  }
  return connection;
}

void RedisCache::GiveBack(Connection connection) {
  if (connection->err != 0) return Failed();
  const absl::MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
}

void RedisCache::Failed() {
  errors_.Increment();
  const absl::MutexLock lock(&mutex_);
  quiet_until_nanos_ = clock_.MonotonicNanos() + kQuietNanos;
  idle_.clear();
}

std::optional<std::string> RedisCache::Get(const CacheKey& key) {
  if (std::optional<std::string> value = front_->Get(key)) return value;
  Connection connection = Take();
  if (connection == nullptr) return std::nullopt;
  const Reply reply = Wrap(redisCommand(connection.get(), "GET %s", NameOf(key).c_str()));
  CacheEntry entry;
  const bool good = IsText(reply) && Decode({reply->str, reply->len}, entry);
  GiveBack(std::move(connection));
  if (!good) return std::nullopt;
  std::string value = entry.value;
  front_->Put(key, std::move(entry), kFrontTtlMs);
  return value;
}

void RedisCache::Put(const CacheKey& key, CacheEntry entry, int64_t ttl_ms) {
  const std::string bytes = Encode(entry);
  front_->Put(key, std::move(entry), ttl_ms);
  Connection connection = Take();
  if (connection == nullptr) return;
  const Reply reply =
      Wrap(redisCommand(connection.get(), "SET %s %b PX %lld", NameOf(key).c_str(), bytes.data(),
                        bytes.size(), static_cast<long long>(ttl_ms)));
  GiveBack(std::move(connection));
}

size_t RedisCache::Invalidate(std::string_view query, const std::vector<uint64_t>& ids) {
  const size_t here = front_->Invalidate(query, ids);
  return std::max(here, InvalidateRemote(query, ids));
}

size_t RedisCache::InvalidateRemote(std::string_view query, const std::vector<uint64_t>& ids) {
  Connection connection = Take();
  if (connection == nullptr) return 0;
  size_t dropped = 0;
  std::string cursor = "0";
  for (size_t scans = 0; scans < kMaxScans; ++scans) {
    const Reply page = Wrap(redisCommand(connection.get(), "SCAN %s MATCH %s* COUNT %d",
                                         cursor.c_str(), kPrefix.data(), kScanCount));
    if (page == nullptr || page->type != REDIS_REPLY_ARRAY || page->elements != 2) break;
    for (size_t i = 0; i < page->element[1]->elements; ++i) {
      const char* name = page->element[1]->element[i]->str;
      const Reply value = Wrap(redisCommand(connection.get(), "GET %s", name));
      CacheEntry entry;
      if (!IsText(value) || !Decode({value->str, value->len}, entry)) continue;
      if (!Concerns(entry, query, ids)) continue;
      Wrap(redisCommand(connection.get(), "DEL %s", name));
      ++dropped;
    }
    cursor = page->element[0]->str;
    if (cursor == "0") break;
  }
  GiveBack(std::move(connection));
  return dropped;
}

}  // namespace vectron::reranker
