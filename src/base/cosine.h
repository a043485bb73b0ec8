#pragma once

// The distance of the cosine metric: one formula for all places that score.

#include <algorithm>
#include <cmath>

namespace vectron {

// 1 - cos of the angle between two vectors, from their dot product and the product of their squared
// lengths, which is above 0. In [0, 2], whatever was rounded on the way.
inline double CosineDistance(double dot, double squared_lengths) {
  return std::clamp(1 - dot / std::sqrt(squared_lengths), 0.0, 2.0);
}

}  // namespace vectron
