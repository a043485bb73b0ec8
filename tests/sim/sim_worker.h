#pragma once

// A worker as placement knows it, by the rules of the real agent (services/worker/agent.h): it
// registers, tells how its replicas are, keeps what it is told on its disk, begins and destroys
// replicas, and brings the memberships of groups it leads to what is wanted, one real step at a
// time (services/worker/membership.h).

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/node.h"
#include "sim/placement_site.h"
#include "vectron/placement.pb.h"

namespace vectron::sim {

class SimWorker {
 public:
  // `placement`: by site.
  SimWorker(Node& node, std::vector<PlacementSite*> placement);

  Node& node() { return node_; }
  bool registered() const { return !cluster_id_.empty(); }
  // Asks placement for the id that its node has already; again until it answers.
  void Register();
  // Every replica it holds is one it was last told of, and it holds all of those.
  bool HoldsWhatItShould();

 private:
  using Ref = std::pair<uint64_t, uint64_t>;  // group, replica

  // Has `ask` done at the placement node it takes for the leader, and `then` here unless the answer
  // is lost.
  template <typename Response>
  void Call(std::function<void(placement::PlacementService&,
                               std::function<void(absl::StatusOr<Response>)>)>
                ask,
            std::function<void(absl::StatusOr<Response>)> then);
  void BeatLater(int64_t ms);
  void Beat();
  void OnHeartbeat(absl::StatusOr<placementdriver::v1::HeartbeatResponse> response);
  void TakeAssignments(const placementdriver::v1::HeartbeatResponse& response);
  void Destroy(const placementdriver::v1::HeartbeatResponse& response);
  void BeginReplicas();
  void SteerLoop();
  void Steer(const placementdriver::v1::ReplicaAssignment& wanted, Replica& replica);
  placementdriver::v1::HeartbeatRequest MakeHeartbeat();

  Node& node_;
  const std::vector<PlacementSite*> placement_;
  uint64_t calls_ = 0;
  // --- disk ---
  std::string cluster_id_;
  std::map<uint64_t, placementdriver::v1::ReplicaAssignment> assignments_;
  std::map<uint64_t, uint64_t> tombstones_;  // group -> highest replica destroyed here
  // --- process ---
  size_t asks_ = 0;  // index of the placement node asked next
  uint64_t epoch_ = 0;
  uint64_t beats_ = 0;       // scheduled; only the newest counts
  std::set<uint64_t> busy_;  // groups whose membership is being changed
  std::set<Ref> destroyed_;
};

}  // namespace vectron::sim
