#pragma once

// Many Raft groups of one node on one raft thread: one inbox, one synced write per turn for all groups, one send per peer.
// Each group is reached through a Replicator, as with LocalLog; a group of one replica works the same way.
//
// A turn: take the inbox; step the engine of each group that has input; take every Ready; send what may go before the write; write
// entries and state of all groups with one sync; tell the engines; send what had to wait; hand committed entries to the
// appliers. Nothing here reads a clock: time comes as ticks. Whoever owns the host calls Turn when `wake` says so, so a
// simulation drives it from one thread.
//
// Guards (docs/adr/0008-consensus-engine.md): completions carry the replica's incarnation; after a failed write the host stops
// and reports; messages for another replica id, and proposals forwarded by peers, are dropped; contexts of reads never repeat.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "consensus/raft_group.h"
#include "shard/log_store.h"
#include "shard/peer_transport.h"
#include "shard/raft_state.h"
#include "shard/replicator.h"

namespace vectron::shard {

// Whole-state copies of one group, for replicas that the log no longer reaches. Called on the raft thread; none may block but Install.
class SnapshotHandler {
 public:
  virtual ~SnapshotHandler() = default;
  struct Offer {
    uint64_t index = 0;  // applied index of the files
    std::string token;   // names them to Fetch
  };
  // Files at an index >= min_index; Unavailable while they are being made (asked again later).
  virtual absl::StatusOr<Offer> MakeOffer(uint64_t min_index) = 0;
  // Brings the files from another node into a folder beside the data, verified. `done` once, on any thread.
  virtual void Fetch(WorkerId from, const std::string& token, std::function<void(absl::Status)> done) = 0;
  // Swaps in what Fetch brought. The applier's state is at `index` afterwards. May block.
  virtual absl::Status Install(const std::string& token, uint64_t index) = 0;
};

struct RaftHostOptions {
  WorkerId node;
  uint32_t election_ticks = 50;    // of 20 ms: elections after 1.0 to 2.0 s of silence
  uint32_t max_election_ticks = 100;
  uint32_t heartbeat_ticks = 10;
  uint32_t read_retry_ticks = 25;  // a read that got no answer is asked again
  uint64_t group_log_bytes = uint64_t{256} << 20;  // past it the log is cut at `needed` alone
  uint64_t seed = 0;               // not 0: every time-out is a function of it
  size_t max_inbox = 65'536;       // inputs waiting for a turn; more are refused, peers' messages dropped
};

struct RaftHostDeps {
  LogStore* logs = nullptr;
  PeerTransport* transport = nullptr;
  Executor* apply_executor = nullptr;
  std::function<void()> wake;                          // there is something for a Turn
  std::function<void(const absl::Status&)> on_fatal;   // a log write failed; the host does nothing more
};

// How one replica starts.
struct RaftGroupStart {
  GroupId group;
  ReplicaId replica;
  consensus::Membership members;  // the founders, also for a replica that joins later; ignored when the log knows the group
  uint64_t applied_index = 0;     // durable in the store
  Applier* applier = nullptr;     // these live until Detach
  SnapshotHandler* snapshots = nullptr;  // null: none are made or taken
};

// What is known of a group without waiting.
struct GroupView {
  bool known = false;
  ReplicaId replica;
  ReplicaId leader;  // 0: none known
  uint64_t term = 0;
  uint64_t committed_index = 0;
  bool is_leader = false;
  bool quarantined = false;
  std::string problem;  // why, for people
  consensus::Membership membership;
  std::vector<consensus::PeerProgress> progress;  // of a leader
};

// Thread-safe but for Turn, which one thread calls at a time.
class RaftHost {
 public:
  static std::unique_ptr<RaftHost> Create(const RaftHostOptions& options, const RaftHostDeps& deps);
  virtual ~RaftHost() = default;

  // The Replicator lives until Detach. Committed entries after applied_index reach the applier from Turn on. Errors: DataLoss, Internal,
  // FailedPrecondition (attached, or the log belongs to another replica id).
  virtual absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) = 0;
  // Waits for what was handed to the applier. Proposals still waiting fail as Unavailable.
  virtual void Detach(GroupId group) = 0;
  // Detaches when attached, and forgets the group's log and state.
  virtual absl::Status Destroy(GroupId group) = 0;

  virtual void Receive(std::vector<PeerMessage> messages) = 0;  // from authenticated peers only
  virtual void ReportUnreachable(WorkerId node) = 0;
  virtual void Tick() = 0;  // about every 20 ms

  // One at a time; `done` when the change is applied on this node. Unavailable: not the leader. FailedPrecondition: another is pending.
  virtual void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                                std::function<void(absl::Status)> done) = 0;
  virtual void TransferLeadership(GroupId group, ReplicaId to) = 0;
  virtual void Campaign(GroupId group) = 0;
  virtual GroupView View(GroupId group) const = 0;

  // Does what waits; false when nothing did.
  virtual bool Turn() = 0;
};

}  // namespace vectron::shard
