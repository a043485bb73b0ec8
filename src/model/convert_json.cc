#include <utility>

#include "base/limits.h"
#include "base/status.h"
#include "model/convert.h"
#include "model/convert_check.h"
#include "model/json_fields.h"
#include "model/validate.h"

namespace vectron {
namespace {

// Reads a member into `target`, or `unset` for null.
#define VECTRON_READ_INTO(target, unset, reading) \
  do {                                            \
    ASSIGN_OR_RETURN(auto read_, reading);        \
    target = std::move(read_).value_or(unset);    \
    return absl::OkStatus();                      \
  } while (false)

// One point while it is read; its members may come in any order.
struct PointDraft {
  BatchBuilder& builder;
  std::string id;
  std::string payload;
  absl::Status problem;  // with its vector; kept back until the id is known
};

absl::Status ReadObjectText(JsonReader& reader, JsonValue value, std::string_view field,
                            std::string& text) {
  text.clear();
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return absl::OkStatus();
  if (type != JsonType::object) return reader.WrongAt(value, "{}: wanted an object", field);
  if (const absl::Status read = reader.AppendCompact(value, kMaxJsonDepth, text); !read.ok()) {
    return Annotate(read, field);
  }
  if (text.size() > kMaxPayloadBytes) {
    return InvalidArgument("{} has {} bytes, at most {} are allowed", field, text.size(),
                           kMaxPayloadBytes);
  }
  if (text == "{}") text.clear();
  return absl::OkStatus();
}

constexpr JsonField<PointDraft> kPointFields[] = {
    {"id", "id",
     [](PointDraft& draft, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(draft.id, "", ReadText(reader, value, "id"));
     }},
    {"vector", "vector",
     [](PointDraft& draft, JsonReader& reader, JsonValue value) -> absl::Status {
       std::vector<float>& vectors = draft.builder.vectors();
       vectors.resize(vectors.size() - draft.builder.component_count());  // of a doubled key
       draft.problem = absl::OkStatus();
       return ReadVector(reader, value, vectors, draft.problem);
     }},
    {"payload", "payload",
     [](PointDraft& draft, JsonReader& reader, JsonValue value) {
       return ReadObjectText(reader, value, "payload", draft.payload);
     }},
};

absl::Status ReadPoint(JsonReader& reader, JsonValue value, BatchBuilder& builder) {
  builder.BeginPoint();
  const size_t index = builder.size();
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, PointPlace(index, "")));
  if (type != JsonType::object) {
    return reader.WrongAt(value, "{}: wanted an object", PointPlace(index, ""));
  }
  PointDraft draft{.builder = builder, .id = {}, .payload = {}, .problem = {}};
  absl::Status read = ReadMessage(reader, value, "point", kPointFields, draft);
  if (read.ok()) read = draft.problem;
  if (!read.ok()) return Annotate(read, PointPlace(index, draft.id));
  return builder.EndPoint(std::move(draft.id), std::move(draft.payload));
}

constexpr JsonField<UpsertCall> kUpsertFields[] = {
    {"collection", "collection",
     [](UpsertCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.collection, "", ReadText(reader, value, "collection"));
     }},
    {"points", "points",
     [](UpsertCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       call.points = PointBatch();
       call.odd_length.reset();
       ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, "points"));
       if (type == JsonType::null) return absl::OkStatus();
       if (type != JsonType::array) return reader.WrongAt(value, "points: wanted a list");
       ASSIGN_OR_RETURN(JsonArray array, reader.AsArray(value));
       BatchBuilder builder;
       size_t count = 0;
       const auto read = [&](size_t, JsonValue point) {
         if (++count > kMaxUpsertPoints) return reader.SkipUnknown(point);  // only counted
         return ReadPoint(reader, point, builder);
       };
       RETURN_IF_ERROR(reader.EachElement(array, read));
       RETURN_IF_ERROR(BatchBuilder::CheckCount(count));
       call.points = builder.Take();
       call.odd_length = builder.TakeOddLength();
       return absl::OkStatus();
     }},
    {"request_id", "requestId",
     [](UpsertCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.request_id, "", ReadText(reader, value, "request_id"));
     }},
    {"return_versions", "returnVersions",
     [](UpsertCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.return_versions, false, ReadBool(reader, value, "return_versions"));
     }},
    {"insert_only", "insertOnly",
     [](UpsertCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.insert_only, false, ReadBool(reader, value, "insert_only"));
     }},
};

absl::Status ReadNames(JsonReader& reader, JsonValue value, std::string_view field,
                       std::vector<std::string>& names) {
  names.clear();
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, field));
  if (type == JsonType::null) return absl::OkStatus();
  if (type != JsonType::array) return reader.WrongAt(value, "{}: wanted a list", field);
  ASSIGN_OR_RETURN(JsonArray array, reader.AsArray(value));
  const auto read = [&](size_t index, JsonValue element) -> absl::Status {
    const std::string place = fmt::format("{}[{}]", field, index);
    ASSIGN_OR_RETURN(auto name, ReadText(reader, element, place));
    if (!name.has_value()) return reader.WrongAt(element, "{}: wanted a string", place);
    names.push_back(*std::move(name));
    return absl::OkStatus();
  };
  return reader.EachElement(array, read);
}

absl::Status ReadFilter(JsonReader& reader, JsonValue value,
                        std::shared_ptr<const Filter>& target) {
  target = nullptr;
  ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, "filter"));
  if (type == JsonType::null) return absl::OkStatus();
  auto tree = reader.Tree(value, kMaxFilterJsonDepth, DoubledKeys::kRefuse);
  if (!tree.ok()) return Annotate(tree.status(), "filter");
  ASSIGN_OR_RETURN(Filter filter, FilterFromTree(*tree));
  // Shared because the shards of a search read it in parallel.
  if (!filter.empty()) target = std::make_shared<const Filter>(std::move(filter));
  return absl::OkStatus();
}

constexpr JsonField<SearchCall> kParamsFields[] = {
    {"ef", "ef",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.ef, 0, ReadUint32(reader, value, "params.ef"));
     }},
    {"exact", "exact",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.exact, false, ReadBool(reader, value, "params.exact"));
     }},
    {"target_recall", "targetRecall",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.target_recall, 0, ReadFloat(reader, value, "params.target_recall"));
     }},
};

constexpr JsonField<RerankSpec> kRerankFields[] = {
    {"strategy", "strategy",
     [](RerankSpec& spec, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(spec.strategy, "", ReadText(reader, value, "rerank.strategy"));
     }},
    {"budget_ms", "budgetMs",
     [](RerankSpec& spec, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(spec.budget_ms, 0, ReadUint32(reader, value, "rerank.budget_ms"));
     }},
    {"candidates", "candidates",
     [](RerankSpec& spec, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(spec.candidates, 0, ReadUint32(reader, value, "rerank.candidates"));
     }},
    {"explore", "explore",
     [](RerankSpec& spec, JsonReader& reader, JsonValue value) -> absl::Status {
       ASSIGN_OR_RETURN(spec.explore, ReadBool(reader, value, "rerank.explore"));
       return absl::OkStatus();
     }},
};

constexpr JsonField<SearchCall> kSearchFields[] = {
    {"collection", "collection",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.collection, "", ReadText(reader, value, "collection"));
     }},
    {"vector", "vector",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       call.query.vector.clear();
       absl::Status problem;
       RETURN_IF_ERROR(ReadVector(reader, value, call.query.vector, problem));
       return problem;
     }},
    {"top_k", "topK",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.top_k, 0, ReadUint32(reader, value, "top_k"));
     }},
    {"query", "query",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.text, "", ReadText(reader, value, "query"));
     }},
    {"timeout_ms", "timeoutMs",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.timeout_ms, 0, ReadUint32(reader, value, "timeout_ms"));
     }},
    {"include_vectors", "includeVectors",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.include_vectors, false,
                         ReadBool(reader, value, "include_vectors"));
     }},
    {"include_metadata", "includeMetadata",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.include_payload, true,
                         ReadBool(reader, value, "include_metadata"));
     }},
    {"filter", "filter",
     [](SearchCall& call, JsonReader& reader, JsonValue value) {
       return ReadFilter(reader, value, call.query.filter);
     }},
    {"params", "params",
     [](SearchCall& call, JsonReader& reader, JsonValue value) {
       return ReadMessage(reader, value, "params", kParamsFields, call);
     }},
    {"offset", "offset",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.offset, 0, ReadUint32(reader, value, "offset"));
     }},
    {"score_threshold", "scoreThreshold",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       ASSIGN_OR_RETURN(call.query.score_threshold, ReadFloat(reader, value, "score_threshold"));
       return absl::OkStatus();
     }},
    {"consistency", "consistency",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.consistency, Consistency::kUnspecified,
                         ReadConsistency(reader, value, "consistency"));
     }},
    {"max_staleness_ms", "maxStalenessMs",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.max_staleness_ms, 0,
                         ReadUint32(reader, value, "max_staleness_ms"));
     }},
    {"explain", "explain",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.query.explain, false, ReadBool(reader, value, "explain"));
     }},
    {"rerank", "rerank",
     [](SearchCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       call.rerank.reset();
       ASSIGN_OR_RETURN(const JsonType type, FieldType(reader, value, "rerank"));
       if (type == JsonType::null) return absl::OkStatus();
       return ReadMessage(reader, value, "rerank", kRerankFields, call.rerank.emplace());
     }},
    {"payload_fields", "payloadFields",
     [](SearchCall& call, JsonReader& reader, JsonValue value) {
       return ReadNames(reader, value, "payload_fields", call.query.payload_fields);
     }},
};

constexpr JsonField<ScrollCall> kScrollFields[] = {
    {"collection", "collection",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.collection, "", ReadText(reader, value, "collection"));
     }},
    {"after_id", "afterId",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.after_id, "", ReadText(reader, value, "after_id"));
     }},
    {"limit", "limit",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.limit, 0, ReadUint32(reader, value, "limit"));
     }},
    {"filter", "filter",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) {
       return ReadFilter(reader, value, call.filter);
     }},
    {"include_vectors", "includeVectors",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.include_vectors, false, ReadBool(reader, value, "include_vectors"));
     }},
    {"include_metadata", "includeMetadata",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.include_payload, true, ReadBool(reader, value, "include_metadata"));
     }},
    {"consistency", "consistency",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.consistency, Consistency::kUnspecified,
                         ReadConsistency(reader, value, "consistency"));
     }},
    {"max_staleness_ms", "maxStalenessMs",
     [](ScrollCall& call, JsonReader& reader, JsonValue value) -> absl::Status {
       VECTRON_READ_INTO(call.max_staleness_ms, 0, ReadUint32(reader, value, "max_staleness_ms"));
     }},
};

#undef VECTRON_READ_INTO

// A whole request body into `call`.
template <typename Call, size_t kCount>
absl::Status ReadBody(PaddedJson json, std::string_view collection,
                      const JsonField<Call> (&fields)[kCount], Call& call) {
  JsonReader reader;
  RETURN_IF_ERROR(reader.Open(json));
  ASSIGN_OR_RETURN(JsonObject root, reader.RootObject());
  RETURN_IF_ERROR(ReadFields(reader, root, fields, call));
  RETURN_IF_ERROR(reader.ExpectEnd());
  if (!collection.empty()) call.collection = std::string(collection);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UpsertCall> UpsertFromJson(PaddedJson json, std::string_view collection) {
  UpsertCall call;
  RETURN_IF_ERROR(ReadBody(json, collection, kUpsertFields, call));
  RETURN_IF_ERROR(CheckRequestId(call.request_id));
  return call;
}

absl::StatusOr<SearchCall> SearchFromJson(PaddedJson json, std::string_view collection) {
  SearchCall call;
  RETURN_IF_ERROR(ReadBody(json, collection, kSearchFields, call));
  RETURN_IF_ERROR(FinishSearch(call));
  return call;
}

absl::StatusOr<ScrollCall> ScrollFromJson(PaddedJson json, std::string_view collection) {
  ScrollCall call;
  RETURN_IF_ERROR(ReadBody(json, collection, kScrollFields, call));
  RETURN_IF_ERROR(FinishScroll(call));
  return call;
}

}  // namespace vectron
