#pragma once

// One simulated node: a disk that survives, with a log for all groups and a machine for each
// replica, and a process that does not.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shard/raft_host.h"
#include "sim/machine.h"
#include "sim/parts.h"
#include "sim/stage.h"
#include "storage/memory_kv.h"

namespace vectron::sim {

class Node;

// One replica of one group. Its copies for others are as those in files (shard/file_snapshots.h):
// made when one is wanted and none is new enough, kept until then, lost with the process.
class Replica : public shard::Applier, public shard::SnapshotHandler {
 public:
  Replica(Node& node, GroupId group, shard::ReplicaId id, consensus::Membership founders,
          std::unique_ptr<Machine> machine)
      : node_(node),
        group_(group),
        id_(id),
        founders_(std::move(founders)),
        machine_(std::move(machine)) {}

  Node& node() { return node_; }
  GroupId group() const { return group_; }
  shard::ReplicaId id() const { return id_; }
  const Machine& machine() const { return *machine_; }
  bool lacks_state() const { return lacks_state_; }
  shard::Replicator& replicator() { return *replicator_; }
  shard::GroupView View() const;

  // The machine's part of the disk is lost, the log is not. The process does not run.
  void LoseState();
  // Calls `then` once the entry is applied, in this life.
  void WaitApplied(uint64_t index, std::function<void()> then);
  // Index of the last entry in this node's log, when it is that command.
  std::optional<uint64_t> LastEntryIf(const std::string& command) const;
  void FlushWhenDue();

  void Apply(std::vector<shard::Entry> entries) override;
  uint64_t stored_index() const override { return machine_->stored(); }
  absl::StatusOr<Offer> MakeOffer(uint64_t min_index) override;
  void Fetch(WorkerId from, const std::string& token,
             std::function<void(absl::Status)> done) override;
  absl::Status Install(const std::string& token, uint64_t index) override;

 private:
  friend class Node;
  absl::Status Join(shard::RaftHost& host);
  void Leave();
  void MakeCopy();
  // Calls `run` in `ms`, if the process lives then and this replica was not destroyed.
  void Later(int64_t ms, std::function<void()> run);

  Node& node_;
  const GroupId group_;
  const shard::ReplicaId id_;
  const consensus::Membership founders_;
  // --- disk ---
  std::unique_ptr<Machine> machine_;
  bool lacks_state_ = false;
  // --- process ---
  shard::Replicator* replicator_ = nullptr;
  bool making_copy_ = false;
  uint64_t copies_ = 0;
  std::string copy_token_;
  std::optional<Machine::Copy> copy_;
  std::map<std::string, Machine::Copy> fetched_;
  Waiting waiting_;
};

class Node : public consensus::PeerTransport {
 public:
  // Nodes of one network have consecutive sites from first_site on, by id from 1.
  Node(Stage& stage, WorkerId id, uint64_t first_site)
      : stage_(stage), id_(id), first_site_(first_site) {}
  ~Node() override;

  WorkerId id() const { return id_; }
  uint64_t site() const { return SiteOf(id_.value); }
  uint64_t SiteOf(uint64_t id) const { return first_site_ + id - 1; }
  Stage& stage() { return stage_; }
  bool alive() const { return host_ != nullptr; }
  uint64_t life() const { return life_; }
  shard::RaftHost& host() { return *host_; }

  void Start();
  void Crash();
  // Called at the end of Start, and at the beginning of Crash: what else the process does.
  std::function<void()> on_start;
  std::function<void()> on_crash;

  Replica* Find(GroupId group);
  std::vector<Replica*> replicas();
  // A new replica; takes part at once when the process runs.
  Replica& Add(GroupId group, shard::ReplicaId id, const consensus::Membership& founders,
               std::unique_ptr<Machine> machine);
  // The replica is gone for good. The process runs.
  void Destroy(GroupId group);

  // The disk takes its time: nothing is done until then.
  void StallUntil(int64_t ms);
  void Pump();
  void Receive(consensus::PeerMessage message);
  void Send(uint64_t to, std::vector<consensus::PeerMessage> messages) override;
  // Calls `run` in `ms`, if the process still lives then.
  void Later(int64_t ms, std::function<void()> run);

 private:
  friend class Replica;
  void TickLoop();

  Stage& stage_;
  const WorkerId id_;
  const uint64_t first_site_;
  uint64_t life_ = 0;
  bool pumping_ = false;
  bool dying_ = false;  // what is still to be applied has no effect any more
  int64_t stalled_until_ms_ = 0;
  // --- disk ---
  std::unique_ptr<storage::MemoryKv> disk_;
  std::map<GroupId, std::unique_ptr<Replica>> replicas_;
  // --- process ---
  std::unique_ptr<shard::LogStore> logs_;
  std::unique_ptr<LaterExecutor> apply_executor_;
  std::unique_ptr<shard::RaftHost> host_;
};

}  // namespace vectron::sim
