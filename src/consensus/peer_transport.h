#pragma once

// How the replicas of groups on different nodes reach each other: small messages, and the files of
// snapshots. The gRPC transport (src/rpc/peer_transport_grpc.h) and the simulated network implement
// it; hosts of groups (src/shard) use it.
//
// Ids are plain numbers here, because this floor knows no model: a node is a WorkerId's value (0 is
// none), a group a GroupId's, a replica a ReplicaId's (its node and a number that is never given
// twice).

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::consensus {

// One message of one group between two replicas. The bytes are the engine's. Group 0: from host to
// host.
struct PeerMessage {
  uint64_t group = 0;
  uint64_t from = 0;  // replica
  uint64_t to = 0;    // replica
  uint32_t type = 0;
  std::string bytes;
  std::string snapshot_token;   // of a snapshot message: names its files
  uint64_t snapshot_index = 0;  // likewise: the log index they stand at
};

// Thread-safe.
class PeerTransport {
 public:
  virtual ~PeerTransport() = default;
  // Sends without waiting. Messages may be lost, delayed, repeated or reordered; what cannot be
  // queued is dropped.
  virtual void Send(uint64_t node, std::vector<PeerMessage> messages) = 0;
};

// What a node does with what its transport brings. Thread-safe.
class PeerReceiver {
 public:
  virtual ~PeerReceiver() = default;
  // From an authenticated node of the same cluster. Does not block.
  virtual void Receive(uint64_t node, std::vector<PeerMessage> messages) = 0;
  // The connection to a node broke, or cannot be made.
  virtual void ReportUnreachable(uint64_t node) = 0;
};

struct SnapshotFile {
  std::string name;  // relative, parts separated by '/', no "." or ".." among them
  uint64_t bytes = 0;
};
struct SnapshotId {
  uint64_t group = 0;
  std::string token;
};
// A place in a snapshot's files. files[file] at `offset`; file == files.size(): the end.
struct SnapshotPosition {
  uint32_t file = 0;
  uint64_t offset = 0;
};
struct SnapshotChunk {
  SnapshotPosition at;
  std::string bytes;
  uint32_t crc32c = 0;  // of the bytes
};

// The files a node gives away. Thread-safe.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // The same list in the same order as long as the snapshot lives. NotFound: it is gone, or never
  // was.
  virtual absl::StatusOr<std::vector<SnapshotFile>> List(const SnapshotId& snapshot) = 0;
  // At most max_bytes from `at` on, of one file; at least one unless the file is empty. Blocks.
  // NotFound, OutOfRange, DataLoss.
  virtual absl::StatusOr<SnapshotChunk> Read(const SnapshotId& snapshot, SnapshotPosition at,
                                             size_t max_bytes) = 0;
};

// Where files that are brought go. Called by one thread at a time; may block.
class SnapshotSink {
 public:
  virtual ~SnapshotSink() = default;
  // What there is, before anything else; again after an interruption, and then the same. Returns
  // where to begin. DataLoss: another list than before, or a name that leads out of the folder.
  virtual absl::StatusOr<SnapshotPosition> Begin(const std::vector<SnapshotFile>& files) = 0;
  // In order, without holes. DataLoss: bad checksum, or not what comes next.
  virtual absl::Status Write(const SnapshotChunk& chunk) = 0;
};

// Brings files from other nodes. Thread-safe.
class SnapshotTransport {
 public:
  virtual ~SnapshotTransport() = default;
  // Fills `sink`, which lives until `done`, and calls `done` once, on any thread. OK: everything
  // was written. An interrupted transfer is taken up where it stopped for some time. Errors:
  // NotFound (the other node has it no more), Unavailable, DataLoss, what the sink says.
  virtual void Fetch(uint64_t node, const SnapshotId& snapshot, SnapshotSink& sink,
                     std::function<void(absl::Status)> done) = 0;
  // Ends the fetches of a snapshot soon; their `done` is called as ever.
  virtual void CancelFetches(const SnapshotId& snapshot) = 0;
};

}  // namespace vectron::consensus
