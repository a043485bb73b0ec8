#pragma once

// One replicated group under all faults, with a membership that changes at random.

#include <map>
#include <memory>

#include "sim/clients.h"
#include "sim/node.h"
#include "sim/stage.h"

namespace vectron::sim {

class GroupWorld : public Stage {
 public:
  explicit GroupWorld(const SimulationOptions& options);  // Drawn

  SimulationReport Run();

  void Applied(Replica& replica, const shard::Entry& entry) override {
    clients_.Applied(replica, entry);
  }
  void Heard(Replica& replica) override { clients_.Heard(replica); }
  void Leads(Node& node, GroupId /*group*/, uint64_t term) override { clients_.Leads(node, term); }

 private:
  std::unique_ptr<Machine> NewMachine() const;
  void ClientLoop();
  void FaultLoop();
  bool NoneLacksState();
  void LoseSomeState();
  void Transfer();
  void ChangeMembers();
  void ReplaceRemoved(Replica& leader, Node& target);
  void BeginAnew(Node& target);

  Clients clients_;
  std::map<uint64_t, uint64_t> serial_;  // of the newest replica on a node
  std::map<uint64_t, bool> joined_;      // a member of the group, or about to be; founders are
};

}  // namespace vectron::sim
