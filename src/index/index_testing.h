#pragma once

// Data and small steps shared by the tests of the index.

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/executor.h"
#include "base/random.h"
#include "index/hnsw_index.h"

namespace vectron::index {

inline constexpr uint32_t kTestDimension = 12;

// Clusters, as real data has: a coarse centre and some noise.
inline std::vector<float> RandomVector(Random& random, uint32_t dimension = kTestDimension,
                                       double size = 1) {
  const uint64_t cluster = random.Below(20);
  std::vector<float> vector(dimension);
  for (uint32_t j = 0; j < dimension; ++j) {
    const double centre = static_cast<double>(Mix64(cluster * 1000 + j) % 1000) / 500.0 - 1.0;
    vector[j] = static_cast<float>(size * (centre + 0.3 * (random.Uniform() - 0.5)));
  }
  return vector;
}

inline IndexOptions SmallOptions(Metric metric = Metric::kEuclidean) {
  IndexOptions options;
  options.dimension = kTestDimension;
  options.metric = metric;
  options.m = 6;
  options.ef_construct = 40;
  return options;
}

// A graph after 100 rows, walks wherever they make sense.
inline IndexTuning SmallTuning() {
  IndexTuning tuning;
  tuning.flat_bytes = 100 * kTestDimension * sizeof(float);
  tuning.scan_lines = 20;  // 10 rows
  tuning.scan_one_in = 1;
  return tuning;
}

inline void BuildAll(VectorIndex& index, Executor& executor) {
  while (index.Build(executor)) {
  }
}
inline void BuildAll(VectorIndex& index) {
  InlineExecutor executor;
  BuildAll(index, executor);
}

inline uint32_t Put(VectorIndex& index, const std::string& id, const std::vector<float>& vector,
                    uint64_t version = 1) {
  CHECK_OK(index.Reserve(1));
  return index.Upsert({.id = id, .vector = vector, .version = version, .flags = 0});
}

inline std::set<std::string> IdsOf(const SearchResult& result) {
  std::set<std::string> ids;
  for (const Hit& hit : result.hits) ids.insert(hit.id);
  return ids;
}

// Share of the ids of `wanted` that are in `got`.
inline double RecallOf(const SearchResult& got, const SearchResult& wanted) {
  if (wanted.hits.empty()) return 1;
  const std::set<std::string> ids = IdsOf(got);
  size_t found = 0;
  for (const Hit& hit : wanted.hits) found += ids.count(hit.id);
  return static_cast<double>(found) / static_cast<double>(wanted.hits.size());
}

inline SearchResult MustSearch(const VectorIndex& index, const Snapshot& snapshot,
                               const std::vector<float>& query, const SearchOptions& options) {
  auto result = index.Search(snapshot, query, options);
  CHECK_OK(result.status());
  return *std::move(result);
}

}  // namespace vectron::index
