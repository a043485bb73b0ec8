#include "bench/index/hnswlib_rival.h"

#include <hnswlib/hnswlib.h>

#include <cmath>

namespace vectron::bench {

struct HnswlibRival::State {
  std::unique_ptr<hnswlib::SpaceInterface<float>> space;
  std::unique_ptr<hnswlib::HierarchicalNSW<float>> graph;
  size_t dimension = 0;
  bool normalise = false;
  std::vector<float> scaled;

  const float* Prepare(const float* vector) {
    if (!normalise) return vector;
    double square = 0;
    for (size_t i = 0; i < dimension; ++i) square += static_cast<double>(vector[i]) * vector[i];
    const auto scale = static_cast<float>(1.0 / std::sqrt(square));
    for (size_t i = 0; i < dimension; ++i) scaled[i] = vector[i] * scale;
    return scaled.data();
  }
};

HnswlibRival::HnswlibRival(size_t dimension, Metric metric, size_t capacity, size_t m,
                           size_t ef_construct)
    : state_(std::make_unique<State>()) {
  if (metric == Metric::kEuclidean) {
    state_->space = std::make_unique<hnswlib::L2Space>(dimension);
  } else {
    state_->space = std::make_unique<hnswlib::InnerProductSpace>(dimension);
  }
  state_->dimension = dimension;
  state_->normalise = metric == Metric::kCosine;
  state_->scaled.resize(dimension);
  state_->graph = std::make_unique<hnswlib::HierarchicalNSW<float>>(state_->space.get(), capacity,
                                                                    m, ef_construct);
}

HnswlibRival::~HnswlibRival() = default;

void HnswlibRival::Add(const float* vector, uint32_t label) {
  state_->graph->addPoint(state_->Prepare(vector), label);
}

void HnswlibRival::SetEf(size_t ef) { state_->graph->setEf(ef); }

void HnswlibRival::Search(const float* query, size_t k, std::vector<uint32_t>& labels) {
  auto found = state_->graph->searchKnn(state_->Prepare(query), k);
  labels.resize(found.size());
  for (size_t i = found.size(); i-- > 0; found.pop()) {
    labels[i] = static_cast<uint32_t>(found.top().second);
  }
}

}  // namespace vectron::bench
