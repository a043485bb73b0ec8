// One contract, run over every Kv: RocksDB and its memory twin, with and without a write-ahead log.

#include "storage/kv.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/random.h"
#include "base/temp_dir.h"
#include "storage/memory_kv.h"
#include "storage/rocks_kv.h"

namespace vectron::storage {
namespace {

constexpr Column kA = 0;
constexpr Column kB = 1;
constexpr auto kBuffered = Kv::Durability::kBuffered;
constexpr auto kSynced = Kv::Durability::kSynced;

using Contents = std::map<std::string, std::string>;

// Makes a store, and what is left of it after a crash of the process.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual Kv& kv() = 0;
  virtual void Crash() = 0;
};

class MemoryHarness : public Harness {
 public:
  explicit MemoryHarness(WriteAheadLog log) : kv_(2, log) {}
  Kv& kv() override { return kv_; }
  void Crash() override { kv_.SimulateCrash(MemoryKv::Crash::kProcess); }

 private:
  MemoryKv kv_;
};

class RocksHarness : public Harness {
 public:
  explicit RocksHarness(WriteAheadLog log) : log_(log) { Open(); }
  Kv& kv() override { return *kv_; }
  // Files as they are under a running store are what kill -9 leaves, if they are of one moment:
  // copied again until nothing moved meanwhile.
  void Crash() override {
    const std::string left = dir_ / ("crash" + std::to_string(++crashes_));
    while (true) {
      const auto before = Sizes();
      std::error_code error;
      std::filesystem::copy(path_, left, std::filesystem::copy_options::recursive, error);
      if (!error && Sizes() == before) break;
      std::filesystem::remove_all(left);
    }
    kv_.reset();
    path_ = left;
    Open();
  }

 private:
  void Open() {
    auto opened = OpenRocksKv({.dir = path_,
                               .columns = {{"a", ColumnUse::kPoints}, {"b", ColumnUse::kLog}},
                               .write_ahead_log = log_,
                               .write_buffer_bytes = 256 << 10},
                              resources_);
    CHECK_OK(opened.status());
    kv_ = std::move(*opened);
  }

  std::map<std::string, uint64_t> Sizes() const {
    std::map<std::string, uint64_t> sizes;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      std::error_code gone;
      sizes[entry.path().string()] = entry.file_size(gone);
    }
    return sizes;
  }

  TempDir dir_;
  RocksResources resources_;
  const WriteAheadLog log_;
  std::string path_ = dir_ / "store";
  int crashes_ = 0;
  std::unique_ptr<Kv> kv_;
};

struct Subject {
  std::string name;
  bool rocks;
  WriteAheadLog log;
};

class KvContract : public testing::TestWithParam<Subject> {
 protected:
  KvContract() {
    if (GetParam().rocks) {
      harness_ = std::make_unique<RocksHarness>(GetParam().log);
    } else {
      harness_ = std::make_unique<MemoryHarness>(GetParam().log);
    }
  }
  Kv& kv() { return harness_->kv(); }
  void Put(Column column, const std::string& key, const std::string& value) {
    WriteBatch batch;
    batch.Put(column, key, value);
    CHECK_OK(kv().Write(batch, kBuffered));
  }
  std::string Get(Column column, const std::string& key) {
    const auto value = kv().Get(column, key);
    CHECK_OK(value.status());
    return value->value_or("(none)");
  }
  Contents All(Column column, const KvSnapshot* snapshot = nullptr) {
    Contents contents;
    CHECK_OK(kv().Scan(column, "", "", snapshot, [&](std::string_view key, std::string_view value) {
      contents.emplace(key, value);
      return true;
    }));
    return contents;
  }

  std::unique_ptr<Harness> harness_;
};

TEST_P(KvContract, ReadsBackWhatWasWritten) {
  WriteBatch batch;
  batch.Put(kA, "k", "1");
  batch.Put(kB, "k", "2", "3");
  batch.Put(kA, std::string("\0x", 2), "");
  ASSERT_TRUE(kv().Write(batch, kSynced).ok());
  EXPECT_EQ(Get(kA, "k"), "1");
  EXPECT_EQ(Get(kB, "k"), "23");
  EXPECT_EQ(Get(kA, std::string("\0x", 2)), "");
  EXPECT_EQ(Get(kA, "missing"), "(none)");
}

TEST_P(KvContract, OperationsOfABatchHappenInOrder) {
  WriteBatch batch;
  batch.Put(kA, "a", "old");
  batch.Put(kA, "b", "old");
  batch.Put(kA, "c", "old");
  batch.DeleteRange(kA, "a", "c");
  batch.Put(kA, "b", "new");
  batch.Delete(kA, "c");
  batch.DeleteRange(kA, "z", "a");  // empty
  ASSERT_TRUE(kv().Write(batch, kBuffered).ok());
  EXPECT_EQ(All(kA), (Contents{{"b", "new"}}));
}

TEST_P(KvContract, MultiGetAnswersInTheOrderAsked) {
  Put(kA, "a", "1");
  Put(kA, "c", "3");
  const auto values = kv().MultiGet(kA, {"c", "b", "a", "a"});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ(*values, (std::vector<std::optional<std::string>>{"3", std::nullopt, "1", "1"}));
}

TEST_P(KvContract, ScansTheHalfOpenRangeInOrderUntilToldToStop) {
  for (const char* key : {"d", "a", "c", "b"}) Put(kA, key, key);
  std::string seen;
  const auto visit = [&](std::string_view key, std::string_view) {
    seen += key;
    return key != "c";
  };
  ASSERT_TRUE(kv().Scan(kA, "b", "d", nullptr, visit).ok());
  EXPECT_EQ(seen, "bc");
  seen.clear();
  ASSERT_TRUE(kv().Scan(kA, "", "", nullptr, visit).ok());
  EXPECT_EQ(seen, "abc");
}

TEST_P(KvContract, AScanMayWriteAndDoesNotSeeIt) {
  Put(kA, "a", "1");
  int seen = 0;
  ASSERT_TRUE(kv().Scan(kA, "", "", nullptr,
                        [&](std::string_view, std::string_view) {
                          Put(kA, "b" + std::to_string(seen), "x");
                          return ++seen < 5;
                        })
                  .ok());
  EXPECT_EQ(seen, 1);
}

TEST_P(KvContract, ASnapshotStaysAsItWas) {
  Put(kA, "a", "1");
  const auto snapshot = kv().TakeSnapshot();
  Put(kA, "a", "2");
  Put(kA, "b", "3");
  EXPECT_EQ(All(kA, snapshot.get()), (Contents{{"a", "1"}}));
  EXPECT_EQ(All(kA), (Contents{{"a", "2"}, {"b", "3"}}));
}

TEST_P(KvContract, SyncedWritesSurviveACrash) {
  WriteBatch batch;
  batch.Put(kA, "a", "1");
  batch.Put(kB, "b", "2");
  ASSERT_TRUE(kv().Write(batch, kSynced).ok());
  harness_->Crash();
  EXPECT_EQ(Get(kA, "a"), "1");
  EXPECT_EQ(Get(kB, "b"), "2");
}

TEST_P(KvContract, BufferedWritesSurviveACrashWithALogElseAsOfTheLastFlush) {
  Put(kA, "flushed", "1");
  ASSERT_TRUE(kv().Flush().ok());
  Put(kA, "buffered", "2");
  harness_->Crash();
  EXPECT_EQ(Get(kA, "flushed"), "1");
  EXPECT_EQ(Get(kA, "buffered"), GetParam().log == WriteAheadLog::kOn ? "2" : "(none)");
}

// Random operations against a plain model with crashes: what is left is the newest state, or
// without a log some state between the last flush and now, the same one in both columns.
TEST_P(KvContract, BehavesAsAMapUnderRandomOperationsAndCrashes) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  struct State {
    Contents a, b;
    bool operator==(const State&) const = default;
  };
  std::vector<State> history{{}};  // states since the last flush
  for (int step = 0; step < 1'500; ++step) {
    State next = history.back();
    if (random.OneIn(60)) {
      ASSERT_TRUE(kv().Flush().ok());
      history = {next};
      continue;
    }
    if (random.OneIn(150)) {
      harness_->Crash();
      const State left{All(kA), All(kB)};
      const auto found = std::find(history.rbegin(), history.rend(), left);
      ASSERT_TRUE(found != history.rend()) << "step " << step;
      if (GetParam().log == WriteAheadLog::kOn) {
        ASSERT_EQ(left, history.back());
      }
      history = {left};
      ASSERT_TRUE(kv().Flush().ok());
      continue;
    }
    WriteBatch batch;
    batch.Put(kB, "step", std::to_string(step));  // makes every state a different one
    next.b["step"] = std::to_string(step);
    for (uint64_t n = random.Below(4) + 1; n > 0; --n) {
      const Column column = random.OneIn(2) ? kA : kB;
      Contents& model = column == kA ? next.a : next.b;
      const std::string key = std::to_string(random.Below(100));
      if (random.OneIn(4)) {
        batch.Delete(column, key);
        model.erase(key);
      } else if (random.OneIn(8)) {
        const std::string end = std::to_string(random.Below(100));
        batch.DeleteRange(column, key, end);
        if (key < end) model.erase(model.lower_bound(key), model.lower_bound(end));
      } else {
        const std::string value(random.OneIn(20) ? 9'000 : random.Below(50), 'v');
        batch.Put(column, key, value);
        model[key] = value;
      }
    }
    ASSERT_TRUE(kv().Write(batch, kBuffered).ok());
    history.push_back(next);
    if (step % 50 == 0) {
      ASSERT_EQ(All(kA), next.a) << "step " << step;
      ASSERT_EQ(All(kB), next.b) << "step " << step;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvContract,
                         testing::Values(Subject{"MemoryLogged", false, WriteAheadLog::kOn},
                                         Subject{"MemoryUnlogged", false, WriteAheadLog::kOff},
                                         Subject{"RocksLogged", true, WriteAheadLog::kOn},
                                         Subject{"RocksUnlogged", true, WriteAheadLog::kOff}),
                         [](const auto& tested) { return tested.param.name; });

TEST(MemoryKv, APowerCutTakesWhatWasNotSynced) {
  MemoryKv kv(1, WriteAheadLog::kOn);
  WriteBatch synced;
  synced.Put(0, "synced", "1");
  WriteBatch buffered;
  buffered.Put(0, "buffered", "2");
  ASSERT_TRUE(kv.Write(synced, kSynced).ok());
  ASSERT_TRUE(kv.Write(buffered, kBuffered).ok());
  kv.SimulateCrash(MemoryKv::Crash::kPower);
  EXPECT_EQ(kv.Get(0, "synced").value(), "1");
  EXPECT_EQ(kv.Get(0, "buffered").value(), std::nullopt);
}

TEST(MemoryKv, FailsWritesWhenTold) {
  MemoryKv kv(1, WriteAheadLog::kOn);
  kv.FailWrites(absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(absl::IsResourceExhausted(kv.Write({}, kSynced)));
  EXPECT_TRUE(absl::IsResourceExhausted(kv.Flush()));
  kv.FailWrites(absl::OkStatus());
  EXPECT_TRUE(kv.Write({}, kSynced).ok());
}

}  // namespace
}  // namespace vectron::storage
