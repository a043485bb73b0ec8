// A shard over RocksDB, the HNSW index and the local log: concurrency, restarts, kill -9 at each
// crash point.

#include <fmt/format.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <thread>

#include "base/crash_testing.h"
#include "base/random.h"
#include "base/temp_dir.h"
#include "gtest/gtest.h"
#include "index/vector_index.h"
#include "model/filter.h"
#include "shard/real_node_testing.h"
#include "shard/shard_testing.h"

namespace vectron::shard {
namespace {

std::shared_ptr<const Filter> ParseFilter(const std::string& text) {
  absl::StatusOr<Filter> filter = FilterFromJson(text);
  CHECK_OK(filter.status());
  return std::make_shared<const Filter>(*std::move(filter));
}

// Vector and payload of the nth write of a point, so that what is read can be told.
UpsertWrite NthWrite(const std::string& id, int n, uint32_t dimension) {
  std::vector<float> vector(dimension, 1.0F);
  vector[0] = static_cast<float>(n);
  return {OnePoint(id, vector, fmt::format(R"({{"n":{},"name":"{}","kept":"{}"}})", n, id, id)), "",
          false};
}

// An exact search for everything finds just what the store holds.
void ExpectSearchEqualsScan(RealNode& node, uint32_t dimension) {
  const auto scanned = node.shard().ScanPoints("", 1'000'000, true);
  ASSERT_TRUE(scanned.ok()) << scanned.status();
  SearchQuery query = Nearest(std::vector<float>(dimension, 0.5F), 16'384);
  query.exact = true;
  query.include_vectors = true;
  const auto found = node.Search(query);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->hits.size(), scanned->size());
  std::map<std::string, const SearchHit*> hits;
  for (const SearchHit& hit : found->hits) hits[hit.id] = &hit;
  for (const PointRecord& record : *scanned) {
    SCOPED_TRACE(record.id);
    ASSERT_TRUE(hits.contains(record.id));
    const SearchHit& hit = *hits[record.id];
    EXPECT_EQ(hit.version, record.version);
    EXPECT_EQ(hit.payload, record.payload);
    EXPECT_EQ(hit.vector, record.vector);
  }
  EXPECT_EQ(node.shard().stats().points, scanned->size());
}

TEST(RealShard, ReadsNeverGoBackUnderConcurrentWrites) {
  constexpr uint32_t kDimension = 4;
  constexpr int kPoints = 8;
  constexpr int kWrites = 150;  // of each point
  TempDir dir;
  CollectionSchema schema = TestSchema(kDimension);
  schema.payload_indexes = {{"name", PayloadType::kKeyword}};
  RealNode node(dir.path(), schema);
  ASSERT_TRUE(node.Open().ok());
  std::vector<std::atomic<int>> acknowledged(kPoints);
  for (int p = 0; p < kPoints; ++p) {
    ASSERT_TRUE(node.Upsert(NthWrite(fmt::format("p{}", p), 1, kDimension)).ok());
    acknowledged[static_cast<size_t>(p)] = 1;
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int w = 0; w < 2; ++w) {
    threads.emplace_back([&, w] {
      for (int n = 2; n <= kWrites; ++n) {
        for (int p = w; p < kPoints; p += 2) {
          ASSERT_TRUE(node.Upsert(NthWrite(fmt::format("p{}", p), n, kDimension)).ok());
          acknowledged[static_cast<size_t>(p)] = n;
        }
      }
    });
  }
  for (int r = 0; r < 3; ++r) {
    threads.emplace_back([&, r] {
      Random random(static_cast<uint64_t>(r));
      std::vector<int> seen(kPoints, 1);
      while (!stop) {
        const size_t p = random.Below(kPoints);
        const std::string id = fmt::format("p{}", p);
        seen[p] = std::max(seen[p], acknowledged[p].load());
        std::string payload;
        float first = 0;
        const uint64_t how = random.Below(5);
        if (how == 0) {
          const auto got = node.Get(id);
          ASSERT_TRUE(got.ok() && got->has_value()) << got.status();
          payload = (*got)->payload;
          first = (*got)->vector[0];
        } else {
          SearchQuery query = Nearest(std::vector<float>(kDimension, 1.0F), 3);
          query.include_vectors = true;
          static constexpr const char* kFilters[] = {
              R"({{"must":[{{"field":"name","match":"{}"}}]}})",  // an indexed field
              R"({{"must":[{{"field":"kept","match":"{}"}}]}})",  // one that is not
              R"({{"must":[{{"has_id":["{}"]}}]}})",
              R"({{"must":[{{"field":"kept","match":"{0}"}},{{"has_id":["{0}"]}}]}})"};
          query.filter = ParseFilter(fmt::format(fmt::runtime(kFilters[how - 1]), id));
          const auto found = node.Search(query);
          ASSERT_TRUE(found.ok()) << found.status();
          ASSERT_EQ(found->hits.size(), 1u) << id << " filter " << how;
          ASSERT_EQ(found->hits[0].id, id);
          payload = found->hits[0].payload;
          first = found->hits[0].vector[0];
          ASSERT_EQ(found->hits[0].score, (first - 1) * (first - 1));
        }
        const int n = static_cast<int>(first);
        ASSERT_EQ(payload, fmt::format(R"({{"n":{},"name":"{}","kept":"{}"}})", n, id, id));
        ASSERT_GE(n, seen[p]) << id << " went back, read by way " << how;
        seen[p] = n;
      }
    });
  }
  threads[0].join();
  threads[1].join();
  stop = true;
  for (size_t i = 2; i < threads.size(); ++i) threads[i].join();
  ExpectSearchEqualsScan(node, kDimension);
}

TEST(RealShard, DeletedPointsNeverComeBack) {
  constexpr uint32_t kDimension = 2;
  TempDir dir;
  RealNode node(dir.path(), TestSchema(kDimension));
  ASSERT_TRUE(node.Open().ok());
  std::atomic<bool> stop{false};
  std::atomic<int> deleted{-1};  // points up to this one are gone
  std::atomic<int> written{-1};
  std::thread writer([&] {
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE(node.Upsert(NthWrite(fmt::format("p{}", i), i, kDimension)).ok());
      written = i;
      if (i < 10) continue;
      ASSERT_TRUE(node.Delete(fmt::format("p{}", i - 10)).ok());
      deleted = i - 10;
    }
    stop = true;
  });
  std::thread reader([&] {
    while (!stop) {
      const int gone = deleted;
      const int there = written;
      const auto found = node.Search(Nearest({0, 0}, 100));
      ASSERT_TRUE(found.ok()) << found.status();
      std::set<int> seen;
      for (const SearchHit& hit : found->hits) seen.insert(std::stoi(hit.id.substr(1)));
      for (const int i : seen) ASSERT_GT(i, gone);
      const int surely_there = there - 9;  // written before, and not deleted before deleted + 1
      for (int i = std::max(deleted + 2, surely_there); i <= there; ++i) {
        ASSERT_TRUE(seen.contains(i)) << i;
      }
      // What a Get does not find, no later search shows.
      const int probe = deleted + 1;
      const bool was_written = probe <= written;  // before it is asked for
      const auto got = node.Get(fmt::format("p{}", probe));
      ASSERT_TRUE(got.ok()) << got.status();
      if (got->has_value() || !was_written) continue;
      const auto later = node.Search(Nearest({0, 0}, 100));
      ASSERT_TRUE(later.ok()) << later.status();
      for (const SearchHit& hit : later->hits) {
        ASSERT_NE(hit.id, fmt::format("p{}", probe));
      }
    }
  });
  writer.join();
  reader.join();
}

// Enough rows for a graph, with updates and deletes, over restarts.
TEST(RealShard, GraphSearchAndRestartsKeepEveryPoint) {
  constexpr uint32_t kDimension = 1'024;
  constexpr int kRows = 2'500;
  static_assert(kRows * kDimension * sizeof(float) > index::kFlatBytes);
  TempDir dir;
  Random random(5);
  const auto vector = [&] {
    std::vector<float> values(kDimension);
    for (float& value : values) value = static_cast<float>(random.Uniform());
    return values;
  };
  CollectionSchema schema = TestSchema(kDimension);
  schema.hnsw = {.m = 8, .ef_construct = 40};
  RealNode node(dir.path(), schema);
  ASSERT_TRUE(node.Open().ok());
  std::map<std::string, std::vector<float>> model;
  for (int begin = 0; begin < kRows; begin += 250) {
    UpsertWrite write;
    write.points.dimension = kDimension;
    for (int i = begin; i < begin + 250; ++i) {
      const std::string id = fmt::format("p{}", i % 2'350);
      const std::vector<float> values = vector();
      model[id] = values;
      write.points.ids.push_back(id);
      write.points.payloads.push_back(i % 2 == 0 ? "" : R"({"odd":true})");
      write.points.vectors.insert(write.points.vectors.end(), values.begin(), values.end());
    }
    ASSERT_TRUE(node.Upsert(std::move(write)).ok());
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(node.Delete(fmt::format("p{}", i)).ok());
    model.erase(fmt::format("p{}", i));
  }
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    EXPECT_EQ(node.shard().stats().points, model.size());
    ExpectSearchEqualsScan(node, kDimension);
    if (round == 1) {
      node.shard().WaitUntilIndexed();
      EXPECT_GT(node.shard().stats().indexed, model.size() - index::kBuildBatchRows);
    }
    int found_itself = 0;
    for (int i = 200; i < 300; ++i) {
      const std::string id = fmt::format("p{}", i);
      SearchQuery query = Nearest(model[id], 1);
      query.ef = 400;  // random vectors of many dimensions are the hardest
      const auto found = node.Search(query);
      ASSERT_TRUE(found.ok()) << found.status();
      if (found->hits.at(0).id == id) ++found_itself;
    }
    EXPECT_GE(found_itself, 99);
    if (round == 1) {
      ASSERT_TRUE(node.shard().FlushAll().ok());
    }
    node.Close();
    ASSERT_TRUE(node.Open().ok());
  }
}

constexpr uint32_t kCrashDimension = 8;

// What the child does until it is killed: writes, tells each acknowledged write on a line,
// checkpoints.
void CrashWorkload(const std::string& dir) {
  RealNode node(dir, TestSchema(kCrashDimension));
  CHECK_OK(node.Open());
  std::ofstream acknowledged(dir + "/acknowledged", std::ios::app);
  for (int n = 1; n <= 60; ++n) {
    const std::string id = fmt::format("p{}", n % 40);
    if (n % 7 == 0) {
      CHECK_OK(node.Delete(id).status());
      acknowledged << id << " 0" << std::endl;
    } else {
      CHECK_OK(node.Upsert(NthWrite(id, n, kCrashDimension)).status());
      acknowledged << id << " " << n << std::endl;
    }
    if (n % 20 == 0) CHECK_OK(node.shard().FlushAll());
    if (n == 40) {
      node.Close();
      CHECK_OK(node.Open());
    }
  }
}

TEST(RealShard, ChildOfTheCrashTest) {
  const char* dir = CrashTestDir();
  if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
  CrashWorkload(dir);
}

TEST(RealShard, KillAtEachCrashPointLosesNothing) {
  for (const char* point :
       {"shard.checkpoint.store_flushed", "shard.checkpoint.index_written",
        "shard.checkpoint.written", "shard.checkpoint.published", "shard.checkpoint.older_removed",
        "shard.checkpoint.log_marks_set", "index_checkpoint.files_synced",
        "index_checkpoint.manifest_written", "index_checkpoint.file_linked", "raw_store.synced",
        "raw_store.linked", "file.before_rename"}) {
    for (const int passage : {1, 2}) {
      if (passage == 2 && !std::string_view(point).starts_with("shard.")) continue;
      SCOPED_TRACE(testing::Message() << point << ":" << passage);
      TempDir dir;
      const int code = RunToCrashPoint("RealShard.ChildOfTheCrashTest", dir.path(),
                                       fmt::format("{}:{}", point, passage));
      // A point that is passed less often lets the child end.
      ASSERT_TRUE(code == kCrashed || (code == 0 && passage > 1)) << code;
      std::map<std::string, int> wanted;
      std::ifstream lines(dir / "acknowledged");
      std::string id;
      for (int n = 0; lines >> id >> n;) wanted[id] = n;
      RealNode node(dir.path(), TestSchema(kCrashDimension));
      const absl::Status opened = node.Open();
      ASSERT_TRUE(opened.ok()) << opened;
      ExpectSearchEqualsScan(node, kCrashDimension);
      size_t live = 0;
      for (const auto& [name, n] : wanted) {
        const auto got = node.Get(name);
        ASSERT_TRUE(got.ok()) << got.status();
        // The child was killed between writes, so the last acknowledged one is what is there.
        ASSERT_EQ(got->has_value(), n != 0) << name;
        if (n == 0) continue;
        ++live;
        EXPECT_EQ((*got)->vector[0], static_cast<float>(n)) << name;
      }
      EXPECT_EQ(node.shard().stats().points, live);
    }
  }
}

TEST(RealShard, DamagedIndexIsMadeAgainFromTheStore) {
  TempDir dir;
  const CollectionSchema schema = TestSchema(kCrashDimension);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    uint64_t digest = 0;
    {
      RealNode node(dir.path(), schema);
      ASSERT_TRUE(node.Open().ok());
      for (int n = 0; n < 20; ++n) {
        ASSERT_TRUE(
            node.Upsert(NthWrite(fmt::format("p{}", n + round * 10), n, kCrashDimension)).ok());
      }
      ASSERT_TRUE(node.shard().FlushAll().ok());
      digest = node.shard().stats().digest;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir / "shard/index")) {
      if (file.is_regular_file() && file.file_size() > 0 &&
          file.path().string().find("checkpoint-") != std::string::npos) {
        files.push_back(file.path());
      }
    }
    std::sort(files.begin(), files.end());
    Random random(static_cast<uint64_t>(round));
    const std::filesystem::path& damaged = files[static_cast<size_t>(round) % files.size()];
    SCOPED_TRACE(damaged.string());
    {
      std::fstream bytes(damaged, std::ios::in | std::ios::out | std::ios::binary);
      const auto at =
          static_cast<std::streamoff>(random.Below(std::filesystem::file_size(damaged)));
      bytes.seekg(at);
      const int byte = bytes.get();
      bytes.seekp(at);
      bytes.put(static_cast<char>(byte ^ 0x10));
    }
    RealNode node(dir.path(), schema);
    ASSERT_TRUE(node.Open().ok());
    node.shard().WaitUntilIndexed();  // after the check of every byte, which is in the background
    EXPECT_EQ(node.shard().stats().digest, digest);
    ExpectSearchEqualsScan(node, kCrashDimension);
  }
}

TEST(RealShard, DamagedStoreIsDataLossNamingTheFile) {
  TempDir dir;
  const CollectionSchema schema = TestSchema(kCrashDimension);
  {
    RealNode node(dir.path(), schema);
    ASSERT_TRUE(node.Open().ok());
    for (int n = 0; n < 200; ++n) {
      ASSERT_TRUE(node.Upsert(NthWrite(fmt::format("p{}", n), n, kCrashDimension)).ok());
    }
    ASSERT_TRUE(node.shard().FlushAll().ok());
  }
  for (const auto& file : std::filesystem::directory_iterator(dir / "shard/store")) {
    if (file.path().extension() != ".sst") continue;
    std::fstream bytes(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (std::streamoff at = 30; at < static_cast<std::streamoff>(file.file_size()); at += 100) {
      bytes.seekp(at);
      bytes.put('\x5a');
    }
  }
  RealNode node(dir.path(), schema);
  absl::Status status = node.Open();
  if (status.ok()) status = node.Get("p7").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(std::string(status.message()).find(".sst"), std::string::npos) << status;
}

}  // namespace
}  // namespace vectron::shard
