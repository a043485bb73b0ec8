#pragma once

// Two nouns that the index, the model and the wire share.

#include <cstdint>

namespace vectron {

// Every metric is a distance: ascending, lower is closer. Values are written to disk.
enum class Metric : uint8_t {
  kEuclidean = 0,  // squared L2
  kCosine = 1,     // 1 - cos(q, v), in [0, 2]
  kDot = 2,        // -(q . v)
};

// How full-precision vectors are kept on disk. Values are written to disk.
enum class VectorStorage : uint8_t { kF32 = 0, kF16 = 1 };

}  // namespace vectron
