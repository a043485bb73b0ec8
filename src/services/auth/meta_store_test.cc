// The contract of MetaStore, for both implementations.

#include "services/auth/meta_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "rpc/tls_testing.h"
#include "services/auth/embedded_meta_store.h"
#include "services/auth/etcd_meta_store.h"
#include "services/auth/etcd_testing.h"
#include "storage/borrowed_kv_testing.h"
#include "storage/memory_kv.h"

namespace vectron::auth {
namespace {

using ::testing::ElementsAre;

// Keeps what it is told as a map.
class Mirror : public MetaListener {
 public:
  void OnSnapshot(std::vector<MetaEntry> entries, int64_t revision) override {
    const absl::MutexLock lock(&mutex_);
    ++snapshots_;
    values_.clear();
    for (MetaEntry& entry : entries) values_[entry.key] = std::move(entry.value);
    revision_ = revision;
  }
  void OnChanges(std::vector<MetaChange> changes, int64_t revision) override {
    const absl::MutexLock lock(&mutex_);
    EXPECT_GT(revision, revision_) << "changes come in order";
    for (MetaChange& change : changes) {
      if (change.value) {
        values_[change.key] = *change.value;
      } else {
        values_.erase(change.key);
      }
    }
    revision_ = revision;
  }
  using Values = std::map<std::string, std::string>;
  // What it holds once `good` says so, or after a long time.
  Values Wait(const std::function<bool(const Values&, int snapshots)>& good) {
    const absl::MutexLock lock(&mutex_);
    const auto here = [&]()
                          ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return good(values_, snapshots_); };
    EXPECT_TRUE(mutex_.AwaitWithTimeout(absl::Condition(&here), absl::Seconds(20)));
    return values_;
  }

 private:
  absl::Mutex mutex_;
  Values values_ ABSL_GUARDED_BY(mutex_);
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = -1;
  int snapshots_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MetaStoreTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("embedded")) {
      auto kv = std::make_unique<storage::MemoryKv>(1, storage::WriteAheadLog::kOn);
      auto store = EmbeddedMetaStore::Open(std::move(kv), clock_);
      ASSERT_TRUE(store.ok()) << store.status();
      store_ = *std::move(store);
      return;
    }
    ASSERT_TRUE(Etcd::Installed());
    etcd_ = std::make_unique<Etcd>();
    auto store = EtcdMetaStore::Make({.endpoints = {etcd_->endpoint()}});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    AwaitAnswer();
  }
  void AwaitAnswer() {
    Mirror mirror;
    const auto subscription = store_->Subscribe("answer/", mirror);
    mirror.Wait([](const Mirror::Values&, int snapshots) { return snapshots > 0; });
  }
  absl::StatusOr<int64_t> Put(const std::string& key, const std::string& value, int64_t expected) {
    return store_->Commit(
        {.compares = {{key, expected}}, .writes = {{.key = key, .value = value}}});
  }

  SystemClock clock_;
  std::unique_ptr<Etcd> etcd_;
  std::unique_ptr<MetaStore> store_;
};

TEST_P(MetaStoreTest, ReadsWhatWasCommittedUnderAPrefixOnly) {
  ASSERT_TRUE(Put("a/2", "two", 0).ok());
  const absl::StatusOr<int64_t> revision = Put("a/1", std::string("\0\xff", 2), 0);
  ASSERT_TRUE(revision.ok());
  ASSERT_TRUE(Put("b/1", "other", 0).ok());
  const auto entries = store_->Read("a/");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].key, "a/1");
  EXPECT_EQ((*entries)[0].value, std::string("\0\xff", 2));
  EXPECT_EQ((*entries)[0].revision, *revision);
  EXPECT_EQ((*entries)[1].value, "two");
}

TEST_P(MetaStoreTest, CommitsAllOrNothing) {
  const auto first = Put("a", "1", 0);
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsAborted(Put("a", "2", 0).status())) << "there is one already";
  const MetaTxn stale{.compares = {{"a", *first + 1}, {"b", 0}},
                      .writes = {{.key = "b", .value = "1"}, {.key = "a", .value = {}}}};
  EXPECT_TRUE(absl::IsAborted(store_->Commit(stale).status()));
  EXPECT_EQ(store_->Read("b")->size(), 0u);
  const MetaTxn good{.compares = {{"a", *first}, {"b", 0}},
                     .writes = {{.key = "b", .value = "1"}, {.key = "a", .value = {}}}};
  const auto second = store_->Commit(good);
  ASSERT_TRUE(second.ok());
  EXPECT_GT(*second, *first);
  EXPECT_EQ(store_->Read("a")->size(), 0u);
  EXPECT_EQ(store_->Read("b")->size(), 1u);
  EXPECT_EQ(Put("a", "3", 0).ok(), true) << "a deleted key is none";
}

TEST_P(MetaStoreTest, LetsOneOfManyRegisterAName) {
  ThreadPool pool("racers", 8);
  std::atomic<int> won{0};
  std::atomic<int> lost{0};
  ParallelFor(pool, 16, [&](size_t i) {
    const auto result = Put("name", std::to_string(i), 0);
    if (result.ok()) ++won;
    if (absl::IsAborted(result.status())) ++lost;
  });
  EXPECT_EQ(won, 1);
  EXPECT_EQ(lost, 15);
}

TEST_P(MetaStoreTest, TellsSubscribersFirstAllThenEachChange) {
  ASSERT_TRUE(Put("s/a", "1", 0).ok());
  Mirror mirror;
  const auto subscription = store_->Subscribe("s/", mirror);
  EXPECT_THAT(mirror.Wait([](const auto& values, int) { return values.size() == 1; }),
              ElementsAre(std::pair("s/a", "1")));
  ASSERT_TRUE(Put("s/b", "2", 0).ok());
  ASSERT_TRUE(Put("t/c", "3", 0).ok());
  ASSERT_TRUE(store_->Commit({.writes = {{.key = "s/a", .value = {}}}}).ok());
  EXPECT_THAT(mirror.Wait([](const auto& values, int) { return values.count("s/a") == 0; }),
              ElementsAre(std::pair("s/b", "2")));
}

TEST_P(MetaStoreTest, TellsAtOnceWhereItSaysSo) {
  Mirror mirror;
  const auto subscription = store_->Subscribe("s/", mirror);
  ASSERT_TRUE(Put("s/b", "2", 0).ok());
  if (!store_->tells_at_once()) return;
  bool there = false;
  mirror.Wait([&there](const auto& values, int) {
    there = values.size() == 1;
    return true;
  });
  EXPECT_TRUE(there);
}

TEST_P(MetaStoreTest, LetsGoOfWhatHasExpired) {
  Mirror mirror;
  const auto subscription = store_->Subscribe("x/", mirror);
  ASSERT_TRUE(store_
                  ->Commit({.writes = {{.key = "x/short", .value = "1", .ttl_seconds = 1},
                                       {.key = "x/long", .value = "2", .ttl_seconds = 3'600}}})
                  .ok());
  // The embedded store looks at what has expired when it is used.
  const auto gone = [this](const auto& values, int) {
    static_cast<void>(this);
    return values.count("x/short") == 0 && values.count("x/long") == 1;
  };
  for (int i = 0; i < 1'000 && store_->Read("x/")->size() == 2; ++i) {
    absl::Notification never;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(20));
  }
  EXPECT_THAT(mirror.Wait(gone), ElementsAre(std::pair("x/long", "2")));
}

TEST_P(MetaStoreTest, ReadsMoreThanAPage) {
  for (int batch = 0; batch < 25; ++batch) {
    MetaTxn txn;
    for (int i = 0; i < 100; ++i) {
      txn.writes.push_back(
          {.key = fmt::format("p/{:05}", batch * 100 + i), .value = std::string(100, 'v')});
    }
    ASSERT_TRUE(store_->Commit(txn).ok());
  }
  const auto entries = store_->Read("p/");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 2'500u);
  for (size_t i = 0; i < entries->size(); ++i)
    ASSERT_EQ((*entries)[i].key, fmt::format("p/{:05}", i));
}

INSTANTIATE_TEST_SUITE_P(Both, MetaStoreTest, testing::Values("embedded", "etcd"),
                         [](const auto& both) { return std::string(both.param); });

TEST(EmbeddedMetaStore, KeepsAllOverARestart) {
  SystemClock clock;
  auto memory = std::make_unique<storage::MemoryKv>(1, storage::WriteAheadLog::kOn);
  storage::MemoryKv& kv = *memory;
  int64_t last = 0;
  {
    const auto store = EmbeddedMetaStore::Open(std::make_unique<storage::BorrowedKv>(kv), clock);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->Commit({.writes = {{.key = "a", .value = "1"}}}).ok());
    last = *(*store)->Commit({.writes = {{.key = "b", .value = "2"}}});
  }
  kv.SimulateCrash(storage::MemoryKv::Crash::kPower);
  const auto store = EmbeddedMetaStore::Open(std::make_unique<storage::BorrowedKv>(kv), clock);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->Read("")->size(), 2u);
  EXPECT_TRUE(
      (*store)->Commit({.compares = {{"b", last}}, .writes = {{.key = "b", .value = {}}}}).ok());
  kv.FailWrites(absl::ResourceExhaustedError("disk full"));
  EXPECT_FALSE((*store)->Commit({.writes = {{.key = "c", .value = "3"}}}).ok());
  EXPECT_EQ((*store)->Read("")->size(), 1u) << "what failed is not seen";
}

TEST(EtcdMetaStore, ComesBackAfterEtcdWasAway) {
  ASSERT_TRUE(Etcd::Installed());
  Etcd etcd;
  const auto store = EtcdMetaStore::Make({.endpoints = {etcd.endpoint()}, .call_timeout_ms = 500});
  ASSERT_TRUE(store.ok());
  Mirror mirror;
  const auto subscription = (*store)->Subscribe("r/", mirror);
  mirror.Wait([](const auto&, int snapshots) { return snapshots > 0; });
  ASSERT_TRUE((*store)->Commit({.writes = {{.key = "r/a", .value = "1"}}}).ok());
  etcd.Stop();
  EXPECT_TRUE(
      absl::IsUnavailable((*store)->Commit({.writes = {{.key = "r/b", .value = "2"}}}).status()));
  EXPECT_TRUE(absl::IsUnavailable((*store)->Read("r/").status()));
  etcd.Start();
  EXPECT_THAT(mirror.Wait([](const auto&, int snapshots) { return snapshots > 1; }),
              ElementsAre(std::pair("r/a", "1")));
  ASSERT_TRUE((*store)->Commit({.writes = {{.key = "r/c", .value = "3"}}}).ok());
  mirror.Wait([](const auto& values, int) { return values.count("r/c") == 1; });
}

TEST(EtcdMetaStore, SpeaksTlsWithAnEtcdOfTheNamedAuthorityAlone) {
  ASSERT_TRUE(Etcd::Installed());
  const TempDir dir;
  const rpc::TestCertificate authority("authority");
  const rpc::TestCertificate other("another authority");
  authority.Write(dir / "ca", "");
  other.Write(dir / "other-ca", "");
  rpc::TestCertificate("etcd", &authority).Write(dir / "etcd", dir / "etcd-key");
  rpc::TestCertificate("client", &authority).Write(dir / "client", dir / "client-key");
  Etcd etcd({dir / "etcd", dir / "etcd-key", dir / "ca"});
  const auto try_with = [&](const rpc::TlsFiles& tls, int64_t timeout_ms) {
    const auto store = EtcdMetaStore::Make(
        {.endpoints = {etcd.endpoint()}, .tls = tls, .call_timeout_ms = timeout_ms});
    return (*store)->Commit({.writes = {{.key = "r/a", .value = "1"}}}).status();
  };
  EXPECT_EQ(try_with({dir / "client", dir / "client-key", dir / "ca"}, 20'000), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnavailable(try_with({.ca = dir / "ca"}, 500))) << "shows nothing";
  EXPECT_TRUE(
      absl::IsUnavailable(try_with({dir / "client", dir / "client-key", dir / "other-ca"}, 500)));
  EXPECT_TRUE(absl::IsUnavailable(try_with({}, 500))) << "plain";
}

TEST(EtcdMetaStore, FindsAnEtcdByItsNameWhereThatStandsAlone) {
  const std::vector<std::string> two = {"10.0.0.1:2379", "etcd.example:2379"};
  const auto refused = EtcdMetaStore::Make({.endpoints = two});
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(MessageOf(refused.status())), testing::HasSubstr("etcd.example:2379"));
  ASSERT_TRUE(Etcd::Installed());
  const Etcd etcd;
  const std::string endpoint = etcd.endpoint();
  const auto store =
      EtcdMetaStore::Make({.endpoints = {"localhost" + endpoint.substr(endpoint.rfind(':'))},
                           .call_timeout_ms = 20'000});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->Commit({.writes = {{.key = "r/a", .value = "1"}}}).ok());
}

}  // namespace
}  // namespace vectron::auth
