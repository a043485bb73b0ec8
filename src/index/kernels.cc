#include "index/kernels.h"

#include "index/kernels_isa.h"

namespace vectron::index {
namespace {

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16;
  uint32_t exponent = (half >> 10) & 0x1fU;
  uint32_t mantissa = half & 0x3ffU;
  if (exponent == 0) {
    // Zero or subnormal: mantissa * 2^-24, exact in f32.
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  exponent = exponent == 31 ? 255 : exponent + 112;
  const uint32_t bits = sign | (exponent << 23) | (mantissa << 13);
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

void CodeDistances(const CodeQuery& query, const uint8_t* const* codes, size_t count,
                   int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    int32_t dot = 0;
    for (uint32_t j = 0; j < query.code_bytes; ++j) dot += codes[i][j] * query.values[j];
    uint32_t norm;
    __builtin_memcpy(&norm, codes[i] + query.code_bytes, sizeof norm);
    out[i] = static_cast<int32_t>(query.offset + (norm & query.norm_mask) -
                                  (static_cast<uint32_t>(dot) << query.shift));
  }
}

double Widen(float value) { return static_cast<double>(value); }
double Widen(uint16_t half) { return static_cast<double>(HalfToFloat(half)); }

// In double precision: the judge of the others.
template <typename T>
float SquaredL2(const float* a, const T* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const double difference = Widen(a[i]) - Widen(b[i]);
    sum += difference * difference;
  }
  return static_cast<float>(sum);
}

template <typename A, typename B>
float Dot(const A* a, const B* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) sum += Widen(a[i]) * Widen(b[i]);
  return static_cast<float>(sum);
}

float SquaresF16(const uint16_t* b, size_t n) { return Dot(b, b, n); }

constexpr Kernels kScalar = {"scalar",          CodeDistances,       SquaredL2<float>,
                             Dot<float, float>, SquaredL2<uint16_t>, Dot<float, uint16_t>,
                             SquaresF16};

const Kernels& Choose() {
  if (const Kernels* best = Avx512Kernels()) return *best;
  if (const Kernels* best = Avx2Kernels()) return *best;
  return BaselineKernels();
}

}  // namespace

const Kernels& ScalarKernels() { return kScalar; }

const Kernels& BaselineKernels() {
  // Half floats have no instruction there.
  static constexpr Kernels kBaseline = {kernels_isa::kBaselineName,
                                        kernels_isa::BaselineCode,
                                        kernels_isa::BaselineSquaredL2,
                                        kernels_isa::BaselineDot,
                                        SquaredL2<uint16_t>,
                                        Dot<float, uint16_t>,
                                        SquaresF16};
  return kBaseline;
}

const Kernels* Avx2Kernels() {
  static const bool kHave = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                            __builtin_cpu_supports("f16c");
  return kHave ? &kernels_isa::kAvx2 : nullptr;
}

const Kernels* Avx512Kernels() {
  static const bool kHave =
      Avx2Kernels() != nullptr && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  return kHave ? &kernels_isa::kAvx512 : nullptr;
}

const Kernels& BestKernels() {
  static const Kernels& kBest = Choose();
  return kBest;
}

}  // namespace vectron::index
