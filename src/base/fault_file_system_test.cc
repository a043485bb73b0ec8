#include "base/fault_file_system.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/temp_dir.h"

namespace vectron {
namespace {

TEST(FaultFileSystem, FailsTheNthOperationAndAllAfterIt) {
  const TempDir dir;
  const auto real = NewPosixFileSystem();
  FaultFileSystem files(*real);
  files.FailAt(3, absl::ResourceExhaustedError("full"));
  auto file = files.Open(dir / "a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Write(0, "x").ok());
  EXPECT_EQ((*file)->Write(1, "y").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*file)->Sync().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(files.operation_count(), 4U);
  EXPECT_EQ(files.failed_count(), 2U);
  files.Heal();
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_EQ(*files.ReadAll(dir / "a"), "x");
}

TEST(FaultFileSystem, CanFailOnceAndOnlyChosenKinds) {
  const TempDir dir;
  const auto real = NewPosixFileSystem();
  FaultFileSystem files(*real);
  files.FailAt(1, {.status = absl::DataLossError("bad sector"), .kinds = kFaultSync, .once = true});
  auto file = files.Open(dir / "a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->Write(0, "x").ok());
  EXPECT_EQ((*file)->Sync().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE((*file)->Sync().ok());
}

TEST(FaultFileSystem, AShortWriteLeavesHalfOfTheBytes) {
  const TempDir dir;
  const auto real = NewPosixFileSystem();
  FaultFileSystem files(*real);
  auto file = files.Open(dir / "a", OpenMode::kCreate);
  ASSERT_TRUE(file.ok());
  files.FailAt(1,
               {.status = absl::DataLossError("torn"), .kinds = kFaultWrite, .short_write = true});
  EXPECT_FALSE((*file)->Write(0, "abcdef").ok());
  files.Heal();
  EXPECT_EQ(*files.ReadAll(dir / "a"), "abc");
}

TEST(FaultFileSystem, WritesAtomicallyIntoTheFolderItRunsIn) {
  const TempDir dir;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  const auto real = NewPosixFileSystem();
  FaultFileSystem files(*real);
  EXPECT_TRUE(real->WriteAtomically("a", "1").ok());
  EXPECT_TRUE(files.WriteAtomically("b", "2").ok());
  std::filesystem::current_path(before);
  EXPECT_EQ(*real->ReadAll(dir / "a"), "1");
  EXPECT_EQ(*real->ReadAll(dir / "b"), "2");
}

TEST(FaultFileSystem, WriteAtomicallyLeavesTheOldFileWhereverItFails) {
  const TempDir dir;
  const auto real = NewPosixFileSystem();
  FaultFileSystem files(*real);
  ASSERT_TRUE(files.WriteAtomically(dir / "a", "old").ok());
  uint64_t n = 1;
  for (bool failed = true; failed; ++n) {
    files.FailAt(n, absl::ResourceExhaustedError("full"));
    failed = !files.WriteAtomically(dir / "a", "new").ok();
    const std::string seen = *real->ReadAll(dir / "a");
    EXPECT_TRUE(seen == "new" || (failed && seen == "old")) << n << ": " << seen;
  }
  EXPECT_EQ(n, 7U);  // open, write, sync, rename, sync of the folder; then none
}

}  // namespace
}  // namespace vectron
