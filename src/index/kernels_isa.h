#pragma once

// What the files compiled with their own instruction-set flags give to kernels.cc. Those files
// include nothing else and keep their helpers in anonymous namespaces: an inline function of a
// shared header compiled there could be picked by the linker for the whole program and fault on a
// lesser machine.

#include "index/kernels.h"

namespace vectron::index::kernels_isa {

inline constexpr const char* kBaselineName = "sse4.1";
void BaselineCode(const CodeQuery& query, const uint8_t* const* codes, size_t count, int32_t* out);
float BaselineSquaredL2(const float* a, const float* b, size_t n);
float BaselineDot(const float* a, const float* b, size_t n);

extern const Kernels kAvx2;
extern const Kernels kAvx512;

}  // namespace vectron::index::kernels_isa
