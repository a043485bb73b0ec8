#pragma once

// Base vectors, queries and their exact answers.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/vector_types.h"
#include "bench/index/exact.h"

namespace vectron::bench {

inline constexpr size_t kRecallAt = 10;

struct DataSet {
  std::string name;
  std::string folder;  // "" when made here
  bool whole = false;  // all base vectors of the folder
  Metric metric = Metric::kEuclidean;
  size_t dimension = 0;
  std::vector<float> base;  // n x d, row-major
  std::vector<float> queries;
  std::vector<std::vector<uint32_t>> truth;  // of each query, at least its kRecallAt nearest

  Rows base_rows() const { return {base.data(), base.size() / dimension, dimension}; }
  Rows query_rows() const { return {queries.data(), queries.size() / dimension, dimension}; }
};

// Reads `folder`: base and query vectors (.bvecs, .fvecs or .f16, also with .gz behind) and truth
// (gt.ivecs or truth.u32; computed when there is none, or when only the first `max_rows` base
// vectors are taken). The metric is cosine when the folder's name says "cosine" or
// "debian-packages", else L2.
absl::StatusOr<DataSet> LoadDataSet(const std::string& folder, size_t max_rows, size_t max_queries);

// Makes one, see synthetic.h; truth by brute force.
DataSet MakeDataSet(const std::string& name, size_t count, size_t dimension, size_t query_count,
                    Metric metric);

// Share of the kRecallAt exact answers (fewer when there are fewer) that were found. Both over the
// same queries.
double Recall(const std::vector<std::vector<uint32_t>>& truth,
              const std::vector<std::vector<uint32_t>>& found);

}  // namespace vectron::bench
