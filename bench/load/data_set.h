#pragma once

// What is stored and asked for.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectronctl/rows/row_reader.h"

namespace vectron::bench {

struct DataSet {
  std::string name;
  rows::Matrix base;
  rows::Matrix queries;
  rows::Truth truth;  // by squared L2
};

struct DataOptions {
  std::string folder;  // with fashion-mnist-784 in it; "" or without it: synthetic
  size_t base_rows = 60'000;
  size_t query_rows = 2'000;
};
// The synthetic set is clustered on a low-dimensional curved surface, 784 components, made from a
// fixed seed.
absl::StatusOr<DataSet> LoadDataSet(const DataOptions& options);

// The exact k nearest rows of each query among the rows that pass; ties by row number; kNoRow fills
// short rows.
rows::Truth ExactNearest(const rows::Matrix& base, const rows::Matrix& queries, size_t k,
                         const std::vector<bool>& passes);

}  // namespace vectron::bench
