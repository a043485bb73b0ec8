#pragma once

// Connections to one server of the cluster, and the calls under way over them.
//
// A few connections share the calls, because one HTTP/2 connection is one thread's work at each
// end. A peer that accepts but never answers (stopped, or cut off) is found out by pings: its calls
// end as Unavailable within kPeerPingMs + kPeerPingTimeoutMs. A call is sent once; whether to send
// it again is for the caller to decide, who knows what it means.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"

namespace grpc {
class Channel;
class ChannelCredentials;
class ClientContext;
class Status;
}  // namespace grpc

namespace vectron::rpc {

struct ChannelOptions {
  size_t connections = 2;
  // Sent with every call: the cluster's credential, or nothing.
  std::vector<std::pair<std::string, std::string>> metadata = {};
  // What connections are made with, shared by all; null: plain.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
};

// Thread-safe.
class ChannelPool {
 public:
  // "10.0.0.7:9090". Connects when the first call is made. `clock` outlives it.
  ChannelPool(std::string address, ChannelOptions options, const Clock& clock);
  // Closes.
  ~ChannelPool();
  // Cancels the calls under way, and those that begin later, and waits until no callback runs.
  void Close();
  ChannelPool(const ChannelPool&) = delete;
  ChannelPool& operator=(const ChannelPool&) = delete;

  const std::string& address() const { return address_; }
  // The connection whose turn it is, or the next one when that one waits to be tried again: after a
  // peer came back its connections do not all find that out at once.
  std::shared_ptr<grpc::Channel> Next();
  size_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }

  // Sets deadline (monotonic; 0: kMaxCallMs from now) and metadata, and counts the call as under
  // way until End.
  void Begin(grpc::ClientContext& context, int64_t deadline_nanos);
  // A callback ends in two steps, and lets go of the channel, with its context and stub, in
  // between: gRPC 1.51 crashes when the last channel goes in one of its own threads.
  void Ending(grpc::ClientContext& context);  // is not cancelled any more
  void End();                                 // the last thing a callback does with the pool

  // What a call ended with, for whoever asked for it. What the server said stays as it is. What
  // gRPC says of a connection that failed names addresses and is no business of users: the log has
  // it, and the status only says which part of the cluster does not answer, and, where it is
  // certain, that the call never left (NothingWasDone). service: of the call,
  // "vectron.worker.v1.WorkerService".
  absl::Status ResultOf(const grpc::Status& status, const grpc::ClientContext& context,
                        std::string_view service);

 private:
  bool NeverSent(const grpc::ClientContext& context) const;
  bool Quiet() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return calls_.empty() && ending_ == 0; }

  const std::string address_;
  const ChannelOptions options_;
  const Clock& clock_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;  // gRPC's way to hold them
  std::atomic<size_t> turn_{0};
  std::atomic<size_t> in_flight_{0};
  std::atomic<int64_t> fault_logged_nanos_{0};  // 0: none was

  absl::Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::flat_hash_set<grpc::ClientContext*> calls_ ABSL_GUARDED_BY(mutex_);
  size_t ending_ ABSL_GUARDED_BY(mutex_) = 0;  // between the two steps
};

}  // namespace vectron::rpc
