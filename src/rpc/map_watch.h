#pragma once

// The long-lived call by which placement tells of changes of its map. Made again at the next node,
// after a pause that grows, whenever it ends.

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/timer.h"
#include "rpc/placement_caller.h"
#include "vectron/placement.pb.h"

namespace vectron::rpc {

struct MapWatchOptions {
  bool versions_only = false;  // only that something changed, not what
};

// Thread-safe.
class MapWatch {
 public:
  // on_map: one at a time, on any thread; must not block. `nodes`, clock and timer outlive it.
  static std::unique_ptr<MapWatch> Start(
      const MapWatchOptions& options, PlacementCaller& nodes, const Clock& clock, Timer& timer,
      std::function<void(const placementdriver::v1::ClusterMap&)> on_map);
  // Ends the call; returns when no callback runs or follows.
  virtual ~MapWatch() = default;
};

}  // namespace vectron::rpc
