#pragma once

// One search of one shard, from the query to hits with payloads.
//
// Hits come from a snapshot of the index, payloads and vectors from the store, which may be newer.
// A row whose stored version is another one is never answered half and half: the search starts over
// on a newer snapshot, and when it keeps losing that race it takes the stored state of the rows
// concerned, scored anew.

#include <optional>

#include "absl/status/statusor.h"
#include "model/ids.h"
#include "model/search.h"
#include "shard/apply.h"
#include "shard/search_terms.h"

namespace vectron::shard {

// Answers in the calling thread. query: checked. Errors: InvalidArgument, Unavailable, DataLoss,
// those of the limit. Nullopt: the terms ask for a quick search, and this is none.
absl::StatusOr<std::optional<SearchAnswer>> SearchShard(StateMachine& state, ShardOrdinal ordinal,
                                                        const SearchQuery& query,
                                                        const SearchTerms& terms);

// The distance of two vectors by a metric, in double precision.
double DistanceOf(Metric metric, std::span<const float> a, std::span<const float> b);

}  // namespace vectron::shard
