#pragma once

// The Replicator of groups with one copy: one durable log per node for all its groups.
//
// A turn of the log thread takes everything proposed since the last turn, over all groups, writes
// it with one sync, hands the entries to each group's applier on the apply executor (one group's
// entries in order, by one thread at a time), then calls `done`, after Apply returned. While a turn
// writes, the next one gathers. An entry is committed once it is on disk. Propose refuses as
// ResourceExhausted past the limits of base/limits.h, which count entries until they are applied,
// and when the disk has less than a quarter of its reserve left; callers heed nearly_full() before.
//
// A failed write or sync means that what is on disk is unknown, so the process ends
// (LocalLogDeps::on_fatal) and learns it from the disk when it starts again; only a full disk, met
// in spite of the reserve, merely refuses all later proposals.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/limits.h"
#include "model/ids.h"
#include "shard/log_store.h"
#include "shard/replicator.h"
#include "storage/rocks_kv.h"

namespace vectron::shard {

// What a log borrows; all outlive it.
struct LocalLogDeps {
  FileSystem* files = nullptr;
  storage::RocksResources* resources = nullptr;
  Executor* apply_executor = nullptr;
  // Called once when a write failed. The default reports it and ends the process; if it returns,
  // all proposals are refused as Unavailable.
  std::function<void(const absl::Status&)> on_fatal;
  uint64_t disk_reserve_bytes = kDiskReserveBytes;  // or 5 % of the disk, whichever is less
  uint64_t group_log_bytes = kMaxGroupLogBytes;  // past it, a group's log is cut at `needed` alone
};

// Thread-safe.
class LocalLog {
 public:
  // Opens or makes the log in `dir`. Errors: DataLoss naming the file, ResourceExhausted,
  // FailedPrecondition, Internal.
  static absl::StatusOr<std::unique_ptr<LocalLog>> Open(const std::string& dir,
                                                        const LocalLogDeps& deps);
  // Over a log store; for tests. `dir`: where free space is asked for.
  static std::unique_ptr<LocalLog> Over(const std::string& dir, const LocalLogDeps& deps,
                                        std::unique_ptr<LogStore> store);
  // Writes what was proposed, waits until it is applied. Groups still attached get no call
  // afterwards.
  virtual ~LocalLog() = default;

  // Connects a group, new or known, with what applies its entries. Calls applier.Apply in this
  // thread for every entry after applied_index, then returns: the applier is up to date. `applier`
  // lives until Detach or Destroy; the Replicator is owned by the log and lives until then too.
  // Errors: DataLoss (the log ends before applied_index, or begins after it, or is damaged),
  // FailedPrecondition (attached).
  virtual absl::StatusOr<Replicator*> Attach(GroupId group, Applier& applier,
                                             uint64_t applied_index) = 0;
  // Waits for what the group proposed, then lets go of its applier. No Propose of the group may run
  // or follow. Not from an applier or a callback.
  virtual void Detach(GroupId group) = 0;
  // Detaches when attached, and removes the group's entries. Synced.
  virtual absl::Status Destroy(GroupId group) = 0;

  // Groups that have entries or had some.
  virtual std::vector<GroupId> Groups() const = 0;

  struct Stats {
    uint64_t turns = 0;  // synced writes
    uint64_t entries = 0;
    uint64_t bytes = 0;   // of commands
    bool failed = false;  // a write failed: every proposal is refused
    uint64_t disk_bytes = 0;
    uint64_t memory_bytes = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace vectron::shard
