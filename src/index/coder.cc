#include "index/coder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#ifdef __SSE4_1__
#include <immintrin.h>
#endif

#include "base/check.h"

namespace vectron::index {
namespace {

constexpr uint32_t kOrderBias = 0x80000000U;  // turns the order of u32 into that of i32

// A step that spans `range` with 255 of it, or 1 when there is no range.
float StepOf(float range) {
  const float step = range / 255.0F;
  return step > 0 && std::isfinite(step) ? step : 1.0F;
}

// Whole numbers that fit into a byte each: the scale that keeps them. step 0: they do not.
Scale WholeNumberScale(Metric metric, std::span<const float> values) {
  float lowest = values[0];
  float highest = values[0];
  for (const float value : values) {
    if (value != std::nearbyint(value)) return {.step = 0};
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  if (metric == Metric::kDot) {
    lowest = std::min(lowest, 0.0F);
    highest = std::max(highest, 0.0F);
  }
  if (highest - lowest > 255 || std::fabs(lowest) > 0x1.0p23F) return {.step = 0};
  Scale scale{.low = lowest, .step = 1};
  // The usual ranges whole; in others leave equal room on both sides.
  if (lowest >= 0 && highest <= 255) {
    scale.low = 0;
  } else if (lowest >= -128 && highest <= 127) {
    scale.low = -128;
  } else if (metric != Metric::kDot) {
    scale.low = lowest - std::floor((255 - (highest - lowest)) / 2);
  }
  return scale;
}

float Quantile(std::span<float> values, double fraction) {
  const auto rank = static_cast<size_t>(fraction * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(rank), values.end());
  return values[rank];
}

}  // namespace

Scale TrainScale(Metric metric, std::span<float> values) {
  CHECK(!values.empty());
  Scale scale = WholeNumberScale(metric, values);
  if (scale.step == 0) {
    float low = Quantile(values, 0.001);
    float high = Quantile(values, 0.999);
    const float margin = (high - low) * 0.05F;
    low -= margin;
    high += margin;
    if (metric == Metric::kDot) {
      low = std::min(low, 0.0F);
      high = std::max(high, 0.0F);
    }
    scale.step = StepOf(high - low);
    scale.low = low;
  }
  if (metric == Metric::kDot) {
    // Zero is a code, so that products of codes need no further terms.
    const float zero = std::clamp(std::nearbyint(-scale.low / scale.step), 0.0F, 255.0F);
    scale.zero_point = static_cast<uint32_t>(zero);
    scale.low = -zero * scale.step;
  }
  return scale;
}

Coder::Coder(uint32_t dimension, Metric metric, const Scale& scale)
    : dimension_(dimension),
      metric_(metric),
      scale_(scale),
      inverse_step_(1.0F / scale.step),
      code_bytes_(CodeBytes(dimension)) {
  CHECK_GT(scale.step, 0.0F);
}

// Values one at a time.
void Coder::EncodeValues(const float* values, size_t count, uint8_t* code, Tally& tally) const {
  for (size_t j = 0; j < count; ++j) {
    const float exact = (values[j] - scale_.low) * inverse_step_;
    const float inside = std::min(std::max(exact, 0.0F), 255.0F);
    const auto value = static_cast<int32_t>(inside + 0.5F);
    tally.clamped += (exact < -0.5F || exact > 255.5F) ? 1U : 0U;
    tally.lossy |= scale_.low + scale_.step * static_cast<float>(value) != values[j];
    tally.sum += static_cast<uint32_t>(value);
    tally.squares += static_cast<uint32_t>(value * value);
    code[j] = static_cast<uint8_t>(value);
  }
}

#ifdef __SSE4_1__
namespace {

uint32_t SumOf(__m128i sums) {
  sums = _mm_hadd_epi32(sums, sums);
  return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_hadd_epi32(sums, sums)));
}

}  // namespace

// The same for sixteen at a time, with the same roundings. Returns how many are done.
size_t Coder::EncodeBlocks(const float* values, size_t count, uint8_t* code, Tally& tally) const {
  const __m128 low = _mm_set1_ps(scale_.low);
  const __m128 step = _mm_set1_ps(scale_.step);
  const __m128 inverse = _mm_set1_ps(inverse_step_);
  const __m128 half = _mm_set1_ps(0.5F);
  const __m128 most = _mm_set1_ps(255.0F);
  __m128i sum = _mm_setzero_si128();
  __m128i squares = sum;
  __m128i clamped = sum;
  __m128 lossy = _mm_setzero_ps();
  size_t j = 0;
  for (; j + 16 <= count; j += 16) {
    __m128i parts[4];
    for (size_t i = 0; i < 4; ++i) {
      const __m128 value = _mm_loadu_ps(values + j + 4 * i);
      const __m128 exact = _mm_mul_ps(_mm_sub_ps(value, low), inverse);
      const __m128 inside = _mm_min_ps(_mm_max_ps(exact, _mm_setzero_ps()), most);
      parts[i] = _mm_cvttps_epi32(_mm_add_ps(inside, half));
      const __m128 outside = _mm_or_ps(_mm_cmplt_ps(exact, _mm_set1_ps(-0.5F)),
                                       _mm_cmpgt_ps(exact, _mm_set1_ps(255.5F)));
      clamped = _mm_sub_epi32(clamped, _mm_castps_si128(outside));
      const __m128 again = _mm_add_ps(low, _mm_mul_ps(step, _mm_cvtepi32_ps(parts[i])));
      lossy = _mm_or_ps(lossy, _mm_cmpneq_ps(again, value));
    }
    const __m128i first = _mm_packs_epi32(parts[0], parts[1]);
    const __m128i second = _mm_packs_epi32(parts[2], parts[3]);
    const __m128i ones = _mm_set1_epi16(1);
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_add_epi16(first, second), ones));
    squares = _mm_add_epi32(
        squares, _mm_add_epi32(_mm_madd_epi16(first, first), _mm_madd_epi16(second, second)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(code + j), _mm_packus_epi16(first, second));
  }
  tally.sum += SumOf(sum);
  tally.squares += SumOf(squares);
  tally.clamped += SumOf(clamped);
  tally.lossy |= _mm_movemask_ps(lossy) != 0;
  return j;
}
#else
size_t Coder::EncodeBlocks(const float*, size_t, uint8_t*, Tally&) const { return 0; }
#endif

Coder::Encoded Coder::Encode(std::span<const float> vector, uint8_t* code) const {
  CHECK_EQ(vector.size(), size_t{dimension_});
  Tally tally;
  const size_t done = EncodeBlocks(vector.data(), dimension_, code, tally);
  EncodeValues(vector.data() + done, dimension_ - done, code + done, tally);
  std::memset(code + dimension_, 0, code_bytes_ - dimension_);
  Encoded encoded{.clamped = tally.clamped, .lossless = !tally.lossy};
  if (metric_ == Metric::kDot) {
    encoded.norm =
        (static_cast<int32_t>(scale_.zero_point) - 128) * static_cast<int32_t>(tally.sum);
  } else {
    encoded.norm = static_cast<int32_t>(tally.squares - 256U * tally.sum);
  }
  return encoded;
}

CodeQuery Coder::QueryOfCode(const uint8_t* code, int8_t* values) const {
  uint32_t sum = 0;
  uint32_t squares = 0;
  for (uint32_t j = 0; j < code_bytes_; ++j) {
    const uint32_t value = code[j];
    sum += value;
    squares += value * value;
    values[j] = static_cast<int8_t>(static_cast<uint8_t>(value ^ 0x80U));
  }
  CodeQuery query{.values = values, .code_bytes = code_bytes_, .norm_mask = ~uint32_t{0}};
  if (metric_ == Metric::kDot) {
    // -sum (c-z)(e-z) = norm - dot(c, e-128) + z sum e - z^2 d. Adding the largest product makes it
    // a u32 for sure.
    const uint32_t zero = scale_.zero_point;
    const uint32_t widest = std::max(zero, 255 - zero);
    query.offset =
        zero * sum - zero * zero * dimension_ + widest * widest * dimension_ + kOrderBias;
  } else {
    query.offset = squares + kOrderBias;
    query.shift = 1;
  }
  return query;
}

float Coder::QueryFactor(std::span<const float> vector) const {
  float largest = 0;
  for (const float value : vector) largest = std::max(largest, std::fabs(value));
  const float factor = 127.0F / largest;
  return largest > 0 && std::isfinite(factor) ? factor : 1.0F;
}

CodeQuery Coder::QueryOf(std::span<const float> vector, int8_t* values, uint8_t* scratch) const {
  if (metric_ != Metric::kDot) {
    const Encoded encoded = Encode(vector, scratch);
    CodeQuery query = QueryOfCode(scratch, values);
    query.lossless = encoded.lossless;
    return query;
  }
  const float factor = QueryFactor(vector);
  int32_t sum = 0;
  for (uint32_t j = 0; j < dimension_; ++j) {
    const auto value = static_cast<int32_t>(std::nearbyint(vector[j] * factor));
    sum += value;
    values[j] = static_cast<int8_t>(value);
  }
  std::memset(values + dimension_, 0, code_bytes_ - dimension_);
  return {.values = values,
          .code_bytes = code_bytes_,
          .offset = static_cast<uint32_t>(sum) * scale_.zero_point};
}

Coder::Linear Coder::ToMetric(std::span<const float> vector) const {
  const double step = scale_.step;
  switch (metric_) {
    case Metric::kEuclidean:
      return {.offset = step * step * 0x1.0p31, .factor = step * step};
    case Metric::kCosine:
      return {.offset = step * step * 0x1.0p30, .factor = step * step / 2};
    case Metric::kDot:
      return {.offset = 0, .factor = step / QueryFactor(vector)};
  }
  CHECK(false);
  return {};
}

void Normalise(std::span<const float> vector, std::span<float> into) {
  CHECK_EQ(vector.size(), into.size());
  // Eight sums in a fixed order: quick, and the same everywhere.
  double sums[8] = {};
  size_t i = 0;
  for (; i + 8 <= vector.size(); i += 8) {
    for (size_t j = 0; j < 8; ++j) {
      sums[j] += static_cast<double>(vector[i + j]) * static_cast<double>(vector[i + j]);
    }
  }
  for (; i < vector.size(); ++i) {
    sums[0] += static_cast<double>(vector[i]) * static_cast<double>(vector[i]);
  }
  const double square =
      ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  const double inverse = 1.0 / std::sqrt(square);
  for (size_t j = 0; j < vector.size(); ++j) {
    into[j] = static_cast<float>(static_cast<double>(vector[j]) * inverse);
  }
}

}  // namespace vectron::index
