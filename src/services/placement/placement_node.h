#pragma once

// One node of the placement driver: a replica of placement's consensus group, its state machine
// with snapshots on disk, and the service in front of them. What `vectron placement` runs.
//
//   host = GroupHost::Start(...)                       of this process, with its transport
//   node = PlacementNode::Open(options, deps)          replays snapshot and log
//   node->Register(registry); GrpcServer::Start(...)   serves vectron.placementdriver.v1
//   ... node->Stop() before the servers stop: calls that wait end as Unavailable
//
// Any node answers GetLeader; the others of the RPCs are for the leader and end elsewhere as
// Unavailable with a leader hint (rpc::LeaderHint gives the placement node's id) and its address in
// the message. One, three or five nodes. Those of the first start found the group. Later the leader
// takes in the nodes of its `peers` that are no members yet: without a vote at first, and with one
// when all of them have caught up. Members that are no peers leave then (group_growth.h).
//
// Below data_dir: placement-state is the state machine at a log position, replaced as a whole
// (docs/formats/placement-state.md); placement-snapshots what travels to and from other nodes.
//
// Thread-safe.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/timer.h"
#include "model/ids.h"
#include "services/placement/options.h"
#include "shard/group_host.h"
#include "shard/snapshot_registry.h"

namespace vectron::rpc {
class RpcRegistry;
}

namespace vectron::placement {

// The consensus group of placement, in a log of its own: no shard is numbered so.
inline constexpr GroupId kPlacementGroup{1};
// Below the data folder.
inline constexpr char kPlacementStateFile[] = "/placement-state";
inline constexpr char kPlacementSnapshotFolder[] = "/placement-snapshots";

struct PlacementPeer {
  WorkerId node;  // the number of a placement node, 1-5 say; apart from the workers' numbers
  std::string grpc_address;  // where it serves, as others reach it
};

struct PlacementNodeOptions {
  std::string data_dir;  // made when missing
  WorkerId node;
  std::vector<PlacementPeer> peers;  // all there shall be, this node included; 1, 3 or 5
  // A node without data waits to be taken in by a group that is there; otherwise it is a founder.
  bool join = false;
  // What the cluster is to be called if it has no id yet; empty: a random one. A state with another
  // id refuses to start.
  std::string cluster_id;
  PlacementOptions placement;
  uint64_t seed = 0;  // of random choices that go into commands
};

// All outlive the node.
struct PlacementNodeDeps {
  FileSystem* files = nullptr;
  Clock* clock = nullptr;
  Timer* timer = nullptr;
  shard::GroupHost* host = nullptr;
  Executor* executor = nullptr;  // the service's periodic work; two threads or more
  // How whole copies reach nodes that the log no longer serves; both null: they cannot.
  consensus::SnapshotTransport* snapshot_transport = nullptr;
  shard::SnapshotRegistry* snapshot_registry = nullptr;
};

class PlacementNode {
 public:
  // Errors: InvalidArgument (options), FailedPrecondition (another cluster id, a newer format),
  // DataLoss naming the file.
  static absl::StatusOr<std::unique_ptr<PlacementNode>> Open(const PlacementNodeOptions& options,
                                                             const PlacementNodeDeps& deps);
  // Calls Stop.
  virtual ~PlacementNode() = default;

  // Binds the handlers of vectron.placementdriver.v1.PlacementService.
  virtual absl::Status Register(rpc::RpcRegistry& registry) = 0;
  // Ends what waits, leaves the group, writes the state once more. Servers may still call the
  // handlers afterwards and get Unavailable. Idempotent.
  virtual void Stop() = 0;

  // What this node sees now.
  struct View {
    bool is_leader = false;
    std::string leader_address;  // "" while there is none
    std::string cluster_id;      // "" until the cluster is founded
    uint64_t applied_index = 0;
    bool is_member = false;  // of placement's group, with a vote or without
    size_t voters = 0;       // of it
    size_t workers = 0;
    size_t collections = 0;
    uint64_t differences_found = 0;  // groups whose replicas were found to differ, while it led
    size_t differing_groups = 0;     // those that do now; of the leader
  };
  virtual View view() const = 0;
};

}  // namespace vectron::placement
