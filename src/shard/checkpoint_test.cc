#include "shard/checkpoint.h"

#include <filesystem>

#include "base/temp_dir.h"
#include "gtest/gtest.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

TEST(CheckpointImage, ComesBackAndNoDamagePasses) {
  const StateMachine::Image image{7, 3, "requests", std::string("fil\0ters", 8)};
  const std::string bytes = EncodeImage(image);
  const auto back = DecodeImage(bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->applied_index, 7u);
  EXPECT_EQ(back->points, 3u);
  EXPECT_EQ(back->requests, image.requests);
  EXPECT_EQ(back->filters, image.filters);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeImage(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeImage(damaged).ok()) << bit;
  }
}

TEST(CheckpointFolder, RemovesWhatAnInterruptedWriteLeft) {
  TempDir dir;
  TestFiles files;
  for (const char* name : {"writing/index", "work-3", "checkpoint-0000000000000002", "other"}) {
    std::filesystem::create_directories(dir / name);
  }
  CheckpointFolder folder(files, dir.path());
  ASSERT_TRUE(folder.Open().ok());
  ASSERT_EQ(folder.List().size(), 1u);
  EXPECT_EQ(folder.List()[0].number, 2u);
  EXPECT_FALSE(std::filesystem::exists(dir / "writing"));
  EXPECT_FALSE(std::filesystem::exists(dir / "work-3"));
  EXPECT_TRUE(std::filesystem::exists(dir / "other"));
}

TEST(CheckpointFolder, ShardKeepsOnlyTheNewestAndTellsTheLog) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  for (int round = 1; round <= 3; ++round) {
    ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
    ASSERT_TRUE(test.shard().FlushAll().ok());
    EXPECT_EQ(test.log().needed(), static_cast<uint64_t>(round));
    EXPECT_EQ(test.log().wished(), static_cast<uint64_t>(round));
  }
  int checkpoints = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test.dir() / "shard/index")) {
    if (entry.path().filename().string().starts_with("checkpoint-")) ++checkpoints;
  }
  EXPECT_EQ(checkpoints, 1);
}

// Refuses to write while told so.
class FullFiles : public TestFiles {
 public:
  bool full = false;
  absl::Status WriteAtomically(const std::string& path, std::string_view bytes) override {
    return full ? absl::ResourceExhaustedError("no space")
                : TestFiles::WriteAtomically(path, bytes);
  }
};

TEST(CheckpointFolder, FailedWriteLeavesTheOlderOne) {
  FullFiles files;
  TestShard test(TestSchema(1));
  test.parts().create_index = [&](const std::string&) {
    return index::MemoryVectorIndex::Create(test.index_options(), files);
  };
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  ASSERT_TRUE(test.shard().FlushAll().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("b", {2}), "", false}).ok());
  files.full = true;
  EXPECT_EQ(test.shard().FlushAll().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(test.log().needed(), 2u);  // the store is flushed all the same
  EXPECT_EQ(test.log().wished(), 1u);
  EXPECT_FALSE(std::filesystem::exists(test.dir() / "shard/index/writing"));
  EXPECT_EQ(test.Search(Nearest({1}))->hits.size(), 2u);
  test.CrashAndOpen();
  EXPECT_EQ(test.Search(Nearest({1}))->hits.size(), 2u);
  files.full = false;
  ASSERT_TRUE(test.shard().FlushAll().ok());
  EXPECT_EQ(test.log().wished(), 2u);
}

TEST(CheckpointFolder, PauseInWritesMakesACheckpoint) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  test.clock().AdvanceMillis(1'000);
  test.shard().Tick();
  EXPECT_EQ(test.log().wished(), 0u);
  test.clock().AdvanceMillis(1'000);
  test.shard().Tick();
  EXPECT_EQ(test.log().wished(), 1u);
}

TEST(CheckpointFolder, CheckpointAheadOfTheStoreIsDropped) {
  TestShard test(TestSchema(1));
  ASSERT_TRUE(test.Open().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("a", {1}), "", false}).ok());
  ASSERT_TRUE(test.kv().Flush().ok());
  ASSERT_TRUE(test.Upsert({OnePoint("b", {1}), "", false}).ok());
  // The store forgets what the checkpoint at its end has: as if it were put back from an older
  // copy.
  const std::string index = test.dir() / "shard/index";
  test.CrashAndOpen();
  ASSERT_TRUE(test.shard().FlushAll().ok());
  std::filesystem::copy(index, test.dir() / "saved", std::filesystem::copy_options::recursive);
  test.Close();
  TestShard older(TestSchema(1));
  std::filesystem::create_directories(older.dir() / "shard");
  std::filesystem::copy(test.dir() / "saved", older.dir() / "shard/index",
                        std::filesystem::copy_options::recursive);
  ASSERT_TRUE(older.Open().ok());
  EXPECT_TRUE(older.Search(Nearest({1}))->hits.empty());
  EXPECT_EQ(older.shard().stats().points, 0u);
}

}  // namespace
}  // namespace vectron::shard
