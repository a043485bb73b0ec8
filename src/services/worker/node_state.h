#pragma once

// What a worker keeps of itself between starts: who it is, and what it last had to hold
// (docs/formats/node.md). Thread-compatible.

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file.h"
#include "vectron/node.pb.h"

namespace vectron::worker {

class NodeState {
 public:
  // Reads what is in `dir`, which exists; a new folder gets a node_uid made of `seed`, on disk when
  // this returns. Errors: DataLoss naming the file, FailedPrecondition (a newer version), Internal.
  static absl::StatusOr<NodeState> Open(FileSystem& files, const std::string& dir, uint64_t seed);

  const node::v1::Identity& identity() const { return identity_; }
  const node::v1::Assignments& assignments() const { return assignments_; }

  // Both are on disk when OK is returned.
  absl::Status SetIds(uint64_t worker_id, const std::string& cluster_id);
  absl::Status SetAssignments(node::v1::Assignments assignments);

 private:
  NodeState(FileSystem& files, std::string dir) : files_(&files), dir_(std::move(dir)) {}

  FileSystem* files_;
  std::string dir_;
  node::v1::Identity identity_;
  node::v1::Assignments assignments_;
};

}  // namespace vectron::worker
