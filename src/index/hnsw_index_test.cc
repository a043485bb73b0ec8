#include "index/hnsw_index.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "base/executor.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "index/index_testing.h"
#include "index/memory_vector_index.h"

namespace vectron::index {
namespace {

using ::testing::Values;

// One operation after another on an index and its twin.
class Pair {
 public:
  Pair(const IndexOptions& options, const IndexTuning& tuning, const std::string& dir)
      : options_(options), tuning_(tuning), dir_(dir), files_(NewPosixFileSystem()) {
    index_ = *HnswIndex::CreateIn(options, *files_, dir + "/work", tuning);
    twin_ = *MemoryVectorIndex::Create(options, *files_);
  }

  HnswIndex& index() { return *index_; }
  VectorIndex& twin() { return *twin_; }
  const std::set<std::string>& ids() const { return ids_; }
  const std::vector<uint32_t>& freed() const { return freed_; }

  void Upsert(const std::string& id, const std::vector<float>& vector) {
    ASSERT_TRUE(index_->Reserve(1).ok());
    version_ += 1;
    const Row row{.id = id, .vector = vector, .version = version_, .flags = 7};
    const uint32_t slot = index_->Upsert(row);
    twin_->Upsert(row);
    ids_.insert(id);
    slots_[id] = slot;
  }
  void Remove(const std::string& id) {
    ASSERT_EQ(index_->Remove(id).has_value(), twin_->Remove(id).has_value());
    ids_.erase(id);
    slots_.erase(id);
  }
  void Commit() {
    version_ += 1;
    index_->Commit(version_);
    twin_->Commit(version_);
    const std::vector<uint32_t> freed = index_->TakeFreedSlots();
    freed_.insert(freed_.end(), freed.begin(), freed.end());
    twin_->TakeFreedSlots();
  }
  // The ids of an answer, and the distances side by side with the twin's.
  void ExpectSame(const SearchResult& got, const SearchResult& wanted, const std::string& what) {
    ASSERT_EQ(got.hits.size(), wanted.hits.size()) << what;
    for (size_t i = 0; i < got.hits.size(); ++i) {
      const float tolerance = 1e-4F * (1 + std::fabs(wanted.hits[i].distance));
      ASSERT_NEAR(got.hits[i].distance, wanted.hits[i].distance, tolerance) << what << " hit " << i;
    }
  }
  SlotSet FilterOf(const std::set<std::string>& ids) const {
    SlotSet set;
    for (const std::string& id : ids) {
      const auto found = slots_.find(id);
      if (found == slots_.end()) continue;
      const uint32_t slot = found->second;
      if (set.words.size() <= slot / 64) set.words.resize(slot / 64 + 1);
      set.words[slot / 64] |= uint64_t{1} << (slot % 64);
      set.count += 1;
    }
    return set;
  }
  // Writes a checkpoint and goes on with the index opened from it.
  void Reopen() {
    const std::string folder = dir_ + "/checkpoint" + std::to_string(++checkpoints_);
    const CheckpointCut cut = index_->BeginCheckpoint();
    ASSERT_TRUE(index_->WriteCheckpoint(cut, folder).ok());
    index_->CheckpointPublished(cut);
    index_.reset();
    auto opened = HnswIndex::OpenIn(options_, *files_, folder,
                                    dir_ + "/work" + std::to_string(checkpoints_), tuning_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    index_ = *std::move(opened);
    ASSERT_EQ(index_->applied_index(), cut.applied_index);
  }
  FileSystem& files() { return *files_; }

 private:
  const IndexOptions options_;
  const IndexTuning tuning_;
  const std::string dir_;
  std::unique_ptr<FileSystem> files_;
  std::unique_ptr<HnswIndex> index_;
  std::unique_ptr<VectorIndex> twin_;
  std::set<std::string> ids_;
  std::map<std::string, uint32_t> slots_;
  std::vector<uint32_t> freed_;
  uint64_t version_ = 0;
  int checkpoints_ = 0;
};

struct StormCase {
  Metric metric;
  VectorStorage storage;
  bool in_memory;
};

class HnswIndexStorm : public ::testing::TestWithParam<StormCase> {};

// The ids that the filter of the given kind passes.
std::set<std::string> Pick(const std::set<std::string>& ids, Random& random) {
  const uint64_t kind = random.Below(5);
  std::set<std::string> picked;
  for (const std::string& id : ids) {
    const bool take = kind == 0   ? false
                      : kind == 1 ? random.OneIn(50)
                      : kind == 2 ? random.OneIn(5)
                      : kind == 3 ? random.OneIn(2)
                                  : !random.OneIn(10);
    if (take) picked.insert(id);
  }
  return picked;
}

TEST_P(HnswIndexStorm, AnswersAsTheTwinDoes) {
  const uint64_t seed = 20260801;
  SCOPED_TRACE(seed);
  Random random(seed);
  const TempDir dir;
  IndexOptions options = SmallOptions(GetParam().metric);
  options.storage = GetParam().storage;
  options.vectors_in_memory = GetParam().in_memory;
  Pair pair(options, SmallTuning(), dir.path());
  InlineExecutor executor;
  double recall = 0;
  int searches = 0;
  for (int step = 0; step < 1500; ++step) {
    const uint64_t writes = random.Below(6);
    for (uint64_t i = 0; i < writes; ++i) {
      const std::string id = "point-" + std::to_string(random.Below(600));
      if (random.OneIn(4)) {
        pair.Remove(id);
      } else {
        pair.Upsert(id, RandomVector(random, options.dimension));
      }
    }
    pair.Commit();
    if (random.OneIn(3)) pair.index().Build(executor);
    if (step % 50 == 49) {
      BuildAll(pair.index(), executor);
      ASSERT_TRUE(pair.index().CheckGraph().ok()) << step << pair.index().CheckGraph();
    }
    if (step % 300 == 299) {
      pair.Reopen();
      if (random.OneIn(2)) {
        const absl::Status status = pair.index().VerifyAndAdopt();
        ASSERT_TRUE(status.ok()) << status;
      }
    }
    const std::vector<float> query = RandomVector(random, options.dimension);
    SearchOptions search{.k = static_cast<uint32_t>(1 + random.Below(20))};
    SlotSet filter;
    std::optional<SlotSet> twin_filter;
    const Snapshot snapshot = pair.index().TakeSnapshot();
    const Snapshot twin_snapshot = pair.twin().TakeSnapshot();
    SearchOptions twin_search = search;
    if (random.OneIn(2)) {
      const std::set<std::string> picked = Pick(pair.ids(), random);
      filter = pair.FilterOf(picked);
      search.filter = &filter;
      twin_filter.emplace();
      for (const std::string& id : picked) {
        const uint32_t slot = pair.twin().Find(id)->slot;
        if (twin_filter->words.size() <= slot / 64) twin_filter->words.resize(slot / 64 + 1);
        twin_filter->words[slot / 64] |= uint64_t{1} << (slot % 64);
        twin_filter->count += 1;
      }
      twin_search.filter = &*twin_filter;
    }
    const auto wanted = pair.twin().Search(twin_snapshot, query, twin_search);
    const auto got = pair.index().Search(snapshot, query, search);
    ASSERT_TRUE(wanted.ok() && got.ok());
    ASSERT_EQ(got->hits.size(), wanted->hits.size()) << "step " << step;
    for (const Hit& hit : got->hits) ASSERT_EQ(hit.flags, 7);
    recall += RecallOf(*got, *wanted);
    searches += 1;
    search.exact = true;
    const auto exact = pair.index().Search(snapshot, query, search);
    ASSERT_TRUE(exact.ok());
    if (options.storage == VectorStorage::kF32) {
      pair.ExpectSame(*exact, *wanted, "step " + std::to_string(step));
    }
  }
  // Graphs by inner product are known to be the weaker ones.
  EXPECT_GE(recall / searches, options.metric == Metric::kDot ? 0.95 : 0.97);
  EXPECT_FALSE(pair.freed().empty());
  EXPECT_TRUE(pair.index().stats().has_graph);
}

INSTANTIATE_TEST_SUITE_P(All, HnswIndexStorm,
                         Values(StormCase{Metric::kEuclidean, VectorStorage::kF32, false},
                                StormCase{Metric::kCosine, VectorStorage::kF32, true},
                                StormCase{Metric::kDot, VectorStorage::kF32, false},
                                StormCase{Metric::kCosine, VectorStorage::kF16, false}));

}  // namespace
}  // namespace vectron::index
