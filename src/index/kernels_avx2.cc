// Kernels for machines with AVX2, FMA and F16C.

#include <immintrin.h>

#include "index/kernels_isa.h"

namespace vectron::index::kernels_isa {
namespace {

// 16 codes as i16.
__m256i Widen(const uint8_t* code) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(code)));
}

uint32_t Finish(const CodeQuery& query, const uint8_t* code, uint32_t dot) {
  uint32_t norm;
  __builtin_memcpy(&norm, code + query.code_bytes, sizeof norm);
  return query.offset + (norm & query.norm_mask) - (dot << query.shift);
}

uint32_t SumOf(__m256i sum) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
  half = _mm_hadd_epi32(half, half);
  half = _mm_hadd_epi32(half, half);
  return static_cast<uint32_t>(_mm_cvtsi128_si32(half));
}

// Four codes share each load and widening of the query.
void FourDistances(const CodeQuery& query, const uint8_t* const* codes, int32_t* out) {
  __m256i sums[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                     _mm256_setzero_si256()};
  for (uint32_t j = 0; j < query.code_bytes; j += 16) {
    const __m256i q =
        _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query.values + j)));
    for (int i = 0; i < 4; ++i) {
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(Widen(codes[i] + j), q));
    }
  }
  for (int i = 0; i < 4; ++i) {
    out[i] = static_cast<int32_t>(Finish(query, codes[i], SumOf(sums[i])));
  }
}

void CodeDistances(const CodeQuery& query, const uint8_t* const* codes, size_t count,
                   int32_t* out) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) FourDistances(query, codes + i, out + i);
  for (; i < count; ++i) {
    __m256i sum = _mm256_setzero_si256();
    for (uint32_t j = 0; j < query.code_bytes; j += 16) {
      const __m256i q =
          _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query.values + j)));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(Widen(codes[i] + j), q));
    }
    out[i] = static_cast<int32_t>(Finish(query, codes[i], SumOf(sum)));
  }
}

float SumOf(__m256 sum) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}

// The first `count` < 8 values, zeros after them.
__m256 LoadPart(const float* from, size_t count) {
  alignas(32) float values[8] = {};
  for (size_t i = 0; i < count; ++i) values[i] = from[i];
  return _mm256_load_ps(values);
}
__m256 LoadPart(const uint16_t* from, size_t count) {
  alignas(16) uint16_t values[8] = {};
  for (size_t i = 0; i < count; ++i) values[i] = from[i];
  return _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(values)));
}
__m256 Load(const float* from) { return _mm256_loadu_ps(from); }
__m256 Load(const uint16_t* from) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

template <typename T>
float SquaredL2(const float* a, const T* b, size_t n) {
  __m256 sum0 = _mm256_setzero_ps();
  __m256 sum1 = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256 d0 = _mm256_sub_ps(Load(a + i), Load(b + i));
    const __m256 d1 = _mm256_sub_ps(Load(a + i + 8), Load(b + i + 8));
    sum0 = _mm256_fmadd_ps(d0, d0, sum0);
    sum1 = _mm256_fmadd_ps(d1, d1, sum1);
  }
  if (i + 8 <= n) {
    const __m256 d = _mm256_sub_ps(Load(a + i), Load(b + i));
    sum0 = _mm256_fmadd_ps(d, d, sum0);
    i += 8;
  }
  if (i < n) {
    const __m256 d = _mm256_sub_ps(LoadPart(a + i, n - i), LoadPart(b + i, n - i));
    sum1 = _mm256_fmadd_ps(d, d, sum1);
  }
  return SumOf(_mm256_add_ps(sum0, sum1));
}

template <typename A, typename B>
float Dot(const A* a, const B* b, size_t n) {
  __m256 sum0 = _mm256_setzero_ps();
  __m256 sum1 = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    sum0 = _mm256_fmadd_ps(Load(a + i), Load(b + i), sum0);
    sum1 = _mm256_fmadd_ps(Load(a + i + 8), Load(b + i + 8), sum1);
  }
  if (i + 8 <= n) {
    sum0 = _mm256_fmadd_ps(Load(a + i), Load(b + i), sum0);
    i += 8;
  }
  if (i < n) sum1 = _mm256_fmadd_ps(LoadPart(a + i, n - i), LoadPart(b + i, n - i), sum1);
  return SumOf(_mm256_add_ps(sum0, sum1));
}

float SquaresF16(const uint16_t* b, size_t n) { return Dot(b, b, n); }

}  // namespace

const Kernels kAvx2 = {"avx2",
                       CodeDistances,
                       SquaredL2<float>,
                       Dot<float, float>,
                       SquaredL2<uint16_t>,
                       Dot<float, uint16_t>,
                       SquaresF16};

}  // namespace vectron::index::kernels_isa
