#pragma once

// Data requests and answers between their two wire forms (protobuf messages; JSON text) and the
// model. Both readers give equal results for equal content (a property test shows it); both check
// limits while reading.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/point.h"
#include "model/search.h"

namespace vectron::v1 {
class UpsertRequest;
class SearchRequest;
class SearchResponse;
class Point;
}  // namespace vectron::v1

namespace vectron {

struct UpsertCall {
  std::string collection;
  PointBatch points;  // dimension = length of the first vector; others of another length are
                      // InvalidArgument
  std::string request_id;
  bool return_versions = false;
  bool insert_only = false;
};

struct RerankSpec {
  std::string strategy;  // "", "none", "rule", "llm", "learned"
  uint32_t budget_ms = 0;
  uint32_t candidates = 0;
  std::optional<bool> explore;
};

struct SearchCall {
  std::string collection;
  SearchQuery query;  // query.k = offset + top_k
  uint32_t top_k = 10;
  uint32_t offset = 0;
  uint32_t timeout_ms = 0;
  std::string text;  // SearchRequest.query
  std::optional<RerankSpec> rerank;
  float target_recall = 0;  // 0: not asked for
};

// The answer of the gateway, before it takes a wire form.
struct SearchReply {
  std::vector<SearchHit> hits;
  std::string query_id;
  bool reranked = false;
  bool partial = false;
  std::vector<uint32_t> missing_shards;
  bool last = false;
  bool explain = false;
  std::vector<ShardTrace> traces;
};

// --- protobuf ---
// The vectors may be moved out of the request. InvalidArgument as validate.h words it.
absl::StatusOr<UpsertCall> UpsertFromProto(v1::UpsertRequest& request);
absl::StatusOr<SearchCall> SearchFromProto(v1::SearchRequest& request);
void ReplyToProto(const SearchReply& reply, v1::SearchResponse& response);
// Fills `fields` and `payload` from the stored text.
void PointToProto(const PointRecord& point, v1::Point& proto);

// --- JSON (simdjson; both lowerCamelCase and snake_case keys, unknown keys ignored) ---
// `json` must have simdjson's padding of readable bytes behind its end; `capacity` is the size of
// that buffer. `collection` comes from the path and overrides the body's. Errors: InvalidArgument
// with the byte position.
struct PaddedJson {
  const char* data = nullptr;
  size_t size = 0;
  size_t capacity = 0;
};
absl::StatusOr<UpsertCall> UpsertFromJson(PaddedJson json, std::string_view collection);
absl::StatusOr<SearchCall> SearchFromJson(PaddedJson json, std::string_view collection);
// Appends JSON by the mapping of the contract, section 2: lowerCamelCase, zero values emitted,
// 64-bit ints as strings, payload as one object.
void ReplyToJson(const SearchReply& reply, std::string& out);
void PointToJson(const PointRecord& point, std::string& out);

}  // namespace vectron
