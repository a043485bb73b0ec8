#include "data_set.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>
#include <thread>

#include "base/random.h"
#include "base/status.h"

namespace vectron::bench {
namespace {

constexpr size_t kDimension = 784;
constexpr size_t kLatent = 16;
constexpr size_t kClusters = 200;
constexpr size_t kTruthK = 100;
constexpr uint64_t kSeed = 43;

float Normal(Random& random) {  // Box & Muller 1958
  const double u = 1.0 - random.Uniform();
  const double v = random.Uniform();
  return static_cast<float>(std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * v));
}

std::vector<float> Normals(Random& random, size_t count) {
  std::vector<float> out(count);
  for (float& value : out) value = Normal(random);
  return out;
}

class Surface {
 public:
  explicit Surface(Random& random)
      : centres_(Normals(random, kClusters * kLatent)),
        bend_(Normals(random, kLatent * kLatent)),
        spread_(Normals(random, kLatent * kDimension)) {}

  rows::Matrix Draw(Random& random, size_t count) const {
    rows::Matrix out;
    out.count = count;
    out.dimension = kDimension;
    out.values.resize(count * kDimension);
    for (size_t row = 0; row < count; ++row) DrawRow(random, out.values.data() + row * kDimension);
    return out;
  }

 private:
  void DrawRow(Random& random, float* into) const {
    const size_t cluster =
        random.Below(1 + random.Below(kClusters));  // low numbers are more likely
    float latent[kLatent];
    for (size_t i = 0; i < kLatent; ++i) {
      latent[i] = centres_[cluster * kLatent + i] + 0.4F * Normal(random);
    }
    std::fill(into, into + kDimension, 0.0F);
    for (size_t i = 0; i < kLatent; ++i) {
      float sum = 0;
      for (size_t j = 0; j < kLatent; ++j) sum += bend_[i * kLatent + j] * latent[j];
      const float bent = std::tanh(0.4F * sum);
      for (size_t d = 0; d < kDimension; ++d) into[d] += bent * spread_[i * kDimension + d];
    }
    for (size_t d = 0; d < kDimension; ++d) into[d] += 0.05F * Normal(random);
  }

  std::vector<float> centres_;
  std::vector<float> bend_;
  std::vector<float> spread_;
};

double SquaredDistance(const float* a, const float* b, size_t dimension) {
  float sums[16] = {};
  size_t d = 0;
  for (; d + 16 <= dimension; d += 16) {
    for (size_t lane = 0; lane < 16; ++lane) {
      const float difference = a[d + lane] - b[d + lane];
      sums[lane] += difference * difference;
    }
  }
  double sum = 0;
  for (const float lane : sums) sum += static_cast<double>(lane);
  for (; d < dimension; ++d) {
    const double difference = static_cast<double>(a[d]) - static_cast<double>(b[d]);
    sum += difference * difference;
  }
  return sum;
}

void NearestOfOne(const rows::Matrix& base, const float* query, const std::vector<uint32_t>& rows,
                  std::span<uint32_t> into) {
  std::vector<std::pair<double, uint32_t>> found;
  found.reserve(rows.size());
  for (const uint32_t row : rows) {
    found.emplace_back(SquaredDistance(base.row(row), query, base.dimension), row);
  }
  const size_t k = std::min(into.size(), found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(k), found.end());
  for (size_t i = 0; i < k; ++i) into[i] = found[i].second;
}

absl::StatusOr<DataSet> LoadFashion(const std::string& folder, const DataOptions& options) {
  DataSet set;
  set.name = "fashion-mnist-784";
  ASSIGN_OR_RETURN(set.base, rows::ReadMatrix(folder + "/base.bvecs.gz", options.base_rows));
  ASSIGN_OR_RETURN(set.queries, rows::ReadMatrix(folder + "/query.bvecs.gz", options.query_rows));
  if (set.base.count == options.base_rows && options.base_rows < 60'000) {
    const std::vector<bool> all(set.base.count, true);
    set.truth = ExactNearest(set.base, set.queries, kTruthK, all);
    set.name += fmt::format(" (first {} rows)", set.base.count);
  } else {
    ASSIGN_OR_RETURN(set.truth, rows::ReadTruth(folder + "/gt.ivecs.gz"));
  }
  return set;
}

}  // namespace

rows::Truth ExactNearest(const rows::Matrix& base, const rows::Matrix& queries, size_t k,
                         const std::vector<bool>& passes) {
  std::vector<uint32_t> candidates;
  for (uint32_t row = 0; row < base.count; ++row) {
    if (passes[row]) candidates.push_back(row);
  }
  rows::Truth truth;
  truth.queries = queries.count;
  truth.k = k;
  truth.rows.assign(queries.count * k, rows::kNoRow);
  const size_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::thread> workers;
  for (size_t t = 0; t < threads; ++t) {
    workers.emplace_back([&, t] {
      for (size_t q = t; q < queries.count; q += threads) {
        NearestOfOne(base, queries.row(q), candidates, std::span(truth.rows).subspan(q * k, k));
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  return truth;
}

absl::StatusOr<DataSet> LoadDataSet(const DataOptions& options) {
  const std::string folder = options.folder + "/fashion-mnist-784";
  if (!options.folder.empty() && std::filesystem::exists(folder))
    return LoadFashion(folder, options);
  DataSet set;
  set.name = "synthetic-784";
  Random random(kSeed);
  const Surface surface(random);
  set.base = surface.Draw(random, options.base_rows);
  set.queries = surface.Draw(random, std::min<size_t>(options.query_rows, 1'000));
  const std::vector<bool> all(set.base.count, true);
  set.truth = ExactNearest(set.base, set.queries, kTruthK, all);
  return set;
}

}  // namespace vectron::bench
