#pragma once

// The snapshots a node gives away: which folder holds the files of which (group, token). The
// transport's server reads them through consensus::SnapshotSource.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "consensus/peer_transport.h"

namespace vectron::shard {

// Thread-safe.
class SnapshotRegistry : public consensus::SnapshotSource {
 public:
  // files outlives it.
  explicit SnapshotRegistry(FileSystem& files) : files_(files) {}

  // Lists the files below `dir` and gives them away from now on. They do not change. Errors: of the
  // file system.
  absl::Status Add(const consensus::SnapshotId& snapshot, const std::string& dir);
  // Gives them away no more; returns when nobody reads them.
  void Remove(const consensus::SnapshotId& snapshot);
  // Reads and lists of a snapshot since it was added; 0 when unknown. Tells whether a transfer goes
  // on.
  uint64_t uses(const consensus::SnapshotId& snapshot) const;

  absl::StatusOr<std::vector<consensus::SnapshotFile>> List(
      const consensus::SnapshotId& snapshot) override;
  absl::StatusOr<consensus::SnapshotChunk> Read(const consensus::SnapshotId& snapshot,
                                                consensus::SnapshotPosition at,
                                                size_t max_bytes) override;

 private:
  struct Offered {
    std::string dir;
    std::vector<consensus::SnapshotFile> files;
    uint64_t uses = 0;
    int readers = 0;
  };
  using Key = std::pair<uint64_t, std::string>;

  FileSystem& files_;
  mutable absl::Mutex mutex_;
  std::map<Key, std::shared_ptr<Offered>> offered_
      ABSL_GUARDED_BY(mutex_);  // shared with reads under way
};

}  // namespace vectron::shard
