#pragma once

// What a collection is: the options it was made with, checked and with defaults filled in.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/vector_types.h"

namespace vectron::v1 {
class CreateCollectionRequest;
class RerankOptions;
}  // namespace vectron::v1

namespace vectron {

enum class PayloadType : uint8_t {
  kKeyword = 1,
  kInteger = 2,
  kFloat = 3,
  kBool = 4,
  kDatetime = 5
};

enum class Consistency : uint8_t { kUnspecified = 0, kStrong = 1, kBounded = 2, kEventual = 3 };

struct PayloadIndexSpec {
  std::string field;  // path such as "section", "tags[]", "a.b[].c"
  PayloadType type = PayloadType::kKeyword;
};

struct HnswSpec {
  uint32_t m = 16;              // 4-64
  uint32_t ef_construct = 200;  // 8-4096
  uint32_t ef_search = 0;       // 0: max(64, 3 k)
};

// How the nearest points are ordered anew; what is unset is someone else's choice.
struct RerankSpec {
  std::string strategy;  // "", "none", "rule", "llm", "learned"
  uint32_t budget_ms = 0;
  uint32_t candidates = 0;
  std::optional<bool> explore;
};

struct CollectionSchema {
  std::string name;
  uint32_t dimension = 0;
  Metric metric = Metric::kEuclidean;
  VectorStorage storage = VectorStorage::kF32;
  HnswSpec hnsw;
  std::vector<PayloadIndexSpec> payload_indexes;
  uint32_t shard_count = 1;
  uint32_t replication_factor = 1;
  Consistency default_consistency = Consistency::kStrong;
  bool vectors_in_memory = false;
  RerankSpec rerank;  // of searches with a query text that do not say themselves
};

// "cosine", "euclidean" (also when empty), "dot". InvalidArgument otherwise.
absl::StatusOr<Metric> ParseMetric(std::string_view name);
std::string_view MetricName(Metric metric);

// From the number of the wire's enum. InvalidArgument naming `field` when there is none of that
// number.
absl::StatusOr<Consistency> ConsistencyFromProto(int number, std::string_view field);

// InvalidArgument for an unknown strategy, a budget past kMaxRerankBudgetMs or more candidates than
// kMaxRerankCandidates.
absl::Status CheckRerank(const RerankSpec& spec);
RerankSpec RerankFromProto(const v1::RerankOptions& options);

// Checks every field, fills in defaults (shard_count, replication_factor 0 -> the given ones).
// InvalidArgument naming the field, got and wanted.
absl::StatusOr<CollectionSchema> SchemaFromProto(const v1::CreateCollectionRequest& request,
                                                 uint32_t default_shard_count,
                                                 uint32_t default_replication_factor);
// The request that would make this collection: what status answers give and what stores keep.
void SchemaToProto(const CollectionSchema& schema, v1::CreateCollectionRequest& request);

}  // namespace vectron
