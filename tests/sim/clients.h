#pragma once

// Clients of one replicated group: they write to whom they take for the leader, ask whom they like,
// and tell the judge what they were told.

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/judge.h"
#include "sim/node.h"
#include "sim/stage.h"

namespace vectron::sim {

class Clients {
 public:
  // sites: where replicas of the group may be.
  Clients(Stage& stage, GroupId group, std::vector<uint64_t> sites)
      : judge([&stage, group](const std::string& what) {
          stage.Violation(fmt::format("group {}: {}", group.value, what));
        }),
        stage_(stage),
        group_(group),
        sites_(std::move(sites)) {}

  // Where the group is led, as of the newest term; null when nowhere.
  Replica* Leader();
  // The replica on a node that runs; null when there is none.
  Replica* ReplicaOn(uint64_t site);
  // A write and a read, of a few keys.
  void Step();
  // What Stage is told of replicas of the group.
  void Applied(Replica& replica, const shard::Entry& entry);
  void Heard(Replica& replica);
  void Leads(Node& node, uint64_t term);
  // Whether a leader has everything up to that entry.
  bool LeaderHas(uint64_t index);
  // Every member that the leader knows has everything that was acknowledged.
  void CheckCaughtUp();
  std::string Describe();

  Judge judge;

 private:
  void Write(Replica& target);
  void Propose(Replica& target, const Operation& operation);
  void Read(Replica& target);

  Stage& stage_;
  const GroupId group_;
  const std::vector<uint64_t> sites_;
  uint64_t operations_ = 0;
  std::map<uint64_t, uint64_t> told_;  // by site: what its last read was told to wait for
};

}  // namespace vectron::sim
