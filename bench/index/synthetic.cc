#include "bench/index/synthetic.h"

#include <cmath>

#include "base/random.h"

namespace vectron::bench {
namespace {

// Box and Muller 1958, one of the pair.
float Normal(Random& random) {
  const double u = 1.0 - random.Uniform();
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) *
                            std::cos(6.283185307179586 * random.Uniform()));
}

std::vector<float> Normals(Random& random, size_t count, double scale) {
  std::vector<float> values(count);
  for (float& value : values) value = Normal(random) * static_cast<float>(scale);
  return values;
}

// out[j] += sum_i in[i] * weights[i][j]; weights: rows x out.size().
void AddProduct(const std::vector<float>& in, const std::vector<float>& weights,
                std::vector<float>& out) {
  for (size_t i = 0; i < in.size(); ++i) {
    const float x = in[i];
    const float* const row = weights.data() + i * out.size();
    for (size_t j = 0; j < out.size(); ++j) out[j] += x * row[j];
  }
}

}  // namespace

std::vector<float> MakeSynthetic(const SyntheticOptions& o) {
  Random random(o.seed);
  std::vector<double> bound(o.clusters);  // cumulative weights
  double total = 0;
  for (size_t i = 0; i < o.clusters; ++i) {
    bound[i] = total += std::pow(static_cast<double>(i + 1), -0.8);
  }
  const auto centres = Normals(random, o.clusters * o.latent, 1.0);
  std::vector<float> scales(o.clusters * o.latent);
  for (float& scale : scales) scale = static_cast<float>(o.spread * (0.5 + random.Uniform()));
  const auto layer1 =
      Normals(random, o.latent * o.hidden, 1.5 / std::sqrt(static_cast<double>(o.latent)));
  const auto bias = Normals(random, o.hidden, 0.5);
  const auto layer2 =
      Normals(random, o.hidden * o.dimension, 1.0 / std::sqrt(static_cast<double>(o.hidden)));

  std::vector<float> rows(o.count * o.dimension);
  std::vector<float> latent(o.latent);
  std::vector<float> hidden(o.hidden);
  std::vector<float> row(o.dimension);
  for (size_t r = 0; r < o.count; ++r) {
    const double draw = random.Uniform() * total;
    size_t cluster = 0;
    while (cluster + 1 < o.clusters && bound[cluster] < draw) ++cluster;
    for (size_t i = 0; i < o.latent; ++i) {
      const size_t at = cluster * o.latent + i;
      latent[i] = centres[at] + scales[at] * Normal(random);
    }
    hidden = bias;
    AddProduct(latent, layer1, hidden);
    for (float& value : hidden) value = std::tanh(value);
    for (float& value : row) value = 0.02F * Normal(random);
    AddProduct(hidden, layer2, row);
    double square = 0;
    for (size_t j = 0; j < o.dimension; ++j) {
      row[j] *= std::pow(static_cast<float>(j + 1), -0.3F);
      square += static_cast<double>(row[j]) * row[j];
    }
    const float scale = o.unit_length ? static_cast<float>(1.0 / std::sqrt(square)) : 1.0F;
    for (size_t j = 0; j < o.dimension; ++j) rows[r * o.dimension + j] = row[j] * scale;
  }
  return rows;
}

}  // namespace vectron::bench
