#include "storage/rocks_kv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "storage/layout.h"
#include "storage/log_file_check.h"

namespace vectron::storage {
namespace {

namespace fs = std::filesystem;

// Nothing in this program needs a real disk, and a sync on a busy one takes long.
const bool kInMemory = fs::exists("/dev/shm") && ::setenv("TMPDIR", "/dev/shm", 0) == 0;

constexpr auto kBuffered = Kv::Durability::kBuffered;
constexpr auto kSynced = Kv::Durability::kSynced;

RocksOptions OptionsFor(const std::string& dir, WriteAheadLog log) {
  return {.dir = dir,
          .columns = {{"a", ColumnUse::kPoints}, {"b", ColumnUse::kLog}},
          .write_ahead_log = log,
          .write_buffer_bytes = 1 << 20};
}

std::unique_ptr<Kv> MustOpen(const RocksOptions& options, RocksResources& resources) {
  auto kv = OpenRocksKv(options, resources);
  CHECK_OK(kv.status());
  return std::move(*kv);
}

void FlipByte(const std::string& path, uint64_t offset, uint8_t with) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char old = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(old ^ static_cast<char>(with)));
  CHECK(file.good());
}

std::vector<std::string> FilesIn(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) {
    if (entry.file_size() > 0) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The values of keys 0.., or the error of opening or reading.
absl::StatusOr<std::vector<std::string>> ReadAll(const RocksOptions& options,
                                                 RocksResources& resources) {
  std::vector<std::string> values;
  ASSIGN_OR_RETURN(const std::unique_ptr<Kv> kv, OpenRocksKv(options, resources));
  for (Column column : {0U, 1U}) {
    RETURN_IF_ERROR(
        kv->Scan(column, "", "", nullptr, [&](std::string_view, std::string_view value) {
          values.emplace_back(value);
          return true;
        }));
  }
  return values;
}

// A store with data in files of every kind: tables of both columns, write-ahead log.
std::vector<std::string> MakeStore(const RocksOptions& options, RocksResources& resources) {
  std::vector<std::string> values;
  const std::unique_ptr<Kv> kv = MustOpen(options, resources);
  Random random(7);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      WriteBatch batch;
      const std::string key = fmt::format("{}-{:02}", round, i);
      std::string value(40, '\0');
      for (char& c : value) c = static_cast<char>(random.Next());
      batch.Put(0, key, value);
      batch.Put(1, key, i % 5 == 0 ? std::string(5'000, value[0]) : value);
      CHECK_OK(kv->Write(batch, kBuffered));
    }
    if (round < 2 || options.write_ahead_log == WriteAheadLog::kOff) CHECK_OK(kv->Flush());
  }
  for (Column column : {0U, 1U}) {
    CHECK_OK(kv->Scan(column, "", "", nullptr, [&](std::string_view, std::string_view value) {
      values.emplace_back(value);
      return true;
    }));
  }
  return values;
}

class Damage : public testing::TestWithParam<WriteAheadLog> {};

TEST_P(Damage, OfAnyByteIsDataLossOrHarmless) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  const TempDir dir;
  RocksResources resources;
  const std::vector<std::string> written =
      MakeStore(OptionsFor(dir / "store", GetParam()), resources);
  const std::vector<std::string> names = FilesIn(dir / "store");
  int noticed = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const std::string copy = dir / "copy";
    fs::copy(dir / "store", copy, fs::copy_options::recursive);
    const std::string& name = names[static_cast<size_t>(trial) % names.size()];
    const uint64_t offset = random.Below(fs::file_size(copy + "/" + name));
    const auto bits =
        static_cast<uint8_t>(random.OneIn(2) ? 1U << random.Below(8) : random.Below(255) + 1);
    FlipByte(copy + "/" + name, offset, bits);

    const auto read = ReadAll(OptionsFor(copy, GetParam()), resources);
    const std::string where = fmt::format("{} byte {} ^ {:#x}", name, offset, bits);
    if (read.ok()) {
      EXPECT_EQ(*read, written) << where;
    } else {
      ++noticed;
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << where << ": " << read.status();
      EXPECT_THAT(std::string(MessageOf(read.status())), testing::HasSubstr(copy)) << where;
    }
    fs::remove_all(copy);
  }
  EXPECT_GT(noticed, 20);
}

TEST_P(Damage, ATruncatedTailIsAPrefixOrDataLoss) {
  const TempDir dir;
  RocksResources resources;
  const std::vector<std::string> written =
      MakeStore(OptionsFor(dir / "store", GetParam()), resources);
  for (const std::string& name : FilesIn(dir / "store")) {
    for (const uint64_t cut : {1U, 5U, 20U}) {
      const std::string copy = dir / "copy";
      fs::copy(dir / "store", copy, fs::copy_options::recursive);
      const uint64_t size = fs::file_size(copy + "/" + name);
      fs::resize_file(copy + "/" + name, size - std::min(size, cut));
      const auto read = ReadAll(OptionsFor(copy, GetParam()), resources);
      const bool log = name.ends_with(".log");
      // Without a write-ahead log a store may be as of any flush: what stands above compares it
      // with the replicated log.
      const bool earlier = GetParam() == WriteAheadLog::kOff && name.starts_with("MANIFEST");
      if (read.ok()) {
        EXPECT_TRUE(log || earlier || *read == written) << name << " less " << cut;
      } else {
        EXPECT_FALSE(log) << read.status();
        EXPECT_TRUE(absl::IsDataLoss(read.status())) << name << ": " << read.status();
      }
      fs::remove_all(copy);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Damage, testing::Values(WriteAheadLog::kOn, WriteAheadLog::kOff),
                         [](const auto& tested) {
                           return tested.param == WriteAheadLog::kOn ? "Logged" : "Unlogged";
                         });

// The name of the newest write-ahead log.
std::string LogFileOf(const std::string& dir) {
  std::string newest;
  for (const std::string& name : FilesIn(dir)) {
    if (name.ends_with(".log")) newest = name;
  }
  return dir + "/" + newest;
}

// Every bit of the headers of the last records, where RocksDB alone would take damage for the end
// of the log.
TEST(LogFileCheck, NoticesEveryFlippedBitOfAWholeLog) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOn);
  {
    const std::unique_ptr<Kv> kv = MustOpen(options, resources);
    for (int i = 0; i < 3; ++i) {
      WriteBatch batch;
      batch.Put(0, std::to_string(i), std::string(300, 'x'));
      ASSERT_TRUE(kv->Write(batch, kSynced).ok());
    }
  }
  const std::string path = LogFileOf(options.dir);
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  ASSERT_TRUE(CheckLogFile(*files, path).ok());
  for (uint64_t offset = 0; offset < fs::file_size(path); ++offset) {
    for (int bit = 0; bit < 8; ++bit) {
      const auto mask = static_cast<uint8_t>(1 << bit);
      FlipByte(path, offset, mask);
      const absl::Status status = CheckLogFile(*files, path);
      EXPECT_TRUE(absl::IsDataLoss(status))
          << "byte " << offset << " bit " << bit << ": " << status;
      EXPECT_THAT(std::string(MessageOf(status)), testing::HasSubstr(path));
      FlipByte(path, offset, mask);
    }
  }
}

TEST(LogFileCheck, TakesEveryTruncationForATornTail) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOn);
  {
    const std::unique_ptr<Kv> kv = MustOpen(options, resources);
    WriteBatch batch;
    batch.Put(0, "k", std::string(400, 'x'));
    ASSERT_TRUE(kv->Write(batch, kSynced).ok());
    ASSERT_TRUE(kv->Write(batch, kSynced).ok());
  }
  const std::string path = LogFileOf(options.dir);
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  for (uint64_t size = fs::file_size(path); size-- > 0;) {
    fs::resize_file(path, size);
    EXPECT_TRUE(CheckLogFile(*files, path).ok()) << size;
  }
}

TEST(LogFileCheck, TakesZerosAtTheEndForSpaceNotYetWritten) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOn);
  MakeStore(options, resources);
  const std::string path = LogFileOf(options.dir);
  fs::resize_file(path, fs::file_size(path) + 100'000);
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  EXPECT_TRUE(CheckLogFile(*files, path).ok());
}

TEST(RocksKv, AStoreThatLostItsCurrentFileIsNotMadeAnew) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOff);
  MakeStore(options, resources);
  fs::remove(dir / "store/CURRENT");
  EXPECT_TRUE(absl::IsDataLoss(OpenRocksKv(options, resources).status()));
}

TEST(RocksKv, AMissingTableIsDataLoss) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOff);
  MakeStore(options, resources);
  for (const std::string& name : FilesIn(options.dir)) {
    if (name.ends_with(".sst")) fs::remove(options.dir + "/" + name);
  }
  EXPECT_TRUE(absl::IsDataLoss(ReadAll(options, resources).status()));
}

TEST(RocksKv, IsOpenedOnce) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOn);
  const std::unique_ptr<Kv> kv = MustOpen(options, resources);
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenRocksKv(options, resources).status()));
}

TEST(RocksKv, NewColumnsAreAddedAndUnknownOnesRefused) {
  const TempDir dir;
  RocksResources resources;
  RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOn);
  MustOpen(options, resources);
  options.columns.push_back({"c", ColumnUse::kSmall});
  {
    const std::unique_ptr<Kv> kv = MustOpen(options, resources);
    WriteBatch batch;
    batch.Put(2, "k", "v");
    EXPECT_TRUE(kv->Write(batch, kBuffered).ok());
  }
  options.columns.pop_back();
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenRocksKv(options, resources).status()));
}

TEST(RocksKv, ACheckpointIsAStoreOfItsOwn) {
  const TempDir dir;
  RocksResources resources;
  const RocksOptions options = OptionsFor(dir / "store", WriteAheadLog::kOff);
  const std::unique_ptr<Kv> kv = MustOpen(options, resources);
  WriteBatch before;
  before.Put(0, "k", "before");
  before.Put(1, "k", "before");
  ASSERT_TRUE(kv->Write(before, kBuffered).ok());
  ASSERT_TRUE(kv->Checkpoint(dir / "checkpoint").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(kv->Checkpoint(dir / "checkpoint")));
  WriteBatch after;
  after.Put(0, "k", "after");
  ASSERT_TRUE(kv->Write(after, kSynced).ok());

  const auto copy = MustOpen(OptionsFor(dir / "checkpoint", WriteAheadLog::kOff), resources);
  EXPECT_EQ(copy->Get(0, "k").value(), "before");
  EXPECT_EQ(copy->Get(1, "k").value(), "before");
  EXPECT_EQ(kv->Get(0, "k").value(), "after");
}

TEST(RocksKv, CountsItsBytes) {
  const TempDir dir;
  RocksResources resources;
  const std::unique_ptr<Kv> kv =
      MustOpen(OptionsFor(dir / "store", WriteAheadLog::kOff), resources);
  WriteBatch batch;
  for (int i = 0; i < 100; ++i) batch.Put(1, std::to_string(i), std::string(5'000, 'x'));
  ASSERT_TRUE(kv->Write(batch, kBuffered).ok());
  EXPECT_GE(kv->memory_bytes(), 500'000U);
  EXPECT_GE(resources.write_buffers_used_bytes(), 500'000U);
  ASSERT_TRUE(kv->Flush().ok());
  const uint64_t flushed = kv->disk_bytes();
  EXPECT_GE(flushed, 500'000U);
  EXPECT_EQ(kv->disk_bytes(), flushed);
  EXPECT_LT(kv->memory_bytes(), 500'000U);
  ASSERT_TRUE(kv->Write(batch, kBuffered).ok());
  ASSERT_TRUE(kv->Flush().ok());
  EXPECT_GE(kv->disk_bytes(), flushed + 500'000U);
}

// A limit on the size of files makes a write fail; after it is lifted what is on disk is still
// unknown.
TEST(RocksKv, AfterAFailedLoggedWriteRefusesWritesAndStillReads) {
  const TempDir dir;
  RocksResources resources;
  const std::unique_ptr<Kv> kv = MustOpen(OptionsFor(dir / "store", WriteAheadLog::kOn), resources);
  WriteBatch small;
  small.Put(0, "k", "v");
  ASSERT_TRUE(kv->Write(small, kSynced).ok());
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit tight{.rlim_cur = 64 << 10, .rlim_max = limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  WriteBatch large;
  large.Put(0, "large", std::string(2 << 20, 'x'));
  const absl::Status failed = kv->Write(large, kSynced);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);

  EXPECT_TRUE(absl::IsInternal(failed)) << failed;
  const absl::Status refused = kv->Write(small, kSynced);
  EXPECT_TRUE(absl::IsUnavailable(refused)) << refused;
  EXPECT_THAT(std::string(MessageOf(refused)), testing::HasSubstr(dir / "store"));
  EXPECT_EQ(kv->Get(0, "k").value(), "v");
}

// What an idle shard costs (DESIGN: at most 1 MB), by the process's resident memory.
TEST(RocksKv, ManyIdleStoresCostLessThanAMegabyteEach) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "memory is not what it is without a sanitizer";
#endif
  const auto resident_kib = [] {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
    }
    return 0L;
  };
  const TempDir dir;
  RocksResources resources;
  std::vector<std::unique_ptr<Kv>> stores;
  constexpr int kStores = 20;
  const long before = resident_kib();
  for (int i = 0; i < kStores; ++i) {
    stores.push_back(MustOpen({.dir = dir / std::to_string(i),
                               .columns = ShardStoreColumns(),
                               .write_ahead_log = WriteAheadLog::kOff},
                              resources));
    WriteBatch batch;
    for (Column column = 0; column < 4; ++column) batch.Put(column, "k", "v");
    ASSERT_TRUE(stores.back()->Write(batch, kBuffered).ok());
    ASSERT_TRUE(stores.back()->Flush().ok());
  }
  const long kib = (resident_kib() - before) / kStores;
  RecordProperty("kib_per_idle_store", std::to_string(kib));
  RecordProperty("in_memory", kInMemory ? "yes" : "no");
  EXPECT_LT(kib, 1'024);
}

}  // namespace
}  // namespace vectron::storage
