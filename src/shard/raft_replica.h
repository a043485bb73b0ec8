#pragma once

// One group's replica on the raft thread: its engine, the proposals and reads that wait for it, and its way to the applier. Part
// of RaftHost; confined to the raft thread but for the marked parts.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "shard/raft_host.h"
#include "shard/raft_log_view.h"

namespace vectron::shard {

using ProposeCallback = std::function<void(absl::StatusOr<uint64_t>)>;

// Type of a host's own message: the receiver of a snapshot could not bring its files.
inline constexpr uint32_t kSnapshotFailedMessage = 1'000;

// Messages of one turn, by node.
using Outbox = std::map<WorkerId, std::vector<PeerMessage>>;

// What a Ready asks for, copied out of the engine's buffers.
struct PendingReady {
  uint64_t number = 0;
  std::vector<Entry> entries;      // to write
  std::vector<Entry> committed;    // to apply; commands still begin with their kind
  std::vector<consensus::OutMessage> persisted;  // views into persisted_bytes
  std::vector<std::string> persisted_bytes;
  struct Read {
    uint64_t index = 0;
    std::string context;
  };
  std::vector<Read> reads;
  std::optional<consensus::SnapshotDescriptor> snapshot;
  std::string state;               // encoded RaftState to write; "" when it need not be
};

class RaftReplica {
 public:
  struct Hooks {
    // From the apply executor: everything up to `index` is applied.
    std::function<void(uint64_t index)> applied;
    // From anywhere: the files for a snapshot message are here, or not.
    std::function<void(PeerMessage message, absl::Status status)> fetched;
  };

  static absl::StatusOr<std::unique_ptr<RaftReplica>> Create(const RaftGroupStart& start,
                                                             const RaftHostOptions& options,
                                                             const RaftHostDeps& deps, Hooks hooks);
  ~RaftReplica();

  // --- inputs ---
  void Tick();
  void Step(PeerMessage message);
  void SnapshotFetched(const PeerMessage& message, const absl::Status& status, Outbox& out);
  void QueueProposal(std::string command, ProposeCallback done);
  void QueueRead(ProposeCallback done);
  void ChangeMembership(ReplicaId replica, consensus::ChangeKind kind,
                        std::function<void(absl::Status)> done);
  void TransferLeadership(ReplicaId to);
  void Campaign();
  void ReportUnreachable(WorkerId node);
  void Applied(uint64_t index);
  // Proposes what was queued as one batch and asks for the reads that wait; once per turn.
  void FlushInputs();

  // --- outputs ---
  bool HasReady() const { return problem_.ok() && raft_->HasReady(); }
  // After an error here or in FinishReady the group must be quarantined.
  absl::Status TakeReady(consensus::Scratch& scratch, PendingReady& pending, Outbox& out);
  // After the write. Appends what may be sent now.
  absl::Status FinishReady(consensus::Scratch& scratch, PendingReady& pending, Outbox& out);
  // Takes no more part: what it would do next cannot be trusted. It starts again from disk with the process.
  void Quarantine(const absl::Status& status);
  // Fails everything that waits.
  void FailAll(const absl::Status& status);
  void DrainApply() { apply_.Drain(); }

  GroupId group() const { return start_.group; }
  void SetLogMarks(uint64_t needed, uint64_t wished);
  void RefreshView(bool with_progress);

  // --- any thread ---
  GroupView view() const;
  // The committed index when this replica is the only voter and leads, else 0: reads need no round then.
  uint64_t lone_commit() const { return lone_commit_.load(std::memory_order_acquire); }
  uint64_t committed() const { return committed_.load(std::memory_order_acquire); }

 private:
  struct Proposal {
    uint64_t term = 0;
    uint64_t index = 0;
    ProposeCallback done;
  };
  struct ReadRound {
    std::vector<ProposeCallback> callbacks;
    uint64_t asked_tick = 0;
  };
  struct Change {
    uint64_t index = 0;
    uint64_t term = 0;
    std::function<void(absl::Status)> done;
  };

  RaftReplica(const RaftGroupStart& start, const RaftHostOptions& options, const RaftHostDeps& deps,
              Hooks hooks);
  absl::Status Start();
  absl::StatusOr<RaftState> LoadState();
  absl::StatusOr<consensus::SnapshotDescriptor> MakeSnapshot(uint64_t min_index, ReplicaId to);
  absl::Status InstallSnapshot(const consensus::SnapshotDescriptor& snapshot);
  absl::Status ApplyMemberships(consensus::Scratch& scratch, PendingReady& pending);
  void Address(const consensus::OutMessage& message, Outbox& out);
  void AskForReads();
  void GiveUpSnapshots();
  void SettleProposals(const std::vector<Entry>& committed);
  void AnswerReads(std::vector<PendingReady::Read>& reads);
  void HandToApplier(std::vector<Entry> committed);
  absl::Status WriteState();

  const RaftGroupStart start_;
  const RaftHostOptions options_;
  const RaftHostDeps deps_;
  const Hooks hooks_;
  std::unique_ptr<RaftLogView> log_;
  std::unique_ptr<consensus::RaftGroup> raft_;
  SerialExecutor apply_;

  std::vector<std::pair<std::string, ProposeCallback>> queued_;
  std::deque<Proposal> proposals_;  // by index
  std::vector<ProposeCallback> queued_reads_;
  std::map<std::string, ReadRound> reads_;        // asked, by context
  std::multimap<uint64_t, ProposeCallback> late_reads_;  // answered with an index not yet handed to the applier
  std::optional<Change> change_;
  std::map<uint64_t, std::string> offers_;        // token of the newest offer, by replica
  bool fetching_ = false;
  absl::Status problem_;                          // not OK: quarantined
  uint64_t ticks_ = 0;
  std::map<uint64_t, uint64_t> snapshots_sent_;   // index under way, by replica, when last looked
  uint64_t handed_ = 0;                           // last index handed to the applier
  uint64_t handed_term_ = 0;
  std::atomic<uint64_t> unapplied_bytes_{0};      // handed and not yet applied
  uint64_t read_counter_ = 0;

  std::atomic<uint64_t> lone_commit_{0};
  std::atomic<uint64_t> committed_{0};
  mutable absl::Mutex mutex_;
  GroupView view_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::shard
