#pragma once

// Records and measurements as the answers of the service show them.

#include <cstdint>

#include "services/placement/cluster_load.h"
#include "services/placement/cluster_state.h"
#include "services/placement/tracker.h"
#include "vectron/placement.pb.h"

namespace vectron::placement {

void DescribeWorker(const WorkerRecord& worker, const ClusterState& state, const Tracker& tracker,
                    int64_t now_nanos, placementdriver::v1::WorkerInfo& wire);

void DescribeShard(const ShardRecord& shard, uint32_t shard_count, const ClusterState& state,
                   const ClusterLoad& load, placementdriver::v1::ShardStatus& wire);

}  // namespace vectron::placement
