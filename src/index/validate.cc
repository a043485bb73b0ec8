#include "index/validate.h"

#include <cmath>
#include <cstddef>

#include "base/limits.h"
#include "base/status.h"

namespace vectron::index {

absl::Status ValidateOptions(const IndexOptions& options) {
  if (options.dimension == 0 || options.dimension > kMaxDimension) {
    return InvalidArgument("dimension: got {}, wanted 1 to {}", options.dimension, kMaxDimension);
  }
  if (options.m < kMinM || options.m > kMaxM) {
    return InvalidArgument("m: got {}, wanted {} to {}", options.m, kMinM, kMaxM);
  }
  if (options.ef_construct < kMinEfConstruct || options.ef_construct > kMaxEfConstruct) {
    return InvalidArgument("ef_construct: got {}, wanted {} to {}", options.ef_construct,
                           kMinEfConstruct, kMaxEfConstruct);
  }
  return absl::OkStatus();
}

absl::Status ValidateQuery(const IndexOptions& options, std::span<const float> query) {
  if (query.size() != options.dimension) {
    return InvalidArgument("query: got {} components, wanted {}", query.size(), options.dimension);
  }
  bool any = false;
  for (size_t i = 0; i < query.size(); ++i) {
    if (!std::isfinite(query[i])) {
      return InvalidArgument("query: component {} is {}, wanted a finite number", i, query[i]);
    }
    any = any || query[i] != 0.0F;
  }
  if (!any && options.metric == Metric::kCosine) {
    return InvalidArgument("query: all components are zero, which has no direction");
  }
  return absl::OkStatus();
}

absl::Status ValidateSearch(const SearchOptions& options) {
  if (options.k == 0 || options.k > kMaxTopK) {
    return InvalidArgument("k: got {}, wanted 1 to {}", options.k, kMaxTopK);
  }
  if (options.ef > kMaxEf) {
    return InvalidArgument("ef: got {}, wanted at most {}", options.ef, kMaxEf);
  }
  return absl::OkStatus();
}

}  // namespace vectron::index
