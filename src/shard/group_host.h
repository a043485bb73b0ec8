#pragma once

// The groups of one node, running: a RaftHost with the thread that turns it, ticks by the monotonic
// clock, and a watch over the disk. Shards and the placement state machine alike are Appliers with
// a SnapshotHandler attached here.
//
//   logs = LogStore::Open(dir, resources, cache)
//   host = GroupHost::Start(options, deps)       transport -> host->Receive,
//                                                server <- host (SnapshotRegistry)
//   replicator = host->Attach({group, replica, founders, applied, &applier, &snapshots})
//   ...
//   host->HandOverAll(); destroy what was attached (Detach first); destroy the host
//
// A turn writes with one sync on the raft thread, so a slow disk silences this node by itself:
// nothing, heartbeats included, is sent while a write is under way, and after an election time-out
// of silence the others choose new leaders. A write that takes longer than hung_write_ms ends the
// node (on_fatal), judged by the timer's thread. A node that has nothing to write does so every
// raft.probe_ticks, and so learns of it too.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/timer.h"
#include "consensus/peer_transport.h"
#include "model/ids.h"
#include "shard/log_store.h"
#include "shard/raft_host.h"

namespace vectron::shard {

struct GroupHostOptions {
  RaftHostOptions raft;  // raft.node is set; raft.life 0: made from the clock
  int64_t tick_ms = 20;
  int64_t handover_ms = 3'000;     // HandOver waits no longer
  int64_t slow_write_ms = 1'000;   // a log write older than this is counted and logged
  int64_t hung_write_ms = 30'000;  // a log write older than this is fatal
};

// All outlive the host.
struct GroupHostDeps {
  LogStore* logs = nullptr;
  consensus::PeerTransport* transport = nullptr;
  Executor* apply_executor = nullptr;
  Clock* clock = nullptr;
  Timer* timer = nullptr;
  // A log write failed or hangs: the node must end, and learns from its disk when it starts again.
  // Called once, on any thread. The default reports it and ends the process.
  std::function<void(const absl::Status&)> on_fatal;
  // How much room the log's disk has; asked about once a second, in a thread for it. Null: always
  // enough.
  std::function<DiskRoom()> disk_room;
};

// Thread-safe.
class GroupHost : public consensus::PeerReceiver {
 public:
  // Starts the raft thread and the ticks.
  static std::unique_ptr<GroupHost> Start(const GroupHostOptions& options,
                                          const GroupHostDeps& deps);
  // Stops the thread. Attached groups get no call afterwards; their proposals and reads that wait
  // fail as Unavailable.
  ~GroupHost() override = default;

  // As RaftHost's. Attach replays what the applier lacks of its durable state in the calling
  // thread; the Replicator lives as long as the host, and answers Unavailable once the group is
  // detached.
  virtual absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) = 0;
  // Fails what waits, waits for what was handed to the applier. Before the applier's end.
  virtual void Detach(GroupId group) = 0;
  virtual absl::Status Destroy(GroupId group) = 0;

  // Passes on the leadership of a group (or of all) to a voter that is up to date, and waits up to
  // handover_ms until this node leads no more. DeadlineExceeded: still leading some (no other voter
  // answers).
  virtual absl::Status HandOver(GroupId group) = 0;
  virtual absl::Status HandOverAll() = 0;

  // One at a time; `done` when the change is applied on this node. Unavailable: not the leader.
  // FailedPrecondition: another is pending. A leader is not removed: hand over first.
  virtual void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                                std::function<void(absl::Status)> done) = 0;
  virtual void TransferLeadership(GroupId group, ReplicaId to) = 0;
  virtual void Campaign(GroupId group) = 0;

  virtual GroupView View(GroupId group) const = 0;
  virtual std::vector<GroupId> Groups() const = 0;  // attached

  struct Stats {
    uint64_t turns = 0;
    RaftHostStats raft;
    uint64_t slow_writes = 0;
    int64_t write_age_ms = 0;  // of the log write under way; 0: none
    bool failed = false;       // a log write failed: nothing more is done
  };
  virtual Stats stats() const = 0;
  LogStore& logs() const { return *logs_; }
  WorkerId node() const { return node_; }
  uint64_t life() const { return life_; }  // differs between two starts of this node

 protected:
  GroupHost(const GroupHostOptions& options, const GroupHostDeps& deps);

 private:
  const WorkerId node_;
  const uint64_t life_;
  LogStore* const logs_;
};

}  // namespace vectron::shard
