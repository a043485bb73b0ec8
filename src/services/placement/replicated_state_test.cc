#include "services/placement/replicated_state.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/temp_dir.h"

namespace vectron::placement {
namespace {

class ReplicatedStateTest : public ::testing::Test {
 protected:
  std::unique_ptr<ReplicatedState> Open(const std::string& name) {
    auto state = ReplicatedState::Open(*files_, dir_ / name, /*seed=*/1);
    CHECK_OK(state.status());
    return *std::move(state);
  }
  static shard::Entry Registration(uint64_t index, const std::string& uid) {
    return {.term = 1,
            .index = index,
            .command = EncodeCommand(
                {.proposal = 0, .body = RegisterWorker{.profile = {.node_uid = uid}}})};
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
};

TEST_F(ReplicatedStateTest, ACopyMakesUpForAnEntryThatCannotBeApplied) {
  const std::unique_ptr<ReplicatedState> other = Open("other");
  other->Apply({Registration(1, "a"), Registration(2, "b")});
  ASSERT_TRUE(files_->MakeDirs(dir_ / "copy").ok());
  ASSERT_EQ(*other->WriteFiles(dir_ / "copy"), 2u);

  const std::unique_ptr<ReplicatedState> damaged = Open("damaged");
  damaged->Apply({Registration(1, "a"), {.term = 1, .index = 2, .command = "no command"}});
  damaged->Apply({Registration(3, "c")});
  EXPECT_EQ(damaged->applied_index(), 1u) << "nothing after it";
  ASSERT_TRUE(damaged->InstallFiles(dir_ / "copy", 2).ok());
  damaged->Apply({Registration(3, "c")});
  EXPECT_EQ(damaged->applied_index(), 3u);
  other->Apply({Registration(3, "c")});
  const auto bytes = [](const ClusterState& state) { return state.Encode(); };
  EXPECT_EQ(damaged->With(bytes), other->With(bytes));
}

}  // namespace
}  // namespace vectron::placement
