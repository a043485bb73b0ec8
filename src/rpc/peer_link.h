#pragma once

// The way of frames to one node: a bounded queue, one call at a time, pauses between calls that
// broke. Part of the gRPC peer transport.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rpc/peer_core.h"

namespace vectron::rpc {

// Thread-safe.
class PeerLink : public std::enable_shared_from_this<PeerLink> {  // shared with its call and timers
 public:
  PeerLink(std::shared_ptr<PeerCore> core, uint64_t node) : core_(std::move(core)), node_(node) {}

  void Send(std::vector<consensus::PeerMessage> messages);
  // Breaks a call whose write takes too long.
  void CheckStuck();
  // Ends the call; what is sent from now on is dropped.
  void Stop();

 private:
  class Call;

  bool Waits() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void Queue(std::vector<consensus::PeerMessage> messages) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Connect(const std::string& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropQueue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BackOff() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnWritten(bool ok);
  void OnBroken();
  void OnEnded(bool reached);
  void ReportUnreachable() const;

  const std::shared_ptr<PeerCore> core_;  // shared with all parts of the transport
  const uint64_t node_;
  absl::Mutex mutex_;
  std::deque<consensus::PeerMessage> queue_ ABSL_GUARDED_BY(mutex_);
  size_t queue_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Call* call_ ABSL_GUARDED_BY(mutex_) = nullptr;  // owns itself; null when none can be written to
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;   // a call broke and has not ended yet
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t write_began_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t call_began_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t retry_at_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t backoff_ms_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string address_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<grpc::Channel> channel_ ABSL_GUARDED_BY(mutex_);  // gRPC's way of owning channels
};

}  // namespace vectron::rpc
