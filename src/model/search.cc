#include "model/search.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "model/payload.h"

namespace vectron {
namespace {

constexpr std::string_view kTooLarge = "payloads and vectors, the most of one answer";

// The next hit of one shard's answer.
struct Cursor {
  std::vector<SearchHit>* hits = nullptr;
  size_t next = 0;

  const SearchHit& hit() const { return (*hits)[next]; }
};

// Heaps have the greatest on top: "less" here is "comes later".
bool ComesLater(const Cursor& a, const Cursor& b) {
  if (a.hit().score != b.hit().score) return a.hit().score > b.hit().score;
  return a.hit().id > b.hit().id;
}

}  // namespace

void SetPayload(SearchHit& hit, std::string payload, const SearchQuery& query) {
  if (!query.include_payload) return;
  if (!query.payload_fields.empty()) {
    hit.payload = SelectPayloadFields(payload, query.payload_fields);
  } else if (query.payload_excerpts && payload.size() > kExcerptBytes) {
    hit.payload = ExcerptPayload(payload);
    hit.is_excerpt = true;
  } else {
    hit.payload = std::move(payload);
  }
}

SearchAnswer MergeAnswers(std::vector<SearchAnswer> answers, size_t k) {
  SearchAnswer merged;
  std::vector<Cursor> heap;
  size_t total = 0;
  for (SearchAnswer& answer : answers) {
    std::move(answer.traces.begin(), answer.traces.end(), std::back_inserter(merged.traces));
    total += answer.hits.size();
    if (!answer.hits.empty()) heap.push_back({.hits = &answer.hits});
  }
  std::stable_sort(
      merged.traces.begin(), merged.traces.end(),
      [](const ShardTrace& a, const ShardTrace& b) { return a.shard_id < b.shard_id; });
  merged.hits.reserve(std::min(k, total));
  std::make_heap(heap.begin(), heap.end(), ComesLater);
  while (merged.hits.size() < k && !heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), ComesLater);
    Cursor& best = heap.back();
    merged.hits.push_back(std::move((*best.hits)[best.next]));
    if (++best.next == best.hits->size()) {
      heap.pop_back();
    } else {
      std::push_heap(heap.begin(), heap.end(), ComesLater);
    }
  }
  return merged;
}

size_t BytesOf(const SearchAnswer& answer) {
  size_t bytes = 0;
  for (const SearchHit& hit : answer.hits) {
    bytes += hit.id.size() + hit.payload.size() + hit.vector.size() * sizeof(float);
  }
  return bytes;
}

absl::Status AnswerTooLarge(size_t max_bytes) {
  return ResourceExhausted(
      "the hits hold more than {} bytes of {}; ask for fewer (top_k), for fewer fields "
      "(payload_fields), or without vectors",
      max_bytes, kTooLarge);
}

bool IsAnswerTooLarge(const absl::Status& status) {
  return absl::IsResourceExhausted(status) &&
         MessageOf(status).find(kTooLarge) != std::string_view::npos;
}

absl::StatusOr<size_t> KeepWithin(size_t max_bytes, size_t k,
                                  const std::vector<SearchAnswer*>& answers) {
  const auto sum = [&answers] {
    size_t bytes = 0;
    for (const SearchAnswer* answer : answers) bytes += BytesOf(*answer);
    return bytes;
  };
  size_t bytes = sum();
  if (bytes <= max_bytes) return bytes;
  std::vector<std::pair<float, std::string_view>> order;
  for (const SearchAnswer* answer : answers) {
    for (const SearchHit& hit : answer->hits) order.emplace_back(hit.score, hit.id);
  }
  if (order.size() > k) {
    const auto first_dropped = order.begin() + static_cast<ptrdiff_t>(k);
    std::nth_element(order.begin(), first_dropped, order.end());
    const std::pair<float, std::string> cut(*first_dropped);
    for (SearchAnswer* answer : answers) {
      std::erase_if(answer->hits, [&cut](const SearchHit& hit) {
        return std::pair<float, std::string_view>(hit.score, hit.id) >=
               std::pair<float, std::string_view>(cut);
      });
    }
    bytes = sum();
  }
  if (bytes > max_bytes) return AnswerTooLarge(max_bytes);
  return bytes;
}

}  // namespace vectron
