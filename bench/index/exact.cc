#include "bench/index/exact.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace vectron::bench {
namespace {

double ExactDistance(const float* a, const float* b, size_t dimension, Metric metric) {
  double dot = 0;
  double square = 0;
  double a2 = 0;
  double b2 = 0;
  for (size_t i = 0; i < dimension; ++i) {
    const double x = a[i];
    const double y = b[i];
    dot += x * y;
    square += (x - y) * (x - y);
    a2 += x * x;
    b2 += y * y;
  }
  if (metric == Metric::kEuclidean) return square;
  if (metric == Metric::kDot) return -dot;
  return 1 - dot / std::sqrt(a2 * b2);
}

float RoughDistance(const float* a, const float* b, size_t dimension, Metric metric) {
  float sum = 0;
  if (metric == Metric::kEuclidean) {
    for (size_t i = 0; i < dimension; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
  }
  for (size_t i = 0; i < dimension; ++i) sum -= a[i] * b[i];
  return sum;
}

}  // namespace

std::vector<std::vector<uint32_t>> ExactNearest(const Rows& base, const Rows& queries,
                                                Metric metric, size_t k,
                                                const std::function<bool(uint32_t)>& passes) {
  std::vector<uint32_t> rows;
  for (uint32_t i = 0; i < base.count; ++i) {
    if (!passes || passes(i)) rows.push_back(i);
  }
  std::vector<float> inverse_norm(base.count, 1.0F);
  if (metric == Metric::kCosine) {
    for (const uint32_t row : rows) {
      const float* const x = base.row(row);
      inverse_norm[row] = 1.0F / std::sqrt(-RoughDistance(x, x, base.dimension, Metric::kDot));
    }
  }
  const size_t shortlist = std::min(rows.size(), k + 50);
  std::vector<std::vector<uint32_t>> nearest(queries.count);
  std::vector<std::pair<float, uint32_t>> rough;
  std::vector<std::pair<double, uint32_t>> best;
  for (size_t q = 0; q < queries.count; ++q) {
    rough.clear();
    for (const uint32_t row : rows) {
      const float distance = RoughDistance(queries.row(q), base.row(row), base.dimension, metric);
      rough.emplace_back(distance * inverse_norm[row], row);
    }
    std::nth_element(rough.begin(), rough.begin() + static_cast<std::ptrdiff_t>(shortlist),
                     rough.end());
    best.clear();
    for (size_t i = 0; i < shortlist; ++i) {
      const uint32_t row = rough[i].second;
      best.emplace_back(ExactDistance(queries.row(q), base.row(row), base.dimension, metric), row);
    }
    std::sort(best.begin(), best.end());
    for (size_t i = 0; i < std::min(k, best.size()); ++i) nearest[q].push_back(best[i].second);
  }
  return nearest;
}

}  // namespace vectron::bench
