#pragma once

// A whole cluster: placement with its scheduler, workers with the replicas of several shards,
// clients and an operator.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/clients.h"
#include "sim/placement_site.h"
#include "sim/sim_worker.h"
#include "sim/stage.h"

namespace vectron::sim {

class FleetWorld : public Stage {
 public:
  explicit FleetWorld(const SimulationOptions& options);  // Drawn

  SimulationReport Run();

  void Applied(Replica& replica, const shard::Entry& entry) override;
  void Heard(Replica& replica) override;
  void Leads(Node& node, GroupId group, uint64_t term) override;

 private:
  Clients& ClientsOf(const Node& node, GroupId group);
  PlacementSite* LeadingPlacement();
  void SetUp();
  void Create(const std::string& name, uint32_t shards);
  void Drop(const std::string& name);
  void Drain(uint64_t worker, bool cancel);
  void ClientLoop();
  void FaultLoop();
  void OperatorActs();
  void CrashForLong();
  std::string Unsettled();
  void CheckSettled();

  Clients placement_;
  std::map<GroupId, std::unique_ptr<Clients>> groups_;
  std::vector<std::unique_ptr<PlacementSite>> placement_sites_;
  std::vector<std::unique_ptr<SimWorker>> workers_;
  int64_t begin_ms_ = 0;   // when everything was set up
  uint64_t draining_ = 0;  // a worker; 0: none
  bool long_crash_ = false;
  uint64_t extra_ = 0;  // number of the newest extra collection
  bool has_extra_ = false;
};

}  // namespace vectron::sim
