#include "services/placement/local_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"

namespace vectron::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Remembers which shards exist; fails on demand.
class FakeHost : public rpc::ShardHostApi {
 public:
  absl::Status CreateShard(const rpc::ShardAssignment& assignment) override {
    if (creations_left_ == 0) return ResourceExhausted("no space");
    --creations_left_;
    stored_.insert(assignment.group);
    return absl::OkStatus();
  }
  absl::Status DestroyShard(GroupId group) override {
    if (refuse_destroy_) return Internal("busy");
    stored_.erase(group);
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<GroupId>> StoredShards() override {
    return std::vector<GroupId>(stored_.begin(), stored_.end());
  }

  std::set<GroupId> stored_;
  int creations_left_ = 1'000'000;
  bool refuse_destroy_ = false;
};

class LocalCatalogTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<LocalCatalog>> TryOpen() {
    return LocalCatalog::Open(
        path_, {.files = files_.get(), .clock = &clock_, .host = &host_, .executor = &executor_});
  }
  std::unique_ptr<LocalCatalog> Open() {
    absl::StatusOr<std::unique_ptr<LocalCatalog>> catalog = TryOpen();
    CHECK_OK(catalog.status());
    CHECK_OK((*catalog)->Reconcile());
    return *std::move(catalog);
  }
  static absl::Status Create(LocalCatalog& catalog, const CollectionSchema& schema,
                             const std::string& owner = "") {
    absl::Status result = Internal("not called");
    catalog.CreateCollection(schema, owner,
                             [&](absl::Status status) { result = std::move(status); });
    return result;
  }
  static absl::Status Delete(LocalCatalog& catalog, const std::string& name) {
    absl::Status result = Internal("not called");
    catalog.DeleteCollection("", name, [&](absl::Status status) { result = std::move(status); });
    return result;
  }
  static std::vector<std::string> Names(LocalCatalog& catalog, const std::string& owner = "") {
    std::vector<std::string> names;
    for (const RecordPtr& record : catalog.ListCollections(owner)) {
      names.push_back(record->schema.name);
    }
    return names;
  }
  static CollectionSchema Schema(const std::string& name, uint32_t shards = 1) {
    CollectionSchema schema;
    schema.name = name;
    schema.dimension = 4;
    schema.shard_count = shards;
    return schema;
  }

  TempDir dir_;
  const std::string path_ = dir_ / "catalog";
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  SystemClock clock_;
  InlineExecutor executor_;
  FakeHost host_;
};

TEST_F(LocalCatalogTest, CreatedCollectionsOutliveARestart) {
  {
    auto catalog = Open();
    CollectionSchema schema = Schema("docs", 3);
    schema.metric = Metric::kCosine;
    schema.payload_indexes = {{.field = "tags[]", .type = PayloadType::kKeyword}};
    ASSERT_TRUE(Create(*catalog, schema).ok());
    ASSERT_TRUE(Create(*catalog, Schema("books")).ok());
  }
  auto catalog = Open();
  EXPECT_THAT(Names(*catalog), ElementsAre("books", "docs"));
  const RecordPtr docs = catalog->FindCollection("", "docs");
  ASSERT_NE(docs, nullptr);
  EXPECT_EQ(docs->schema.metric, Metric::kCosine);
  ASSERT_EQ(docs->schema.payload_indexes.size(), 1U);
  EXPECT_EQ(docs->schema.payload_indexes[0].field, "tags[]");
  ASSERT_EQ(docs->shards.size(), 3U);
  EXPECT_EQ(docs->shards[2].ordinal.value, 2U);
  EXPECT_TRUE(docs->shards[2].ready);
  EXPECT_EQ(catalog->Assignments().size(), 4U);
  EXPECT_EQ(host_.stored_.size(), 4U);
}

TEST_F(LocalCatalogTest, RefusesATakenNameAndAnUnknownOne) {
  auto catalog = Open();
  ASSERT_TRUE(Create(*catalog, Schema("docs")).ok());
  EXPECT_EQ(Create(*catalog, Schema("docs")).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Delete(*catalog, "other").code(), absl::StatusCode::kNotFound);
}

TEST_F(LocalCatalogTest, KeepsNamesOfDifferentOwnersApart) {
  auto catalog = Open();
  ASSERT_TRUE(Create(*catalog, Schema("docs"), "ann").ok());
  ASSERT_TRUE(Create(*catalog, Schema("docs"), "bob").ok());
  EXPECT_THAT(Names(*catalog, "ann"), ElementsAre("docs"));
  EXPECT_THAT(Names(*catalog), IsEmpty());
  EXPECT_EQ(catalog->FindCollection("", "docs"), nullptr);
}

TEST_F(LocalCatalogTest, RefusesMoreReplicasThanWorkers) {
  auto catalog = Open();
  CollectionSchema schema = Schema("docs");
  schema.replication_factor = 2;
  EXPECT_EQ(Create(*catalog, schema).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(LocalCatalogTest, NeverGivesOutAGroupTwice) {
  std::set<uint64_t> seen;
  for (int round = 0; round < 3; ++round) {
    auto catalog = Open();
    ASSERT_TRUE(Create(*catalog, Schema("docs", 2)).ok());
    for (const rpc::ShardPlacement& shard : catalog->FindCollection("", "docs")->shards) {
      EXPECT_TRUE(seen.insert(shard.group.value).second) << shard.group.value;
    }
    ASSERT_TRUE(Delete(*catalog, "docs").ok());
  }
  EXPECT_THAT(host_.stored_, IsEmpty());
}

TEST_F(LocalCatalogTest, TakesBackACreationWhoseShardsCannotBeMade) {
  auto catalog = Open();
  host_.creations_left_ = 2;
  const absl::Status status = Create(*catalog, Schema("docs", 3));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(MessageOf(status)), HasSubstr("docs"));
  EXPECT_THAT(host_.stored_, IsEmpty());
  host_.creations_left_ = 3;
  EXPECT_TRUE(Create(*catalog, Schema("docs", 3)).ok());
}

TEST_F(LocalCatalogTest, ClearsACreationThatACrashCutShort) {
  {
    CatalogState state;
    const auto record = state.BeginCreate(Schema("docs", 2), "", 1, WorkerId{1});
    ASSERT_TRUE(record.ok());
    ASSERT_TRUE(files_->WriteAtomically(path_, state.Encode()).ok());
    host_.stored_ = {(*record)->shards[0].group};
  }
  auto catalog = Open();
  EXPECT_THAT(Names(*catalog), IsEmpty());
  EXPECT_THAT(host_.stored_, IsEmpty());
  EXPECT_TRUE(Create(*catalog, Schema("docs")).ok());
  EXPECT_EQ(catalog->FindCollection("", "docs")->shards[0].group.value, 3U);
}

TEST_F(LocalCatalogTest, FinishesADeletionAtTheNextStart) {
  {
    auto catalog = Open();
    ASSERT_TRUE(Create(*catalog, Schema("docs")).ok());
    host_.refuse_destroy_ = true;
    ASSERT_TRUE(Delete(*catalog, "docs").ok());
    EXPECT_THAT(Names(*catalog), IsEmpty());
    EXPECT_EQ(host_.stored_.size(), 1U);
  }
  host_.refuse_destroy_ = false;
  auto catalog = Open();
  EXPECT_THAT(host_.stored_, IsEmpty());
}

TEST_F(LocalCatalogTest, BoundsTheShardsOfANode) {
  auto catalog = Open();
  uint32_t left = kMaxCollections;
  for (int i = 0; left > 0; ++i) {
    const uint32_t shards = std::min(left, kMaxShardsPerCollection);
    ASSERT_TRUE(Create(*catalog, Schema(fmt::format("c{}", i), shards)).ok());
    left -= shards;
  }
  EXPECT_EQ(Create(*catalog, Schema("more")).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(LocalCatalogTest, RefusesToStartWithoutItsFileBesideShards) {
  host_.stored_ = {GroupId{7}};
  const auto catalog = TryOpen();
  EXPECT_EQ(catalog.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(MessageOf(catalog.status())), HasSubstr(path_));
}

TEST_F(LocalCatalogTest, RefusesEveryFlippedByteAndEveryTruncation) {
  { ASSERT_TRUE(Create(*Open(), Schema("docs", 2)).ok()); }
  const std::string bytes = *files_->ReadAll(path_);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    EXPECT_FALSE(CatalogState::Decode(flipped).ok()) << i;
    EXPECT_FALSE(CatalogState::Decode(bytes.substr(0, i)).ok()) << i;
  }
  ASSERT_TRUE(files_->WriteAtomically(path_, bytes.substr(1)).ok());
  const auto catalog = TryOpen();
  EXPECT_EQ(catalog.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(MessageOf(catalog.status())), HasSubstr(path_));
}

TEST(CatalogState, DecodesWhatItEncodes) {
  const uint64_t seed = SeedFromSystem();
  SCOPED_TRACE(seed);
  Random random(seed);
  CatalogState state;
  for (int step = 0; step < 300; ++step) {
    CollectionSchema schema;
    schema.name = fmt::format("c{}", random.Below(20));
    schema.dimension = 1 + static_cast<uint32_t>(random.Below(100));
    schema.shard_count = 1 + static_cast<uint32_t>(random.Below(5));
    const CatalogState::Key key{"", schema.name};
    switch (random.Below(4)) {
      case 0:
        (void)state.BeginCreate(schema, "", step, WorkerId{1});
        break;
      case 1:
        (void)state.FinishCreate(key);
        break;
      case 2:
        (void)state.Remove(key);
        break;
      default:
        if (!state.doomed().empty()) state.Forget(*state.doomed().begin());
    }
    const std::string bytes = state.Encode();
    const auto decoded = CatalogState::Decode(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->Encode(), bytes);
    EXPECT_EQ(decoded->next_group(), state.next_group());
  }
}

}  // namespace
}  // namespace vectron::placement
