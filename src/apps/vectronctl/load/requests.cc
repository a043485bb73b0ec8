#include "apps/vectronctl/load/requests.h"

#include <simdjson.h>

#include <algorithm>

#include "apps/vectronctl/rows/json.h"
#include "apps/vectronctl/rows/row_reader.h"
#include "base/status.h"
#include "model/filter.h"
#include "vectron/vectron.pb.h"

namespace vectron::load {
namespace {

void AppendVector(std::span<const float> vector, std::string& out) {
  out.push_back('[');
  for (size_t i = 0; i < vector.size(); ++i) {
    if (i > 0) out.push_back(',');
    rows::AppendJsonNumber(vector[i], out);
  }
  out.push_back(']');
}

absl::StatusOr<std::string> GrpcSearch(const SearchSpec& spec, std::span<const float> vector) {
  v1::SearchRequest request;
  request.set_collection(spec.collection);
  request.mutable_vector()->Add(vector.begin(), vector.end());
  request.set_top_k(spec.k);
  request.set_include_metadata(spec.include_metadata);
  if (spec.ef > 0) request.mutable_params()->set_ef(spec.ef);
  if (spec.exact) request.mutable_params()->set_exact(true);
  if (!spec.consistency.empty()) {
    v1::Consistency consistency = v1::CONSISTENCY_UNSPECIFIED;
    if (!v1::Consistency_Parse(spec.consistency, &consistency)) {
      return InvalidArgument("consistency '{}' is not known", spec.consistency);
    }
    request.set_consistency(consistency);
  }
  if (!spec.filter_json.empty()) {
    ASSIGN_OR_RETURN(const Filter filter, FilterFromJson(spec.filter_json));
    FilterToProto(filter, *request.mutable_filter());
  }
  return request.SerializeAsString();
}

}  // namespace

absl::StatusOr<std::string> SearchRequestBytes(WireKind kind, const std::string& address,
                                               const SearchSpec& spec,
                                               std::span<const float> vector) {
  if (kind == WireKind::kGrpc) return GrpcSearch(spec, vector);
  std::string body = "{\"vector\":";
  AppendVector(vector, body);
  body += fmt::format(",\"topK\":{},\"includeMetadata\":{}", spec.k, spec.include_metadata);
  if (spec.ef > 0 || spec.exact) {
    body += fmt::format(",\"params\":{{\"ef\":{},\"exact\":{}}}", spec.ef, spec.exact);
  }
  if (!spec.consistency.empty()) body += ",\"consistency\":\"" + spec.consistency + "\"";
  if (!spec.filter_json.empty()) body += ",\"filter\":" + spec.filter_json;
  body += "}";
  return HttpPost(address, "/v1/collections/" + spec.collection + "/points/search", body);
}

std::string UpsertRequestBytes(WireKind kind, const std::string& address,
                               const std::string& collection, const std::string& id,
                               std::span<const float> vector) {
  if (kind == WireKind::kGrpc) {
    v1::UpsertRequest request;
    request.set_collection(collection);
    auto& point = *request.add_points();
    point.set_id(id);
    point.mutable_vector()->Add(vector.begin(), vector.end());
    return request.SerializeAsString();
  }
  std::string body = "{\"points\":[{\"id\":";
  rows::AppendJsonString(id, body);
  body += ",\"vector\":";
  AppendVector(vector, body);
  body += "}]}";
  return HttpPost(address, "/v1/collections/" + collection + "/points", body);
}

absl::StatusOr<std::vector<std::string>> AnswerIds(WireKind kind, const std::string& body) {
  std::vector<std::string> ids;
  if (kind == WireKind::kGrpc) {
    v1::SearchResponse response;
    if (!response.ParseFromString(body)) return DataLoss("an answer that is no SearchResponse");
    for (const auto& hit : response.results()) ids.push_back(hit.id());
    return ids;
  }
  simdjson::dom::parser parser;
  simdjson::dom::array hits;
  if (parser.parse(body)["results"].get(hits) != simdjson::SUCCESS) {
    return DataLoss("an answer without \"results\"");
  }
  for (const auto hit : hits) {
    std::string_view id;
    if (hit["id"].get(id) != simdjson::SUCCESS) return DataLoss("a result without \"id\"");
    ids.emplace_back(id);
  }
  return ids;
}

size_t CountFound(const std::vector<std::string>& ids, std::span<const uint32_t> truth, size_t k) {
  size_t found = 0;
  const auto end = ids.begin() + static_cast<ptrdiff_t>(std::min(k, ids.size()));
  for (const uint32_t row : truth.first(std::min(k, truth.size()))) {
    if (row == rows::kNoRow) break;
    if (std::find(ids.begin(), end, std::to_string(row)) != end) ++found;
  }
  return found;
}

}  // namespace vectron::load
