#pragma once

// A batch of points cut into the batches of its shards.

#include <cstdint>
#include <vector>

#include "model/ids.h"
#include "model/point.h"

namespace vectron::gateway {

struct ShardPart {
  ShardOrdinal ordinal;
  PointBatch points;
};

// The shard of each id.
std::vector<ShardOrdinal> ShardsOf(const std::vector<std::string>& ids, uint32_t shard_count);

// Parts that are not empty, by shard; the order within each is that of the batch. shards: of each
// point.
std::vector<ShardPart> SplitByShard(PointBatch points, const std::vector<ShardOrdinal>& shards,
                                    uint32_t shard_count);

}  // namespace vectron::gateway
