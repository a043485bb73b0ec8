#pragma once

// Distance kernels: about ten functions, one table per instruction set, the best one chosen once at
// start.
//
// Code kernels compare a query with 8-bit codes and answer 32-bit integers that are the same on
// every machine. A code has `code_bytes` bytes (a multiple of 16) and is followed by an i32 norm.
// With q the query's s8 values,
//
//   distance = offset + (norm & norm_mask) - (dot(code, q) << shift)      modulo 2^32, read as i32
//
// Whoever makes the query (coder.h) picks offset so that the i32 order is the order of distances.
//
// Float kernels compare an f32 query with full-precision vectors; sums are f32 and their last bits
// depend on the instruction set.

#include <cstddef>
#include <cstdint>

namespace vectron::index {

struct CodeQuery {
  const int8_t* values = nullptr;  // code_bytes of them; zero where the dimension has ended
  uint32_t code_bytes = 0;         // multiple of 16
  uint32_t offset = 0;
  uint32_t norm_mask = 0;  // 0 or ~0
  uint32_t shift = 0;      // 0 or 1
  bool lossless = false;   // the values say the query exactly; of no use to kernels
};

// All functions are thread-safe and allow any alignment.
struct Kernels {
  const char* name;
  // out[i] = distance of codes[i]; each code is followed by its norm.
  void (*code_distances)(const CodeQuery& query, const uint8_t* const* codes, size_t count,
                         int32_t* out);
  // Sum of (a - b)^2 and of a b over n values; b as f32 or as IEEE half.
  float (*squared_l2)(const float* a, const float* b, size_t n);
  float (*dot)(const float* a, const float* b, size_t n);
  float (*squared_l2_f16)(const float* a, const uint16_t* b, size_t n);
  float (*dot_f16)(const float* a, const uint16_t* b, size_t n);
  // Sum of b^2 over n IEEE halves.
  float (*squares_f16)(const uint16_t* b, size_t n);
};

// The twin of all others: plain loops.
const Kernels& ScalarKernels();
// SSE4.1, which every x86-64-v2 has.
const Kernels& BaselineKernels();
// Null when this machine lacks the instructions.
const Kernels* Avx2Kernels();
const Kernels* Avx512Kernels();

// The best for this machine; always the same answer.
const Kernels& BestKernels();

}  // namespace vectron::index
