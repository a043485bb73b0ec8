#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "index/hnsw_index.h"
#include "index/index_testing.h"

namespace vectron::index {
namespace {

// A log of upserts, updates and removals; with how its index is to be built.
struct Replay {
  size_t threads = 1;
  uint32_t build_every = 1;   // commits between builds
  uint32_t reopen_at = 0;     // commit after which the index is written and opened again; 0: never
  bool hold_readers = false;  // so that slots are reused late
};

uint64_t HashAfter(const Replay& replay, Metric metric) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  const IndexOptions options = SmallOptions(metric);
  std::unique_ptr<HnswIndex> index =
      *HnswIndex::CreateIn(options, *files, dir / "work", SmallTuning());
  ThreadPool pool("build", replay.threads);
  Random random(77);
  std::vector<Snapshot> held;
  for (uint32_t commit = 1; commit <= 250; ++commit) {
    const uint64_t writes = 1 + random.Below(20);
    for (uint64_t i = 0; i < writes; ++i) {
      const std::string id = "p" + std::to_string(random.Below(1500));
      const std::vector<float> vector = RandomVector(random, kTestDimension, commit < 120 ? 1 : 3);
      if (random.OneIn(5)) {
        index->Remove(id);
      } else {
        Put(*index, id, vector, commit * 1000 + i);
      }
    }
    index->Commit(commit);
    index->TakeFreedSlots();
    if (replay.hold_readers && commit % 40 == 0) held.push_back(index->TakeSnapshot());
    if (commit % replay.build_every == 0) BuildAll(*index, pool);
    if (commit != replay.reopen_at) continue;
    const CheckpointCut cut = index->BeginCheckpoint();
    CHECK_OK(index->WriteCheckpoint(cut, dir / "checkpoint"));
    index = *HnswIndex::OpenIn(options, *files, dir / "checkpoint", dir / "work2", SmallTuning());
  }
  BuildAll(*index, pool);
  CHECK_OK(index->CheckGraph());
  held.clear();
  return index->GraphHash();
}

TEST(HnswIndexDeterminism, TheLogAloneDecidesTheGraph) {
  for (const Metric metric : {Metric::kEuclidean, Metric::kDot}) {
    const uint64_t wanted = HashAfter({}, metric);
    EXPECT_EQ(HashAfter({.threads = 2}, metric), wanted);
    EXPECT_EQ(HashAfter({.threads = 7}, metric), wanted);
    EXPECT_EQ(HashAfter({.build_every = 1000}, metric), wanted) << "all built at the end";
    EXPECT_EQ(HashAfter({.threads = 3, .build_every = 7}, metric), wanted);
    EXPECT_EQ(HashAfter({.hold_readers = true}, metric), wanted) << "slots reused late";
    EXPECT_EQ(HashAfter({.reopen_at = 100}, metric), wanted);
    EXPECT_EQ(HashAfter({.build_every = 9, .reopen_at = 201}, metric), wanted);
    EXPECT_EQ(HashAfter({.build_every = 1000, .reopen_at = 200}, metric), wanted);
  }
}

TEST(HnswIndexDeterminism, KernelsDoNotMatter) {
  std::set<uint64_t> hashes;
  const Kernels* all[] = {&ScalarKernels(), &BaselineKernels(), Avx2Kernels(), Avx512Kernels()};
  for (const Kernels* kernels : all) {
    if (kernels == nullptr) continue;
    const TempDir dir;
    const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
    IndexTuning tuning = SmallTuning();
    tuning.kernels = kernels;
    const auto index = *HnswIndex::CreateIn(SmallOptions(), *files, dir / "work", tuning);
    Random random(78);
    for (int i = 0; i < 700; ++i) Put(*index, "p" + std::to_string(i), RandomVector(random));
    index->Commit(1);
    BuildAll(*index);
    hashes.insert(index->GraphHash());
  }
  EXPECT_EQ(hashes.size(), 1U);
}

// One appender, one builder with helpers, readers, all at once. Every vector says which id it
// belongs to and in which commit it was written, so a reader can tell a wrong answer without a
// twin.
class Storm {
 public:
  Storm(VectorIndex& index, uint32_t commits) : index_(index), commits_(commits) {}

  void Append() {
    Random random(1);
    for (uint32_t commit = 1; commit <= commits_; ++commit) {
      for (int i = 0; i < 12; ++i) {
        const auto point = static_cast<uint32_t>(random.Below(kPoints));
        const std::string id = "p" + std::to_string(point);
        if (random.OneIn(6)) {
          index_.Remove(id);
        } else {
          Put(index_, id, VectorOf(point, commit), commit);
        }
      }
      // Always there, one version at a time: whoever searches sees it, and no older one than its
      // snapshot's.
      Put(index_, "clock", VectorOf(kPoints, commit), commit);
      index_.Commit(commit);
      index_.TakeFreedSlots();
    }
    done_.store(true);
  }
  void Build(Executor& executor) {
    while (!done_.load()) {
      if (!index_.Build(executor)) std::this_thread::yield();
    }
    BuildAll(index_, executor);
  }
  void Read(uint64_t seed) {
    Random random(seed);
    while (!done_.load()) {
      const Snapshot snapshot = index_.TakeSnapshot();
      if (snapshot.applied_index() == 0) continue;
      const uint64_t now = snapshot.applied_index();
      const SearchOptions options{.k = 10, .exact = random.OneIn(4)};
      const auto point = static_cast<uint32_t>(random.Below(kPoints));
      const SearchResult near = MustSearch(index_, snapshot, VectorOf(point, now), options);
      std::set<std::string> ids;
      for (const Hit& hit : near.hits) {
        EXPECT_LE(hit.version, now);
        EXPECT_TRUE(ids.insert(hit.id).second) << hit.id;
        EXPECT_EQ(hit.id[0], hit.id == "clock" ? 'c' : 'p');
        const auto row = index_.RowAt(snapshot, hit.slot);
        EXPECT_TRUE(row.has_value() && row->id == hit.id && row->version == hit.version);
      }
      const SearchResult clock =
          MustSearch(index_, snapshot, VectorOf(kPoints, now), {.k = 1, .exact = random.OneIn(2)});
      ASSERT_EQ(clock.hits.size(), 1U);
      EXPECT_EQ(clock.hits[0].id, "clock");
      EXPECT_EQ(clock.hits[0].version, now);
      EXPECT_EQ(clock.hits[0].distance, 0);
      index_.stats();
      reads_.fetch_add(1);
    }
  }
  uint64_t reads() const { return reads_.load(); }

 private:
  static constexpr uint32_t kPoints = 700;
  // Far from other points', near to the same point's of other commits.
  static std::vector<float> VectorOf(uint32_t point, uint64_t commit) {
    std::vector<float> vector(kTestDimension);
    for (uint32_t j = 0; j < kTestDimension; ++j) {
      vector[j] = static_cast<float>(Mix64(point * 100 + j) % 200);
    }
    vector[0] += static_cast<float>(commit) * 0x1p-6F;
    return vector;
  }

  VectorIndex& index_;
  const uint32_t commits_;
  std::atomic<bool> done_{false};
  std::atomic<uint64_t> reads_{0};
};

TEST(HnswIndexThreads, ReadersSeeWholeCommitsWhileAppenderAndBuilderRun) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  const auto index = *HnswIndex::CreateIn(SmallOptions(), *files, dir / "work", SmallTuning());
  Storm storm(*index, 600);
  ThreadPool pool("build", 2);
  std::vector<std::thread> threads;
  threads.emplace_back([&storm] { storm.Append(); });
  threads.emplace_back([&storm, &pool] { storm.Build(pool); });
  for (uint64_t seed = 10; seed < 13; ++seed) {
    threads.emplace_back([&storm, seed] { storm.Read(seed); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(storm.reads(), 0U);
  EXPECT_TRUE(index->CheckGraph().ok()) << index->CheckGraph();
}

TEST(HnswIndexThreads, ACheckpointWrittenBesideTheAppenderIsItsCut) {
  const TempDir dir;
  const std::unique_ptr<FileSystem> files = NewPosixFileSystem();
  const auto index = *HnswIndex::CreateIn(SmallOptions(), *files, dir / "work", SmallTuning());
  Random random(21);
  std::set<std::string> ids;
  const auto write = [&](uint64_t commit) {
    for (int i = 0; i < 10; ++i) {
      const std::string id = "p" + std::to_string(random.Below(800));
      if (random.OneIn(4)) {
        index->Remove(id);
        ids.erase(id);
      } else {
        Put(*index, id, RandomVector(random), commit);
        ids.insert(id);
      }
    }
    index->Commit(commit);
    index->TakeFreedSlots();
  };
  uint64_t commit = 0;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 60; ++i) write(++commit);
    if (round % 2 == 0) BuildAll(*index);
    const CheckpointCut cut = index->BeginCheckpoint();
    const std::set<std::string> wanted = ids;
    const std::string folder = dir / ("checkpoint" + std::to_string(round));
    std::thread builder([&] {
      InlineExecutor executor;
      index->Build(executor);
      CHECK_OK(index->WriteCheckpoint(cut, folder));
    });
    for (int i = 0; i < 60; ++i) write(++commit);
    builder.join();
    const auto opened = *HnswIndex::OpenIn(SmallOptions(), *files, folder,
                                           dir / ("opened" + std::to_string(round)), SmallTuning());
    EXPECT_EQ(opened->applied_index(), cut.applied_index);
    CHECK_OK(opened->VerifyAndAdopt());
    std::set<std::string> seen;
    opened->ForEachRow(opened->TakeSnapshot(), [&seen](uint32_t, std::string_view id, uint64_t) {
      seen.insert(std::string(id));
    });
    EXPECT_EQ(seen, wanted);
    for (const std::string& id : wanted) EXPECT_TRUE(opened->Find(id).has_value());
    BuildAll(*opened);
    EXPECT_TRUE(opened->CheckGraph().ok()) << opened->CheckGraph();
    index->CheckpointPublished(cut);
  }
}

}  // namespace
}  // namespace vectron::index
