#pragma once

// How consensus messages reach other nodes. Two implementations: the gRPC transport of src/rpc and the simulated network.

#include <cstdint>
#include <string>
#include <vector>

#include "model/ids.h"
#include "shard/raft_state.h"

namespace vectron::shard {

// One message of one group between two replicas. The bytes are the engine's.
struct PeerMessage {
  GroupId group;
  ReplicaId from;
  ReplicaId to;
  uint32_t type = 0;
  std::string bytes;
  std::string snapshot_token;  // of a snapshot message: names its files
};

// Thread-safe.
class PeerTransport {
 public:
  virtual ~PeerTransport() = default;
  // Sends without waiting. Messages may be lost, delayed, repeated or reordered; what cannot be queued is dropped.
  virtual void Send(WorkerId to, std::vector<PeerMessage> messages) = 0;
};

}  // namespace vectron::shard
