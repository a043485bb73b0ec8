#pragma once

// hnswlib behind a plain interface, so that it can be built with its own flags.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/vector_types.h"

namespace vectron::bench {

// Thread-compatible.
class HnswlibRival {
 public:
  // With kCosine vectors are scaled to unit length and compared by inner product, as hnswlib's
  // users do.
  HnswlibRival(size_t dimension, Metric metric, size_t capacity, size_t m, size_t ef_construct);
  ~HnswlibRival();

  void Add(const float* vector, uint32_t label);
  void SetEf(size_t ef);
  // Labels of the k nearest, best first, into `labels`.
  void Search(const float* query, size_t k, std::vector<uint32_t>& labels);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vectron::bench
