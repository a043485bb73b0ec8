#pragma once

// What of a shard is on its way, as placement's map tells it.

#include <vector>

#include "rpc/placement_api.h"
#include "vectron/placement.pb.h"

namespace vectron::rpc {

// In the order of the map's replicas. A new replica and the one it replaces are one move, whichever
// of the two is under way. Learners that stay learners are none.
std::vector<ReplicaMove> MovesOf(const placementdriver::v1::MapShard& shard);

}  // namespace vectron::rpc
