#include "index/half.h"

#include <algorithm>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace vectron::index {

uint16_t ToHalf(float value) {
  const float clamped = std::clamp(value, -kMaxHalf, kMaxHalf);
  const uint32_t bits = std::bit_cast<uint32_t>(clamped);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) {
    // Below the least normal half, 2^-14: adding 1/2 makes the float unit round at 2^-24, the step
    // of a half there.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  // Exponent bias 127 -> 15, then 23 -> 10 bits of fraction; a carry out of the fraction raises the
  // exponent.
  const uint32_t rebiased = magnitude - 0x38000000;
  const uint32_t rounded = rebiased + 0xfff + ((rebiased >> 13) & 1);
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float FromHalf(uint16_t half) {
  const uint32_t sign = (uint32_t{half} & 0x8000) << 16;
  const uint32_t magnitude = uint32_t{half} & 0x7fff;
  if (magnitude < 0x0400) {  // zero or subnormal: magnitude * 2^-24
    const float value = static_cast<float>(magnitude) * 0x1.0p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(value));
  }
  const uint32_t exponent_up = magnitude >= 0x7c00 ? 0x70000000U : 0x38000000U;  // infinity
  return std::bit_cast<float>(sign | ((magnitude << 13) + exponent_up));
}

#if defined(__x86_64__)
namespace {

__attribute__((target("avx,f16c"))) size_t ToHalfF16c(std::span<const float> from, uint16_t* into) {
  const __m256 most = _mm256_set1_ps(kMaxHalf);
  const __m256 least = _mm256_set1_ps(-kMaxHalf);
  size_t i = 0;
  for (; i + 8 <= from.size(); i += 8) {
    const __m256 value =
        _mm256_max_ps(least, _mm256_min_ps(most, _mm256_loadu_ps(from.data() + i)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(into + i),
                     _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT));
  }
  return i;
}

__attribute__((target("avx,f16c"))) size_t FromHalfF16c(const uint16_t* from,
                                                        std::span<float> into) {
  size_t i = 0;
  for (; i + 8 <= into.size(); i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
    _mm256_storeu_ps(into.data() + i, _mm256_cvtph_ps(halves));
  }
  return i;
}

bool HasF16c() {
  static const bool has = __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
  return has;
}

}  // namespace
#endif

void ToHalf(std::span<const float> from, uint16_t* into) {
  size_t i = 0;
#if defined(__x86_64__)
  if (HasF16c()) i = ToHalfF16c(from, into);
#endif
  for (; i < from.size(); ++i) into[i] = ToHalf(from[i]);
}

void FromHalf(const uint16_t* from, std::span<float> into) {
  size_t i = 0;
#if defined(__x86_64__)
  if (HasF16c()) i = FromHalfF16c(from, into);
#endif
  for (; i < into.size(); ++i) into[i] = FromHalf(from[i]);
}

}  // namespace vectron::index
