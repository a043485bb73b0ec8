#pragma once

// The state machine of placement behind consensus: proposes commands, applies what is committed,
// tells those who wait, and keeps the state in one file that is replaced as a whole.
//
// After a crash the file holds the state at some log position and the log what follows it. The file
// is written every kEntriesPerSave entries, at Save, and when a snapshot is taken over; the log is
// cut behind it.
//
// A committed entry that cannot be applied (damaged, or of a newer program) ends this node's part:
// everything after it is refused as Internal, here, while others may go on (one of them leads then,
// see PlacementNode); a copy of their state makes up for it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "services/placement/cluster_state.h"
#include "services/placement/command.h"
#include "shard/replicator.h"

namespace vectron::placement {

// The state in that file, an empty one when there is none. Errors: DataLoss naming the file,
// FailedPrecondition (of a newer program).
absl::StatusOr<ClusterState> ReadStateFile(FileSystem& files, const std::string& path);

// Thread-safe.
class ReplicatedState : public shard::Applier {
 public:
  // Reads the file. `files` outlives it. `seed` makes the names of proposals, so it differs from
  // run to run. Errors: ReadStateFile's.
  static absl::StatusOr<std::unique_ptr<ReplicatedState>> Open(FileSystem& files,
                                                               const std::string& path,
                                                               uint64_t seed);

  // Once, before the first proposal; `replicator` lives until Unbind. `changed` is called after
  // entries were applied, on the apply executor, without a lock.
  void Bind(shard::Replicator& replicator, std::function<void()> changed);
  // Fails what waits as Unavailable; later calls too.
  void Unbind();

  // Orders a command and waits until it is applied here. The outcome's own error, or Unavailable
  // (not the leader, unbound), ResourceExhausted. Called once, on any thread.
  using ProposeDone = std::function<void(absl::StatusOr<uint64_t> id)>;
  void Propose(CommandBody body, ProposeDone done);
  // Calls `done` when everything that was committed before this call is applied here. Unavailable.
  void Barrier(std::function<void(absl::Status)> done);

  // Calls read(state) under a reader's lock; it must not call back into this object.
  template <typename Read>
  auto With(Read&& read) const {
    const absl::ReaderMutexLock lock(&mutex_);
    return read(state_);
  }
  uint64_t applied_index() const {
    return With([](const ClusterState& state) { return state.applied_index(); });
  }

  // Why this node's part has ended; OK while it has not.
  absl::Status problem() const {
    const absl::ReaderMutexLock lock(&mutex_);
    return problem_;
  }

  // Writes the file. Not at the same time as Apply.
  absl::Status Save();

  // Applier.
  void Apply(std::vector<shard::Entry> entries) override;
  uint64_t saved_index() const;  // log position of the file

  // For snapshots: the state as of some applied index, which is returned, in a folder; and the way
  // back. InstallFiles: not at the same time as Apply; DataLoss.
  absl::StatusOr<uint64_t> WriteFiles(const std::string& dir) const;
  absl::Status InstallFiles(const std::string& dir, uint64_t index);

 private:
  ReplicatedState(FileSystem& files, std::string path, uint64_t seed, ClusterState state);

  struct Settled {
    ProposeDone done;
    absl::StatusOr<uint64_t> result;
  };
  void ApplyOne(const shard::Entry& entry, std::vector<Settled>& settled)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes the barriers that wait for what is applied by now.
  std::vector<std::function<void(absl::Status)>> TakeReached()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnCommitted(uint64_t proposal, const absl::StatusOr<uint64_t>& index);

  FileSystem& files_;
  const std::string path_;

  mutable absl::Mutex mutex_;
  ClusterState state_ ABSL_GUARDED_BY(mutex_);
  absl::Status problem_ ABSL_GUARDED_BY(mutex_);
  shard::Replicator* replicator_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::function<void()> changed_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_proposal_ ABSL_GUARDED_BY(mutex_);
  uint64_t saved_index_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, ProposeDone> proposals_ ABSL_GUARDED_BY(mutex_);
  std::multimap<uint64_t, std::function<void(absl::Status)>> barriers_
      ABSL_GUARDED_BY(mutex_);  // by the index they wait for
};

}  // namespace vectron::placement
