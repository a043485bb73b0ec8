// Kernels for every x86-64-v2 machine (SSE4.1).

#include <immintrin.h>

#include "index/kernels_isa.h"

namespace vectron::index::kernels_isa {
namespace {

// Adds the products of 16 codes and 16 query values to four i32 sums. _mm_maddubs_epi16 would
// saturate, so widen first.
__m128i Accumulate(__m128i sum, const uint8_t* code, const int8_t* values) {
  const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(code));
  const __m128i q = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  const __m128i low = _mm_madd_epi16(_mm_cvtepu8_epi16(c), _mm_cvtepi8_epi16(q));
  const __m128i high = _mm_madd_epi16(_mm_cvtepu8_epi16(_mm_srli_si128(c, 8)),
                                      _mm_cvtepi8_epi16(_mm_srli_si128(q, 8)));
  return _mm_add_epi32(sum, _mm_add_epi32(low, high));
}

float SumOf(__m128 sum) {
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

}  // namespace

void BaselineCode(const CodeQuery& query, const uint8_t* const* codes, size_t count, int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* code = codes[i];
    __m128i sum = _mm_setzero_si128();
    for (uint32_t j = 0; j < query.code_bytes; j += 16) {
      sum = Accumulate(sum, code + j, query.values + j);
    }
    sum = _mm_hadd_epi32(sum, sum);
    sum = _mm_hadd_epi32(sum, sum);
    const auto dot = static_cast<uint32_t>(_mm_cvtsi128_si32(sum));
    uint32_t norm;
    __builtin_memcpy(&norm, code + query.code_bytes, sizeof norm);
    out[i] = static_cast<int32_t>(query.offset + (norm & query.norm_mask) - (dot << query.shift));
  }
}

float BaselineSquaredL2(const float* a, const float* b, size_t n) {
  __m128 sum0 = _mm_setzero_ps();
  __m128 sum1 = _mm_setzero_ps();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128 d0 = _mm_sub_ps(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i));
    const __m128 d1 = _mm_sub_ps(_mm_loadu_ps(a + i + 4), _mm_loadu_ps(b + i + 4));
    sum0 = _mm_add_ps(sum0, _mm_mul_ps(d0, d0));
    sum1 = _mm_add_ps(sum1, _mm_mul_ps(d1, d1));
  }
  float sum = SumOf(_mm_add_ps(sum0, sum1));
  for (; i < n; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

float BaselineDot(const float* a, const float* b, size_t n) {
  __m128 sum0 = _mm_setzero_ps();
  __m128 sum1 = _mm_setzero_ps();
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    sum0 = _mm_add_ps(sum0, _mm_mul_ps(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i)));
    sum1 = _mm_add_ps(sum1, _mm_mul_ps(_mm_loadu_ps(a + i + 4), _mm_loadu_ps(b + i + 4)));
  }
  float sum = SumOf(_mm_add_ps(sum0, sum1));
  for (; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace vectron::index::kernels_isa
