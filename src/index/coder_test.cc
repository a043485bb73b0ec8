#include "index/coder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"

namespace vectron::index {
namespace {

std::vector<float> Uniform(Random& random, size_t count, double low, double high) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(low + (high - low) * random.Uniform());
  return values;
}

// A code followed by its norm.
struct Coded {
  std::vector<uint8_t> record;
  Coder::Encoded encoded;
};
Coded Encode(const Coder& coder, std::span<const float> vector) {
  Coded coded{.record = std::vector<uint8_t>(coder.code_bytes() + 4), .encoded = {}};
  coded.encoded = coder.Encode(vector, coded.record.data());
  std::memcpy(coded.record.data() + coder.code_bytes(), &coded.encoded.norm, 4);
  return coded;
}
int32_t Distance(const CodeQuery& query, const Coded& coded) {
  const uint8_t* code = coded.record.data();
  int32_t distance = 0;
  BestKernels().code_distances(query, &code, 1, &distance);
  return distance;
}

TEST(TrainScale, KeepsBytesAsTheyAre) {
  Random random(1);
  std::vector<float> values;
  for (int i = 0; i < 10'000; ++i) values.push_back(static_cast<float>(random.Below(256)));
  EXPECT_EQ(TrainScale(Metric::kEuclidean, values), (Scale{.low = 0, .step = 1}));
  std::vector<float> small = {3, 4, 5};
  EXPECT_EQ(TrainScale(Metric::kEuclidean, small), (Scale{.low = 0, .step = 1}));
  std::vector<float> signed_bytes = {-128, 0, 127};
  EXPECT_EQ(TrainScale(Metric::kEuclidean, signed_bytes), (Scale{.low = -128, .step = 1}));
  std::vector<float> far = {1000, 1100};
  const Scale scale = TrainScale(Metric::kEuclidean, far);
  EXPECT_EQ(scale.step, 1);
  EXPECT_LE(scale.low, 1000);
  EXPECT_GE(scale.low + 255, 1100);
}

TEST(TrainScale, SpansTheQuantilesAndIgnoresOutliers) {
  Random random(2);
  std::vector<float> values = Uniform(random, 100'000, -1, 3);
  values[17] = 1e9F;
  values[18] = -1e9F;
  const Scale scale = TrainScale(Metric::kEuclidean, values);
  EXPECT_NEAR(scale.low, -1.2, 0.02);
  EXPECT_NEAR(scale.low + 255 * scale.step, 3.2, 0.02);
}

TEST(TrainScale, DoesNotDependOnOrder) {
  Random random(3);
  std::vector<float> values = Uniform(random, 5000, -1, 1);
  std::vector<float> reversed(values.rbegin(), values.rend());
  EXPECT_EQ(TrainScale(Metric::kCosine, values), TrainScale(Metric::kCosine, reversed));
}

TEST(TrainScale, GivesAStepToConstantValues) {
  std::vector<float> values(100, 0.37F);
  EXPECT_GT(TrainScale(Metric::kEuclidean, values).step, 0);
}

TEST(TrainScale, MakesZeroACodeForInnerProducts) {
  Random random(4);
  for (const auto& [low, high] : {std::pair{5.0, 6.0}, {-3.0, 1.0}, {-9.0, -8.0}}) {
    std::vector<float> values = Uniform(random, 10'000, low, high);
    const Scale scale = TrainScale(Metric::kDot, values);
    EXPECT_LE(scale.zero_point, 255U);
    EXPECT_EQ(scale.low, -static_cast<float>(scale.zero_point) * scale.step);
  }
}

TEST(Coder, IsLosslessOnBytes) {
  Random random(5);
  const Coder coder(100, Metric::kEuclidean, {.low = 0, .step = 1});
  std::vector<float> a;
  std::vector<float> b;
  double wanted = 0;
  for (int i = 0; i < 100; ++i) {
    a.push_back(static_cast<float>(random.Below(256)));
    b.push_back(static_cast<float>(random.Below(256)));
    wanted += (a.back() - b.back()) * (a.back() - b.back());
  }
  const Coded coded = Encode(coder, a);
  EXPECT_TRUE(coded.encoded.lossless);
  EXPECT_EQ(coded.encoded.clamped, 0U);
  std::vector<int8_t> values(coder.code_bytes());
  std::vector<uint8_t> scratch(coder.code_bytes());
  const CodeQuery query = coder.QueryOf(b, values.data(), scratch.data());
  EXPECT_TRUE(query.lossless);
  const Coder::Linear linear = coder.ToMetric(b);
  EXPECT_EQ(linear.offset + linear.factor * Distance(query, coded), wanted);
}

TEST(Coder, CountsWhatItClamps) {
  const Coder coder(4, Metric::kEuclidean, {.low = 0, .step = 1});
  EXPECT_EQ(Encode(coder, std::vector<float>{-1, 0, 255, 256}).encoded.clamped, 2U);
  EXPECT_EQ(Encode(coder, std::vector<float>{-0.4F, 0, 255, 255.4F}).encoded.clamped, 0U);
  EXPECT_EQ(Encode(coder, std::vector<float>{1e30F, -1e30F, 1, 1}).encoded.clamped, 2U);
}

// The blocks of sixteen and the values one at a time are the same function.
TEST(Coder, EncodesTheSameInBlocksAndOneByOne) {
  Random random(13);
  const Scale scale{.low = -1.37F, .step = 0.0123F, .zero_point = 3};
  for (const Metric metric : {Metric::kEuclidean, Metric::kDot}) {
    const Coder one(1, metric, scale);
    for (uint32_t dimension = 1; dimension < 100; ++dimension) {
      const Coder all(dimension, metric, scale);
      const std::vector<float> vector = Uniform(random, dimension, -2, 2.5);
      const Coded coded = Encode(all, vector);
      Coder::Encoded wanted{.norm = 0, .clamped = 0, .lossless = true};
      for (uint32_t j = 0; j < dimension; ++j) {
        const Coded single = Encode(one, std::span(vector).subspan(j, 1));
        ASSERT_EQ(coded.record[j], single.record[0]) << dimension << " " << j;
        wanted.norm += single.encoded.norm;
        wanted.clamped += single.encoded.clamped;
        wanted.lossless = wanted.lossless && single.encoded.lossless;
      }
      ASSERT_EQ(coded.encoded.norm, wanted.norm);
      ASSERT_EQ(coded.encoded.clamped, wanted.clamped);
      ASSERT_EQ(coded.encoded.lossless, wanted.lossless);
    }
  }
}

// Distances by code come near to those of the metric.
void CompareWithMetric(Metric metric, double low, double high, uint64_t seed) {
  Random random(seed);
  constexpr uint32_t kDimension = 200;
  std::vector<float> sample = Uniform(random, 20'000, low, high);
  const Coder coder(kDimension, metric, TrainScale(metric, sample));
  std::vector<int8_t> values(coder.code_bytes());
  std::vector<uint8_t> scratch(coder.code_bytes());
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> row = Uniform(random, kDimension, low, high);
    const std::vector<float> query_vector = Uniform(random, kDimension, low, high);
    double wanted = 0;
    double size = 0;
    for (uint32_t j = 0; j < kDimension; ++j) {
      const double difference = static_cast<double>(row[j]) - query_vector[j];
      wanted += metric == Metric::kDot ? -static_cast<double>(row[j]) * query_vector[j]
                                       : difference * difference;
      size += std::fabs(static_cast<double>(row[j]) * query_vector[j]);
    }
    const CodeQuery query = coder.QueryOf(query_vector, values.data(), scratch.data());
    const Coder::Linear linear = coder.ToMetric(query_vector);
    const double got = linear.offset + linear.factor * Distance(query, Encode(coder, row));
    const double scale = metric == Metric::kDot ? size : wanted;
    EXPECT_NEAR(got, wanted, 0.02 * scale) << low << " " << high;
  }
}

TEST(Coder, ApproachesTheMetric) {
  CompareWithMetric(Metric::kEuclidean, -1, 1, 6);
  CompareWithMetric(Metric::kEuclidean, 1000, 1001, 7);
  CompareWithMetric(Metric::kDot, -1, 1, 8);
  CompareWithMetric(Metric::kDot, 0, 100, 9);
  CompareWithMetric(Metric::kDot, -5, -4, 10);
}

TEST(Coder, HasSymmetricDistancesBetweenRows) {
  Random random(11);
  for (const Metric metric : {Metric::kEuclidean, Metric::kCosine, Metric::kDot}) {
    std::vector<float> sample = Uniform(random, 1000, -2, 1);
    const Coder coder(37, metric, TrainScale(metric, sample));
    std::vector<int8_t> values_a(coder.code_bytes());
    std::vector<int8_t> values_b(coder.code_bytes());
    for (int i = 0; i < 100; ++i) {
      const Coded a = Encode(coder, Uniform(random, 37, -2, 1));
      const Coded b = Encode(coder, Uniform(random, 37, -2, 1));
      const CodeQuery from_a = coder.QueryOfCode(a.record.data(), values_a.data());
      const CodeQuery from_b = coder.QueryOfCode(b.record.data(), values_b.data());
      ASSERT_EQ(Distance(from_a, b), Distance(from_b, a));
    }
  }
}

// The i32 order must be the order of distances even where their range fills 32 bits.
TEST(Coder, KeepsTheOrderAtTheLargestDimension) {
  constexpr uint32_t kDimension = 65'535;
  for (const Metric metric : {Metric::kEuclidean, Metric::kDot}) {
    for (const uint32_t zero_point : {0U, 128U, 255U}) {
      const bool is_dot = metric == Metric::kDot;
      const Scale scale{.low = is_dot ? -static_cast<float>(zero_point) : 0.0F,
                        .step = 1,
                        .zero_point = is_dot ? zero_point : 0};
      const Coder coder(kDimension, metric, scale);
      std::vector<int8_t> values(coder.code_bytes());
      // Rows from all low to all high, in steps.
      std::vector<Coded> rows;
      for (int i = 0; i <= 8; ++i) {
        std::vector<float> row(kDimension, scale.low);
        std::fill(row.begin(), row.begin() + kDimension * i / 8, scale.low + 255);
        rows.push_back(Encode(coder, row));
      }
      const CodeQuery query = coder.QueryOfCode(rows.back().record.data(), values.data());
      for (size_t i = 1; i < rows.size(); ++i) {
        const int32_t nearer = Distance(query, rows[i]);
        const int32_t farther = Distance(query, rows[i - 1]);
        if (is_dot && zero_point == 255) {
          ASSERT_EQ(nearer, farther);  // the query is the zero vector
        } else {
          ASSERT_LT(nearer, farther) << i;
        }
      }
    }
  }
}

TEST(Normalise, GivesUnitLength) {
  Random random(12);
  for (const size_t n : {1U, 2U, 7U, 8U, 9U, 768U}) {
    const std::vector<float> vector = Uniform(random, n, 0.5, 1e3);
    std::vector<float> unit(n);
    Normalise(vector, unit);
    double square = 0;
    for (const float value : unit) square += static_cast<double>(value) * value;
    EXPECT_NEAR(square, 1, 1e-6);
  }
  std::vector<float> tiny = {1e-30F, 0};
  std::vector<float> unit(2);
  Normalise(tiny, unit);
  EXPECT_FLOAT_EQ(unit[0], 1);
}

}  // namespace
}  // namespace vectron::index
