#include "model/collection.h"

#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "model/filter.h"
#include "model/ids.h"
#include "model/text.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

absl::Status CheckBetween(std::string_view field, uint64_t got, uint64_t low, uint64_t high) {
  if (got >= low && got <= high) return absl::OkStatus();
  return InvalidArgument("{} is {}, wanted {} to {}", field, got, low, high);
}

absl::StatusOr<HnswSpec> HnswFromProto(const v1::HnswOptions& proto) {
  HnswSpec spec;
  if (proto.m() != 0) spec.m = proto.m();
  if (proto.ef_construct() != 0) spec.ef_construct = proto.ef_construct();
  spec.ef_search = proto.ef_search();
  RETURN_IF_ERROR(CheckBetween("hnsw.m", spec.m, kMinM, kMaxM));
  RETURN_IF_ERROR(
      CheckBetween("hnsw.ef_construct", spec.ef_construct, kMinEfConstruct, kMaxEfConstruct));
  RETURN_IF_ERROR(CheckBetween("hnsw.ef_search", spec.ef_search, 0, kMaxEf));
  return spec;
}

absl::StatusOr<PayloadIndexSpec> PayloadIndexFromProto(const v1::PayloadIndex& proto, int ordinal) {
  auto path = ParsePath(proto.field());
  if (!path.ok()) return Annotate(path.status(), fmt::format("payload_indexes[{}].field", ordinal));
  if (proto.type() < v1::KEYWORD || proto.type() > v1::DATETIME) {
    return InvalidArgument(
        "payload_indexes[{}].type is {}, wanted KEYWORD, INTEGER, FLOAT, BOOL or DATETIME", ordinal,
        static_cast<int>(proto.type()));
  }
  return PayloadIndexSpec{.field = std::move(path->text),
                          .type = static_cast<PayloadType>(proto.type())};
}

absl::StatusOr<std::vector<PayloadIndexSpec>> PayloadIndexesFromProto(
    const v1::CreateCollectionRequest& request) {
  const auto count = static_cast<size_t>(request.payload_indexes_size());
  if (count > kMaxPayloadIndexes) {
    return InvalidArgument("payload_indexes has {} entries, at most {} are allowed", count,
                           kMaxPayloadIndexes);
  }
  std::vector<PayloadIndexSpec> specs;
  for (int i = 0; i < request.payload_indexes_size(); ++i) {
    ASSIGN_OR_RETURN(PayloadIndexSpec spec, PayloadIndexFromProto(request.payload_indexes(i), i));
    for (const PayloadIndexSpec& earlier : specs) {
      if (earlier.field == spec.field) {
        return InvalidArgument("payload_indexes[{}].field {} is listed twice", i,
                               Quote(spec.field));
      }
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace

absl::StatusOr<Metric> ParseMetric(std::string_view name) {
  if (name.empty() || name == "euclidean") return Metric::kEuclidean;
  if (name == "cosine") return Metric::kCosine;
  if (name == "dot") return Metric::kDot;
  return InvalidArgument("distance is {}, wanted 'cosine', 'euclidean' or 'dot'", Quote(name));
}

std::string_view MetricName(Metric metric) {
  switch (metric) {
    case Metric::kEuclidean:
      return "euclidean";
    case Metric::kCosine:
      return "cosine";
    case Metric::kDot:
      return "dot";
  }
  return "unknown";
}

absl::StatusOr<Consistency> ConsistencyFromProto(int number, std::string_view field) {
  if (v1::Consistency_IsValid(number)) return static_cast<Consistency>(number);
  return InvalidArgument("{} is {}, wanted STRONG, BOUNDED or EVENTUAL", field, number);
}

absl::Status CheckRerank(const RerankSpec& spec) {
  const std::string& name = spec.strategy;
  if (!name.empty() && name != "none" && name != "rule" && name != "learned" && name != "llm") {
    return InvalidArgument("rerank.strategy is {}, wanted 'none', 'rule', 'learned' or 'llm'",
                           Quote(name));
  }
  if (spec.budget_ms > kMaxRerankBudgetMs) {
    return InvalidArgument("rerank.budget_ms is {}, at most {} is allowed", spec.budget_ms,
                           kMaxRerankBudgetMs);
  }
  if (spec.candidates > kMaxRerankCandidates) {
    return InvalidArgument("rerank.candidates is {}, at most {} are allowed", spec.candidates,
                           kMaxRerankCandidates);
  }
  return absl::OkStatus();
}

RerankSpec RerankFromProto(const v1::RerankOptions& options) {
  RerankSpec spec{.strategy = options.strategy(),
                  .budget_ms = options.budget_ms(),
                  .candidates = options.candidates(),
                  .explore = {}};
  if (options.has_explore()) spec.explore = options.explore();
  return spec;
}

absl::StatusOr<CollectionSchema> SchemaFromProto(const v1::CreateCollectionRequest& request,
                                                 uint32_t default_shard_count,
                                                 uint32_t default_replication_factor) {
  CollectionSchema schema;
  RETURN_IF_ERROR(CheckCollectionName(request.name()));
  schema.name = request.name();
  if (request.dimension() < 1 || request.dimension() > static_cast<int32_t>(kMaxDimension)) {
    return InvalidArgument("dimension is {}, wanted 1 to {}", request.dimension(), kMaxDimension);
  }
  schema.dimension = static_cast<uint32_t>(request.dimension());
  ASSIGN_OR_RETURN(schema.metric, ParseMetric(request.distance()));
  if (!v1::VectorStorage_IsValid(request.storage())) {
    return InvalidArgument("storage is {}, wanted VECTOR_STORAGE_F32 or VECTOR_STORAGE_F16",
                           static_cast<int>(request.storage()));
  }
  schema.storage =
      request.storage() == v1::VECTOR_STORAGE_F16 ? VectorStorage::kF16 : VectorStorage::kF32;
  ASSIGN_OR_RETURN(schema.hnsw, HnswFromProto(request.hnsw()));
  ASSIGN_OR_RETURN(schema.payload_indexes, PayloadIndexesFromProto(request));
  schema.shard_count = request.shard_count() != 0 ? request.shard_count() : default_shard_count;
  RETURN_IF_ERROR(CheckBetween("shard_count", schema.shard_count, 1, kMaxShardsPerCollection));
  schema.replication_factor =
      request.replication_factor() != 0 ? request.replication_factor() : default_replication_factor;
  RETURN_IF_ERROR(
      CheckBetween("replication_factor", schema.replication_factor, 1, kMaxReplicationFactor));
  ASSIGN_OR_RETURN(const Consistency consistency,
                   ConsistencyFromProto(request.default_consistency(), "default_consistency"));
  if (consistency != Consistency::kUnspecified) schema.default_consistency = consistency;
  schema.vectors_in_memory = request.vectors_in_memory();
  schema.rerank = RerankFromProto(request.rerank());
  RETURN_IF_ERROR(CheckRerank(schema.rerank));
  return schema;
}

void SchemaToProto(const CollectionSchema& schema, v1::CreateCollectionRequest& request) {
  request.Clear();
  request.set_name(schema.name);
  request.set_dimension(static_cast<int32_t>(schema.dimension));
  request.set_distance(std::string(MetricName(schema.metric)));
  request.set_shard_count(schema.shard_count);
  request.set_replication_factor(schema.replication_factor);
  request.mutable_hnsw()->set_m(schema.hnsw.m);
  request.mutable_hnsw()->set_ef_construct(schema.hnsw.ef_construct);
  request.mutable_hnsw()->set_ef_search(schema.hnsw.ef_search);
  request.set_storage(schema.storage == VectorStorage::kF16 ? v1::VECTOR_STORAGE_F16
                                                            : v1::VECTOR_STORAGE_F32);
  for (const PayloadIndexSpec& spec : schema.payload_indexes) {
    v1::PayloadIndex* index = request.add_payload_indexes();
    index->set_field(spec.field);
    index->set_type(static_cast<v1::PayloadType>(spec.type));
  }
  request.set_default_consistency(static_cast<v1::Consistency>(schema.default_consistency));
  request.set_vectors_in_memory(schema.vectors_in_memory);
  const RerankSpec& rerank = schema.rerank;
  if (!rerank.strategy.empty() || rerank.budget_ms != 0 || rerank.candidates != 0 ||
      rerank.explore.has_value()) {
    v1::RerankOptions& options = *request.mutable_rerank();
    options.set_strategy(rerank.strategy);
    options.set_budget_ms(rerank.budget_ms);
    options.set_candidates(rerank.candidates);
    if (rerank.explore.has_value()) options.set_explore(*rerank.explore);
  }
}

}  // namespace vectron
