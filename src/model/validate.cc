#include "model/validate.h"

#include <absl/container/flat_hash_map.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/ids.h"
#include "model/text.h"

namespace vectron {
namespace {

constexpr uint32_t kExponentBits = 0x7f800000;

// Compares bits instead of values, so that the loop becomes vector instructions under any
// floating-point options.
bool AllFinite(std::span<const float> vector) {
  uint32_t bad = 0;
  for (const float component : vector) {
    uint32_t bits;
    std::memcpy(&bits, &component, sizeof bits);
    bad |= static_cast<uint32_t>((bits & kExponentBits) == kExponentBits);
  }
  return bad == 0;
}

bool AllZero(std::span<const float> vector) {
  return std::all_of(vector.begin(), vector.end(), [](float x) { return x == 0; });
}

// Whether some component is large enough for the vector's length to be looked at. Short of it even
// the longest vector is within kMaxVectorLength.
bool AnyLarge(std::span<const float> vector) {
  constexpr float kLarge = 1e16F;
  static_assert(double{kLarge} * double{kLarge} * kMaxDimension <
                kMaxVectorLength * kMaxVectorLength);
  constexpr auto kLargeBits = std::bit_cast<int32_t>(kLarge);
  uint32_t large = 0;
  for (const float component : vector) {
    int32_t bits;
    std::memcpy(&bits, &component, sizeof bits);
    large |= static_cast<uint32_t>((bits & 0x7fffffff) > kLargeBits);
  }
  return large != 0;
}

absl::Status CheckLength(std::span<const float> vector, const CollectionSchema& schema,
                         std::string_view where) {
  if (schema.metric == Metric::kCosine || !AnyLarge(vector)) return absl::OkStatus();
  double square = 0;
  for (const float component : vector) square += double{component} * double{component};
  const double length = std::sqrt(square);
  if (length <= kMaxVectorLength) return absl::OkStatus();
  return InvalidArgument(
      "{}vector has the length {:.3g}, at most {:g} is allowed in collection '{}' (its "
      "{} distances would be infinite)",
      where, length, kMaxVectorLength, schema.name, MetricName(schema.metric));
}

absl::Status CheckDirection(std::span<const float> vector, const CollectionSchema& schema,
                            std::string_view where) {
  if (schema.metric != Metric::kCosine || !AllZero(vector)) return absl::OkStatus();
  return InvalidArgument(
      "{}vector is all zeros, collection '{}' wants a direction (its distance is cosine)", where,
      schema.name);
}

struct IdHash {
  size_t operator()(std::string_view id) const { return Hash64(id); }
};

}  // namespace

std::string PointPlace(size_t index, std::string_view id) {
  if (id.empty()) return fmt::format("points[{}]", index);
  return fmt::format("points[{}] (id {})", index, Quote(id));
}

absl::Status CheckFinite(std::span<const float> vector, std::string_view where) {
  if (AllFinite(vector)) return absl::OkStatus();
  const auto* bad = std::find_if(vector.data(), vector.data() + vector.size(),
                                 [](float x) { return !std::isfinite(x); });
  return InvalidArgument("{}vector[{}] is {}, wanted a finite number", where, bad - vector.data(),
                         std::isnan(*bad) ? "NaN" : "infinite");
}

absl::Status CheckStorage(std::span<const float> vector, const CollectionSchema& schema,
                          std::string_view where) {
  if (schema.storage != VectorStorage::kF16) return absl::OkStatus();
  bool all_zero = true;
  for (size_t i = 0; i < vector.size(); ++i) {
    const float magnitude = std::abs(vector[i]);
    if (!(magnitude <= kMaxF16)) {
      return InvalidArgument(
          "{}vector[{}] is {}, collection '{}' wants -{} to {} (the range of its f16 storage)",
          where, i, vector[i], schema.name, kMaxF16, kMaxF16);
    }
    all_zero = all_zero && magnitude <= kZeroInF16;
  }
  if (!all_zero || schema.metric != Metric::kCosine) return absl::OkStatus();
  return InvalidArgument(
      "{}vector is all zeros in f16 storage, collection '{}' wants a direction (its distance is "
      "cosine)",
      where, schema.name);
}

absl::Status CheckOddLength(const std::optional<OddLength>& odd, const CollectionSchema& schema) {
  if (!odd.has_value()) return absl::OkStatus();
  return InvalidArgument("{}: vector has {} components, collection '{}' wants {}",
                         PointPlace(odd->index, odd->id), odd->components, schema.name,
                         schema.dimension);
}

namespace {

absl::Status CheckVector(std::span<const float> vector, const CollectionSchema& schema,
                         std::string_view where) {
  RETURN_IF_ERROR(CheckFinite(vector, where));
  RETURN_IF_ERROR(CheckLength(vector, schema, where));
  RETURN_IF_ERROR(CheckDirection(vector, schema, where));
  return CheckStorage(vector, schema, where);
}

}  // namespace

absl::Status CheckPoints(const PointBatch& points, const CollectionSchema& schema) {
  const size_t count = points.size();
  CHECK_EQ(points.vectors.size(), count * points.dimension);
  CHECK_EQ(points.payloads.size(), count);
  if (count > kMaxUpsertPoints) {
    return InvalidArgument("points has {} entries, at most {} are allowed", count,
                           kMaxUpsertPoints);
  }
  size_t bytes = points.vectors.size() * sizeof(float);
  for (size_t i = 0; i < count; ++i) {
    const std::string& id = points.ids[i];
    if (const absl::Status good = CheckPointId(id); !good.ok()) {
      return Annotate(good, PointPlace(i, ""));
    }
    if (points.dimension != schema.dimension) {
      return InvalidArgument("{}: vector has {} components, collection '{}' wants {}",
                             PointPlace(i, id), points.dimension, schema.name, schema.dimension);
    }
    const std::span<const float> vector = points.vector(i);
    // The place is put into words only when something is wrong with it.
    if (!CheckVector(vector, schema, "").ok()) {
      return CheckVector(vector, schema, PointPlace(i, id) + ": ");
    }
    if (points.payloads[i].size() > kMaxPayloadBytes) {
      return InvalidArgument("{}: payload has {} bytes, at most {} are allowed", PointPlace(i, id),
                             points.payloads[i].size(), kMaxPayloadBytes);
    }
    bytes += id.size() + points.payloads[i].size();
  }
  if (bytes <= kMaxUpsertBytes) return absl::OkStatus();
  return InvalidArgument("points have {} bytes, at most {} are allowed in one upsert", bytes,
                         kMaxUpsertBytes);
}

absl::Status CheckQuery(const SearchQuery& query, const CollectionSchema& schema) {
  if (query.vector.size() != schema.dimension) {
    return InvalidArgument("vector has {} components, collection '{}' wants {}",
                           query.vector.size(), schema.name, schema.dimension);
  }
  RETURN_IF_ERROR(CheckFinite(query.vector, ""));
  RETURN_IF_ERROR(CheckLength(query.vector, schema, ""));
  RETURN_IF_ERROR(CheckDirection(query.vector, schema, ""));
  if (query.k < 1 || query.k > kMaxTopK) {
    return InvalidArgument("offset + top_k is {}, wanted 1 to {}", query.k, kMaxTopK);
  }
  if (query.ef > kMaxEf) {
    return InvalidArgument("params.ef is {}, at most {} is allowed (an exact search beyond)",
                           query.ef, kMaxEf);
  }
  if (query.score_threshold.has_value() && std::isnan(*query.score_threshold)) {
    return InvalidArgument("score_threshold is NaN");
  }
  return absl::OkStatus();
}

PointBatch KeepLastOfEachId(PointBatch points) {
  const size_t count = points.size();
  absl::flat_hash_map<std::string_view, size_t, IdHash, std::equal_to<>> last;
  last.reserve(count);
  for (size_t i = 0; i < count; ++i) last[points.ids[i]] = i;
  if (last.size() == count) return points;
  std::vector<bool> keep(count, false);
  for (const auto& [id, index] : last) keep[index] = true;
  last.clear();
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!keep[i]) continue;
    if (kept != i) {
      points.ids[kept] = std::move(points.ids[i]);
      points.payloads[kept] = std::move(points.payloads[i]);
      const std::span<const float> vector = points.vector(i);
      std::copy(vector.begin(), vector.end(),
                points.vectors.begin() + static_cast<ptrdiff_t>(kept * points.dimension));
    }
    ++kept;
  }
  points.ids.resize(kept);
  points.payloads.resize(kept);
  points.vectors.resize(kept * points.dimension);
  return points;
}

}  // namespace vectron
