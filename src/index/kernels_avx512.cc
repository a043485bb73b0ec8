// Kernels for machines with AVX-512 (F, BW, DQ, VL) and VNNI.

#include <immintrin.h>

#include "index/kernels_isa.h"

namespace vectron::index::kernels_isa {
namespace {

__m512i LoadCode(const void* from) { return _mm512_loadu_si512(from); }

// Selects the last `code_bytes % 64` bytes of a block.
__mmask64 TailMask(uint32_t code_bytes) { return (__mmask64{1} << (code_bytes % 64)) - 1; }

// The sums of the four vectors, one a lane.
__m128i SumsOf(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
  const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
  const __m512i all =
      _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
  const __m256i half =
      _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

int32_t NormOf(const uint8_t* code, uint32_t code_bytes) {
  int32_t norm;
  __builtin_memcpy(&norm, code + code_bytes, sizeof norm);
  return norm;
}

__m128i Finish(const CodeQuery& query, __m128i norms, __m128i dots) {
  norms = _mm_and_si128(norms, _mm_set1_epi32(static_cast<int>(query.norm_mask)));
  dots = _mm_sll_epi32(dots, _mm_cvtsi32_si128(static_cast<int>(query.shift)));
  const __m128i offset = _mm_set1_epi32(static_cast<int>(query.offset));
  return _mm_sub_epi32(_mm_add_epi32(offset, norms), dots);
}

// Four codes share each load of the query. Two sums a code hide the latency of vpdpbusd.
void FourDistances(const CodeQuery& query, const uint8_t* const* codes, int32_t* out) {
  const uint8_t* c0 = codes[0];
  const uint8_t* c1 = codes[1];
  const uint8_t* c2 = codes[2];
  const uint8_t* c3 = codes[3];
  const uint32_t whole = query.code_bytes & ~uint32_t{63};
  __m512i a0 = _mm512_setzero_si512();
  __m512i a1 = a0;
  __m512i a2 = a0;
  __m512i a3 = a0;
  __m512i b0 = a0;
  __m512i b1 = a0;
  __m512i b2 = a0;
  __m512i b3 = a0;
  uint32_t j = 0;
  for (; j + 128 <= whole; j += 128) {
    const __m512i q0 = LoadCode(query.values + j);
    const __m512i q1 = LoadCode(query.values + j + 64);
    a0 = _mm512_dpbusd_epi32(a0, LoadCode(c0 + j), q0);
    a1 = _mm512_dpbusd_epi32(a1, LoadCode(c1 + j), q0);
    a2 = _mm512_dpbusd_epi32(a2, LoadCode(c2 + j), q0);
    a3 = _mm512_dpbusd_epi32(a3, LoadCode(c3 + j), q0);
    b0 = _mm512_dpbusd_epi32(b0, LoadCode(c0 + j + 64), q1);
    b1 = _mm512_dpbusd_epi32(b1, LoadCode(c1 + j + 64), q1);
    b2 = _mm512_dpbusd_epi32(b2, LoadCode(c2 + j + 64), q1);
    b3 = _mm512_dpbusd_epi32(b3, LoadCode(c3 + j + 64), q1);
  }
  if (j < whole) {
    const __m512i q = LoadCode(query.values + j);
    a0 = _mm512_dpbusd_epi32(a0, LoadCode(c0 + j), q);
    a1 = _mm512_dpbusd_epi32(a1, LoadCode(c1 + j), q);
    a2 = _mm512_dpbusd_epi32(a2, LoadCode(c2 + j), q);
    a3 = _mm512_dpbusd_epi32(a3, LoadCode(c3 + j), q);
    j += 64;
  }
  if (j < query.code_bytes) {
    const __mmask64 mask = TailMask(query.code_bytes);
    const __m512i q = _mm512_maskz_loadu_epi8(mask, query.values + j);
    b0 = _mm512_dpbusd_epi32(b0, _mm512_maskz_loadu_epi8(mask, c0 + j), q);
    b1 = _mm512_dpbusd_epi32(b1, _mm512_maskz_loadu_epi8(mask, c1 + j), q);
    b2 = _mm512_dpbusd_epi32(b2, _mm512_maskz_loadu_epi8(mask, c2 + j), q);
    b3 = _mm512_dpbusd_epi32(b3, _mm512_maskz_loadu_epi8(mask, c3 + j), q);
  }
  const __m128i dots = SumsOf(_mm512_add_epi32(a0, b0), _mm512_add_epi32(a1, b1),
                              _mm512_add_epi32(a2, b2), _mm512_add_epi32(a3, b3));
  const __m128i norms = _mm_setr_epi32(NormOf(c0, query.code_bytes), NormOf(c1, query.code_bytes),
                                       NormOf(c2, query.code_bytes), NormOf(c3, query.code_bytes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), Finish(query, norms, dots));
}

int32_t OneDistance(const CodeQuery& query, const uint8_t* code) {
  __m512i a = _mm512_setzero_si512();
  __m512i b = a;
  const uint32_t whole = query.code_bytes & ~uint32_t{63};
  uint32_t j = 0;
  for (; j + 128 <= whole; j += 128) {
    a = _mm512_dpbusd_epi32(a, LoadCode(code + j), LoadCode(query.values + j));
    b = _mm512_dpbusd_epi32(b, LoadCode(code + j + 64), LoadCode(query.values + j + 64));
  }
  if (j < whole) {
    a = _mm512_dpbusd_epi32(a, LoadCode(code + j), LoadCode(query.values + j));
    j += 64;
  }
  if (j < query.code_bytes) {
    const __mmask64 mask = TailMask(query.code_bytes);
    b = _mm512_dpbusd_epi32(b, _mm512_maskz_loadu_epi8(mask, code + j),
                            _mm512_maskz_loadu_epi8(mask, query.values + j));
  }
  const auto dot = static_cast<uint32_t>(_mm512_reduce_add_epi32(_mm512_add_epi32(a, b)));
  const auto norm = static_cast<uint32_t>(NormOf(code, query.code_bytes));
  return static_cast<int32_t>(query.offset + (norm & query.norm_mask) - (dot << query.shift));
}

void CodeDistances(const CodeQuery& query, const uint8_t* const* codes, size_t count,
                   int32_t* out) {
  size_t i = 0;
  for (; i + 4 <= count; i += 4) FourDistances(query, codes + i, out + i);
  for (; i < count; ++i) out[i] = OneDistance(query, codes[i]);
}

__m512 Load(const float* from) { return _mm512_loadu_ps(from); }
__m512 Load(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
__m512 LoadPart(__mmask16 mask, const float* from) { return _mm512_maskz_loadu_ps(mask, from); }
__m512 LoadPart(__mmask16 mask, const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, from));
}
__mmask16 FirstMask(size_t count) { return static_cast<__mmask16>((1U << count) - 1U); }

template <typename T>
float SquaredL2(const float* a, const T* b, size_t n) {
  __m512 sum0 = _mm512_setzero_ps();
  __m512 sum1 = sum0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512 d0 = _mm512_sub_ps(Load(a + i), Load(b + i));
    const __m512 d1 = _mm512_sub_ps(Load(a + i + 16), Load(b + i + 16));
    sum0 = _mm512_fmadd_ps(d0, d0, sum0);
    sum1 = _mm512_fmadd_ps(d1, d1, sum1);
  }
  if (i + 16 <= n) {
    const __m512 d = _mm512_sub_ps(Load(a + i), Load(b + i));
    sum0 = _mm512_fmadd_ps(d, d, sum0);
    i += 16;
  }
  if (i < n) {
    const __mmask16 mask = FirstMask(n - i);
    const __m512 d = _mm512_sub_ps(LoadPart(mask, a + i), LoadPart(mask, b + i));
    sum1 = _mm512_fmadd_ps(d, d, sum1);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(sum0, sum1));
}

template <typename A, typename B>
float Dot(const A* a, const B* b, size_t n) {
  __m512 sum0 = _mm512_setzero_ps();
  __m512 sum1 = sum0;
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    sum0 = _mm512_fmadd_ps(Load(a + i), Load(b + i), sum0);
    sum1 = _mm512_fmadd_ps(Load(a + i + 16), Load(b + i + 16), sum1);
  }
  if (i + 16 <= n) {
    sum0 = _mm512_fmadd_ps(Load(a + i), Load(b + i), sum0);
    i += 16;
  }
  if (i < n) {
    const __mmask16 mask = FirstMask(n - i);
    sum1 = _mm512_fmadd_ps(LoadPart(mask, a + i), LoadPart(mask, b + i), sum1);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(sum0, sum1));
}

float SquaresF16(const uint16_t* b, size_t n) { return Dot(b, b, n); }

}  // namespace

const Kernels kAvx512 = {"avx512-vnni",     CodeDistances,       SquaredL2<float>,
                         Dot<float, float>, SquaredL2<uint16_t>, Dot<float, uint16_t>,
                         SquaresF16};

}  // namespace vectron::index::kernels_isa
