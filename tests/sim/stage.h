#pragma once

// What all simulated clusters have in common: the clock, chance, the network between sites, nodes
// that crash and stall, and the record of what was wrong. Everything happens in one thread, in the
// order that the seed gives.

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "consensus/peer_transport.h"
#include "shard/replicator.h"
#include "sim/parts.h"
#include "sim/simulation.h"

namespace vectron::sim {

class Node;
class Replica;

class Stage {
 public:
  explicit Stage(const SimulationOptions& options)
      : options_(options),
        random_(Mix64(options.seed)),
        flush_after_(OneIn(2) ? 1 : random_.Below(400)),
        calm_(OneIn(3)) {}
  virtual ~Stage() = default;

  const SimulationOptions& options() const { return options_; }
  SimulationReport& report() { return report_; }
  int64_t now() const { return clock_.MonotonicMillis(); }
  ManualClock& clock() { return clock_; }
  Random& random() { return random_; }
  bool OneIn(uint64_t one_in) { return random_.OneIn(one_in); }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(high - low + 1)));
  }
  void After(int64_t ms, std::function<void()> run) { events_.At(now() + ms, std::move(run)); }
  // A state machine is flushed once it has applied so many entries since the last time: in some
  // runs soon, in others so late that old copies go with the log that is kept.
  uint64_t flush_after() const { return flush_after_; }
  void Violation(const std::string& what);
  void Trace(uint64_t value) { report_.trace_hash = Mix64(report_.trace_hash ^ value); }

  // --- the network: a site is a node's place in it, from 1 ---
  // Looks at appends on the way: append_check.h.
  void Send(uint64_t from, uint64_t to, consensus::PeerMessage message);
  // Calls `there` if what is said gets to `to`, and that node lives then.
  void Say(uint64_t from, uint64_t to, std::function<void()> there);
  bool IsCut(uint64_t from, uint64_t to) const { return cuts_.contains({from, to}); }
  bool faulty() const { return faulty_; }
  Node& node(uint64_t site) { return *nodes_[site - 1]; }
  size_t sites() const { return nodes_.size(); }

  // --- what the cluster's nodes tell ---
  // A replica has applied an entry.
  virtual void Applied(Replica& replica, const shard::Entry& entry) = 0;
  // Something arrived, which the replica may not have borne.
  virtual void Heard(Replica& replica) = 0;
  // A node leads a group in a term from now on.
  virtual void Leads(Node& node, GroupId group, uint64_t term) = 0;

 protected:
  Node& AddNode(uint64_t id, uint64_t first_site);
  void RunUntil(int64_t end_ms);
  // Runs until `done`, which looks and changes nothing; false: not within that time.
  bool RunUntilTrue(int64_t within_ms, const std::function<bool()>& done);
  void Cut(uint64_t from, uint64_t to, bool both);
  // One of the faults that need no knowledge of groups. False: it was not one of them, or not
  // possible now.
  bool MakeFault();
  // Everything works from here on.
  void Heal();
  void CrashAll();

  bool faulty_ = true;

 private:
  void Isolate(const Node& node);
  void CrashForAWhile(Node& node);
  void FillDiskForAWhile(Node& node);

  const SimulationOptions options_;
  Random random_;
  const uint64_t flush_after_;
  const bool calm_;  // nodes do not crash by themselves, so that what went wrong stays
  ManualClock clock_;
  Events events_;
  SimulationReport report_;
  std::set<std::pair<uint64_t, uint64_t>> cuts_;  // (from, to)
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace vectron::sim
