#pragma once

// What the parts of the gRPC peer transport share. Inside of peer_transport_grpc.cc and its
// peer_*.cc only.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "rpc/peer_transport_grpc.h"

namespace vectron::rpc {

inline constexpr int64_t kNanosPerMilli = 1'000'000;

struct PeerCounters {
  std::atomic<uint64_t> frames_sent{0};
  std::atomic<uint64_t> messages_sent{0};
  std::atomic<uint64_t> bytes_sent{0};
  std::atomic<uint64_t> frames_received{0};
  std::atomic<uint64_t> messages_received{0};
  std::atomic<uint64_t> messages_dropped{0};
  std::atomic<uint64_t> wrong_cluster{0};
  std::atomic<uint64_t> wrong_node{0};
  std::atomic<uint64_t> unauthenticated{0};
  std::atomic<uint64_t> reconnects{0};
  std::atomic<uint64_t> snapshot_bytes_sent{0};
  std::atomic<uint64_t> snapshot_bytes_received{0};
};

// Thread-safe. Lives until the last call of this side has ended.
struct PeerCore {
  PeerCore(const PeerTransportOptions& o, const PeerTransportDeps& d) : options(o), deps(d) {}

  const PeerTransportOptions options;
  const PeerTransportDeps deps;
  PeerCounters counters;
  std::atomic<consensus::PeerReceiver*> receiver{nullptr};
  std::atomic<consensus::SnapshotSource*> source{nullptr};
  std::atomic<bool> stopping{false};

  int64_t Now() const { return deps.clock->MonotonicNanos(); }
  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address) const;
  // Adds the credential to a call of this side.
  void Authenticate(grpc::ClientContext& context) const;

  // Calls of this side that have not ended.
  void CallBegins();
  void CallEnds();
  void AwaitNoCalls();

 private:
  bool NoCalls() const { return calls_ == 0; }
  absl::Mutex mutex_;
  int calls_ = 0;  // guarded by mutex_
};

}  // namespace vectron::rpc
