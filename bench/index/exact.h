#pragma once

// Exact nearest neighbours by brute force: the truth of every recall.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/vector_types.h"

namespace vectron::bench {

// n x d, row-major; borrowed.
struct Rows {
  const float* values = nullptr;
  size_t count = 0;
  size_t dimension = 0;

  const float* row(size_t i) const { return values + i * dimension; }
};

// For each query the numbers of the k nearest base rows that pass, best first, ties by number;
// fewer when fewer pass. Distances are summed in double. With kCosine rows need not have unit
// length. passes: null for all.
std::vector<std::vector<uint32_t>> ExactNearest(const Rows& base, const Rows& queries,
                                                Metric metric, size_t k,
                                                const std::function<bool(uint32_t)>& passes);

}  // namespace vectron::bench
