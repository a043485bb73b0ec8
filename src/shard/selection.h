#pragma once

// From a filter to the slots that pass it.
//
// The index's snapshot comes first and the bitmaps after: rows born later are hidden by the
// snapshot, and rows that died later are in the bitmaps until no snapshot can see them. What
// bitmaps cannot tell is evaluated on the stored payloads of the rows in doubt; a condition that
// made this expensive gets a bitmap of its own (filter_index.h), by the ski-rental rule: once the
// rows evaluated for it one by one add up to a whole scan. A search with few rows in doubt does not
// wait for that scan.
//
// A stored payload may be of a newer version than the snapshot's row. Such rows are *stale*: they
// are not selected, and the caller deals with their ids.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/work_limit.h"
#include "index/vector_index.h"
#include "model/filter.h"
#include "shard/apply.h"
#include "shard/search_terms.h"

namespace vectron::shard {

struct Selection {
  index::Snapshot snapshot;
  index::SlotSet slots;            // all that pass, and rows the snapshot does not see
  std::vector<std::string> stale;  // ids
  uint64_t evaluated = 0;          // payloads looked at
  bool made_bitmap = false;
};

// `indexes`: the state's, as held by the caller for the length of its search. Errors: those of
// reading the store, Unavailable, those of the terms' limit. Nullopt: the terms ask for a quick
// search, and there are too many payloads to look at.
absl::StatusOr<std::optional<Selection>> Select(StateMachine& state,
                                                const std::shared_ptr<Indexes>& indexes,
                                                const Filter& filter, const SearchTerms& terms);

// Makes the bitmaps that are due for a filter, without a search. Errors as above.
absl::Status PrepareFilter(StateMachine& state, const std::shared_ptr<Indexes>& indexes,
                           const Filter& filter, const WorkLimit& limit);

}  // namespace vectron::shard
