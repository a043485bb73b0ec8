#pragma once

// Reranked answers that feedback may still name: what was shown, kept a day within a bound of
// bytes.
//
// Feedback joins by query id, or within an hour by tenant, collection, query and the ids shown.
// Each result of an answer counts once. Thread-safe.

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/limits.h"
#include "vectron/vectron.pb.h"

namespace vectron::gateway {

// One answer as it was shown.
struct ShownAnswer {
  std::string query_id;
  std::string tenant;
  std::string collection;  // as the client names it
  std::string model_key;   // as the reranker knows it
  std::string query;
  std::vector<std::string> ids;  // in the order shown
  size_t learnable = 0;          // of the first ids, those the impression has
  std::string impression;
};

class Impressions {
 public:
  // `clock` outlives it.
  explicit Impressions(const Clock& clock, size_t max_bytes = kImpressionRingBytes)
      : clock_(clock), max_bytes_(max_bytes) {}

  void Add(ShownAnswer answer);

  struct Joined {
    std::string query_id;
    std::string model_key;
    std::string impression;
    std::vector<v1::FeedbackItem> items;  // those that were shown and have not counted yet
  };
  // What feedback of this tenant can teach; empty when it names no answer that is still known, or
  // nothing of it. What is returned has counted, unless it is given back.
  std::optional<Joined> Join(const std::string& tenant, const v1::SubmitFeedbackRequest& request);
  // These have not counted after all: the feedback was not stored.
  void GiveBack(const std::string& query_id, const std::vector<v1::FeedbackItem>& items);

  size_t size() const;

 private:
  struct Kept {
    ShownAnswer answer;
    uint64_t content = 0;  // hash of what unnamed feedback joins by
    int64_t shown_ms = 0;  // monotonic
    uint32_t counted = 0;  // bit n: result n has a click or a grade
    size_t bytes = 0;
  };
  using Ring = std::list<Kept>;  // oldest first

  void DropOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Ring::iterator FindFor(const std::string& tenant, const v1::SubmitFeedbackRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const size_t max_bytes_;
  mutable absl::Mutex mutex_;
  Ring ring_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unordered_map<std::string, Ring::iterator> by_query_id_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Ring::iterator> by_content_ ABSL_GUARDED_BY(mutex_);  // the latest
};

}  // namespace vectron::gateway
