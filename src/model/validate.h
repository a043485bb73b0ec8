#pragma once

// Checks of data requests against a collection, before anything is written. Messages name the
// point, the field, got and wanted: "points[3] (id 'p3'): vector has 127 components, collection
// 'docs' wants 128".

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/collection.h"
#include "model/point.h"
#include "model/search.h"

namespace vectron {

// The greatest length (Euclidean norm) of a vector or query where distances are not cosines: those
// of any two are finite floats then. (Twice this, squared, is a float, with room for rounding.)
inline constexpr double kMaxVectorLength = 9e18;
// The range of f16, and what becomes 0 in it.
inline constexpr float kMaxF16 = 65504;
inline constexpr float kZeroInF16 = 0x1p-25F;

// Sizes, ids, dimension, finite components, length, not all zero with cosine, range of f16 storage,
// payload limits. InvalidArgument.
absl::Status CheckPoints(const PointBatch& points, const CollectionSchema& schema);
// That the point of another length than those before it, if any, has the collection's. After
// CheckPoints, which looks at the others.
absl::Status CheckOddLength(const std::optional<OddLength>& odd, const CollectionSchema& schema);
// Dimension, finite, length, not all zero with cosine, k and ef in range. InvalidArgument.
absl::Status CheckQuery(const SearchQuery& query, const CollectionSchema& schema);

// "points[3] (id 'p3')", or "points[3]" while the id is not known (empty).
std::string PointPlace(size_t index, std::string_view id);

// InvalidArgument "<where>vector[5] is NaN, ..." unless all components are finite.
absl::Status CheckFinite(std::span<const float> vector, std::string_view where);
// InvalidArgument unless the collection's storage can keep the vector: with f16, components within
// +-kMaxF16 and, with cosine, one that does not become 0.
absl::Status CheckStorage(std::span<const float> vector, const CollectionSchema& schema,
                          std::string_view where);

// Of points with one id keeps the last, in the order of the last ones.
PointBatch KeepLastOfEachId(PointBatch points);

}  // namespace vectron
