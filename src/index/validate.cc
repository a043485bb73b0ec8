#include "index/validate.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

namespace {

// Are all finite, and is any not zero? Sixteen at a time, so that the compiler takes them at once.
struct Values {
  bool finite = true;
  bool any = false;
};
Values Look(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000U;
  constexpr size_t kBlock = 16;
  uint32_t some = 0;
  uint32_t infinite = 0;
  size_t i = 0;
  for (; i + kBlock <= values.size(); i += kBlock) {
    uint32_t bits[kBlock];
    std::memcpy(bits, values.data() + i, sizeof bits);
    for (size_t j = 0; j < kBlock; ++j) {
      some |= bits[j];
      infinite |= (bits[j] & kExponent) == kExponent ? 1U : 0U;
    }
  }
  for (; i < values.size(); ++i) {
    some |= std::bit_cast<uint32_t>(values[i]);
    infinite |= std::isfinite(values[i]) ? 0U : 1U;
  }
  return {.finite = infinite == 0, .any = (some << 1) != 0};
}

}  // namespace

absl::Status ValidateQuery(const IndexOptions& options, std::span<const float> query) {
  if (query.size() != options.dimension) {
    return InvalidArgument("query: got {} components, wanted {}", query.size(), options.dimension);
  }
  const Values values = Look(query);
  for (size_t i = 0; !values.finite && i < query.size(); ++i) {
    if (!std::isfinite(query[i])) {
      return InvalidArgument("query: component {} is {}, wanted a finite number", i, query[i]);
    }
  }
  if (!values.any && options.metric == Metric::kCosine) {
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
