#include "index/record_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "base/crash_testing.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "index/available_memory.h"
#include "index/checkpoint.h"

namespace vectron::index {
namespace {

// Row contents that tell the row and a version of it.
uint64_t Stamp(uint64_t row, uint64_t version) { return Mix64(row * 1000 + version); }

void Fill(RecordStore& store, uint64_t row, uint64_t version) {
  const uint64_t stamp = Stamp(row, version);
  for (uint32_t at = 0; at + 8 <= store.stride_bytes(); at += 8) {
    std::memcpy(store.At(row) + at, &stamp, 8);
  }
}

bool Holds(const RecordStore& store, uint64_t row, uint64_t version) {
  const uint64_t stamp = Stamp(row, version);
  for (uint32_t at = 0; at + 8 <= store.stride_bytes(); at += 8) {
    if (std::memcmp(store.At(row) + at, &stamp, 8) != 0) return false;
  }
  return true;
}

struct Disk {
  TempDir dir;
  std::unique_ptr<FileSystem> files = NewPosixFileSystem();
};

void SaveIn(FileSystem& files, const std::string& dir, const RecordStore& store, uint64_t rows) {
  AppendLock lock;
  auto writer = CheckpointWriter::Create(files, dir);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE(store.WriteTo(**writer, "rows", rows, lock).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
}

void Save(Disk& disk, const RecordStore& store, uint64_t rows, const std::string& name) {
  SaveIn(*disk.files, disk.dir / name, store, rows);
}

TEST(RecordStore, RowsAreAlignedZeroAndNeverMove) {
  RecordStore store(320);
  ASSERT_TRUE(store.Reserve(10).ok());
  char* const first = store.At(0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(store.At(7)) % 64, 0U);
  EXPECT_EQ(std::string(store.At(9), 320), std::string(320, '\0'));
  Fill(store, 3, 1);
  const uint64_t many = store.rows_per_chunk() * 9 + 5;
  ASSERT_TRUE(store.Reserve(many).ok());
  EXPECT_EQ(store.At(0), first);
  EXPECT_TRUE(Holds(store, 3, 1));
  Fill(store, many - 1, 1);
  EXPECT_TRUE(Holds(store, many - 1, 1));
  EXPECT_EQ(store.reserved_rows(), many);
}

TEST(RecordStore, ChunksArePowersOfTwoOfRowsBelowTheirBound) {
  for (const uint32_t stride : {1U, 4U, 16U, 64U, 320U, 960U, 65728U, 262144U}) {
    const RecordStore store(stride);
    const uint64_t rows = store.rows_per_chunk();
    EXPECT_EQ(rows & (rows - 1), 0U);
    EXPECT_LE(rows * stride, kMaxChunkBytes);
    EXPECT_GT(rows * stride * 2, kMaxChunkBytes);
  }
}

TEST(RecordStore, MoreMemoryThanThereIsIsRefused) {
  RecordStore store(1 << 16);
  const absl::Status status = store.Reserve(AvailableMemoryBytes() / (1 << 16) + 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_EQ(store.reserved_rows(), 0U);
  EXPECT_TRUE(store.Reserve(4).ok());
}

TEST(RecordStore, OpensWhatWasWrittenAndNeverWritesTheFile) {
  for (const uint64_t rows : {uint64_t{1}, uint64_t{777}, uint64_t{70000}, uint64_t{140000}}) {
    SCOPED_TRACE(rows);
    Disk disk;
    RecordStore store(320);
    ASSERT_TRUE(store.Reserve(rows).ok());
    for (uint64_t row = 0; row < rows; ++row) Fill(store, row, 1);
    Save(disk, store, rows, "c");
    auto reader = CheckpointReader::Open(*disk.files, disk.dir / "c");
    ASSERT_TRUE(reader.ok()) << reader.status();
    RecordStore opened(320);
    ASSERT_TRUE(opened.OpenFrom(**reader, "rows", rows).ok());
    EXPECT_FALSE(opened.fully_adopted());
    for (uint64_t row = 0; row < rows; row += 7) Fill(opened, row, 2);
    ASSERT_TRUE(opened.Reserve(rows + 100).ok());
    EXPECT_EQ(std::string(opened.At(rows + 99), 320), std::string(320, '\0'));
    Fill(opened, rows + 99, 2);
    char* const address = opened.At(0);
    AppendLock lock;
    ASSERT_TRUE(opened.Adopt(lock).ok());
    EXPECT_TRUE(opened.fully_adopted());
    EXPECT_EQ(opened.At(0), address);
    for (uint64_t row = 0; row < rows; ++row) {
      ASSERT_TRUE(Holds(opened, row, row % 7 == 0 ? 2 : 1)) << row;
    }
    EXPECT_TRUE(Holds(opened, rows + 99, 2));
    EXPECT_GE(opened.memory_bytes(), rows * 320);
    EXPECT_TRUE((*reader)->VerifyAll().ok());
  }
}

TEST(RecordStore, ReadersAndTheAppenderGoOnWhileItAdopts) {
  Disk disk;
  constexpr uint64_t kRows = 60000;
  RecordStore store(320);
  ASSERT_TRUE(store.Reserve(kRows).ok());
  for (uint64_t row = 0; row < kRows; ++row) Fill(store, row, 1);
  Save(disk, store, kRows, "c");
  auto reader = CheckpointReader::Open(*disk.files, disk.dir / "c");
  ASSERT_TRUE(reader.ok());
  RecordStore opened(320);
  ASSERT_TRUE(opened.OpenFrom(**reader, "rows", kRows).ok());
  ASSERT_TRUE(opened.Reserve(kRows * 2).ok());

  AppendLock lock;
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> appended{kRows};
  std::atomic<uint64_t> wrong{0};
  std::thread appender([&] {
    for (uint64_t row = kRows; row < 2 * kRows && !stop; ++row) {
      {
        const std::lock_guard hold(lock);
        Fill(opened, row, 1);
      }
      appended.store(row + 1, std::memory_order_release);
    }
  });
  std::thread searcher([&] {
    Random random(5);
    while (!stop) {
      const uint64_t row = random.Below(appended.load(std::memory_order_acquire));
      if (!Holds(opened, row, 1)) ++wrong;
    }
  });
  EXPECT_TRUE(opened.Adopt(lock).ok());
  stop = true;
  appender.join();
  searcher.join();
  EXPECT_EQ(wrong, 0U);
  for (uint64_t row = 0; row < appended; ++row) ASSERT_TRUE(Holds(opened, row, 1)) << row;
}

constexpr uint32_t kLargeStride = 4'096;
constexpr uint64_t kLargeRows = kOwnFileBytes / kLargeStride + 1;

TEST(RecordStore, ChildOfTheCrashTest) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  RecordStore store(kLargeStride);
  ASSERT_TRUE(store.Reserve(kLargeRows).ok());
  for (uint64_t row = 0; row < kLargeRows; ++row) Fill(store, row, 1);
  SaveIn(*files, std::string(dir) + "/c", store, kLargeRows);
}

// Its large sections are there and whole, but the manifest is not.
TEST(RecordStore, ACheckpointThatWasCutShortIsNone) {
  Disk disk;
  ASSERT_EQ(RunToCrashPoint("RecordStore.ChildOfTheCrashTest", disk.dir.path(),
                            "index_checkpoint.section_synced"),
            kCrashed);
  const std::string cut = disk.dir / "c";
  EXPECT_TRUE(std::filesystem::exists(cut + "/rows-0"));
  EXPECT_FALSE(CheckpointReader::Open(*disk.files, cut).ok());
}

TEST(RecordStore, ASectionOfAnotherSizeIsDataLoss) {
  Disk disk;
  RecordStore store(64);
  ASSERT_TRUE(store.Reserve(100).ok());
  Save(disk, store, 100, "c");
  auto reader = CheckpointReader::Open(*disk.files, disk.dir / "c");
  ASSERT_TRUE(reader.ok());
  RecordStore more(64);
  EXPECT_EQ(more.OpenFrom(**reader, "rows", 101).code(), absl::StatusCode::kDataLoss);
  RecordStore other(64);
  EXPECT_EQ(other.OpenFrom(**reader, "cows", 100).code(), absl::StatusCode::kDataLoss);
}

TEST(ChunkedArray, HoldsAValueForEachRow) {
  ChunkedArray<std::atomic<uint32_t>> array;
  constexpr uint64_t kRows = (uint64_t{1} << 24) + 10;
  ASSERT_TRUE(array.Reserve(kRows).ok());
  for (uint64_t i = 0; i < kRows; i += 100003) array[i] = static_cast<uint32_t>(i);
  array[kRows - 1] = 5;
  for (uint64_t i = 0; i < kRows; i += 100003) EXPECT_EQ(array[i], i);
  EXPECT_EQ(array[kRows - 1], 5U);
  EXPECT_EQ(array[1], 0U);
}

TEST(AvailableMemory, IsBelowAPetabyteAndAboveAMebibyte) {
  EXPECT_GT(AvailableMemoryBytes(), uint64_t{1} << 20);
  EXPECT_LT(AvailableMemoryBytes(), uint64_t{1} << 50);
}

}  // namespace
}  // namespace vectron::index
