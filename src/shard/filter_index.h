#pragma once

// What a shard knows of its slots' payloads: the bitmaps of the declared fields
// (storage/payload_index.h), and for conditions on other fields bitmaps that are made when asked
// for often and then kept in step.
//
// A kept condition is *ready for* searches whose snapshot is at least as new as its `usable_from`:
// rows that died before may be missing from its bitmap.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "model/collection.h"
#include "model/filter.h"
#include "shard/bounds.h"
#include "storage/payload_index.h"

namespace vectron::shard {

// Conditions kept per shard, and bytes of their bitmaps: each costs an evaluation per write.
inline constexpr size_t kMaxKeptConditions = 64;
inline constexpr size_t kMaxKeptConditionBytes = size_t{16} << 20;
// Bytes of a condition's key: longer lists of values are not kept.
inline constexpr size_t kMaxKeptKeyBytes = size_t{16} << 10;
// Conditions whose use is counted before they are kept.
inline constexpr size_t kMaxCountedConditions = 1'024;

// The payload as a tree; an empty object when the text is empty or no object (which the gateway
// does not let in).
Value PayloadTree(std::string_view payload);

// A text that equal leaf conditions share and others do not.
std::string ConditionKey(const Condition& condition);

// Thread-safe; Add, ClearSlots and Register by the appender or under its lock.
class FilterIndex {
 public:
  explicit FilterIndex(const std::vector<PayloadIndexSpec>& fields);
  ~FilterIndex();

  // --- appender ---
  // Adds a slot with its payload's text. Before the row is committed to the vector index.
  void Add(uint32_t slot, std::string_view id, std::string_view payload);
  void ClearSlots(std::span<const uint32_t> slots);
  // Everything but the kept conditions, which are made again when needed.
  std::string Serialize() const;
  // On an empty index. DataLoss, FailedPrecondition (other fields).
  absl::Status Load(std::string_view bytes);

  // --- searches ---
  // Answers a has_id test.
  using IdResolver = std::function<Roaring(const HasIdTest&)>;
  struct Query {
    uint64_t applied_index = 0;  // of the search's snapshot
    uint32_t universe = 0;       // slots [0, universe) exist in it
    const IdResolver& resolve_ids;
  };
  // The slots that pass, as far as bitmaps tell. Leaves that made the answer inexact are appended
  // to `unsure` unless null; they point into the filter.
  Bounds Evaluate(const Filter& filter, const Query& query,
                  std::vector<const Condition*>* unsure) const;

  // Adds `rows` to the rows that were evaluated one by one for want of this condition's bitmap;
  // returns the sum. 0 for a condition that is too long to keep: nothing is ever due for it.
  uint64_t CountEvaluations(const Condition& leaf, uint64_t rows);

  // A condition being made or kept.
  struct Kept;
  // Starts keeping a leaf: from now on Add looks at it. Null when it is kept or being made already,
  // or is too long. Under the appender's lock.
  std::shared_ptr<Kept> Register(const Condition& leaf);
  // Adds the slots of the rows that were there before and opens the bitmap for searches from
  // `usable_from` on.
  void Publish(const std::shared_ptr<Kept>& kept, const Roaring& slots, uint64_t usable_from);
  // Gives up making it.
  void Abandon(const std::shared_ptr<Kept>& kept);
  // From which snapshot on a kept leaf answers; nullopt when it is not kept (or not ready).
  std::optional<uint64_t> UsableFrom(const Condition& leaf) const;

  size_t kept_conditions() const;
  uint64_t memory_bytes() const;

 private:
  Bounds EvaluateCondition(const Condition& condition, const Query& query,
                           std::vector<const Condition*>* unsure) const;
  std::optional<Bounds> FromField(const Condition& condition) const;
  std::optional<Bounds> FromKept(const Condition& condition, const Query& query) const;
  void AddFacts(uint32_t slot, const Value& tree);
  // Keeps within the bounds, with room for so many more.
  void DropUnused(size_t room) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::vector<Path> paths_;  // of the declared fields
  std::unique_ptr<storage::PayloadIndex> fields_;

  mutable absl::Mutex mutex_;  // held for bitmap operations only
  std::unordered_map<std::string, std::shared_ptr<Kept>> kept_ ABSL_GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, uint64_t> evaluations_
      ABSL_GUARDED_BY(mutex_);  // by hash of the key
  uint64_t rows_added_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable std::atomic<uint64_t> uses_{0};  // orders uses of kept conditions
};

}  // namespace vectron::shard
