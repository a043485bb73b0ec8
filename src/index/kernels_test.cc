#include "index/kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "index/half.h"

namespace vectron::index {
namespace {

std::vector<const Kernels*> AllKernels() {
  std::vector<const Kernels*> all = {&BaselineKernels()};
  for (const Kernels* kernels : {Avx2Kernels(), Avx512Kernels()}) {
    if (kernels != nullptr) all.push_back(kernels);
  }
  return all;
}

// Code bytes of dimensions 1 to 300, and larger ones with every remainder of a block of 64 and of
// 128.
std::vector<uint32_t> AllCodeBytes() {
  std::vector<uint32_t> all;
  for (uint32_t bytes = 16; bytes <= 304; bytes += 16) all.push_back(bytes);
  for (const uint32_t bytes : {384U, 768U, 784U, 800U, 816U, 960U, 1024U, 1536U, 3072U, 65'536U}) {
    all.push_back(bytes);
  }
  return all;
}

enum class Fill { kRandom, kLow, kHigh, kOpposite };

// A code with its norm, at an address without alignment; bytes behind it are garbage.
std::vector<uint8_t> MakeCode(Random& random, uint32_t code_bytes, Fill fill) {
  std::vector<uint8_t> record(code_bytes + 4 + 64);
  for (uint8_t& byte : record) byte = static_cast<uint8_t>(random.Next());
  for (uint32_t j = 0; j < code_bytes; ++j) {
    if (fill == Fill::kLow) record[j] = 0;
    if (fill == Fill::kHigh) record[j] = 255;
    if (fill == Fill::kOpposite) record[j] = j % 2 == 0 ? 255 : 0;
  }
  return record;
}

void CompareCodes(const Kernels& kernels, uint32_t code_bytes, Fill fill, Random& random) {
  std::vector<int8_t> values(code_bytes);
  for (int8_t& value : values) value = static_cast<int8_t>(random.Next());
  if (fill == Fill::kHigh) std::fill(values.begin(), values.end(), int8_t{-128});
  if (fill == Fill::kOpposite) std::fill(values.begin(), values.end(), int8_t{127});
  std::vector<std::vector<uint8_t>> records;
  std::vector<const uint8_t*> codes;
  for (int i = 0; i < 11; ++i) {
    records.push_back(MakeCode(random, code_bytes, fill));
    codes.push_back(records.back().data());
  }
  for (const uint32_t norm_mask : {0U, ~0U}) {
    for (const uint32_t shift : {0U, 1U}) {
      const CodeQuery query{.values = values.data(),
                            .code_bytes = code_bytes,
                            .offset = static_cast<uint32_t>(random.Next()),
                            .norm_mask = norm_mask,
                            .shift = shift};
      for (size_t count = 0; count <= codes.size(); ++count) {
        std::vector<int32_t> got(codes.size() + 1, 12345);
        std::vector<int32_t> wanted(codes.size() + 1, 12345);
        kernels.code_distances(query, codes.data(), count, got.data());
        ScalarKernels().code_distances(query, codes.data(), count, wanted.data());
        ASSERT_EQ(got, wanted) << kernels.name << " bytes " << code_bytes << " count " << count;
      }
    }
  }
}

TEST(KernelsCode, EqualTheScalarTwinForEveryLengthAndExtremes) {
  Random random(1);
  for (const Kernels* kernels : AllKernels()) {
    for (const uint32_t code_bytes : AllCodeBytes()) {
      for (const Fill fill : {Fill::kRandom, Fill::kLow, Fill::kHigh, Fill::kOpposite}) {
        CompareCodes(*kernels, code_bytes, fill, random);
      }
    }
  }
}

TEST(KernelsCode, SayADistanceAsTheFormulaDoes) {
  const std::vector<int8_t> values = {1, -2,  3,  -4,  5,  -6,  7,  -8,
                                      9, -10, 11, -12, 13, -14, 15, -128};
  std::vector<uint8_t> code(20);
  int32_t dot = 0;
  for (uint8_t j = 0; j < 16; ++j) {
    code[j] = static_cast<uint8_t>(255 - j);
    dot += code[j] * values[j];
  }
  const int32_t norm = -1000;
  std::memcpy(code.data() + 16, &norm, 4);
  const CodeQuery query{.values = values.data(),
                        .code_bytes = 16,
                        .offset = 5000,
                        .norm_mask = ~uint32_t{0},
                        .shift = 1};
  const uint8_t* pointer = code.data();
  int32_t distance = 0;
  BestKernels().code_distances(query, &pointer, 1, &distance);
  EXPECT_EQ(distance, 5000 - 1000 - 2 * dot);
}

TEST(KernelsFloat, EqualTheScalarTwinForEveryLength) {
  Random random(2);
  std::vector<size_t> lengths;
  for (size_t n = 1; n <= 300; ++n) lengths.push_back(n);
  for (const size_t n : {383U, 384U, 768U, 784U, 1023U, 4096U, 65'535U}) lengths.push_back(n);
  for (const Kernels* kernels : AllKernels()) {
    for (const size_t n : lengths) {
      std::vector<float> a(n);
      std::vector<float> b(n);
      std::vector<uint16_t> half(n);
      for (size_t i = 0; i < n; ++i) {
        a[i] = static_cast<float>(random.Uniform() * 2 - 1);
        b[i] = static_cast<float>(random.Uniform() * 2 - 1);
        half[i] = ToHalf(b[i]);
      }
      const Kernels& twin = ScalarKernels();
      const float tolerance = 1e-5F * static_cast<float>(n);
      const std::string what = std::string(kernels->name) + " n " + std::to_string(n);
      ASSERT_NEAR(kernels->squared_l2(a.data(), b.data(), n),
                  twin.squared_l2(a.data(), b.data(), n), tolerance)
          << what;
      ASSERT_NEAR(kernels->dot(a.data(), b.data(), n), twin.dot(a.data(), b.data(), n), tolerance)
          << what;
      ASSERT_NEAR(kernels->squared_l2_f16(a.data(), half.data(), n),
                  twin.squared_l2_f16(a.data(), half.data(), n), tolerance)
          << what;
      ASSERT_NEAR(kernels->dot_f16(a.data(), half.data(), n),
                  twin.dot_f16(a.data(), half.data(), n), tolerance)
          << what;
      ASSERT_NEAR(kernels->squares_f16(half.data(), n), twin.squares_f16(half.data(), n), tolerance)
          << what;
    }
  }
}

TEST(KernelsFloat, DoNotOverflowInHalfPrecision) {
  // 784 squares of 255 pass the largest half by far: sums must be f32.
  const std::vector<float> query(784, 0.0F);
  const std::vector<uint16_t> row(784, ToHalf(255.0F));
  for (const Kernels* kernels : AllKernels()) {
    EXPECT_FLOAT_EQ(kernels->squared_l2_f16(query.data(), row.data(), 784), 784.0F * 255 * 255);
    EXPECT_FLOAT_EQ(kernels->squares_f16(row.data(), 784), 784.0F * 255 * 255);
  }
}

TEST(KernelsFloat, ReadEveryHalfAsItIs) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    if (((half >> 10) & 31) == 31) continue;  // infinities and NaN are never stored
    const float one = 1.0F;
    const float wanted = FromHalf(half);
    ASSERT_EQ(ScalarKernels().dot_f16(&one, &half, 1), wanted) << bits;
    ASSERT_EQ(BestKernels().dot_f16(&one, &half, 1), wanted) << bits;
  }
}

}  // namespace
}  // namespace vectron::index
