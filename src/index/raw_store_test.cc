#include "index/raw_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fault_file_system.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "index/half.h"

namespace vectron::index {
namespace {

constexpr uint32_t kDimension = 37;

std::vector<float> Vector(uint64_t seed) {
  Random random(seed);
  std::vector<float> vector(kDimension);
  for (float& value : vector) value = static_cast<float>(random.Uniform() * 4 - 2);
  return vector;
}

std::vector<float> Stored(uint64_t seed, VectorStorage storage) {
  std::vector<float> vector = Vector(seed);
  if (storage == VectorStorage::kF16) {
    for (float& value : vector) value = FromHalf(ToHalf(value));
  }
  return vector;
}

std::vector<float> ReadRow(const RawStore& store, uint32_t slot) {
  std::vector<float> row(kDimension);
  store.Read(slot, row);
  return row;
}

struct Shape {
  VectorStorage storage;
  bool in_memory;
};
const std::vector<Shape> kShapes = {{VectorStorage::kF32, false},
                                    {VectorStorage::kF16, false},
                                    {VectorStorage::kF32, true},
                                    {VectorStorage::kF16, true}};

struct Disk {
  TempDir dir;
  std::unique_ptr<FileSystem> files = NewPosixFileSystem();

  RawStore::Options Options(const Shape& shape, const std::string& name) const {
    return {.dimension = kDimension,
            .storage = shape.storage,
            .in_memory = shape.in_memory,
            .path = dir / name};
  }
  absl::Status Save(RawStore& store, uint64_t rows, const std::string& name) {
    AppendLock lock;
    ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(*files, dir / name));
    RETURN_IF_ERROR(store.WriteTo(*writer, rows, lock));
    return writer->Finish();
  }
};

TEST(RawStore, GivesBackEveryRowAsStored) {
  for (const Shape& shape : kShapes) {
    Disk disk;
    auto store = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
    ASSERT_TRUE(store.ok()) << store.status();
    for (uint32_t slot = 0; slot < 3000; ++slot) {
      ASSERT_TRUE((*store)->Reserve(slot + 1).ok());
      ASSERT_TRUE((*store)->Put(slot, Vector(slot)).ok());
      ASSERT_EQ(ReadRow(**store, slot), Stored(slot, shape.storage));
    }
    (*store)->NoteReads(1 << 20);
    (*store)->TrimResident();
    for (uint32_t slot = 0; slot < 3000; ++slot) {
      (*store)->Prefetch(slot);
      ASSERT_EQ(ReadRow(**store, slot), Stored(slot, shape.storage));
      if (shape.storage == VectorStorage::kF32) {
        ASSERT_EQ((*store)->F32(slot)[5], Stored(slot, shape.storage)[5]);
        ASSERT_EQ(reinterpret_cast<uintptr_t>((*store)->F32(slot)) % 16, 0U);
      } else {
        ASSERT_EQ(FromHalf((*store)->F16(slot)[5]), Stored(slot, shape.storage)[5]);
      }
    }
    EXPECT_EQ((*store)->disk_bytes() > 0, !shape.in_memory);
    EXPECT_EQ((*store)->memory_bytes() > 3000 * kDimension, shape.in_memory);
  }
}

TEST(RawStore, OpensFromACheckpointAndGoesOn) {
  for (const Shape& shape : kShapes) {
    Disk disk;
    auto store = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->Reserve(1000).ok());
    for (uint32_t slot = 0; slot < 1000; ++slot)
      ASSERT_TRUE((*store)->Put(slot, Vector(slot)).ok());
    ASSERT_TRUE(disk.Save(**store, 900, "c").ok());
    // Past the checkpoint: a new row, and a reused slot that the checkpoint does not need.
    ASSERT_TRUE((*store)->Put(950, Vector(5)).ok());
    ASSERT_TRUE((*store)->Put(17, Vector(6)).ok());
    *store = nullptr;

    auto reader = CheckpointReader::Open(*disk.files, disk.dir / "c");
    ASSERT_TRUE(reader.ok()) << reader.status();
    auto opened = RawStore::OpenFrom(disk.Options(shape, "raw"), *disk.files, **reader, 900);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->in_file(), !shape.in_memory);
    AppendLock lock;
    const auto needed = [](uint32_t slot) { return slot != 17; };
    EXPECT_TRUE((*opened)->Verify(0, 900, needed, lock).ok());
    ASSERT_TRUE((*opened)->Adopt(lock).ok());
    EXPECT_TRUE((*opened)->Verify(0, 900, needed, lock).ok());
    for (uint32_t slot = 0; slot < 900; ++slot) {
      ASSERT_TRUE(slot == 17 || ReadRow(**opened, slot) == Stored(slot, shape.storage));
    }
    ASSERT_TRUE((*opened)->Reserve(2000).ok());
    ASSERT_TRUE((*opened)->Put(1999, Vector(1)).ok());
    EXPECT_EQ(ReadRow(**opened, 1999), Stored(1, shape.storage));
  }
}

TEST(RawStore, ADamagedRowIsDataLossNamingItUnlessItIsNotNeeded) {
  Disk disk;
  const Shape shape{VectorStorage::kF32, false};
  auto store = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->Reserve(300).ok());
  for (uint32_t slot = 0; slot < 300; ++slot) ASSERT_TRUE((*store)->Put(slot, Vector(slot)).ok());
  const uint64_t offset = uint64_t{123} * (*store)->stride_bytes() + 50;
  auto file = disk.files->Open(disk.dir / "raw", OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  char byte = 0;
  ASSERT_TRUE((*file)->Read(offset, 1, &byte).ok());
  byte = static_cast<char>(byte ^ 4);
  ASSERT_TRUE((*file)->Write(offset, {&byte, 1}).ok());
  AppendLock lock;
  const auto all = [](uint32_t) { return true; };
  const absl::Status status = (*store)->Verify(0, 300, all, lock);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(MessageOf(status).find("slot 123"), std::string_view::npos) << status;
  const auto but_one = [](uint32_t slot) { return slot != 123; };
  EXPECT_TRUE((*store)->Verify(0, 300, but_one, lock).ok());
}

TEST(RawStore, AFileTooShortIsDataLossNotACrash) {
  Disk disk;
  const Shape shape{VectorStorage::kF32, false};
  auto store = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->Reserve(300).ok());
  ASSERT_TRUE(disk.Save(**store, 300, "c").ok());
  ASSERT_TRUE((*disk.files->Open(disk.dir / "raw", OpenMode::kReadWrite))->Truncate(40000).ok());
  EXPECT_EQ(CheckpointReader::Open(*disk.files, disk.dir / "c").status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(RawStore, AFullDiskIsAStatusOfReserveAndAFailedWriteOfPut) {
  Disk disk;
  FaultFileSystem files(*disk.files);
  auto store = RawStore::Create(disk.Options({VectorStorage::kF32, false}, "raw"), files);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->Reserve(10).ok());
  files.FailAt(1, {.status = absl::ResourceExhaustedError("full"), .kinds = kFaultAllocate});
  EXPECT_EQ((*store)->Reserve(100000).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE((*store)->Put(9, Vector(9)).ok());
  files.FailAt(1, {.status = absl::DataLossError("bad sector"), .kinds = kFaultWrite});
  EXPECT_EQ((*store)->Put(8, Vector(8)).code(), absl::StatusCode::kDataLoss);
  files.Heal();
  EXPECT_TRUE((*store)->Reserve(100000).ok());
  EXPECT_EQ(ReadRow(**store, 9), Stored(9, VectorStorage::kF32));
}

TEST(RawStore, ANewStoreDoesNotTouchTheFileOfACheckpoint) {
  Disk disk;
  const Shape shape{VectorStorage::kF32, false};
  auto store = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->Reserve(10).ok());
  ASSERT_TRUE((*store)->Put(3, Vector(3)).ok());
  ASSERT_TRUE(disk.Save(**store, 10, "c").ok());
  auto fresh = RawStore::Create(disk.Options(shape, "raw"), *disk.files);
  ASSERT_TRUE(fresh.ok());
  ASSERT_TRUE((*fresh)->Reserve(10).ok());
  ASSERT_TRUE((*fresh)->Put(3, Vector(4)).ok());
  auto reader = CheckpointReader::Open(*disk.files, disk.dir / "c");
  ASSERT_TRUE(reader.ok());
  auto opened = RawStore::OpenFrom(disk.Options(shape, "raw2"), *disk.files, **reader, 10);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(ReadRow(**opened, 3), Stored(3, VectorStorage::kF32));
}

TEST(RawStore, ReadersGoOnWhileItGrowsTrimsAndVerifies) {
  Disk disk;
  auto store = RawStore::Create(disk.Options({VectorStorage::kF32, false}, "raw"), *disk.files);
  ASSERT_TRUE(store.ok());
  AppendLock lock;
  std::atomic<uint32_t> rows{0};
  std::atomic<uint64_t> wrong{0};
  std::atomic<bool> stop{false};
  std::thread reader([&] {
    Random random(2);
    while (!stop) {
      const uint32_t end = rows.load(std::memory_order_acquire);
      if (end == 0) continue;
      const auto slot = static_cast<uint32_t>(random.Below(end));
      if (ReadRow(**store, slot) != Vector(slot)) ++wrong;
      (*store)->NoteReads(RawStore::kTrimReads);
      (*store)->TrimResident();
    }
  });
  std::thread builder([&] {
    const auto all = [](uint32_t) { return true; };
    while (!stop) {
      const uint32_t end = rows.load(std::memory_order_acquire);
      if (!(*store)->Verify(0, end, all, lock).ok()) ++wrong;
    }
  });
  for (uint32_t slot = 0; slot < 5000; ++slot) {
    const std::lock_guard hold(lock);
    ASSERT_TRUE((*store)->Reserve((slot / 64 + 1) * 64).ok());
    ASSERT_TRUE((*store)->Put(slot, Vector(slot)).ok());
    rows.store(slot + 1, std::memory_order_release);
  }
  stop = true;
  reader.join();
  builder.join();
  EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace vectron::index
