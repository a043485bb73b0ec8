#pragma once

// Data requests and answers between their two wire forms (protobuf messages; JSON text) and the
// model. Both readers give equal results for equal content (a property test shows it); both check
// limits while reading.

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/padded_json.h"
#include "model/point.h"
#include "model/search.h"

namespace vectron::v1 {
class UpsertRequest;
class SearchRequest;
class SearchResponse;
class ScrollRequest;
class Point;
}  // namespace vectron::v1

namespace vectron {

struct UpsertCall {
  std::string collection;
  PointBatch points;                    // dimension = length of the first vector
  std::optional<OddLength> odd_length;  // validate.h refuses it
  std::string request_id;
  bool return_versions = false;
  bool insert_only = false;
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

// What ordered an answer; fields as RerankInfo and RerankExplain of the wire.
struct RerankNote {
  std::string strategy;
  std::string reason;
  bool from_cache = false;
  bool explored = false;
  uint64_t time_us = 0;
};
struct RerankTrace {
  std::string id;
  uint32_t vector_rank = 0;  // 1-based
  float distance = 0;
  std::string explanation;
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
  std::optional<RerankNote> rerank;         // when reranking was asked for
  std::vector<RerankTrace> rerank_explain;  // per hit, when reranked and explain was asked for
};

struct ScrollCall {
  std::string collection;
  std::string after_id;
  uint32_t limit = 100;                  // 1 to kMaxScrollLimit
  std::shared_ptr<const Filter> filter;  // null: none
  bool include_vectors = false;
  bool include_payload = true;
  Consistency consistency = Consistency::kUnspecified;
  uint32_t max_staleness_ms = 0;
};

// What all readers check: types, numbers in range, finite components, vectors that are not empty,
// payloads, filters, counts and bytes of an upsert, offset + top_k. What they leave: names of
// collections, and what validate.h compares with the schema (ids, dimension, all-zero vectors).
// Errors are InvalidArgument and name the point and the field, as validate.h words it. An empty
// filter becomes none. Of a request id at most kMaxRequestIdBytes are allowed.

// --- protobuf ---
// Ids and vectors may be moved out of the request.
absl::StatusOr<UpsertCall> UpsertFromProto(v1::UpsertRequest& request);
absl::StatusOr<SearchCall> SearchFromProto(const v1::SearchRequest& request);
absl::StatusOr<ScrollCall> ScrollFromProto(const v1::ScrollRequest& request);
void ReplyToProto(const SearchReply& reply, v1::SearchResponse& response);
// Fills `fields` and `payload` from the stored text.
void PointToProto(const PointRecord& point, v1::Point& proto);

// --- JSON (proto3's mapping; both lowerCamelCase and snake_case keys, unknown keys ignored outside
// of filters, the last of doubled keys counts, null is unset) --- `payload` of a point is one
// object of any values; `fields`, the typed payload of the protobuf form, is an unknown key here.
// `collection` comes from the path and overrides the body's unless it is empty. Errors of syntax
// give the byte position; NaN and Infinity, which JSON does not have though some writers do, also
// the field, of a vector the component. Cost: about 15 ns per component of a vector.
absl::StatusOr<UpsertCall> UpsertFromJson(PaddedJson json, std::string_view collection);
absl::StatusOr<SearchCall> SearchFromJson(PaddedJson json, std::string_view collection);
absl::StatusOr<ScrollCall> ScrollFromJson(PaddedJson json, std::string_view collection);
// Each appends JSON by the mapping of the contract, section 2: lowerCamelCase, zero values emitted,
// 64-bit ints as strings, payload as one object. Floats have the shortest digits that read back the
// same.
void ReplyToJson(const SearchReply& reply, std::string& out);
void PointToJson(const PointRecord& point, std::string& out);
// A ScrollResponse.
void ScrollToJson(std::span<const PointRecord> points, std::string_view next_after_id,
                  std::string& out);

}  // namespace vectron
