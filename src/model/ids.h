#pragma once

// Names of things, their checks, and the shard of a point.

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace vectron {

// A shard within one collection, 0-based.
struct ShardOrdinal {
  uint32_t value = 0;
  auto operator<=>(const ShardOrdinal&) const = default;
};

// A replicated group of one cluster: unique over all collections, never reused. 0 is no group.
struct GroupId {
  uint64_t value = 0;
  auto operator<=>(const GroupId&) const = default;
};

// A worker node. 0 is none.
struct WorkerId {
  uint64_t value = 0;
  auto operator<=>(const WorkerId&) const = default;
};

// InvalidArgument unless name matches [A-Za-z0-9][A-Za-z0-9_-]{0,127}.
absl::Status CheckCollectionName(std::string_view name);

// InvalidArgument unless id is 1-256 bytes of UTF-8 without control characters (U+0000-U+001F,
// U+007F-U+009F).
absl::Status CheckPointId(std::string_view id);

// The hash whose ranges are the shards: XXH3-64 of the id's bytes.
uint64_t PointHash(std::string_view id);

// The shard that holds an id when [0, 2^64) is cut into `shard_count` equal ranges. shard_count
// >= 1.
ShardOrdinal ShardOf(std::string_view id, uint32_t shard_count);

// First hash of a shard's range: ceil(ordinal * 2^64 / shard_count). ordinal < shard_count.
uint64_t ShardRangeStart(ShardOrdinal ordinal, uint32_t shard_count);

}  // namespace vectron
