#pragma once

// The seam between a shard and what orders its writes: propose -> committed entries in order ->
// apply. A local durable log implements it for one copy (local_log.h); the consensus engine
// implements it for several.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/ids.h"

namespace vectron::shard {

struct Entry {
  uint64_t term = 0;
  uint64_t index = 0;   // 1, 2, 3, ... within the group
  std::string command;  // "" for entries of the engine itself: they only move the applied index
};

// What receives committed entries of one group.
class Applier {
 public:
  virtual ~Applier() = default;
  // Called with entries in index order, each once per process run (after a restart again from what
  // was not durable), by one thread at a time. Total: an entry that cannot be applied quarantines
  // the shard, it does not fail the call.
  virtual void Apply(std::vector<Entry> entries) = 0;

  // The last entry whose effects its durable state holds, as of the call that attaches it:
  // committed, whatever else the log says. More than the index it attaches with when part of its
  // state (an index) is behind and wants entries again.
  virtual uint64_t stored_index() const { return 0; }

  // Bytes of what is applied and still to be worked into an index; others wait for it when it grows
  // (Replicator::quorum_tail_bytes). Cheap, from any thread.
  virtual uint64_t tail_bytes() const { return 0; }
};

// One group's ordered log. Thread-safe.
class Replicator {
 public:
  virtual ~Replicator() = default;

  // Orders a command and makes it durable. `done` is called once, on any thread, maybe before
  // Propose returns: with the entry's index when it is committed (it has been or will be handed to
  // the applier), else with why not: Unavailable (not leader, shutting down), ResourceExhausted
  // (queues or disk full). Commands of one caller keep their order.
  virtual void Propose(std::string command, std::function<void(absl::StatusOr<uint64_t>)> done) = 0;

  // False when an acknowledged write is always applied here already, so that a reader of a group of
  // one replica need not ask.
  virtual bool needs_read_barrier() const { return false; }

  // Calls `done` when every entry committed before this call has been handed to the applier, with
  // the index to wait for. A group of one replica answers at once.
  virtual void ReadBarrier(std::function<void(absl::StatusOr<uint64_t>)> done) = 0;

  // Committed entries [first, last], for an index that is behind its store. NotFound when the log
  // was cut above `first`.
  virtual absl::StatusOr<std::vector<Entry>> ReadEntries(uint64_t first, uint64_t last) const = 0;

  // Entries up to `needed` are in the flushed store; those above `wished` are still wanted by an
  // index checkpoint. The log may be cut below both, and below `needed` alone when it grows past
  // its bound.
  virtual void SetLogMarks(uint64_t needed, uint64_t wished) = 0;

  // True when the disk of a replica is below its reserve: propose only what frees space (deletes).
  // Propose itself refuses at a lower mark. Cheap.
  virtual bool nearly_full() const { return false; }

  // At a leader: the shortest tail (Applier::tail_bytes) that most of the replicas with a vote are
  // within, as far as the others have told lately. Elsewhere, and with one replica, 0. Cheap.
  virtual uint64_t quorum_tail_bytes() const { return 0; }

  // False: this replica is there for reads alone, which may have to do without the others. Cheap.
  virtual bool votes() const { return true; }

  virtual uint64_t committed_index() const = 0;
  virtual uint64_t first_index() const = 0;  // of the log as kept
};

}  // namespace vectron::shard
