#pragma once

// The consensus transport over gRPC (proto/vectron/peer.proto): frames of messages of all groups on
// one long-lived call per direction of a pair of nodes, and snapshots' files on calls of their own,
// rate-limited by the giving side.
//
// Every frame names cluster, sender and receiver; those that do not fit are dropped and counted.
// The cluster's secret travels in the metadata of each call; without it, and without a certificate
// where those count, the call ends as UNAUTHENTICATED. Calls are made again with growing pauses
// when they break; what waits for a node is bounded, and past that dropped, which consensus allows
// for.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "consensus/peer_transport.h"

namespace grpc {
class ChannelCredentials;
class Service;
}  // namespace grpc

namespace vectron::rpc {

struct PeerTransportOptions {
  std::string cluster_id;
  uint64_t node = 0;
  std::string secret;  // of the cluster; "": none is shown; none is asked for either, unless
                       // certificates are
  // Connections are made with these, which show this node's certificate; null: plain.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  // A certificate of the port's CA does in place of the secret.
  bool trust_certificates = false;
  size_t max_queue_bytes = size_t{64} << 20;  // waiting for one node
  size_t max_frame_bytes = size_t{4}
                           << 20;  // messages of a frame together; one message may pass it
  int64_t min_backoff_ms = 50;
  int64_t max_backoff_ms = 2'000;
  int64_t stuck_write_ms =
      10'000;  // a frame not taken by the network for this long breaks the call
  size_t snapshot_chunk_bytes = size_t{256} << 10;
  uint64_t snapshot_bytes_per_second = uint64_t{64} << 20;  // given away, all transfers together
  size_t max_snapshot_transfers = 4;  // given away at once; more get RESOURCE_EXHAUSTED
  int64_t snapshot_patience_ms =
      60'000;  // an interrupted transfer is tried again this long without progress
};

// All outlive the transport.
struct PeerTransportDeps {
  // Where a node is, "host:port"; may change at any time. Nullopt: not known (yet). Any thread;
  // does not block.
  std::function<std::optional<std::string>(uint64_t node)> resolve;
  Clock* clock = nullptr;
  Timer* timer = nullptr;
  // Reads and writes of snapshot files, which block; two threads or more.
  Executor* file_executor = nullptr;
  Metrics* metrics = nullptr;  // shows the counters; null: nothing does
};

// Thread-safe.
class GrpcPeerTransport : public consensus::PeerTransport, public consensus::SnapshotTransport {
 public:
  static std::unique_ptr<GrpcPeerTransport> Create(const PeerTransportOptions& options,
                                                   const PeerTransportDeps& deps);
  // Calls Stop.
  ~GrpcPeerTransport() override = default;

  // Where arriving messages and requests for files go. Before either is set such calls end as
  // UNAVAILABLE. Both outlive the transport's Stop.
  virtual void SetReceiver(consensus::PeerReceiver* receiver) = 0;
  virtual void SetSnapshotSource(consensus::SnapshotSource* source) = 0;
  // The receiving side, for the gRPC server of this node (GrpcServerOptions::extra_services). Lives
  // as long as the transport, which outlives that server.
  virtual grpc::Service* service() = 0;

  // Ends all calls of this side; those of others end with the server. Returns when no callback runs
  // or follows; fetches that are under way end as Unavailable. Idempotent.
  virtual void Stop() = 0;

  struct Stats {
    uint64_t frames_sent = 0;
    uint64_t messages_sent = 0;
    uint64_t bytes_sent = 0;  // of messages
    uint64_t frames_received = 0;
    uint64_t messages_received = 0;
    uint64_t messages_dropped = 0;  // no room, or no connection for too long
    uint64_t wrong_cluster = 0;     // frames and requests dropped, by reason
    uint64_t wrong_node = 0;
    uint64_t unauthenticated = 0;
    uint64_t reconnects = 0;
    uint64_t snapshot_bytes_sent = 0;
    uint64_t snapshot_bytes_received = 0;
  };
  virtual Stats stats() const = 0;
};

}  // namespace vectron::rpc
