#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "base/work_limit.h"
#include "index/hnsw_index.h"
#include "index/index_testing.h"

namespace vectron::index {
namespace {

class HnswIndexPromises : public ::testing::Test {
 protected:
  std::unique_ptr<HnswIndex> Make(const IndexOptions& options, const IndexTuning& tuning) {
    auto index =
        HnswIndex::CreateIn(options, *files_, dir_ / ("work" + std::to_string(++made_)), tuning);
    CHECK_OK(index.status());
    return *std::move(index);
  }
  std::unique_ptr<HnswIndex> Make() { return Make(SmallOptions(), SmallTuning()); }
  // Rows p0 ... as one commit each hundred, built.
  void Fill(HnswIndex& index, uint32_t rows, uint64_t seed, double size = 1) {
    Random random(seed);
    for (uint32_t i = 0; i < rows; ++i) {
      Put(index, "p" + std::to_string(i), RandomVector(random, kTestDimension, size));
      if (i % 100 == 99) index.Commit(index.applied_index() + 1);
    }
    index.Commit(index.applied_index() + 1);
    BuildAll(index);
  }

  const TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  int made_ = 0;
};

TEST_F(HnswIndexPromises, AnEmptyIndexAnswersNothing) {
  const auto index = Make();
  const Snapshot snapshot = index->TakeSnapshot();
  EXPECT_TRUE(MustSearch(*index, snapshot, std::vector<float>(kTestDimension, 1), {}).hits.empty());
  EXPECT_TRUE(index->CheckGraph().ok());
  EXPECT_FALSE(index->stats().has_graph);
}

TEST_F(HnswIndexPromises, NothingShowsBeforeItsCommit) {
  const auto index = Make();
  Random random(1);
  const std::vector<float> vector = RandomVector(random);
  Put(*index, "a", vector);
  EXPECT_TRUE(MustSearch(*index, index->TakeSnapshot(), vector, {}).hits.empty());
  index->Commit(7);
  EXPECT_EQ(index->applied_index(), 7U);
  const Snapshot snapshot = index->TakeSnapshot();
  EXPECT_EQ(snapshot.applied_index(), 7U);
  const SearchResult result = MustSearch(*index, snapshot, vector, {});
  ASSERT_EQ(result.hits.size(), 1U);
  EXPECT_EQ(result.hits[0].id, "a");
  EXPECT_EQ(result.hits[0].version, 1U);
}

TEST_F(HnswIndexPromises, AnOldSnapshotSeesOldRowsThroughRepairsAndUpdates) {
  const auto index = Make();
  Fill(*index, 600, 2);
  Random random(3);
  const std::optional<Snapshot> old = index->TakeSnapshot();
  std::vector<std::vector<float>> queries;
  std::vector<SearchResult> before;
  for (int i = 0; i < 30; ++i) {
    queries.push_back(RandomVector(random));
    before.push_back(MustSearch(*index, *old, queries.back(), {.exact = true}));
  }
  // Every row is replaced or removed, several repairs run, none of which may hide a row from the
  // old snapshot.
  for (uint32_t i = 0; i < 600; ++i) {
    const std::string id = "p" + std::to_string(i);
    if (i % 2 == 0) {
      Put(*index, id, RandomVector(random), 2);
    } else {
      index->Remove(id);
    }
    if (i % 20 == 19) index->Commit(index->applied_index() + 1);
    if (i % 50 == 49) BuildAll(*index);
  }
  index->Commit(index->applied_index() + 1);
  BuildAll(*index);
  ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
  EXPECT_TRUE(index->TakeFreedSlots().empty());
  double recall = 0;
  for (size_t i = 0; i < queries.size(); ++i) {
    const SearchResult exact = MustSearch(*index, *old, queries[i], {.exact = true});
    EXPECT_EQ(IdsOf(exact), IdsOf(before[i]));
    for (const Hit& hit : exact.hits) EXPECT_EQ(hit.version, 1U);
    recall += RecallOf(MustSearch(*index, *old, queries[i], {}), before[i]);
    for (const Hit& hit : MustSearch(*index, index->TakeSnapshot(), queries[i], {}).hits) {
      EXPECT_EQ(hit.version, 2U);
    }
  }
  EXPECT_GE(recall / static_cast<double>(queries.size()), 0.97);
}

TEST_F(HnswIndexPromises, SlotsAreReusedOnceNobodySeesTheirRows) {
  const auto index = Make();
  Fill(*index, 400, 4);
  std::optional<Snapshot> old = index->TakeSnapshot();
  std::set<uint32_t> removed;
  for (uint32_t i = 0; i < 100; ++i) removed.insert(*index->Remove("p" + std::to_string(i)));
  index->Commit(index->applied_index() + 1);
  BuildAll(*index);
  EXPECT_TRUE(index->TakeFreedSlots().empty());
  old.reset();
  BuildAll(*index);
  const std::vector<uint32_t> freed = index->TakeFreedSlots();
  EXPECT_EQ(std::set<uint32_t>(freed.begin(), freed.end()), removed);
  EXPECT_EQ(index->stats().dead, 0U);
  Random random(5);
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(removed.count(Put(*index, "new" + std::to_string(i), RandomVector(random))), 1U);
  }
}

TEST_F(HnswIndexPromises, SlotsWaitForTheCheckpointThatNeedsThem) {
  const auto index = Make();
  Fill(*index, 400, 6);
  const CheckpointCut cut = index->BeginCheckpoint();
  for (uint32_t i = 0; i < 100; ++i) index->Remove("p" + std::to_string(i));
  index->Commit(index->applied_index() + 1);
  ASSERT_TRUE(index->WriteCheckpoint(cut, dir_ / "one").ok());
  index->CheckpointPublished(cut);
  BuildAll(*index);
  BuildAll(*index);
  EXPECT_TRUE(index->TakeFreedSlots().empty());
  const CheckpointCut next = index->BeginCheckpoint();
  ASSERT_TRUE(index->WriteCheckpoint(next, dir_ / "two").ok());
  EXPECT_TRUE(index->TakeFreedSlots().empty());
  index->CheckpointPublished(next);
  EXPECT_EQ(index->TakeFreedSlots().size(), 100U);
}

TEST_F(HnswIndexPromises, TheEntryPointMayBeRemovedAtAnyTime) {
  const auto index = Make();
  Fill(*index, 500, 7);
  // All but a few go, oldest first, which takes every entry point there was with it.
  for (uint32_t i = 0; i < 495; ++i) {
    index->Remove("p" + std::to_string(i));
    index->Commit(index->applied_index() + 1);
    BuildAll(*index);
    const absl::Status status = i % 25 == 0 ? index->CheckGraph() : absl::OkStatus();
    ASSERT_TRUE(status.ok()) << i << status;
    const Snapshot snapshot = index->TakeSnapshot();
    const SearchResult result =
        MustSearch(*index, snapshot, std::vector<float>(kTestDimension, 0.1F), {.k = 5});
    ASSERT_EQ(result.hits.size(), 5U) << i;
  }
}

TEST_F(HnswIndexPromises, AllRowsMayGoAndOthersCome) {
  const auto index = Make();
  for (int round = 0; round < 3; ++round) {
    Fill(*index, 500, 8 + static_cast<uint64_t>(round));
    for (uint32_t i = 0; i < 500; ++i) index->Remove("p" + std::to_string(i));
    index->Commit(index->applied_index() + 1);
    BuildAll(*index);
    ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
    EXPECT_EQ(index->stats().live, 0U);
    const std::vector<float> query(kTestDimension, 0.1F);
    EXPECT_TRUE(MustSearch(*index, index->TakeSnapshot(), query, {}).hits.empty());
    BuildAll(*index);
    index->TakeFreedSlots();
  }
  Fill(*index, 500, 20);
  ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
  EXPECT_GE(index->stats().linked, 500U - kBuildBatchRows);
}

// Rows of one batch do not see each other while they look for neighbours. It must not cost recall.
TEST_F(HnswIndexPromises, RowsBuiltInBatchesAreFoundAsWellAsRowsBuiltOneByOne) {
  constexpr uint32_t kRows = 4'000;
  const auto batches = Make();
  const auto one_by_one = Make();
  ThreadPool threads("build", 3);
  Random random(21);
  for (uint32_t i = 0; i < kRows; ++i) {
    const std::string id = "p" + std::to_string(i);
    const std::vector<float> vector = RandomVector(random);
    Put(*batches, id, vector);
    Put(*one_by_one, id, vector);
    one_by_one->Commit(one_by_one->applied_index() + 1);
    BuildAll(*one_by_one);
  }
  batches->Commit(1);
  BuildAll(*batches, threads);
  const auto recall = [&random](const HnswIndex& index, const Snapshot& snapshot, uint64_t seed) {
    constexpr int kQueries = 400;
    random = Random(seed);
    double found = 0;
    for (int i = 0; i < kQueries; ++i) {
      const std::vector<float> query = RandomVector(random);
      found += RecallOf(MustSearch(index, snapshot, query, {.ef = 12}),
                        MustSearch(index, snapshot, query, {.exact = true}));
    }
    return found / kQueries;
  };
  const double in_batches = recall(*batches, batches->TakeSnapshot(), 22);
  const double alone = recall(*one_by_one, one_by_one->TakeSnapshot(), 22);
  EXPECT_LT(alone, 0.999) << "an ef that finds everything compares nothing";
  EXPECT_GE(in_batches, alone - 0.01) << "one by one: " << alone;
}

TEST_F(HnswIndexPromises, EqualVectorsStayReachable) {
  const auto index = Make();
  for (uint32_t i = 0; i < 2000; ++i) {
    Put(*index, "same" + std::to_string(i), std::vector<float>(kTestDimension, 0.5F));
  }
  index->Commit(1);
  BuildAll(*index);
  ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
  const std::vector<float> query(kTestDimension, 0.5F);
  EXPECT_EQ(MustSearch(*index, index->TakeSnapshot(), query, {.k = 50}).hits.size(), 50U);
  for (uint32_t i = 0; i < 1500; ++i) index->Remove("same" + std::to_string(i));
  index->Commit(2);
  BuildAll(*index);
  ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
  EXPECT_EQ(MustSearch(*index, index->TakeSnapshot(), query, {.k = 600}).hits.size(), 500U);
}

// Of the nearest row to the query; k 1 would do, but more rows are scored this way.
TEST_F(HnswIndexPromises, CosinesAreExactAndWithinTheirBounds) {
  constexpr int kRows = 200;
  constexpr double kTolerance = 1e-6;
  for (const VectorStorage storage : {VectorStorage::kF32, VectorStorage::kF16}) {
    IndexOptions options = SmallOptions(Metric::kCosine);
    options.storage = storage;
    const auto index = Make(options, SmallTuning());
    Random random(15);
    std::vector<std::vector<float>> vectors;
    for (int i = 0; i < kRows; ++i) {
      vectors.push_back(RandomVector(random, kTestDimension, 3));
      Put(*index, "p" + std::to_string(i), vectors.back());
    }
    index->Commit(1);
    BuildAll(*index);
    const Snapshot snapshot = index->TakeSnapshot();
    for (int i = 0; i < kRows; ++i) {
      const std::string what = std::to_string(i) + (storage == VectorStorage::kF32 ? "" : " f16");
      std::vector<float> query = vectors[static_cast<size_t>(i)];
      const SearchResult nearest = MustSearch(*index, snapshot, query, {.k = kRows});
      ASSERT_EQ(nearest.hits.size(), size_t{kRows}) << what;
      EXPECT_GE(nearest.hits.front().distance, 0.0F) << what;
      EXPECT_NEAR(nearest.hits.front().distance, 0, kTolerance) << what;
      for (float& component : query) component = -component;
      const SearchResult farthest =
          MustSearch(*index, snapshot, query, {.k = kRows, .exact = true});
      ASSERT_EQ(farthest.hits.size(), size_t{kRows}) << what;
      EXPECT_LE(farthest.hits.back().distance, 2.0F) << what;
      EXPECT_NEAR(farthest.hits.back().distance, 2, kTolerance) << what;
    }
  }
}

TEST_F(HnswIndexPromises, KMayPassTheNumberOfRows) {
  for (const bool small : {true, false}) {
    const auto index = small ? Make() : Make(SmallOptions(), {});
    Fill(*index, 300, 9);
    const std::vector<float> query(kTestDimension, 0.1F);
    const Snapshot snapshot = index->TakeSnapshot();
    EXPECT_EQ(MustSearch(*index, snapshot, query, {.k = 16'384}).hits.size(), 300U);
    EXPECT_EQ(MustSearch(*index, snapshot, query, {.k = 299, .ef = 1}).hits.size(), 299U);
  }
}

TEST_F(HnswIndexPromises, FiltersOfEverySizeGiveAllThatMatch) {
  const auto index = Make();
  Fill(*index, 3000, 10);
  Random random(11);
  std::set<Plan> plans;
  for (const uint32_t matches : {0U, 1U, 3U, 9U, 30U, 300U, 900U, 1500U, 2700U, 3000U}) {
    SlotSet filter;
    filter.words.resize(3000 / 64 + 1);
    while (filter.count < matches) {
      const auto slot = static_cast<uint32_t>(random.Below(3000));
      if (filter.Contains(slot)) continue;
      filter.words[slot / 64] |= uint64_t{1} << (slot % 64);
      filter.count += 1;
    }
    double recall = 0;
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> query = RandomVector(random);
      const Snapshot snapshot = index->TakeSnapshot();
      const SearchResult got = MustSearch(*index, snapshot, query, {.filter = &filter});
      const SearchResult wanted =
          MustSearch(*index, snapshot, query, {.exact = true, .filter = &filter});
      EXPECT_EQ(got.hits.size(), std::min(matches, 10U));
      for (const Hit& hit : got.hits) EXPECT_TRUE(filter.Contains(hit.slot));
      recall += RecallOf(got, wanted) / 20;
      plans.insert(got.stats.plan);
    }
    EXPECT_GE(recall, 0.97) << matches;
  }
  EXPECT_EQ(plans, (std::set<Plan>{Plan::kScanMatches, Plan::kGraphTwoHop, Plan::kGraphFiltered}));
}

TEST_F(HnswIndexPromises, BadQueriesAreRefused) {
  const auto index = Make(SmallOptions(Metric::kCosine), SmallTuning());
  const Snapshot snapshot = index->TakeSnapshot();
  std::vector<float> query(kTestDimension, 1);
  EXPECT_EQ(index->Search(snapshot, std::span(query).first(3), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  query[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(index->Search(snapshot, query, {}).status().code(), absl::StatusCode::kInvalidArgument);
  query.assign(kTestDimension, 0);
  EXPECT_EQ(index->Search(snapshot, query, {}).status().code(), absl::StatusCode::kInvalidArgument);
  query[0] = 1;
  EXPECT_EQ(index->Search(snapshot, query, {.k = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
  IndexOptions options = SmallOptions();
  options.dimension = 0;
  EXPECT_EQ(HnswIndex::CreateIn(options, *files_, dir_ / "bad").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(HnswIndexPromises, AScanStopsAtItsLimit) {
  const auto index = Make();
  Fill(*index, 2'000, 12);
  const Snapshot snapshot = index->TakeSnapshot();
  const std::vector<float> query(kTestDimension, 1);
  const SlotSet half{.words = std::vector<uint64_t>(32, 0x5555555555555555), .count = 1'000};
  ManualClock clock;
  int checks = 0;
  const WorkLimit limit(clock, 0, [&checks] { return ++checks == 3; });
  // All rows on full precision, and the codes of those that pass a filter.
  for (const SearchOptions& options :
       {SearchOptions{.exact = true, .limit = &limit},
        SearchOptions{.ef = 1'500, .filter = &half, .limit = &limit}}) {
    checks = 0;
    EXPECT_TRUE(absl::IsCancelled(index->Search(snapshot, query, options).status()));
    EXPECT_EQ(checks, 3) << "it did not stop at once";
  }
}

TEST_F(HnswIndexPromises, SequencesMayWrapAround) {
  IndexTuning tuning = SmallTuning();
  tuning.first_sequence = 0xffffff00U;
  tuning.freeze_every = 200;
  const auto index = Make(SmallOptions(), tuning);
  Random random(12);
  std::map<std::string, std::vector<float>> twin;
  for (uint32_t i = 0; i < 1500; ++i) {
    const std::string id = "p" + std::to_string(random.Below(400));
    if (random.OneIn(3)) {
      index->Remove(id);
      twin.erase(id);
    } else {
      twin[id] = RandomVector(random);
      Put(*index, id, twin[id]);
    }
    index->Commit(i + 1);
    index->TakeFreedSlots();
    if (i % 10 == 0) BuildAll(*index);
    if (i % 50 != 0) continue;
    const Snapshot snapshot = index->TakeSnapshot();
    std::set<std::string> seen;
    index->ForEachRow(snapshot, [&seen](uint32_t, std::string_view row, uint64_t) {
      EXPECT_TRUE(seen.insert(std::string(row)).second);
    });
    ASSERT_EQ(seen.size(), twin.size()) << i;
    ASSERT_EQ(MustSearch(*index, snapshot, RandomVector(random), {.k = 5}).hits.size(),
              std::min<size_t>(5, twin.size()));
  }
  EXPECT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
}

// Codes are made for all rows that somebody may still look for, those that are dead too.
TEST_F(HnswIndexPromises, AnOldSnapshotSeesOldRowsThroughTheStartOfTheGraph) {
  const auto index = Make();
  Random random(15);
  std::vector<std::vector<float>> olds;
  for (int i = 0; i < 90; ++i) {
    olds.push_back(RandomVector(random));
    Put(*index, "p" + std::to_string(i), olds.back(), 1);
  }
  index->Commit(1);
  const Snapshot old = index->TakeSnapshot();
  for (int i = 0; i < 400; ++i) Put(*index, "p" + std::to_string(i), RandomVector(random), 2);
  index->Commit(2);
  BuildAll(*index);
  for (const std::vector<float>& vector : olds) {
    const SearchResult found = MustSearch(*index, old, vector, {.k = 1});
    ASSERT_EQ(found.hits.size(), 1U);
    EXPECT_EQ(found.hits[0].distance, 0);
    EXPECT_EQ(found.hits[0].version, 1U);
  }
}

TEST_F(HnswIndexPromises, ANewScaleFollowsVectorsThatLeaveTheOldOne) {
  const auto index = Make();
  Fill(*index, 600, 13);
  Random random(14);
  for (uint32_t i = 0; i < 7000; ++i) {
    Put(*index, "far" + std::to_string(i), RandomVector(random, kTestDimension, 20));
    if (i % 100 == 99) index->Commit(index->applied_index() + 1);
    if (i % 1000 == 999) BuildAll(*index);
  }
  ASSERT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
  double recall = 0;
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> query = RandomVector(random, kTestDimension, 20);
    const Snapshot snapshot = index->TakeSnapshot();
    recall += RecallOf(MustSearch(*index, snapshot, query, {.ef = 300}),
                       MustSearch(*index, snapshot, query, {.exact = true}));
  }
  EXPECT_GE(recall / 50, 0.9);  // clamped codes would find next to nothing
}

}  // namespace
}  // namespace vectron::index
