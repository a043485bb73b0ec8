#include "services/gateway/impressions.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/random.h"

namespace vectron::gateway {
namespace {

constexpr size_t kOverheadBytes = 256;  // nodes of the list and the maps

template <typename Ids>
uint64_t ContentHash(std::string_view tenant, std::string_view collection, std::string_view query,
                     const Ids& ids) {
  std::string bytes;
  PutLengthPrefixed(bytes, tenant);
  PutLengthPrefixed(bytes, collection);
  PutLengthPrefixed(bytes, query);
  for (const std::string& id : ids) PutLengthPrefixed(bytes, id);
  return Hash64(bytes);
}

std::string QueryIdOf(const v1::SubmitFeedbackRequest& request) {
  if (!request.query_id().empty()) return request.query_id();
  const auto found = request.context().find("query_id");
  return found == request.context().end() ? std::string() : found->second;
}

}  // namespace

void Impressions::Add(ShownAnswer answer) {
  Kept kept;
  kept.content = ContentHash(answer.tenant, answer.collection, answer.query, answer.ids);
  kept.shown_ms = clock_.MonotonicMillis();
  kept.bytes = kOverheadBytes + answer.impression.size() + answer.query.size() +
               2 * answer.query_id.size() + answer.tenant.size() + answer.collection.size() +
               answer.model_key.size();
  for (const std::string& id : answer.ids) kept.bytes += sizeof(std::string) + id.size();
  kept.answer = std::move(answer);
  if (kept.bytes > max_bytes_) return;
  const absl::MutexLock lock(&mutex_);
  bytes_ += kept.bytes;
  ring_.push_back(std::move(kept));
  const auto added = std::prev(ring_.end());
  by_query_id_[added->answer.query_id] = added;
  by_content_[added->content] = added;
  const int64_t oldest_ms = clock_.MonotonicMillis() - kImpressionLifeMs;
  while (bytes_ > max_bytes_ || ring_.front().shown_ms < oldest_ms) DropOldest();
}

void Impressions::DropOldest() {
  const auto oldest = ring_.begin();
  by_query_id_.erase(oldest->answer.query_id);
  const auto same = by_content_.find(oldest->content);
  if (same != by_content_.end() && same->second == oldest) by_content_.erase(same);
  bytes_ -= oldest->bytes;
  ring_.pop_front();
}

Impressions::Ring::iterator Impressions::FindFor(const std::string& tenant,
                                                 const v1::SubmitFeedbackRequest& request) {
  const int64_t now_ms = clock_.MonotonicMillis();
  if (const std::string query_id = QueryIdOf(request); !query_id.empty()) {
    const auto found = by_query_id_.find(query_id);
    if (found == by_query_id_.end()) return ring_.end();
    const ShownAnswer& answer = found->second->answer;
    const bool ours = answer.tenant == tenant && answer.collection == request.collection();
    const bool fresh = now_ms - found->second->shown_ms <= kImpressionLifeMs;
    return ours && fresh ? found->second : ring_.end();
  }
  const auto found = by_content_.find(
      ContentHash(tenant, request.collection(), request.query(), request.result_ids()));
  if (found == by_content_.end()) return ring_.end();
  return now_ms - found->second->shown_ms <= kImpressionUnnamedLifeMs ? found->second : ring_.end();
}

std::optional<Impressions::Joined> Impressions::Join(const std::string& tenant,
                                                     const v1::SubmitFeedbackRequest& request) {
  const absl::MutexLock lock(&mutex_);
  const auto kept = FindFor(tenant, request);
  if (kept == ring_.end()) return std::nullopt;
  const ShownAnswer& answer = kept->answer;
  const auto end = answer.ids.begin() + static_cast<ptrdiff_t>(answer.learnable);
  Joined joined;
  for (const v1::FeedbackItem& item : request.feedback_items()) {
    if (!item.clicked() && item.relevance_score() == 0) continue;
    const auto place = std::find(answer.ids.begin(), end, item.result_id());
    if (place == end) continue;
    const uint32_t bit = uint32_t{1} << (place - answer.ids.begin());
    if ((kept->counted & bit) != 0) continue;
    kept->counted |= bit;
    joined.items.push_back(item);
  }
  if (joined.items.empty()) return std::nullopt;
  joined.query_id = answer.query_id;
  joined.model_key = answer.model_key;
  joined.impression = answer.impression;
  return joined;
}

void Impressions::GiveBack(const std::string& query_id,
                           const std::vector<v1::FeedbackItem>& items) {
  const absl::MutexLock lock(&mutex_);
  const auto found = by_query_id_.find(query_id);
  if (found == by_query_id_.end()) return;
  Kept& kept = *found->second;
  for (const v1::FeedbackItem& item : items) {
    const std::vector<std::string>& ids = kept.answer.ids;
    const auto place = std::find(ids.begin(), ids.end(), item.result_id());
    if (place != ids.end()) kept.counted &= ~(uint32_t{1} << (place - ids.begin()));
  }
}

size_t Impressions::size() const {
  const absl::MutexLock lock(&mutex_);
  return ring_.size();
}

}  // namespace vectron::gateway
