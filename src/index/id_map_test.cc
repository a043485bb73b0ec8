#include "index/id_map.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/fault_file_system.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::index {
namespace {

std::string IdOf(uint64_t key) {
  std::string id = "id-" + std::to_string(key);
  if (key % 5 == 0) id.resize(1 + Mix64(key) % 256, 'x');
  return key % 7 == 0 ? "k" + std::to_string(key) : id + std::to_string(key % 1000);
}

struct Model {
  struct Row {
    std::string id;
    uint64_t version = 0;
    uint8_t flags = 0;
  };
  std::map<std::string, uint32_t> slots;
  std::map<uint32_t, Row> rows;  // inserted and not released
  std::set<uint32_t> free;
  uint32_t end = 0;

  uint32_t TakeSlot() {
    if (free.empty()) return end++;
    const uint32_t slot = *free.begin();
    free.erase(free.begin());
    return slot;
  }
};

void ExpectEqual(const IdMap& map, const Model& model) {
  ASSERT_EQ(map.size(), model.slots.size());
  for (const auto& [id, slot] : model.slots) ASSERT_EQ(map.Find(id), slot) << id;
  for (const auto& [slot, row] : model.rows) {
    ASSERT_EQ(map.Id(slot), row.id);
    ASSERT_EQ(map.Version(slot), row.version);
    ASSERT_EQ(map.Flags(slot), row.flags);
  }
}

// One random write on both.
void Step(IdMap& map, Model& model, Random& random, uint64_t keys) {
  std::string id = IdOf(random.Below(keys));
  if (id.size() > 256) id.resize(256);
  const auto known = model.slots.find(id);
  std::optional<uint32_t> before;
  if (random.OneIn(3)) {
    before = map.Erase(id);
  } else {
    const uint32_t slot = model.TakeSlot();
    const auto flags = static_cast<uint8_t>(random.Next());
    ASSERT_TRUE(map.Reserve(slot + 1, 1, id.size()).ok());
    const uint64_t version = random.Next();
    before = map.Insert(slot, id, version, flags);
    model.rows[slot] = {id, version, flags};
    model.slots[id] = slot;
    if (known != model.slots.end() && before) {
      // The former slot goes on holding its id.
      ASSERT_EQ(map.Id(*before), id);
    }
  }
  if (before) {
    if (model.slots.count(id) != 0 && model.slots[id] == *before) model.slots.erase(id);
    ASSERT_EQ(model.rows.at(*before).id, id);
    if (random.OneIn(2)) {
      map.Release(*before);
      model.rows.erase(*before);
      model.free.insert(*before);
    }
  }
}

// Rows replaced or erased and not yet released by Step.
void ReleaseDead(IdMap& map, Model& model) {
  for (auto it = model.rows.begin(); it != model.rows.end();) {
    const auto current = model.slots.find(it->second.id);
    if (current != model.slots.end() && current->second == it->first) {
      ++it;
      continue;
    }
    map.Release(it->first);
    model.free.insert(it->first);
    it = model.rows.erase(it);
  }
}

TEST(IdMap, AgreesWithAMapThroughRandomWrites) {
  for (const uint64_t seed : {1ULL, 2ULL, 3ULL}) {
    SCOPED_TRACE(seed);
    Random random(seed);
    IdMap map;
    Model model;
    for (int i = 0; i < 20000; ++i) {
      Step(map, model, random, seed == 1 ? 50 : 3000);
      if (HasFatalFailure()) return;
      if (i % 2000 == 0) ReleaseDead(map, model);
    }
    ExpectEqual(map, model);
  }
}

TEST(IdMap, GrowsFromNothingWithoutLosingAnId) {
  IdMap map;
  EXPECT_EQ(map.Find("a"), std::nullopt);
  EXPECT_EQ(map.Erase("a"), std::nullopt);
  constexpr uint32_t kIds = 100000;
  for (uint32_t i = 0; i < kIds; ++i) {
    const std::string id = std::to_string(i);
    ASSERT_TRUE(map.Reserve(i + 1, 1, id.size()).ok());
    ASSERT_EQ(map.Insert(i, id, i, 0), std::nullopt);
    ASSERT_EQ(map.Find(std::to_string(i / 2)), i / 2);
  }
  for (uint32_t i = 0; i < kIds; ++i) ASSERT_EQ(map.Find(std::to_string(i)), i);
  EXPECT_EQ(map.Find("x"), std::nullopt);
  EXPECT_EQ(map.size(), kIds);
  // 16 + at most 12 of table and an old one of half the size, 8 for these ids.
  EXPECT_LT(map.memory_bytes(), kIds * 46);
}

TEST(IdMap, ALargeReservationThenInserts) {
  IdMap map;
  ASSERT_TRUE(map.Reserve(50000, 50000, 50000 * 5).ok());
  for (uint32_t i = 0; i < 50000; ++i) map.Insert(i, std::to_string(i), 1, 0);
  for (uint32_t i = 0; i < 50000; ++i) ASSERT_EQ(map.Find(std::to_string(i)), i);
}

TEST(IdMap, ReplacingEverythingManyTimesDoesNotGrowTheMemory) {
  IdMap map;
  constexpr uint32_t kIds = 2000;
  uint64_t after_two = 0;
  std::vector<uint32_t> slots(kIds);
  std::vector<uint32_t> free;
  uint32_t end = 0;
  for (int round = 0; round < 30; ++round) {
    for (uint32_t i = 0; i < kIds; ++i) {
      const std::string id =
          std::string(1 + i % 100, 'a') + std::to_string(i) + (round % 2 == 0 ? "even" : "odd");
      const uint32_t slot = free.empty() ? end++ : free.back();
      if (!free.empty()) free.pop_back();
      ASSERT_TRUE(map.Reserve(end, 1, id.size()).ok());
      ASSERT_EQ(map.Insert(slot, id, 1, 0), std::nullopt);
      if (round > 0) {
        const std::string old =
            std::string(1 + i % 100, 'a') + std::to_string(i) + (round % 2 == 1 ? "even" : "odd");
        ASSERT_EQ(map.Erase(old), slots[i]);
        map.Release(slots[i]);
        free.push_back(slots[i]);
      }
      slots[i] = slot;
    }
    if (round == 2) after_two = map.memory_bytes();
  }
  EXPECT_LE(map.memory_bytes(), after_two + after_two / 8);
}

TEST(IdMap, OpensFromACheckpointWithoutTheGarbage) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  const uint64_t seed = 11;
  SCOPED_TRACE(seed);
  Random random(seed);
  IdMap map;
  Model model;
  for (int i = 0; i < 30000; ++i) Step(map, model, random, 5000);
  const auto live = [&](uint32_t slot) {
    const auto row = model.rows.find(slot);
    if (row == model.rows.end()) return false;
    const auto current = model.slots.find(row->second.id);
    return current != model.slots.end() && current->second == slot;
  };
  auto writer = CheckpointWriter::Create(*files, dir / "c");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(map.WriteTo(**writer, model.end, live).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  ReleaseDead(map, model);

  auto reader = CheckpointReader::Open(*files, dir / "c");
  ASSERT_TRUE(reader.ok()) << reader.status();
  IdMap opened;
  ASSERT_TRUE(opened.OpenFrom(**reader, model.end).ok());
  ExpectEqual(opened, model);
  EXPECT_TRUE(opened.CheckConsistent(model.end, live).ok());
  EXPECT_FALSE(opened.CheckConsistent(model.end, [](uint32_t slot) { return slot < 2; }).ok());

  // Writes go on while the builder adopts.
  AppendLock lock;
  std::thread builder([&] { EXPECT_TRUE(opened.Adopt(lock).ok()); });
  for (int i = 0; i < 20000; ++i) {
    const std::lock_guard hold(lock);
    Step(opened, model, random, 5000);
  }
  builder.join();
  ExpectEqual(opened, model);
}

TEST(IdMap, AnEmptyMapHasACheckpointToo) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  IdMap map;
  auto writer = CheckpointWriter::Create(*files, dir / "c");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(map.WriteTo(**writer, 0, [](uint32_t) { return false; }).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  auto reader = CheckpointReader::Open(*files, dir / "c");
  ASSERT_TRUE(reader.ok());
  IdMap opened;
  ASSERT_TRUE(opened.OpenFrom(**reader, 0).ok());
  EXPECT_EQ(opened.size(), 0U);
  ASSERT_TRUE(opened.Reserve(1, 1, 1).ok());
  EXPECT_EQ(opened.Insert(0, "a", 1, 2), std::nullopt);
  EXPECT_EQ(opened.Find("a"), 0U);
}

// Damage that no CRC was asked about yet must not lead a reader out of the memory.
TEST(IdMap, SurvivesEveryFlippedByteOfAnUnverifiedCheckpoint) {
  const TempDir dir;
  const auto files = NewPosixFileSystem();
  IdMap map;
  constexpr uint32_t kIds = 60;
  ASSERT_TRUE(map.Reserve(kIds, kIds, kIds * 8).ok());
  for (uint32_t i = 0; i < kIds; ++i) map.Insert(i, "id" + std::to_string(i), i, 0);
  const auto all = [](uint32_t) { return true; };
  auto writer = CheckpointWriter::Create(*files, dir / "c");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(map.WriteTo(**writer, kIds, all).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  const std::string bytes = *files->ReadAll(dir / "c/small");
  for (size_t at = 0; at < bytes.size(); at += at % 4096 < 1100 ? 1 : 64) {
    auto file = files->Open(dir / "c/small", OpenMode::kReadWrite);
    const auto flipped = static_cast<char>(bytes[at] ^ 0x5a);
    ASSERT_TRUE((*file)->Write(at, {&flipped, 1}).ok());
    auto reader = CheckpointReader::Open(*files, dir / "c");
    ASSERT_TRUE(reader.ok());
    IdMap opened;
    ASSERT_TRUE(opened.OpenFrom(**reader, kIds).ok());
    for (uint32_t slot = 0; slot < kIds; ++slot) {
      EXPECT_LE(opened.Id(slot).size(), 256U);
      opened.Find("id" + std::to_string(slot));
    }
    EXPECT_EQ((*reader)->VerifyAll().code(), absl::StatusCode::kDataLoss) << at;
    ASSERT_TRUE((*file)->Write(at, {&bytes[at], 1}).ok());
  }
}

TEST(IdMap, EveryFailureOfTheDiskWhileWritingIsAnError) {
  const auto real = NewPosixFileSystem();
  IdMap map;
  ASSERT_TRUE(map.Reserve(10, 10, 100).ok());
  for (uint32_t i = 0; i < 10; ++i) map.Insert(i, std::to_string(i), i, 0);
  uint64_t n = 1;
  for (bool failed = true; failed; ++n) {
    const TempDir dir;
    FaultFileSystem files(*real);
    files.FailAt(n, absl::ResourceExhaustedError("full"));
    const auto write = [&]() -> absl::Status {
      ASSIGN_OR_RETURN(const auto writer, CheckpointWriter::Create(files, dir / "c"));
      RETURN_IF_ERROR(map.WriteTo(*writer, 10, [](uint32_t) { return true; }));
      return writer->Finish();
    };
    const absl::Status status = write();
    failed = files.failed_count() > 0;
    EXPECT_EQ(status.ok(), !failed) << n;
  }
  EXPECT_GT(n, 8U);
}

}  // namespace
}  // namespace vectron::index
