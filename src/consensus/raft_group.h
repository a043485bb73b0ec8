#pragma once

// One replica of one Raft group as a pure object: inputs go in (ticks, messages, proposals), a
// Ready comes out that says what to write, send, apply and answer. No I/O, clocks or threads of its
// own. The engine behind it is another's (docs/adr/0008-consensus-engine.md); this face keeps its
// names out of the rest of the code.
//
// Order per Ready (anything else loses safety):
//   1. write `entries` and `hard_state` into the log (visible through LogReader), as one atomic
//      batch
//   2. AdvanceAppend, and go on with inputs
//   3. send `messages` at once
//   4. when the batch is durable: OnPersisted(number), and only then send `persisted_messages`
//   5. apply `committed`, then AdvanceApplied
// Between TakeReady and AdvanceAppend every other input answers FailedPrecondition.
//
// Thread-compatible, movable between threads. A defect in the engine quarantines this group
// (Internal, "quarantined") and no other: destroy it and start again from disk.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::consensus {

enum class Role : uint8_t { kFollower, kCandidate, kLeader, kPreCandidate };
enum class EntryKind : uint8_t { kNormal = 0, kConfChange = 1, kConfChangeV2 = 2 };

struct LogEntry {
  uint64_t term = 0;
  uint64_t index = 0;
  EntryKind kind = EntryKind::kNormal;
  std::string_view data;  // borrowed from whoever hands the entry out
  std::string_view context;
};

struct HardState {
  uint64_t term = 0;
  uint64_t vote = 0;
  uint64_t commit = 0;
  bool operator==(const HardState&) const = default;
};

struct Membership {
  std::vector<uint64_t> voters = {};
  std::vector<uint64_t> learners = {};
  std::vector<uint64_t> outgoing_voters = {};  // not empty: a joint configuration
  std::vector<uint64_t> next_learners = {};
  bool auto_leave = false;
  bool operator==(const Membership&) const = default;
};

struct SnapshotDescriptor {
  uint64_t index = 0;
  uint64_t term = 0;
  Membership membership;
  std::string data;  // opaque to the engine
};

// The log as the engine reads it. All answers come at once: what is handed out by TakeReady must be
// readable here before AdvanceAppend. Errors: OutOfRange (cut away), Unavailable (not there yet),
// anything else quarantines the group. Called only from within RaftGroup's functions.
class LogReader {
 public:
  virtual ~LogReader() = default;
  struct InitialState {
    HardState hard_state;
    Membership membership;  // as of the applied index given at creation
  };
  virtual absl::StatusOr<InitialState> ReadInitialState() = 0;
  // Entries [first, end), at least one, then as many as fit max_bytes. Views live until the next
  // call.
  virtual absl::StatusOr<std::span<const LogEntry>> ReadEntries(uint64_t first, uint64_t end,
                                                                uint64_t max_bytes) = 0;
  virtual absl::StatusOr<uint64_t> Term(uint64_t index) = 0;  // first_index() - 1 .. last_index()
  virtual uint64_t first_index() = 0;
  virtual uint64_t last_index() = 0;
  // A descriptor with index >= min_index for peer `to`; Unavailable while it is being made.
  virtual absl::StatusOr<SnapshotDescriptor> ReadSnapshot(uint64_t min_index, uint64_t to) = 0;
};

struct RaftConfig {
  uint64_t id = 0;       // of this replica; never reused
  uint64_t applied = 0;  // durable in the store
  uint32_t election_ticks = 10;
  uint32_t heartbeat_ticks = 2;
  uint32_t min_election_ticks = 0;  // 0: election_ticks
  uint32_t max_election_ticks = 0;  // 0: twice election_ticks
  uint64_t max_message_bytes = uint64_t{1} << 20;
  uint64_t max_uncommitted_bytes = uint64_t{64} << 20;
  uint64_t max_committed_bytes_per_ready = uint64_t{16} << 20;
  uint32_t max_inflight_messages = 256;
  uint64_t election_seed = 0;  // not 0: time-outs are a function of it
};

struct OutMessage {
  uint64_t to = 0;
  uint32_t type = 0;  // engine's message type; only those named below are looked at
  std::string_view bytes;
};
inline constexpr uint32_t kAppendMessage = 3;
inline constexpr uint32_t kSnapshotMessage = 7;
inline constexpr uint32_t kHeartbeatMessage = 8;
inline constexpr uint32_t kHeartbeatResponseMessage = 9;
inline constexpr uint32_t kTimeoutNowMessage = 14;
inline constexpr uint32_t kReadIndexMessage = 15;

struct ReadState {
  uint64_t index = 0;        // wait until this is applied
  std::string_view context;  // as given to ReadIndex
};

// Views live until the next TakeReady or ApplyMembershipChange with the same scratch.
struct Ready {
  uint64_t number = 0;
  std::vector<LogEntry> entries;
  std::vector<LogEntry> committed;
  std::vector<OutMessage> messages;
  std::vector<OutMessage> persisted_messages;
  std::vector<ReadState> reads;
  std::optional<HardState> hard_state;
  std::optional<SnapshotDescriptor> snapshot;
  struct SoftState {
    uint64_t leader = 0;
    Role role = Role::kFollower;
  };
  std::optional<SoftState> soft_state;
  bool must_sync = false;
};

struct Status {
  uint64_t term = 0, vote = 0, commit = 0, applied = 0, persisted = 0, last_index = 0;
  uint64_t leader = 0, transferee = 0, pending_membership_index = 0;
  Role role = Role::kFollower;
};

struct PeerProgress {
  uint64_t id = 0, match = 0, next = 0, pending_snapshot = 0;
  bool paused = false, recent_active = false;
};

enum class ChangeKind : uint8_t { kAddVoter = 0, kRemove = 1, kAddLearner = 2 };

// Output buffers; one per raft thread, shared by its groups.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

 private:
  friend class RaftGroup;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class RaftGroup {
 public:
  // `log` outlives the group. Errors: Internal with the engine's words (a log that contradicts
  // itself).
  static absl::StatusOr<std::unique_ptr<RaftGroup>> Create(const RaftConfig& config,
                                                           LogReader& log);
  ~RaftGroup();
  RaftGroup(const RaftGroup&) = delete;
  RaftGroup& operator=(const RaftGroup&) = delete;

  absl::Status Tick();
  // A message from an authenticated peer. InvalidArgument: not for this replica, or not decodable;
  // FailedPrecondition: a proposal, which peers must make where the leader is, or a call to an
  // election while a snapshot is taken over. Either way it had no effect: drop it.
  absl::Status Step(std::string_view message);
  absl::Status Campaign();
  // All or nothing, in order. Unavailable: not the leader, or about to be none; ResourceExhausted:
  // too many uncommitted bytes.
  absl::Status Propose(std::span<const std::string_view> commands);
  // One change at a time. FailedPrecondition while another is pending (the engine then turns it
  // into an empty entry).
  absl::Status ProposeMembershipChange(uint64_t id, ChangeKind kind, std::string_view context);
  // For each committed entry of a kConfChange kind, exactly once, in order; returns the new
  // membership.
  absl::StatusOr<Membership> ApplyMembershipChange(const LogEntry& entry, Scratch& scratch);
  absl::Status TransferLeadership(uint64_t to);
  // Contexts must never repeat. May be lost silently: the caller times out and asks again with a
  // new context.
  absl::Status ReadIndex(std::string_view context);
  absl::Status ReportUnreachable(uint64_t id);
  absl::Status ReportSnapshot(uint64_t id, bool delivered);
  // Asks the leader for a snapshot at the end of this replica's log or later, whatever the log
  // holds: its state is lost. Takes no entries until it has come. Does nothing without a leader, or
  // while the last entry is of an earlier term: ask again.
  absl::Status RequestSnapshot();

  bool HasReady() const;
  absl::Status TakeReady(Scratch& scratch, Ready& ready);
  absl::Status AdvanceAppend();
  absl::Status OnPersisted(uint64_t number);
  absl::Status AdvanceApplied(uint64_t index);

  absl::StatusOr<Status> status() const;
  absl::StatusOr<std::vector<PeerProgress>> progress() const;  // of a leader
  void FreeIdleMemory();

 private:
  friend struct RaftGroupTestPeer;
  struct Impl;
  explicit RaftGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vectron::consensus
