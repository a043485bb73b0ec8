#pragma once

// A search and its answer, free of any protocol.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/collection.h"
#include "model/filter.h"

namespace vectron {

struct SearchQuery {
  std::vector<float> vector;  // dimension of the collection
  uint32_t k = 10;  // 1-16384; what each shard must return (offset + top_k of the request)
  uint32_t ef = 0;  // 0: the collection's, else max(64, 3 k)
  bool exact = false;
  std::shared_ptr<const Filter> filter;  // null: none; shared by the shards that search in parallel
  std::optional<float> score_threshold;  // only hits with distance <= this
  bool include_vectors = false;
  bool include_payload = true;
  std::vector<std::string> payload_fields;  // top-level keys to return; empty: all
  bool payload_excerpts = false;            // of long payloads only what ranks them (payload.h)
  Consistency consistency = Consistency::kUnspecified;
  uint32_t max_staleness_ms = 0;
  bool explain = false;
  bool trace = false;  // traces as for explain, but cheap: matches of a filter are not counted
};

struct SearchHit {
  std::string id;
  float score = 0;  // distance, lower is closer
  uint64_t version = 0;
  std::string payload;        // JSON object, "" when empty or not wanted
  std::vector<float> vector;  // empty when not wanted
  bool is_excerpt = false;    // the payload is longer than what is here
};

// What one shard did; fields as ShardExplain of the wire.
struct ShardTrace {
  uint32_t shard_id = 0;
  std::string plan;
  std::string reason;
  uint64_t points = 0;
  uint64_t matches_estimated = 0;
  uint64_t matches = 0;
  uint64_t hops = 0;
  uint64_t distances = 0;
  uint64_t tail_scanned = 0;
  uint64_t tombstones = 0;
  uint64_t reranked = 0;
  uint64_t rerank_changes = 0;
  uint64_t time_us = 0;
};

struct SearchAnswer {
  std::vector<SearchHit> hits;     // by (score, id)
  std::vector<ShardTrace> traces;  // when explain or trace was asked for
};

// Gives a hit its payload as the query wants it: whole, some of its fields, an excerpt or none.
void SetPayload(SearchHit& hit, std::string payload, const SearchQuery& query);

// Merges answers of disjoint shards: the k best by (score, id).
SearchAnswer MergeAnswers(std::vector<SearchAnswer> answers, size_t k);

// Of ids, payloads and vectors.
size_t BytesOf(const SearchAnswer& answer);
// When the answers of some disjoint shards hold more than max_bytes: drops the hits that are not
// among the k best of all. Returns what they hold now. ResourceExhausted (AnswerTooLarge): the k
// best alone hold more.
absl::StatusOr<size_t> KeepWithin(size_t max_bytes, size_t k,
                                  const std::vector<SearchAnswer*>& answers);
// ResourceExhausted, saying what to ask instead.
absl::Status AnswerTooLarge(size_t max_bytes);
// Whether it is that, maybe with words before it; asking again does not help then. By its words,
// which every protocol keeps.
bool IsAnswerTooLarge(const absl::Status& status);

}  // namespace vectron
