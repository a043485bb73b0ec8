#pragma once

// Checks of data requests against a collection, before anything is written. Messages name the
// point, the field, got and wanted: "points[3] (id 'p3'): vector has 127 components, collection
// 'docs' wants 128".

#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/collection.h"
#include "model/point.h"
#include "model/search.h"

namespace vectron {

// Sizes, ids, dimension, finite components, not all zero with cosine, payload limits.
// InvalidArgument.
absl::Status CheckPoints(const PointBatch& points, const CollectionSchema& schema);
// Dimension, finite, not all zero with cosine, k and ef in range. InvalidArgument.
absl::Status CheckQuery(const SearchQuery& query, const CollectionSchema& schema);

// "points[3] (id 'p3')", or "points[3]" while the id is not known (empty).
std::string PointPlace(size_t index, std::string_view id);

// InvalidArgument "<where>vector[5] is NaN, ..." unless all components are finite.
absl::Status CheckFinite(std::span<const float> vector, std::string_view where);

// Of points with one id keeps the last, in the order of the last ones.
PointBatch KeepLastOfEachId(PointBatch points);

}  // namespace vectron
