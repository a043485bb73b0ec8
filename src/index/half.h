#pragma once

// IEEE 754 binary16 ("half") and f32.

#include <cstddef>
#include <cstdint>
#include <span>

namespace vectron::index {

inline constexpr float kMaxHalf = 65504.0F;

// Rounds to nearest, ties to even; what lies beyond +-kMaxHalf becomes that, so a finite vector
// stays finite. value is not NaN.
uint16_t ToHalf(float value);
// Exact.
float FromHalf(uint16_t half);

// The same for spans of equal size, with the F16C instructions where the processor has them.
void ToHalf(std::span<const float> from, uint16_t* into);
void FromHalf(const uint16_t* from, std::span<float> into);

}  // namespace vectron::index
