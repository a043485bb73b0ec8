#pragma once

// One group's replica on the raft thread: its engine, the proposals and reads that wait for it, and
// its way to the applier. Part of RaftHost; confined to the raft thread but for the marked parts.
//
// raft_replica.cc: its life, and what a turn takes in and gives out. raft_replica_requests.cc and
// raft_replica_reads.cc: what callers wait for. raft_replica_quiet.cc, raft_replica_snapshot.cc,
// raft_replica_room.cc (on disks), raft_replica_tail.cc: what their names say.

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
#include "shard/peer_nodes.h"
#include "shard/raft_host.h"
#include "shard/raft_log_view.h"

namespace vectron::shard {

// A snapshot that brought no progress for this long (20 ms ticks: 5 to 10 s) is offered again: its
// message or the news of its failure may be lost. A receiver that is still fetching ignores the new
// offer.
inline constexpr uint64_t kSnapshotPatienceTicks = 250;
// How long a replica waits before it takes another copy after it could not take one over (20 ms
// ticks: 0.5 s, doubled each time up to 64 s): a copy is expensive, and a full disk stays so for a
// while.
inline constexpr uint64_t kFirstCopyPauseTicks = 25;
inline constexpr uint64_t kMaxCopyPauseTicks = 3'200;
// How long a read waits for the leader's answer, and then for this replica to catch up with it
// (20 ms ticks: 5 s); then another replica should be asked.
inline constexpr uint64_t kReadPatienceTicks = 250;
// A round of reads without an answer for so long (20 ms ticks: 40 to 60 ms) holds up no other one,
// and for a while after it (10 s) the engine asks all followers, not the host as many as it needs.
inline constexpr uint64_t kReadRoundTicks = 3;
inline constexpr uint64_t kAskAllTicks = 500;

using ProposeCallback = std::function<void(absl::StatusOr<uint64_t>)>;

// Types of hosts' own messages, beside the engine's.
// The receiver of a snapshot could not bring its files, or wants a newer one: snapshot_index, of at
// least that entry.
inline constexpr uint32_t kSnapshotFailedMessage = 1'000;
inline constexpr uint32_t kQuietMessage = 1'001;  // a leader goes quiet: u64 term, u64 commit
inline constexpr uint32_t kWakeMessage = 1'002;   // the receiver must not be quiet
inline constexpr uint32_t kAliveMessage = 1'003;  // from host to host, group 0: peer_nodes.h
// The sender has taken a snapshot over. The engine's own answer says nothing new to a leader that
// had all of its log acknowledged before its state was lost; it would wait for news for ever.
inline constexpr uint32_t kSnapshotTakenMessage = 1'004;
inline constexpr uint32_t kTailMessage = 1'005;          // to the leader: u64 Applier::tail_bytes
inline constexpr uint32_t kReadQuestionMessage = 1'006;  // is it still u64 term? then a context
// Yes: u64 what the term's leader has committed, 0 from a follower; then the question's context.
inline constexpr uint32_t kReadAnswerMessage = 1'007;
// What a replica told of its tail counts for so long (20 ms ticks: 1 s).
inline constexpr uint64_t kTailPatienceTicks = 50;

// Messages of one turn, by node.
using Outbox = std::map<WorkerId, std::vector<PeerMessage>>;

// What a Ready asks for, copied out of the engine's buffers.
struct PendingReady {
  uint64_t number = 0;
  std::vector<Entry> entries;                    // to write
  std::vector<Entry> committed;                  // to apply; commands still begin with their kind
  std::vector<consensus::OutMessage> persisted;  // views into persisted_bytes
  std::vector<std::string> persisted_bytes;
  struct Read {
    uint64_t index = 0;
    std::string context;
  };
  std::vector<Read> reads;
  std::optional<consensus::SnapshotDescriptor> snapshot;
  std::string state;  // encoded RaftState to write; "" when it need not be
};

// What a Replicator reads without a turn; it may outlive its replica.
struct ReplicaCounters {
  // The committed index when this replica is the only voter and leads, else 0: reads need no round
  // then.
  std::atomic<uint64_t> lone_commit{0};
  std::atomic<uint64_t> committed{0};
  std::atomic<bool> nearly_full{false};  // too few voters have room on their disks
  std::atomic<bool> learner{false};      // a member without a vote
  std::atomic<uint64_t> quorum_tail{0};  // Replicator::quorum_tail_bytes
};

class RaftReplica {
 public:
  struct Hooks {
    // From the apply executor: everything up to `index` is applied.
    std::function<void(uint64_t index)> applied;
    // From anywhere: the files for a snapshot message are here, or not.
    std::function<void(PeerMessage message, absl::Status status)> fetched;
    // From the apply executor: the state machine took over a snapshot, or could not.
    std::function<void(absl::Status status)> installed;
    const PeerNodes* nodes = nullptr;  // outlives the replica; asked on the raft thread
  };

  // In the caller; has no view yet (RefreshView, on the raft thread or in its stead).
  static absl::StatusOr<std::unique_ptr<RaftReplica>> Create(const RaftGroupStart& start,
                                                             const RaftHostOptions& options,
                                                             const RaftHostDeps& deps, Hooks hooks);
  ~RaftReplica();

  // Hands the applier what its durable state holds but its volatile one lacks. Once, before the
  // first input; in the caller.
  absl::Status Replay();

  // --- inputs ---
  // `host_tick` counts for all groups alike.
  void Tick(uint64_t host_tick, Outbox& out);
  // False: dropped.
  bool Step(PeerMessage message, Outbox& out);
  void SnapshotFetched(const PeerMessage& message, const absl::Status& status, Outbox& out);
  void QueueProposal(std::string command, ProposeCallback done);
  // ResourceExhausted: max_waiting_reads wait already.
  void QueueRead(ProposeCallback done);
  void ChangeMembership(ReplicaId replica, consensus::ChangeKind kind,
                        std::function<void(absl::Status)> done);
  void TransferLeadership(ReplicaId to);
  void Campaign();
  void ReportUnreachable(WorkerId node);
  void Applied(uint64_t index);
  // The node was silent for so many ticks, or lives anew: a quiet group that has a replica there
  // wakes, and counts the silence.
  void WakeFor(WorkerId node, uint32_t silent_ticks);
  // Whether the node's disk or another's has room may have changed; also for a quiet group.
  void RefreshRoom();
  // Has the others look after their group: this replica leaves its node, or needs what only a
  // leader that is awake gives.
  void WakeOthers(Outbox& out) const;
  // Proposes what was queued as one batch and asks for the reads that wait; once per turn.
  void FlushInputs(Outbox& out);

  // --- outputs ---
  bool HasReady() const { return problem_.ok() && !installing_ && raft_->HasReady(); }
  // After an error here or in FinishReady the group must be quarantined.
  absl::Status TakeReady(consensus::Scratch& scratch, PendingReady& pending, Outbox& out);
  // After the write. Appends what may be sent now. With a snapshot it begins the installation,
  // which ends by Hooks::installed and FinishInstall; until then the replica takes no part. When
  // the state machine could not take it over, the replica goes on without state: it asks for
  // another copy.
  absl::Status FinishReady(consensus::Scratch& scratch, PendingReady& pending, Outbox& out);
  absl::Status FinishInstall(const absl::Status& installed, consensus::Scratch& scratch,
                             Outbox& out);
  // Takes no more part: what it would do next cannot be trusted. It starts again from disk with the
  // process.
  void Quarantine(const absl::Status& status);
  // Fails everything that waits.
  void FailAll(const absl::Status& status);
  void DrainApply() { apply_.Drain(); }

  GroupId group() const { return start_.group; }
  void SetLogMarks(uint64_t needed, uint64_t wished);
  void RefreshView(bool with_progress);
  bool quiet() const { return quiet_; }
  bool leads() const { return leads_; }
  // What the disk says of the group, or may say: between turns. "" when it is quarantined.
  std::string EncodedState() const {
    return problem_.ok() ? EncodeRaftState(log_->state()) : std::string();
  }
  const consensus::Membership& membership() const { return log_->state().current(); }

  // --- any thread ---
  GroupView view() const;
  const std::shared_ptr<ReplicaCounters>& counters() const { return counters_; }

 private:
  struct Proposal {
    uint64_t term = 0;
    uint64_t index = 0;
    ProposeCallback done;
  };
  struct WaitingRead {
    ProposeCallback done;
    uint64_t since_tick = 0;
  };
  struct ReadRound {
    std::vector<WaitingRead> reads;
    uint64_t asked_tick = 0;
    uint64_t term = 0;                  // that those asked should confirm; 0: the engine asks
    std::vector<uint64_t> agreed = {};  // replicas that did, when this one leads
  };
  struct Change {
    uint64_t index = 0;
    uint64_t term = 0;
    std::function<void(absl::Status)> done;
  };
  struct ToldTail {
    uint64_t bytes = 0;
    uint64_t tick = 0;
  };
  struct SentOffer {
    std::string token;
    uint64_t index = 0;
    uint64_t tick = 0;
  };

  RaftReplica(const RaftGroupStart& start, const RaftHostOptions& options, const RaftHostDeps& deps,
              Hooks hooks);
  absl::Status Start();
  absl::StatusOr<RaftState> LoadState();
  absl::StatusOr<consensus::SnapshotDescriptor> MakeSnapshot(uint64_t min_index, ReplicaId to);
  bool WouldForget(const PeerMessage& snapshot) const;
  absl::Status BeginInstall(PendingReady pending);
  absl::Status GoOnWithoutState(const absl::Status& why);
  void EndCopyPause(Outbox& out);
  void TellLeader(uint32_t type, Outbox& out) const;
  absl::Status Finish(consensus::Scratch& scratch, PendingReady& pending, Outbox& out);
  uint64_t HoldFor(const std::vector<consensus::PeerProgress>& progress) const;
  void Wake();
  void TickEngine(uint64_t host_tick, Outbox& out);
  void AskForCopy(Outbox& out);
  void GiveWayWhenFull(uint64_t host_tick);
  void GoQuietIfIdle(Outbox& out);
  bool EveryoneHasEverything(const consensus::Status& status) const;
  void TakeQuiet(const PeerMessage& message, Outbox& out);
  PeerMessage OwnMessage(ReplicaId to, uint32_t type) const;
  void FailLostProposals();
  void FailLateReads();
  bool MostVotersHave(DiskRoom room) const;
  void TellTail(Outbox& out);
  void TakeTail(const PeerMessage& message);
  uint64_t QuorumTail() const;
  absl::Status ApplyMemberships(consensus::Scratch& scratch, PendingReady& pending);
  void Address(const consensus::OutMessage& message, Outbox& out);
  size_t WaitingReads() const;
  void AskForReads(Outbox& out);
  std::vector<uint64_t> WhomToAsk(const consensus::Status& status, const Outbox& out) const;
  bool IsMajority(const std::vector<uint64_t>& others) const;
  void AnswerQuestion(const PeerMessage& question, Outbox& out) const;
  void TakeAnswer(const PeerMessage& answer, Outbox& out);
  void NoteHeartbeats(const std::vector<consensus::OutMessage>& sent);
  void RepeatReads();
  void GiveUpSnapshots();
  void SettleProposals(const std::vector<Entry>& committed);
  void AnswerReads(const std::vector<PendingReady::Read>& reads, Outbox& out);
  absl::Status HandToApplier(std::vector<Entry> committed);
  void FetchSnapshot(PeerMessage message, Outbox& out);
  void Refuse(const PeerMessage& snapshot, Outbox& out) const;
  void TakeRefusal(const PeerMessage& refusal);
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
  std::vector<WaitingRead> queued_reads_;
  std::map<std::string, ReadRound> reads_;  // asked, by context
  // By the index they were answered with, which is not yet handed to the applier.
  std::multimap<uint64_t, WaitingRead> late_reads_;
  std::optional<Change> change_;
  std::map<uint64_t, SentOffer> offers_;         // the newest, by replica
  std::map<uint64_t, uint64_t> refused_copies_;  // by replica: the entry that its copy must hold
  bool fetching_ = false;
  std::optional<PendingReady> installing_;  // whose snapshot the state machine takes over just now
  bool lacks_state_ = false;
  uint64_t copy_pause_ticks_ = 0;  // the newest pause after a copy that was not taken over
  uint64_t copy_pause_end_ = 0;    // 0: copies are taken
  bool quiet_ = false;
  bool leads_ = false;
  uint64_t led_term_ = 0;              // the newest in which it led
  uint64_t idle_ticks_ = 0;            // since anything but heartbeats
  uint64_t lost_leadership_tick_ = 0;  // 0: leads, or never did
  uint64_t applied_ = 0;               // as reported
  absl::Status problem_;               // not OK: quarantined
  uint64_t ticks_ = 0;
  std::map<uint64_t, uint64_t> snapshots_sent_;  // index under way, by replica, when last looked
  uint64_t handed_ = 0;                          // last index handed to the applier
  uint64_t handed_term_ = 0;
  std::atomic<uint64_t> unapplied_bytes_{0};  // handed and not yet applied
  uint64_t read_counter_ = 0;
  uint64_t read_asked_tick_ = 0;  // of the newest round
  uint64_t ask_all_until_ = 0;    // tick before which the engine asks
  // In the order they answered heartbeats: the newest but one, and the newest so far.
  std::vector<uint64_t> fastest_;
  std::vector<uint64_t> answering_;
  std::map<uint64_t, ToldTail> tails_;  // by replica
  uint64_t told_tail_ = 0;              // what the leader was told last

  // Shared with the Replicator.
  const std::shared_ptr<ReplicaCounters> counters_ = std::make_shared<ReplicaCounters>();
  mutable absl::Mutex mutex_;
  GroupView view_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::shard
