#pragma once

// The 8-bit codes of vectors: x_j ~ low + step * c_j, one (low, step) for all dimensions of all
// rows.
//
// Distances of codes are integers (kernels.h), so graphs built on them are the same on every
// machine. With kCosine the vectors given here are of unit length. With c the code of a row and e
// that of a query or another row:
//
//   kEuclidean, kCosine
//     D = sum (c_j - e_j)^2                      norm = sum c_j^2 - 256 sum c_j
//   kDot, low = -z step
//     row to row    D = -sum (c_j - z)(e_j - z)  norm = (z - 128) sum c_j
//     query to row  D = -sum q_j (c_j - z), q_j in [-127, 127] by the query's own scale
//
// The i32 of a distance is D plus a constant of the query.

#include <cstdint>
#include <span>

#include "base/vector_types.h"
#include "index/kernels.h"

namespace vectron::index {

struct Scale {
  float low = 0;
  float step = 1;           // > 0
  uint32_t zero_point = 0;  // z above, kDot only; 0-255
  bool operator==(const Scale&) const = default;
};

// Vectors that train a scale, at most; and values of them, at most.
inline constexpr uint32_t kScaleSampleRows = 10'000;
inline constexpr uint64_t kScaleSampleValues = uint64_t{4} << 20;

// A scale for vectors like those in `values` (of any dimension, one after the other; reordered):
// whole numbers that span at most 255 are kept as they are, anything else goes by its 0.1 %
// and 99.9 % quantiles, widened by 5 % each way. Depends on the multiset of values only.
Scale TrainScale(Metric metric, std::span<float> values);

// Immutable, so thread-safe.
class Coder {
 public:
  Coder(uint32_t dimension, Metric metric, const Scale& scale);

  const Scale& scale() const { return scale_; }
  // Bytes of a code: the dimension rounded up to 16, zeros at the end.
  uint32_t code_bytes() const { return code_bytes_; }
  static uint32_t CodeBytes(uint32_t dimension) { return (dimension + 15) / 16 * 16; }

  struct Encoded {
    int32_t norm = 0;
    uint32_t clamped = 0;   // values out of the scale's range
    bool lossless = false;  // the code says the vector exactly
  };
  // code: code_bytes() bytes.
  Encoded Encode(std::span<const float> vector, uint8_t* code) const;

  // A query for comparing with codes. values: code_bytes() bytes, kept by the caller as long as the
  // query. scratch: as many.
  CodeQuery QueryOf(std::span<const float> vector, int8_t* values, uint8_t* scratch) const;
  // The query that is a row itself. Distances between rows are symmetric.
  CodeQuery QueryOfCode(const uint8_t* code, int8_t* values) const;

  // From distances of codes to those of the metric: metric = offset + factor * i32. For a query of
  // QueryOf.
  struct Linear {
    double offset = 0;
    double factor = 1;
  };
  Linear ToMetric(std::span<const float> vector) const;

 private:
  // Of the codes of one vector.
  struct Tally {
    uint32_t sum = 0;
    uint32_t squares = 0;
    uint32_t clamped = 0;
    bool lossy = false;
  };
  void EncodeValues(const float* values, size_t count, uint8_t* code, Tally& tally) const;
  size_t EncodeBlocks(const float* values, size_t count, uint8_t* code, Tally& tally) const;
  float QueryFactor(std::span<const float> vector) const;

  const uint32_t dimension_;
  const Metric metric_;
  const Scale scale_;
  const float inverse_step_;
  const uint32_t code_bytes_;
};

// Scales the vector to unit length, the same way on every machine. into: as many values. The vector
// is not all zero.
void Normalise(std::span<const float> vector, std::span<float> into);

}  // namespace vectron::index
