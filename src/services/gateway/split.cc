#include "services/gateway/split.h"

#include <utility>

#include "base/check.h"

namespace vectron::gateway {

std::vector<ShardOrdinal> ShardsOf(const std::vector<std::string>& ids, uint32_t shard_count) {
  std::vector<ShardOrdinal> shards;
  shards.reserve(ids.size());
  for (const std::string& id : ids) shards.push_back(ShardOf(id, shard_count));
  return shards;
}

std::vector<ShardPart> SplitByShard(PointBatch points, const std::vector<ShardOrdinal>& shards,
                                    uint32_t shard_count) {
  CHECK_EQ(points.size(), shards.size());
  std::vector<size_t> counts(shard_count, 0);
  for (const ShardOrdinal shard : shards) ++counts[shard.value];
  std::vector<ShardPart> parts;
  std::vector<size_t> part_of(shard_count, 0);
  for (uint32_t ordinal = 0; ordinal < shard_count; ++ordinal) {
    if (counts[ordinal] == 0) continue;
    if (counts[ordinal] == points.size()) {  // the whole batch, as it is
      parts.push_back({.ordinal = ShardOrdinal{ordinal}, .points = std::move(points)});
      return parts;
    }
    part_of[ordinal] = parts.size();
    ShardPart& part = parts.emplace_back();
    part.ordinal = ShardOrdinal{ordinal};
    part.points.dimension = points.dimension;
    part.points.ids.reserve(counts[ordinal]);
    part.points.payloads.reserve(counts[ordinal]);
    part.points.vectors.reserve(counts[ordinal] * points.dimension);
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    PointBatch& part = parts[part_of[shards[i].value]].points;
    part.ids.push_back(std::move(points.ids[i]));
    part.payloads.push_back(std::move(points.payloads[i]));
    const std::span<const float> vector = points.vector(i);
    part.vectors.insert(part.vectors.end(), vector.begin(), vector.end());
  }
  return parts;
}

}  // namespace vectron::gateway
