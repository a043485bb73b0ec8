#include "shard/log_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "storage/memory_kv.h"

namespace vectron::shard {
namespace {

constexpr GroupId kGroup{7};
constexpr GroupId kOther{8};
constexpr size_t kCacheBytes = 4'096;

std::vector<Entry> Entries(uint64_t first, uint64_t count, uint64_t term = 1) {
  std::vector<Entry> entries;
  for (uint64_t i = first; i < first + count; ++i) {
    entries.push_back(
        {.term = term, .index = i, .command = std::to_string(i) + "@" + std::to_string(term)});
  }
  return entries;
}

// Over the memory twin, which `kv` keeps a view of.
std::unique_ptr<LogStore> OverMemory(storage::MemoryKv*& kv, size_t cache = kCacheBytes) {
  auto owned = std::make_unique<storage::MemoryKv>(2, storage::WriteAheadLog::kOn);
  kv = owned.get();
  auto store = LogStore::Over(std::move(owned), "log", cache);
  CHECK_OK(store.status());
  return std::move(*store);
}

void MustAppend(LogStore& store, GroupId group, const std::vector<Entry>& entries) {
  CHECK_OK(store.Append({{.group = group, .entries = &entries, .hard_state = {}}}));
}

std::string Text(const absl::StatusOr<std::vector<Entry>>& entries) {
  if (!entries.ok()) return std::string(absl::StatusCodeToString(entries.status().code()));
  std::string text;
  for (const Entry& entry : *entries) text += entry.command + " ";
  return text;
}

TEST(LogStore, ReadsBackWhatWasAppended) {
  storage::MemoryKv* kv = nullptr;
  for (const size_t cache : {size_t{0}, kCacheBytes}) {
    const auto store = OverMemory(kv, cache);
    const auto one = Entries(1, 3);
    const auto two = Entries(1, 1);
    ASSERT_TRUE(store
                    ->Append({{.group = kGroup, .entries = &one, .hard_state = {}},
                              {.group = kOther, .entries = &two, .hard_state = "vote"}})
                    .ok());
    MustAppend(*store, kGroup, Entries(4, 2, 2));
    EXPECT_EQ(Text(store->Read(kGroup, {.first = 1, .last = 5})), "1@1 2@1 3@1 4@2 5@2 ");
    EXPECT_EQ(Text(store->Read(kGroup, {.first = 3, .last = 4})), "3@1 4@2 ");
    EXPECT_EQ(Text(store->Read(kGroup, {.first = 3, .last = 6})), "NOT_FOUND");
    EXPECT_EQ(Text(store->Read(kOther, {.first = 1, .last = 1})), "1@1 ");
    EXPECT_EQ(Text(store->Read(kGroup, {.first = 1, .last = 5, .max_bytes = 4})), "1@1 2@1 ");
    EXPECT_EQ(store->TermOf(kGroup, 3).value(), 1U);
    EXPECT_EQ(store->TermOf(kGroup, 5).value(), 2U);
    EXPECT_EQ(store->ReadHardState(kOther).value(), "vote");
    EXPECT_EQ(store->ReadHardState(kGroup).value(), "");
    EXPECT_EQ(store->Groups(), (std::vector<GroupId>{kGroup, kOther}));
  }
}

TEST(LogStore, AnAppendBelowTheEndReplacesWhatFollows) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv);
  MustAppend(*store, kGroup, Entries(1, 6));
  MustAppend(*store, kGroup, Entries(3, 2, 2));
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 1, .last = 4})), "1@1 2@1 3@2 4@2 ");
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 5, .last = 5})), "NOT_FOUND");
  EXPECT_EQ(store->BytesFrom(kGroup, 1).value(), 12U);
  EXPECT_EQ(store->BytesFrom(kGroup, 3).value(), 6U);
}

TEST(LogStore, CutsFromTheFrontAndCountsWhatIsLeft) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv);
  MustAppend(*store, kGroup, Entries(1, 9));
  ASSERT_TRUE(store->CutBefore(kGroup, 4).ok());
  ASSERT_TRUE(store->CutBefore(kGroup, 2).ok());  // below what is cut: nothing
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 3, .last = 5})), "NOT_FOUND");
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 4, .last = 5})), "4@1 5@1 ");
  EXPECT_EQ(store->Extent(kGroup).first_index, 4U);
  EXPECT_EQ(store->TermOf(kGroup, 3).value(), 1U);  // of the entry just below
  EXPECT_EQ(store->BytesFrom(kGroup, 1).value(), 18U);
  EXPECT_EQ(store->BytesFrom(kGroup, 8).value(), 6U);
  ASSERT_TRUE(store->CutBefore(kGroup, 10).ok());
  EXPECT_EQ(store->TermOf(kGroup, 9).value(), 1U);  // of the last entry, though it is cut
  MustAppend(*store, kGroup, Entries(10, 1));
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 10, .last = 10})), "10@1 ");
}

TEST(LogStore, ARestartedLogBeginsAfterTheGivenIndex) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv);
  MustAppend(*store, kGroup, Entries(1, 3));
  ASSERT_TRUE(store->Restart(kGroup, 100, 5).ok());
  EXPECT_EQ(store->Extent(kGroup).first_index, 101U);
  EXPECT_EQ(store->TermOf(kGroup, 100).value(), 5U);
  MustAppend(*store, kGroup, Entries(101, 1, 6));
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 101, .last = 101})), "101@6 ");
}

TEST(LogStore, ADestroyedGroupLeavesNothing) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv);
  const auto entries = Entries(1, 3);
  ASSERT_TRUE(store->Append({{.group = kGroup, .entries = &entries, .hard_state = "vote"}}).ok());
  MustAppend(*store, kOther, Entries(1, 2));
  ASSERT_TRUE(store->Destroy(kGroup).ok());
  EXPECT_EQ(store->Groups(), (std::vector<GroupId>{kOther}));
  EXPECT_EQ(store->ReadHardState(kGroup).value(), "");
  EXPECT_EQ(store->Extent(kGroup), storage::LogGroupRecord());
  EXPECT_EQ(Text(store->Read(kOther, {.first = 1, .last = 2})), "1@1 2@1 ");
  int keys = 0;
  ASSERT_TRUE(
      kv->Scan(storage::kLogEntries, "", "", nullptr, [&](auto, auto) { return ++keys > 0; }).ok());
  EXPECT_EQ(keys, 2);
}

TEST(LogStore, KeepsTheRecentTailWithinItsBudget) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv, 1'000);
  for (uint64_t i = 1; i <= 100; ++i) {
    for (const GroupId group : {kGroup, kOther}) {
      const std::vector<Entry> entry{{.term = 1, .index = i, .command = std::string(50, 'x')}};
      MustAppend(*store, group, entry);
      EXPECT_LE(store->memory_bytes() - kv->memory_bytes(), 1'000U);
    }
  }
  EXPECT_GT(store->memory_bytes(), kv->memory_bytes());
  EXPECT_EQ(store->Read(kGroup, {.first = 1, .last = 100})->size(), 100U);
}

TEST(LogStore, AMissingEntryIsDataLoss) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv, 0);
  MustAppend(*store, kGroup, Entries(1, 5));
  for (const uint64_t missing : {1U, 3U, 5U}) {
    const std::string key = storage::LogEntryKey({.group = kGroup.value, .index = missing});
    const std::string value = kv->Get(storage::kLogEntries, key).value().value();
    storage::WriteBatch remove;
    remove.Delete(storage::kLogEntries, key);
    ASSERT_TRUE(kv->Write(remove, storage::Kv::Durability::kBuffered).ok());
    EXPECT_TRUE(absl::IsDataLoss(store->Read(kGroup, {.first = 1, .last = 5}).status())) << missing;
    storage::WriteBatch restore;
    restore.Put(storage::kLogEntries, key, value);
    ASSERT_TRUE(kv->Write(restore, storage::Kv::Durability::kBuffered).ok());
  }
  EXPECT_EQ(store->Read(kGroup, {.first = 1, .last = 5})->size(), 5U);
}

TEST(LogStore, AFailedWriteChangesNothingInMemory) {
  storage::MemoryKv* kv = nullptr;
  const auto store = OverMemory(kv);
  MustAppend(*store, kGroup, Entries(1, 2));
  kv->FailWrites(absl::InternalError("no"));
  const auto more = Entries(3, 1);
  EXPECT_FALSE(store->Append({{.group = kGroup, .entries = &more, .hard_state = {}}}).ok());
  EXPECT_FALSE(store->CutBefore(kGroup, 2).ok());
  EXPECT_FALSE(store->Destroy(kGroup).ok());
  EXPECT_EQ(Text(store->Read(kGroup, {.first = 1, .last = 2})), "1@1 2@1 ");
}

// Random appends, replacements, cuts and restarts over RocksDB against plain vectors, reopened now
// and then.
TEST(LogStore, BehavesAsPlainVectorsUnderRandomOperations) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  Random random(seed);
  if (std::filesystem::exists("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
  const TempDir dir;
  storage::RocksResources resources;
  const auto open = [&] {
    auto store = LogStore::Open(dir / "log", resources, random.OneIn(2) ? 0 : 2'000);
    CHECK_OK(store.status());
    return std::move(*store);
  };
  struct Model {
    uint64_t first = 1;
    std::vector<std::string> commands;
  };
  std::map<uint64_t, Model> models;
  auto store = open();
  for (int step = 0; step < 600; ++step) {
    const GroupId group{random.Below(4) + 1};
    Model& model = models[group.value];
    const uint64_t next = model.first + model.commands.size();
    if (random.OneIn(40)) {
      store.reset();
      store = open();
    } else if (random.OneIn(10)) {
      const uint64_t cut = model.first + random.Below(model.commands.size() + 1);
      ASSERT_TRUE(store->CutBefore(group, cut).ok());
      model.commands.erase(model.commands.begin(),
                           model.commands.begin() + static_cast<long>(cut - model.first));
      model.first = cut;
    } else if (random.OneIn(30)) {
      ASSERT_TRUE(store->Destroy(group).ok());
      model = Model();
    } else {
      const uint64_t at =
          random.OneIn(4) ? model.first + random.Below(model.commands.size() + 1) : next;
      model.commands.resize(at - model.first);
      std::vector<Entry> entries;
      for (uint64_t i = at; i <= at + random.Below(5); ++i) {
        entries.push_back(
            {.term = 1,
             .index = i,
             .command = std::string(random.Below(random.OneIn(9) ? 9'000 : 40), 'c')});
        model.commands.push_back(entries.back().command);
      }
      MustAppend(*store, group, entries);
    }
    for (const auto& [id, expected] : models) {
      const storage::LogGroupRecord extent = store->Extent(GroupId{id});
      ASSERT_EQ(extent.first_index, expected.first);
      ASSERT_EQ(extent.next_index, expected.first + expected.commands.size());
      if (expected.commands.empty() || !random.OneIn(4)) continue;
      const uint64_t from = random.Below(expected.commands.size());
      const auto read =
          store->Read(GroupId{id}, {.first = expected.first + from, .last = extent.next_index - 1});
      ASSERT_TRUE(read.ok()) << read.status();
      uint64_t bytes = 0;
      for (size_t i = 0; i < read->size(); ++i) {
        ASSERT_EQ((*read)[i].command, expected.commands[from + i]);
        bytes += (*read)[i].command.size();
      }
      ASSERT_EQ(read->size(), expected.commands.size() - from);
      ASSERT_EQ(store->BytesFrom(GroupId{id}, expected.first + from).value(), bytes);
    }
  }
}

}  // namespace
}  // namespace vectron::shard
