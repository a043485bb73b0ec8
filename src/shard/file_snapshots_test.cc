#include "shard/file_snapshots.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "shard/incoming_snapshot.h"
#include "shard/peer_testing.h"

namespace vectron::shard {
namespace {

constexpr GroupId kGroup{5};

// A state of a few files; what was installed is kept.
class FilesState : public SnapshotState {
 public:
  explicit FilesState(FileSystem& files) : files_(files) {}
  std::map<std::string, std::string> content = {
      {"a", std::string(2'500, 'x')}, {"b", ""}, {"sub/c", "y"}};
  uint64_t index = 10;
  std::string installed;

  void WriteFiles(const std::string& dir,
                  std::function<void(absl::StatusOr<uint64_t>)> done) override {
    for (const auto& [name, bytes] : content) {
      CHECK_OK(files_.MakeDirs(dir + "/sub"));
      CHECK_OK(files_.WriteAtomically(dir + "/" + name, bytes));
    }
    done(index);
  }
  absl::Status InstallFiles(const std::string& dir, uint64_t at) override {
    EXPECT_EQ(at, index);
    installed =
        *files_.ReadAll(dir + "/a") + *files_.ReadAll(dir + "/b") + *files_.ReadAll(dir + "/sub/c");
    return absl::OkStatus();
  }

 private:
  FileSystem& files_;
};

// Two nodes: 1 gives, 2 takes. Inline executors: what is due is done when a call returns, but for
// the network's own thread.
class FileSnapshotsTest : public testing::Test {
 protected:
  FileSnapshotsTest() : giving_(*files_), taking_(*files_) {
    network_.Connect(1, nullptr, &registry_);
    network_.Connect(2, nullptr, &no_registry_);
    giver_ = *MakeFileSnapshots(kGroup, dir_ / "giver", Deps(registry_, one_), giving_);
    taker_ = *MakeFileSnapshots(kGroup, dir_ / "taker", Deps(no_registry_, two_), taking_);
  }
  FileSnapshotsDeps Deps(SnapshotRegistry& registry, LocalNetwork::Endpoint& endpoint) {
    return {.files = files_.get(),
            .background_executor = &executor_,
            .transport = &endpoint,
            .registry = &registry,
            .life = 77};
  }
  SnapshotHandler::Offer Offered(uint64_t min_index) {
    EXPECT_TRUE(absl::IsUnavailable(giver_->MakeOffer(min_index).status()));  // it is made first
    return *giver_->MakeOffer(min_index);
  }
  absl::Status Fetch(const std::string& token) {
    return Answer<absl::Status>([&](std::function<void(absl::Status)> done) {
      taker_->Fetch({1}, token, std::move(done));
    });
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  InlineExecutor executor_;
  LocalNetwork network_;
  LocalNetwork::Endpoint one_{network_, 1};
  LocalNetwork::Endpoint two_{network_, 2};
  SnapshotRegistry registry_{*files_};
  SnapshotRegistry no_registry_{*files_};
  FilesState giving_;
  FilesState taking_;
  std::unique_ptr<SnapshotHandler> giver_;
  std::unique_ptr<SnapshotHandler> taker_;
};

TEST_F(FileSnapshotsTest, BringEveryFile) {
  const auto offer = Offered(10);
  EXPECT_EQ(offer.index, 10U);
  ASSERT_TRUE(Fetch(offer.token).ok());
  ASSERT_TRUE(taker_->Install(offer.token, 10).ok());
  EXPECT_EQ(taking_.installed, std::string(2'500, 'x') + "y");
}

TEST_F(FileSnapshotsTest, MakeANewOneWhenTheOldIsBehind) {
  const auto first = Offered(10);
  EXPECT_EQ(giver_->MakeOffer(5)->token, first.token);
  giving_.index = 20;
  const auto second = Offered(11);
  EXPECT_EQ(second.index, 20U);
  EXPECT_TRUE(absl::IsNotFound(Fetch(first.token)));
}

TEST_F(FileSnapshotsTest, RefuseAChunkWithABadChecksum) {
  const auto offer = Offered(10);
  network_.on_chunk = [](consensus::SnapshotChunk& chunk) {
    if (chunk.at.offset == 1'000) chunk.bytes[3] ^= 1;
    return absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsDataLoss(Fetch(offer.token)));
  EXPECT_FALSE(taker_->Install(offer.token, 10).ok());
  network_.on_chunk = nullptr;
  EXPECT_TRUE(Fetch(offer.token).ok());  // asked again from the beginning
}

TEST_F(FileSnapshotsTest, GoOnWhereTheyWereInterrupted) {
  const auto offer = Offered(10);
  int chunks = 0;
  network_.on_chunk = [&](consensus::SnapshotChunk&) {
    return ++chunks == 3 ? absl::UnavailableError("cable pulled") : absl::OkStatus();
  };
  EXPECT_TRUE(absl::IsUnavailable(Fetch(offer.token)));
  EXPECT_TRUE(Fetch(offer.token).ok());
  EXPECT_EQ(chunks,
            2 + 1 + 3);  // two came, one was lost; it, the empty file and the last one follow
  ASSERT_TRUE(taker_->Install(offer.token, 10).ok());
  EXPECT_EQ(taking_.installed, std::string(2'500, 'x') + "y");
}

TEST_F(FileSnapshotsTest, VerifyWhatIsOnDisk) {
  IncomingSnapshot incoming(*files_, dir_ / "incoming", "t");
  ASSERT_TRUE(incoming.Begin({{"f", 4}}).ok());
  EXPECT_TRUE(absl::IsDataLoss(incoming.Verify()));  // not all of it came
  ASSERT_TRUE(incoming.Write({.at = {}, .bytes = "good", .crc32c = Crc32c("good")}).ok());
  ASSERT_TRUE(files_->WriteAtomically(incoming.dir() + "/f", "baad").ok());
  EXPECT_TRUE(absl::IsDataLoss(incoming.Verify()));
  ASSERT_TRUE(files_->WriteAtomically(incoming.dir() + "/f", "good").ok());
  EXPECT_TRUE(incoming.Verify().ok());
}

TEST_F(FileSnapshotsTest, RefuseNamesThatLeadOutOfTheFolder) {
  for (const char* name : {"../x", "/x", "a/../../x", "", "a//b", "./a", "a/"}) {
    EXPECT_FALSE(IsSafeRelativePath(name)) << name;
    IncomingSnapshot incoming(*files_, dir_ / "incoming", "t");
    EXPECT_TRUE(absl::IsDataLoss(incoming.Begin({{name, 1}}).status())) << name;
  }
  EXPECT_TRUE(IsSafeRelativePath("store/000012.sst"));
}

TEST_F(FileSnapshotsTest, RefuseChunksOutOfOrderOrTooLong) {
  IncomingSnapshot incoming(*files_, dir_ / "incoming", "t");
  ASSERT_TRUE(incoming.Begin({{"f", 4}}).ok());
  const std::string five = "12345";
  EXPECT_TRUE(
      absl::IsDataLoss(incoming.Write({.at = {0, 2}, .bytes = "ab", .crc32c = Crc32c("ab")})));
  EXPECT_TRUE(
      absl::IsDataLoss(incoming.Write({.at = {1, 0}, .bytes = "ab", .crc32c = Crc32c("ab")})));
  EXPECT_TRUE(absl::IsDataLoss(incoming.Write({.at = {}, .bytes = five, .crc32c = Crc32c(five)})));
}

}  // namespace
}  // namespace vectron::shard
