#include "services/reranker/cache.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/status.h"
#include "base/temp_dir.h"
#include "services/reranker/redis_cache.h"

extern char** environ;

namespace vectron::reranker {
namespace {

CacheEntry Entry(const std::string& value, const std::string& query = "q",
                 std::vector<uint64_t> ids = {1, 2}) {
  return {.value = value, .query = query, .ids = std::move(ids)};
}

TEST(MemoryCache, DropsWhatWasUsedLeastLately) {
  ManualClock clock;
  MemoryCache cache(16 * 2'000, clock);  // 2,000 bytes a shard: three entries like these
  const auto key = [](uint64_t n) { return CacheKey{.high = 0, .low = n}; };  // all in one shard
  for (uint64_t n = 0; n < 3; ++n) cache.Put(key(n), Entry(std::string(100, 'x')), 1'000);
  EXPECT_TRUE(cache.Get(key(0)).has_value());
  cache.Put(key(3), Entry(std::string(100, 'x')), 1'000);
  EXPECT_TRUE(cache.Get(key(0)).has_value());
  EXPECT_FALSE(cache.Get(key(1)).has_value());
  cache.Put(key(4), Entry(std::string(5'000, 'x')), 1'000);  // more than fits
  EXPECT_FALSE(cache.Get(key(4)).has_value());
  clock.AdvanceMillis(1'001);
  EXPECT_FALSE(cache.Get(key(0)).has_value());
}

TEST(MemoryCache, InvalidatesTheIntersection) {
  ManualClock clock;
  MemoryCache cache(1 << 20, clock);
  cache.Put({1, 1}, Entry("a", "q", {1, 2}), 1'000);
  cache.Put({2, 2}, Entry("b", "q", {3}), 1'000);
  cache.Put({3, 3}, Entry("c", "r", {1}), 1'000);
  EXPECT_EQ(cache.Invalidate("q", {1}), 1u);
  EXPECT_EQ(cache.Invalidate("", {1}), 1u);
  EXPECT_EQ(cache.Invalidate("q", {}), 1u);
}

TEST(MemoryCache, AnEntryThatWentIsFoundByNoneOfItsIdsOrItsQuery) {
  ManualClock clock;
  MemoryCache cache(16 * 2'000, clock);  // 2,000 bytes a shard: a few entries
  const auto key = [](uint64_t n) { return CacheKey{.high = 0, .low = n}; };  // all in one shard
  const auto put = [&](uint64_t n, const std::string& query, std::vector<uint64_t> ids) {
    cache.Put(key(n), Entry(std::string(100, 'x'), query, std::move(ids)), 1'000);
  };
  put(0, "replaced", {10, 11});
  put(0, "new", {11, 12});
  EXPECT_EQ(cache.Invalidate("", {10}), 0u);
  EXPECT_EQ(cache.Invalidate("replaced", {}), 0u);
  EXPECT_EQ(cache.Invalidate("", {11, 12}), 1u) << "one entry by two of its ids";
  EXPECT_EQ(cache.Invalidate("new", {}), 0u);

  put(1, "expired", {20});
  clock.AdvanceMillis(1'001);
  EXPECT_FALSE(cache.Get(key(1)).has_value());
  EXPECT_EQ(cache.Invalidate("", {20}), 0u);

  put(2, "pushed out", {30, 30, 31});  // an id twice
  for (uint64_t n = 3; n < 20; ++n) put(n, "later", {31});
  EXPECT_EQ(cache.Invalidate("pushed out", {}), 0u);
  EXPECT_EQ(cache.Invalidate("", {30}), 0u);
  size_t left = 0;
  for (uint64_t n = 3; n < 20; ++n) left += cache.Get(key(n)).has_value() ? 1 : 0;
  EXPECT_GT(left, 1u);
  EXPECT_EQ(cache.Invalidate("later", {31}), left);
  EXPECT_EQ(cache.Invalidate("", {}), 0u);
}

// A Redis of the test's own, on a socket in its folder.
class RedisServer {
 public:
  explicit RedisServer(const std::string& socket) {
    ::signal(SIGPIPE, SIG_IGN);  // as every program of ours does
    std::string program = "redis-server";
    std::vector<std::string> args = {
        program,        "--port", "0",           "--unixsocket", socket,      "--save",   "",
        "--appendonly", "no",     "--daemonize", "no",           "--logfile", "/dev/null"};
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    started_ = ::posix_spawnp(&pid_, program.c_str(), nullptr, nullptr, argv.data(), environ) == 0;
    for (int i = 0; started_ && i < 1'000 && ::access(socket.c_str(), F_OK) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // another process's start
    }
  }
  ~RedisServer() { Kill(); }
  void Kill() {
    if (!started_) return;
    started_ = false;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  bool started() const { return started_; }

 private:
  pid_t pid_ = 0;
  bool started_ = false;
};

std::unique_ptr<RedisCache> MakeRedis(const std::string& socket, const Clock& clock,
                                      Metrics& metrics) {
  auto cache = RedisCache::Make("unix:" + socket, std::make_unique<MemoryCache>(1 << 20, clock),
                                clock, metrics);
  EXPECT_TRUE(cache.ok()) << cache.status();
  return *std::move(cache);
}

// A loaded machine may take more than a command's 8 ms: then it is a miss, and is tried again.
template <typename Done>
bool Eventually(ManualClock& clock, Done done) {
  for (int i = 0; i < 100; ++i) {
    if (done()) return true;
    clock.AdvanceMillis(1'001);  // past the quiet second after a failure
  }
  return false;
}

TEST(RedisCache, IsSharedByRerankersAndInvalidatedByAny) {
  const TempDir dir;
  RedisServer server(dir / "redis");
  ASSERT_TRUE(server.started());
  ManualClock clock;
  Metrics metrics;
  const auto one = MakeRedis(dir / "redis", clock, metrics);
  const auto two = MakeRedis(dir / "redis", clock, metrics);
  const CacheKey key{.high = 5, .low = 6};
  EXPECT_TRUE(Eventually(clock, [&] {
    one->Put(key, Entry("value"), 60'000);
    return two->Get(key) == "value";
  }));
  EXPECT_TRUE(Eventually(clock, [&] { return two->Invalidate("q", {2}) == 1; }));
  const auto three = MakeRedis(dir / "redis", clock, metrics);
  EXPECT_FALSE(three->Get(key).has_value());
}

TEST(RedisCache, GoesOnWithoutRedis) {
  const TempDir dir;
  ManualClock clock;
  Metrics metrics;
  const auto cache = MakeRedis(dir / "nothing", clock, metrics);
  const CacheKey key{.high = 5, .low = 6};
  EXPECT_FALSE(cache->Get(key).has_value());
  cache->Put(key, Entry("value"), 60'000);
  EXPECT_EQ(cache->Get(key), "value");  // from memory
  EXPECT_EQ(cache->Invalidate("q", {}), 1u);
}

TEST(RedisCache, SurvivesTheEndOfRedis) {
  const TempDir dir;
  RedisServer server(dir / "redis");
  ASSERT_TRUE(server.started());
  ManualClock clock;
  Metrics metrics;
  const auto one = MakeRedis(dir / "redis", clock, metrics);
  one->Put({1, 1}, Entry("value"), 60'000);
  server.Kill();
  one->Put({2, 2}, Entry("other"), 60'000);
  EXPECT_EQ(one->Get({2, 2}), "other");
  EXPECT_FALSE(one->Get({3, 3}).has_value());
}

TEST(RedisCache, RefusesBadAddresses) {
  ManualClock clock;
  Metrics metrics;
  for (const char* bad : {"", "host", "host:", ":6379", "host:x", "host:70000", "unix:"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        RedisCache::Make(bad, std::make_unique<MemoryCache>(1, clock), clock, metrics).status()))
        << bad;
  }
}

}  // namespace
}  // namespace vectron::reranker
