#pragma once

// On which terms a search runs, and about how long its parts take.
//
// A quick search runs in the thread that read the request: a hand-over would cost as much again.
// One that takes longer would keep everyone waiting who shares that thread, so it stops before its
// first long part, and is run again where it keeps nobody. What is long is judged by what is known
// by then: rows, codes, payloads in doubt.

#include <cstdint>
#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/limits.h"
#include "base/work_limit.h"
#include "model/collection.h"
#include "model/search.h"

namespace vectron::shard {

// The longest that a quick search is expected to take.
inline constexpr int64_t kQuickNanos = 1'000'000;

struct IndexLoad {
  bool has_graph = false;
  uint64_t tail_bytes = 0;  // codes that are compared one by one
};

struct SearchTerms {
  const Clock& clock;
  const WorkLimit& limit;
  IndexLoad load;
  size_t max_bytes = kMaxAnswerBytes;  // of payloads and vectors
  bool quick = false;                  // stop before a part that is not quick
  // Has the bitmaps that are due for the search's filter made meanwhile. Null: it makes all itself.
  std::function<void()> prepare_later = nullptr;

  bool Allow(int64_t cost_nanos) const { return !quick || cost_nanos <= kQuickNanos; }
};

// About the time to read and judge so many stored payloads.
int64_t PayloadCostNanos(uint64_t payloads);

// About the time of the index's part and of reading the hits. matches: of the filter, nullopt
// without one.
int64_t IndexCostNanos(const CollectionSchema& schema, const SearchQuery& query,
                       const IndexLoad& load, uint64_t points, std::optional<uint64_t> matches);

}  // namespace vectron::shard
