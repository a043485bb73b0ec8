#pragma once

// Snapshots of one group as files in folders: made here, given to other nodes, brought from them. A
// SnapshotHandler for any state machine that can write its state into a folder and take it over
// from one.
//
// Below `dir`: outgoing/<token>/ (one, the newest) and incoming/ (one). Both are removed at
// construction: what a crash left of a transfer is of no use, the leader offers again. An offer is
// made by the background executor and kept until a newer one is wanted and nobody reads it.
//
// Brought files are written in order, checked chunk by chunk, synced, read again against their
// checksums; only then `done` is OK and Install may follow. An interrupted transfer goes on where
// it stopped as long as the process lives.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/file.h"
#include "consensus/peer_transport.h"
#include "model/ids.h"
#include "shard/raft_host.h"
#include "shard/snapshot_registry.h"

namespace vectron::shard {

// All outlive the handler.
struct FileSnapshotsDeps {
  FileSystem* files = nullptr;
  Executor* background_executor = nullptr;
  consensus::SnapshotTransport* transport = nullptr;
  SnapshotRegistry* registry = nullptr;  // where the node's transport finds the files to give away
  uint64_t life = 0;  // differs between two starts of this node (GroupHost::life), so that names of
                      // snapshots never repeat
};

// The state machine's part.
class SnapshotState {
 public:
  virtual ~SnapshotState() = default;
  // Writes the whole state as of some applied index into `dir`, which exists and is empty
  // (sub-folders allowed, hard links too), and calls `done` once, on any thread, with the index.
  // Called on the background executor. Unavailable: try again later.
  virtual void WriteFiles(const std::string& dir,
                          std::function<void(absl::StatusOr<uint64_t>)> done) = 0;
  // Takes over the state in `dir`, which holds verified files of WriteFiles at `index`; may rename
  // the folder away. On the apply executor, in order with Apply; may block. After it the state is
  // at `index`, durably. After an error it may be any or none: another copy comes.
  virtual absl::Status InstallFiles(const std::string& dir, uint64_t index) = 0;
};

// Thread-safe. Ends after its group was detached; the destructor waits for what runs. `dir` is made
// when missing. Errors: of the file system.
absl::StatusOr<std::unique_ptr<SnapshotHandler>> MakeFileSnapshots(GroupId group,
                                                                   const std::string& dir,
                                                                   const FileSnapshotsDeps& deps,
                                                                   SnapshotState& state);

}  // namespace vectron::shard
