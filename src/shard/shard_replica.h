#pragma once

// A shard as a replica of a group on a GroupHost: it opens what is on disk, takes part in its
// group, makes snapshots for other replicas and takes them over, and ends for good when it is
// removed.
//
// On disk, below options.shard.dir:
//
//   replica    which replica this is and in which state (docs/formats/replica.md)
//   data/      the shard's own folder (store, index)
//   outgoing/  incoming/   snapshots being given away and brought (file_snapshots.h)
//
// States: READY (data/ is whole), COPYING (data/ is being replaced by a snapshot), TOMBSTONED
// (removed, or its data is gone; the record keeps replica id, term, vote and last logged index),
// DELETED (no record). What a start finds:
//
//   READY       opens. A store that is damaged or behind the log's beginning becomes TOMBSTONED
//               with its log kept.
//   COPYING     a crash in the swap: becomes TOMBSTONED with its log kept, files are removed.
//   TOMBSTONED  with its log kept: the same replica id goes on without state: it votes and
//               acknowledges by its log, never leads, and asks the leader for a whole copy until it
//               has one; when its log holds the first entry it begins anew from that instead.
//               Without: the same or a lower replica id is refused (FailedPrecondition), a higher
//               one begins anew.
//
// The tombstone is synced before any file goes.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shard/file_snapshots.h"
#include "shard/group_host.h"
#include "shard/shard.h"

namespace vectron::shard {

struct ShardReplicaOptions {
  ShardOptions shard;  // shard.dir: the replica's folder
  ReplicaId replica;
  consensus::Membership founders;  // as RaftGroupStart::members
};

// All outlive the replica.
struct ShardReplicaDeps {
  ShardDeps shard;
  GroupHost* host = nullptr;
  consensus::SnapshotTransport* snapshots = nullptr;
  SnapshotRegistry* registry = nullptr;
};

// A Shard whose inside may be replaced while it is used: calls that fall into that time, or come
// before the first copy is there, get Unavailable. Thread-safe. The destructor detaches the group
// first, so that nothing waits for a quorum that is not there; then it closes the shard.
class ShardReplica : public Shard {
 public:
  // Errors: FailedPrecondition (tombstoned, or the log belongs to another replica),
  // ResourceExhausted, Internal. Damaged data is no error: the replica asks for a copy.
  static absl::StatusOr<std::unique_ptr<ShardReplica>> Open(const ShardReplicaOptions& options,
                                                            const ShardReplicaDeps& deps);

  // Whether data/ is whole: false while it waits for a copy.
  virtual bool has_state() const = 0;
  virtual GroupView view() const = 0;
  // Ends the replica for good: detaches it, writes the tombstone, removes its data and its log.
  // Every call is refused afterwards.
  virtual absl::Status Remove() = 0;

  // The tombstone of a replica that is not open, when placement has confirmed that it is gone:
  // removes the folder.
  static absl::Status Forget(FileSystem& files, const std::string& dir);
  // Removes a replica that is not open: tombstone, data and log.
  static absl::Status RemoveClosed(FileSystem& files, const std::string& dir, GroupId group,
                                   GroupHost& host);
};

}  // namespace vectron::shard
