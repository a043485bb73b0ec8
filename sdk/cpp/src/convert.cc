#include "convert.h"

#include <google/protobuf/util/json_util.h>

#include <cmath>

namespace vectron::internal {
namespace {

constexpr int kMaxJsonDepth = 32;

[[noreturn]] void Refuse(const std::string& message) { throw InvalidArgumentError(message); }

void Write(const Value& value, const std::string& where, int depth, google::protobuf::Value* out);

void Write(const Value::Object& object, const std::string& where, int depth,
           google::protobuf::Struct* out) {
  for (const auto& [key, value] : object) {
    Write(value, where + "." + key, depth, &(*out->mutable_fields())[key]);
  }
}

void Write(const Value& value, const std::string& where, int depth, google::protobuf::Value* out) {
  if (depth > kMaxJsonDepth) {
    Refuse(where + ": nested deeper than " + std::to_string(kMaxJsonDepth) + "; flatten it");
  }
  if (const bool* flag = value.as_bool()) {
    out->set_bool_value(*flag);
  } else if (const double* number = value.as_number()) {
    if (!std::isfinite(*number)) {
      Refuse(where + ": " + std::to_string(*number) +
             " is no JSON number; leave the field out or use null");
    }
    out->set_number_value(*number);
  } else if (const std::string* text = value.as_string()) {
    out->set_string_value(*text);
  } else if (const Value::Array* items = value.as_array()) {
    auto* list = out->mutable_list_value();
    for (const Value& item : *items) Write(item, where, depth + 1, list->add_values());
  } else if (const Value::Object* object = value.as_object()) {
    Write(*object, where, depth + 1, out->mutable_struct_value());
  } else {
    out->set_null_value(google::protobuf::NULL_VALUE);
  }
}

// Typed values win over the text form of the same key.
template <typename Message>
Payload PayloadOf(const Message& message) {
  Payload payload;
  for (const auto& [key, text] : message.payload()) payload[key] = text;
  for (const auto& [key, value] : message.fields().fields()) payload[key] = FromProto(value);
  return payload;
}

v1::RerankOptions ToProto(const RerankOptions& options) {
  v1::RerankOptions rerank;
  rerank.set_strategy(options.strategy);
  rerank.set_candidates(options.candidates);
  rerank.set_budget_ms(static_cast<uint32_t>(options.budget.count()));
  if (options.explore) rerank.set_explore(*options.explore);
  return rerank;
}

CollectionOptions OptionsOf(const v1::CreateCollectionRequest& made) {
  CollectionOptions options;
  options.shard_count = made.shard_count();
  options.replication_factor = made.replication_factor();
  options.hnsw_m = made.hnsw().m();
  options.hnsw_ef_construct = made.hnsw().ef_construct();
  options.hnsw_ef_search = made.hnsw().ef_search();
  options.half_precision = made.storage() == v1::VECTOR_STORAGE_F16;
  for (const auto& index : made.payload_indexes()) {
    options.payload_indexes[index.field()] =
        static_cast<PayloadType>(static_cast<int>(index.type()));
  }
  options.default_consistency =
      static_cast<Consistency>(static_cast<int>(made.default_consistency()));
  options.vectors_in_memory = made.vectors_in_memory();
  options.rerank.strategy = made.rerank().strategy();
  options.rerank.candidates = made.rerank().candidates();
  options.rerank.budget = std::chrono::milliseconds(made.rerank().budget_ms());
  if (made.rerank().has_explore()) options.rerank.explore = made.rerank().explore();
  return options;
}

const char* NameOf(Distance distance) {
  switch (distance) {
    case Distance::kCosine:
      return "cosine";
    case Distance::kDot:
      return "dot";
    case Distance::kEuclidean:
      break;
  }
  return "euclidean";
}

}  // namespace

void ToProto(const Value& value, const std::string& where, google::protobuf::Value* out) {
  Write(value, where, 0, out);
}
void ToProto(const Payload& payload, const std::string& where, google::protobuf::Struct* out) {
  Write(payload, where, 0, out);
}

Value FromProto(const google::protobuf::Value& value) {
  switch (value.kind_case()) {
    case google::protobuf::Value::kBoolValue:
      return value.bool_value();
    case google::protobuf::Value::kNumberValue:
      return value.number_value();
    case google::protobuf::Value::kStringValue:
      return value.string_value();
    case google::protobuf::Value::kListValue: {
      Value::Array items;
      items.reserve(static_cast<size_t>(value.list_value().values_size()));
      for (const auto& item : value.list_value().values()) items.push_back(FromProto(item));
      return items;
    }
    case google::protobuf::Value::kStructValue: {
      Value::Object object;
      for (const auto& [key, inner] : value.struct_value().fields()) object[key] = FromProto(inner);
      return object;
    }
    case google::protobuf::Value::kNullValue:
    case google::protobuf::Value::KIND_NOT_SET:
      break;
  }
  return nullptr;
}

void CheckVector(std::span<const float> vector, const std::string& what) {
  if (vector.empty()) Refuse(what + ": the vector is empty");
  for (size_t i = 0; i < vector.size(); ++i) {
    if (std::isfinite(vector[i])) continue;
    Refuse(what + ": component " + std::to_string(i) + " of the vector is " +
           std::to_string(vector[i]) + "; vectors must be finite");
  }
}

void ToProto(const std::string& id, std::span<const float> vector, const Payload* payload,
             v1::Point* out) {
  if (id.empty()) Refuse("a point has an empty id; ids are 1-256 bytes of UTF-8");
  CheckVector(vector, "point '" + id + "'");
  out->set_id(id);
  out->mutable_vector()->Add(vector.begin(), vector.end());
  if (payload != nullptr && !payload->empty()) {
    ToProto(*payload, "payload of point '" + id + "'", out->mutable_fields());
  }
}

Point FromProto(const v1::Point& point) {
  return {point.id(),
          {point.vector().begin(), point.vector().end()},
          PayloadOf(point),
          point.version()};
}

v1::Consistency ToProto(Consistency consistency) {
  return static_cast<v1::Consistency>(static_cast<int>(consistency));
}

v1::CreateCollectionRequest ToProto(const std::string& name, uint32_t dimension, Distance distance,
                                    const CollectionOptions& options) {
  if (dimension == 0 || dimension > 65'535) {
    Refuse("the dimension is " + std::to_string(dimension) + "; it must be from 1 to 65535");
  }
  v1::CreateCollectionRequest request;
  request.set_name(name);
  request.set_dimension(static_cast<int32_t>(dimension));
  request.set_distance(NameOf(distance));
  request.set_shard_count(options.shard_count);
  request.set_replication_factor(options.replication_factor);
  if (options.hnsw_m != 0 || options.hnsw_ef_construct != 0 || options.hnsw_ef_search != 0) {
    request.mutable_hnsw()->set_m(options.hnsw_m);
    request.mutable_hnsw()->set_ef_construct(options.hnsw_ef_construct);
    request.mutable_hnsw()->set_ef_search(options.hnsw_ef_search);
  }
  request.set_storage(options.half_precision ? v1::VECTOR_STORAGE_F16 : v1::VECTOR_STORAGE_F32);
  for (const auto& [path, type] : options.payload_indexes) {
    auto* index = request.add_payload_indexes();
    index->set_field(path);
    index->set_type(static_cast<v1::PayloadType>(static_cast<int>(type)));
  }
  request.set_default_consistency(ToProto(options.default_consistency));
  request.set_vectors_in_memory(options.vectors_in_memory);
  if (options.rerank != RerankOptions()) *request.mutable_rerank() = ToProto(options.rerank);
  return request;
}

v1::GetRequest ToProto(const std::string& collection, const std::string& id,
                       const ReadOptions& options) {
  v1::GetRequest request;
  request.set_collection(collection);
  request.set_id(id);
  request.set_consistency(ToProto(options.consistency));
  request.set_max_staleness_ms(static_cast<uint32_t>(options.max_staleness.count()));
  return request;
}

v1::SearchRequest ToProto(const std::string& collection, std::span<const float> vector,
                          const SearchOptions& options) {
  CheckVector(vector, "the query");
  v1::SearchRequest request;
  request.set_collection(collection);
  request.mutable_vector()->Add(vector.begin(), vector.end());
  request.set_top_k(options.top_k);
  request.set_query(options.query);
  request.set_timeout_ms(static_cast<uint32_t>(options.shard_timeout.count()));
  request.set_include_vectors(options.include_vectors);
  if (!options.include_payload) request.set_include_metadata(false);
  if (options.filter) *request.mutable_filter() = ToProto(*options.filter);
  if (options.ef != 0 || options.exact) {
    request.mutable_params()->set_ef(options.ef);
    request.mutable_params()->set_exact(options.exact);
  }
  request.set_offset(options.offset);
  if (options.score_threshold) request.set_score_threshold(*options.score_threshold);
  request.set_consistency(ToProto(options.consistency));
  request.set_max_staleness_ms(static_cast<uint32_t>(options.max_staleness.count()));
  const RerankOptions rerank{options.rerank, options.rerank_candidates, options.rerank_budget,
                             options.rerank_explore};
  if (rerank != RerankOptions()) *request.mutable_rerank() = ToProto(rerank);
  request.set_explain(options.explain);
  for (const std::string& key : options.payload_fields) request.add_payload_fields(key);
  return request;
}

SearchResults FromProto(const v1::SearchResponse& response) {
  SearchResults results;
  results.results.reserve(static_cast<size_t>(response.results_size()));
  for (const auto& result : response.results()) {
    results.results.push_back({result.id(),
                               result.score(),
                               PayloadOf(result),
                               {result.vector().begin(), result.vector().end()},
                               result.version()});
  }
  results.query_id = response.query_id();
  results.reranked = response.reranked();
  results.partial = response.partial();
  results.missing_shards.assign(response.missing_shards().begin(), response.missing_shards().end());
  results.last = response.last();
  if (response.has_explain()) results.explain = JsonOf(response.explain());
  if (response.has_rerank()) {
    const v1::RerankInfo& about = response.rerank();
    results.rerank = RerankInfo{about.strategy(), about.reason(), about.from_cache(),
                                about.explored(), std::chrono::microseconds(about.time_us())};
  }
  return results;
}

CollectionStatus FromProto(const v1::GetCollectionStatusResponse& response) {
  CollectionStatus status;
  status.name = response.name();
  status.dimension = static_cast<uint32_t>(response.dimension());
  status.distance = response.distance();
  for (const auto& shard : response.shards()) {
    status.shards.push_back({shard.shard_id(),
                             {shard.replicas().begin(), shard.replicas().end()},
                             shard.leader_id(),
                             shard.ready()});
  }
  status.point_count = response.point_count();
  status.indexed_count = response.indexed_count();
  status.size_bytes = response.size_bytes();
  status.options = OptionsOf(response.options());
  return status;
}

FeedbackRecord FromProto(const v1::FeedbackRecord& record) {
  FeedbackRecord found;
  found.number = record.number();
  found.feedback_id = record.feedback_id();
  found.created_unix_ms = record.created_unix_ms();
  found.feedback.query_id = record.query_id();
  found.feedback.query = record.query();
  found.feedback.result_ids.assign(record.result_ids().begin(), record.result_ids().end());
  found.feedback.context.insert(record.context().begin(), record.context().end());
  for (const auto& item : record.feedback_items()) {
    found.feedback.items.push_back({item.result_id(), item.relevance_score(), item.clicked(),
                                    item.position(), item.comment()});
  }
  return found;
}

v1::SubmitFeedbackRequest ToProto(const std::string& collection, const Feedback& feedback) {
  v1::SubmitFeedbackRequest request;
  request.set_collection(collection);
  request.set_query(feedback.query);
  request.set_query_id(feedback.query_id);
  for (const std::string& id : feedback.result_ids) request.add_result_ids(id);
  request.mutable_context()->insert(feedback.context.begin(), feedback.context.end());
  for (const FeedbackItem& item : feedback.items) {
    auto* out = request.add_feedback_items();
    out->set_result_id(item.result_id);
    out->set_relevance_score(item.relevance_score);
    out->set_clicked(item.clicked);
    out->set_position(item.position);
    out->set_comment(item.comment);
  }
  return request;
}

Payload JsonOf(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  std::string text;
  google::protobuf::Struct json;
  if (!google::protobuf::util::MessageToJsonString(message, &text, options).ok() ||
      !google::protobuf::util::JsonStringToMessage(text, &json).ok()) {
    throw InternalServerError(Code::kInternal, "the answer cannot be shown as JSON");
  }
  Payload payload;
  for (const auto& [key, value] : json.fields()) payload[key] = FromProto(value);
  return payload;
}

}  // namespace vectron::internal
