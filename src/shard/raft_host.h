#pragma once

// Many Raft groups of one node on one raft thread: one inbox, one synced write per turn for all
// groups, one send per peer. Each group is reached through a Replicator, as with LocalLog; a group
// of one replica works the same way.
//
// A turn: take the inbox; step the engine of each group that has input; take every Ready; send what
// may go before the write; write entries and state of all groups with one sync; tell the engines;
// send what had to wait; hand committed entries to the appliers. Nothing here reads a clock: time
// comes as ticks. Whoever owns the host calls Turn when `wake` says so, so a simulation drives it
// from one thread.
//
// Idle groups go quiet: a leader whose followers have everything says so and stops ticking, and so
// do they; hosts tell each other every few ticks that they live, one message per pair of nodes, and
// silence of a node wakes the groups it shares with others. Anything that happens in a group wakes
// it. Quiet changes when elections begin, never what they decide. Only the log's disk is still
// written to now and then.
//
// Guards (docs/adr/0008-consensus-engine.md): completions carry the replica's incarnation; after a
// failed write the host stops and reports; messages for another replica id, and proposals forwarded
// by peers, are dropped; contexts of reads never repeat.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "consensus/peer_transport.h"
#include "consensus/raft_group.h"
#include "shard/log_store.h"
#include "shard/raft_state.h"
#include "shard/replicator.h"

namespace vectron::shard {

using consensus::PeerMessage;
using consensus::PeerTransport;

// Whole-state copies of one group, for replicas that the log no longer reaches. Called on the raft
// thread, where none may block, but for Install. An implementation over files: file_snapshots.h.
class SnapshotHandler {
 public:
  virtual ~SnapshotHandler() = default;
  struct Offer {
    uint64_t index = 0;  // applied index of the files
    std::string token;   // names them to Fetch
  };
  // Files at an index >= min_index; Unavailable while they are being made (asked again later).
  virtual absl::StatusOr<Offer> MakeOffer(uint64_t min_index) = 0;
  // Brings the files from another node into a folder beside the data, verified. `done` once, on any
  // thread.
  virtual void Fetch(WorkerId from, const std::string& token,
                     std::function<void(absl::Status)> done) = 0;
  // Swaps in what Fetch brought. The applier's state is at `index` afterwards, durably. On the
  // apply executor, in order with the applier's calls; may block. After an error the state counts
  // as lost: the applier gets no entries until another copy is installed.
  virtual absl::Status Install(const std::string& token, uint64_t index) = 0;
};

struct RaftHostOptions {
  WorkerId node;
  uint32_t election_ticks = 50;  // of 20 ms: elections after 1.0 to 2.0 s of silence
  uint32_t max_election_ticks = 100;
  uint32_t heartbeat_ticks = 10;
  uint32_t read_retry_ticks = 25;                  // a read that got no answer is asked again
  uint64_t group_log_bytes = uint64_t{256} << 20;  // past it the log is cut at `needed` alone
  uint64_t seed = 0;                               // not 0: every time-out is a function of it
  // Differs between two starts of this node; others learn from it that it started anew.
  uint64_t life = 0;
  size_t max_inbox =
      65'536;  // inputs waiting for a turn; more are refused, peers' messages dropped
  uint64_t max_inbox_bytes = uint64_t{256} << 20;  // of commands and messages among them
  // Reads of one group that wait for an answer, for seconds if its leader is silent; more are
  // refused. As many as an inbox holds: what comes in one turn is not refused for being many.
  size_t max_waiting_reads = 65'536;
  uint32_t quiet_after_ticks = 100;  // of nothing but heartbeats; 0: groups never go quiet
  uint32_t alive_ticks = 10;         // a host tells the others that it lives
  // A node that said nothing for so long wakes the quiet groups it shares.
  uint32_t silence_ticks = 25;
  // After so long without a log write (20 ms ticks: 10 s) a group's state is written as it is, so
  // that a disk which hangs or fails is found before somebody needs it. 0: never.
  uint32_t probe_ticks = 500;
};

// How much room the disk of the log has.
enum class DiskRoom : uint8_t {
  kPlenty,
  kNearlyFull,  // below the reserve: only what frees space should be proposed
  kFull,        // below a quarter of it: nothing is proposed, and entries of leaders are not taken
};

struct RaftHostDeps {
  LogStore* logs = nullptr;
  PeerTransport* transport = nullptr;
  Executor* apply_executor = nullptr;
  std::function<void()> wake;  // there is something for a Turn
  std::function<void(const absl::Status&)>
      on_fatal;  // a log write failed; the host does nothing more
  // A replica of this node leads its group in a term from now on. On the raft thread; may be null.
  std::function<void(GroupId group, ReplicaId replica, uint64_t term)> on_leader;
  std::function<void()> before_write;  // may be null: around each synced write of a turn
  std::function<void()> after_write;
};

// How one replica starts.
struct RaftGroupStart {
  GroupId group;
  ReplicaId replica;
  consensus::Membership members;  // the founders, also for a replica that joins later; ignored when
                                  // the log knows the group
  uint64_t applied_index = 0;     // the applier wants what follows
  Applier* applier = nullptr;     // these live until Detach
  SnapshotHandler* snapshots = nullptr;  // null: none are made or taken
  // The applier's state is lost but the log is there: the replica votes and acknowledges by its
  // log, never leads, hands nothing to the applier, and asks the leader for a snapshot until it has
  // one. applied_index is 0.
  bool lacks_state = false;
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
  bool quiet = false;
  bool lacks_state = false;
  std::string problem;  // why, for people
  consensus::Membership membership;
  std::vector<consensus::PeerProgress> progress;  // of a leader
};

struct RaftHostStats {
  uint64_t groups = 0;
  uint64_t quiet = 0;     // of them
  uint64_t leaders = 0;   // of them
  uint64_t writes = 0;    // synced
  uint64_t entries = 0;   // written
  uint64_t messages = 0;  // sent
  uint64_t frames = 0;    // sends to one node
  uint64_t dropped = 0;   // messages of peers: inbox full, unknown group, other replica, disk full
};

// Thread-safe but for Turn, which one thread calls at a time.
class RaftHost {
 public:
  static std::unique_ptr<RaftHost> Create(const RaftHostOptions& options, const RaftHostDeps& deps);
  virtual ~RaftHost() = default;

  // The Replicator lives as long as the host, or until the group is attached again; after Detach it
  // answers Unavailable. Entries after applied_index up to applier->stored_index() reach the
  // applier in this thread, the others from Turn on. Errors: DataLoss, Internal, OutOfRange (the
  // log begins after applied_index + 1), FailedPrecondition (attached, or the log belongs to
  // another replica).
  virtual absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) = 0;
  // Waits for what was handed to the applier. Proposals still waiting fail as Unavailable.
  virtual void Detach(GroupId group) = 0;
  // Detaches when attached, and forgets the group's log and state.
  virtual absl::Status Destroy(GroupId group) = 0;

  virtual void Receive(WorkerId node,
                       std::vector<PeerMessage> messages) = 0;  // from authenticated peers only
  virtual void ReportUnreachable(WorkerId node) = 0;
  virtual void Tick() = 0;  // about every 20 ms
  virtual void SetDiskRoom(DiskRoom room) = 0;

  // One at a time; `done` when the change is applied on this node. Unavailable: not the leader.
  // FailedPrecondition: another is pending.
  virtual void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                                std::function<void(absl::Status)> done) = 0;
  virtual void TransferLeadership(GroupId group, ReplicaId to) = 0;
  virtual void Campaign(GroupId group) = 0;
  virtual GroupView View(GroupId group) const = 0;
  virtual std::vector<GroupId> Groups() const = 0;  // attached
  virtual RaftHostStats stats() const = 0;

  // Does what waits; false when nothing did.
  virtual bool Turn() = 0;
};

}  // namespace vectron::shard
