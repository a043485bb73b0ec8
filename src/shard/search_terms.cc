#include "shard/search_terms.h"

#include <algorithm>

namespace vectron::shard {
namespace {

// Measured on the reference machine (docs/benchmarks.md), good to a factor of two or three: what is
// far above the bound is told from what is far below it.
constexpr int64_t kPayloadNanos = 10'000;   // read from the store, parsed, judged
constexpr int64_t kStoredRowNanos = 3'000;  // the payload or the vector of a hit
constexpr int64_t kRowNanos = 5;            // that a scan comes by
constexpr int64_t kFloatBytesPerNano = 12;  // of vectors that are compared in a row
constexpr int64_t kCodeBytesPerNano = 16;   // of codes
constexpr int64_t kLinkNanos = 15;          // a neighbour met by a walk, beside its code
constexpr int64_t kRerankedNanos = 300;     // a vector somewhere in memory
constexpr int64_t kLeastEf = 64;

}  // namespace

int64_t PayloadCostNanos(uint64_t payloads) {
  return static_cast<int64_t>(payloads) * kPayloadNanos;
}

int64_t IndexCostNanos(const CollectionSchema& schema, const SearchQuery& query,
                       const IndexLoad& load, uint64_t points, std::optional<uint64_t> matches) {
  const int64_t dimension = schema.dimension;
  const auto rows = static_cast<int64_t>(matches.value_or(points));
  const int64_t hits = std::min<int64_t>(query.k, rows);
  const int64_t reads = (query.include_payload ? 1 : 0) + (query.include_vectors ? 1 : 0);
  int64_t cost = hits * reads * kStoredRowNanos;
  if (matches.has_value() && query.explain) cost += static_cast<int64_t>(points) * kRowNanos;
  if (query.exact || !load.has_graph) {
    const int64_t row_bytes = dimension * (schema.storage == VectorStorage::kF16 ? 2 : 4);
    return cost + rows * (kRowNanos + row_bytes / kFloatBytesPerNano);
  }
  const int64_t code_nanos = dimension / kCodeBytesPerNano;
  int64_t ef = query.ef != 0 ? query.ef : schema.hnsw.ef_search;
  if (ef == 0) ef = std::max(kLeastEf, int64_t{3} * query.k);
  ef = std::max<int64_t>(ef, query.k);
  int64_t walk = ef * 2 * schema.hnsw.m * (kLinkNanos + code_nanos);
  if (matches.has_value()) walk *= 2;  // wider, and past what does not pass
  const int64_t scan = rows * (kRowNanos + code_nanos);
  cost += static_cast<int64_t>(load.tail_bytes) / kCodeBytesPerNano;
  return cost + std::min(walk, scan) + 2 * hits * kRerankedNanos;
}

}  // namespace vectron::shard
