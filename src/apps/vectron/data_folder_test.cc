#include "apps/vectron/data_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron {
namespace {

using ::testing::HasSubstr;

class DataFolderTest : public testing::Test {
 protected:
  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

TEST_F(DataFolderTest, RefusesASecondOwnerAndNamesTheFirst) {
  const std::string path = dir_ / "data";
  {
    const auto first = DataFolder::Open(path, *files_);
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = DataFolder::Open(path, *files_);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(MessageOf(second.status())), HasSubstr(std::to_string(::getpid())));
  }
  EXPECT_TRUE(DataFolder::Open(path, *files_).ok());
}

TEST_F(DataFolderTest, RefusesAFolderOfSomethingElse) {
  ASSERT_TRUE(files_->WriteAtomically(dir_ / "letter.txt", "dear").ok());
  const auto folder = DataFolder::Open(dir_.path(), *files_);
  EXPECT_EQ(folder.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(MessageOf(folder.status())), HasSubstr("letter.txt"));
}

TEST_F(DataFolderTest, IsClosedToOthersUnlessItIsSomebodyElses) {
  namespace fs = std::filesystem;
  const auto others = [](const std::string& path) {
    return fs::status(path).permissions() & fs::perms::others_all;
  };
  for (const char* name : {"ours", "foreign"}) {
    ASSERT_TRUE(files_->MakeDirs(dir_ / name).ok());
    fs::permissions(dir_ / name, fs::perms(0755));
  }
  ASSERT_TRUE(files_->WriteAtomically(dir_ / "foreign/letter.txt", "dear").ok());
  EXPECT_TRUE(DataFolder::Open(dir_ / "ours", *files_).ok());
  EXPECT_EQ(others(dir_ / "ours"), fs::perms::none);
  EXPECT_FALSE(DataFolder::Open(dir_ / "foreign", *files_).ok());
  EXPECT_EQ(others(dir_ / "foreign"), fs::perms(05));
}

TEST_F(DataFolderTest, RefusesANewerFormatAndADamagedOne) {
  ASSERT_TRUE(files_->WriteAtomically(dir_ / "FORMAT", "vectron data folder, format 2\n").ok());
  EXPECT_EQ(DataFolder::Open(dir_.path(), *files_).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (const char* text : {"", "vectron", "vectron data folder, format \n",
                           "vectron data folder, format 1", "vectron data folder, format 1\n\n",
                           "vectron data folder, format 0\n", "wectron data folder, format 1\n"}) {
    ASSERT_TRUE(files_->WriteAtomically(dir_ / "FORMAT", text).ok());
    EXPECT_EQ(DataFolder::Open(dir_.path(), *files_).status().code(), absl::StatusCode::kDataLoss)
        << text;
  }
}

}  // namespace
}  // namespace vectron
