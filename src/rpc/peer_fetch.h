#pragma once

// Bringing one snapshot from another node: calls until everything is here, each beginning where the
// one before stopped. Part of the gRPC peer transport.

#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rpc/peer_core.h"

namespace vectron::rpc {

// Thread-safe.
class PeerFetch
    : public std::enable_shared_from_this<PeerFetch> {  // shared with its call and timers
 public:
  PeerFetch(std::shared_ptr<PeerCore> core, uint64_t node, consensus::SnapshotId snapshot,
            consensus::SnapshotSink& sink, std::function<void(absl::Status)> done)
      : core_(std::move(core)),
        node_(node),
        snapshot_(std::move(snapshot)),
        sink_(sink),
        done_(std::move(done)) {}

  void Start();
  // Ends soon, as Cancelled.
  void Cancel();
  // Breaks a call that brings nothing.
  void CheckStuck();
  const consensus::SnapshotId& snapshot() const { return snapshot_; }
  // True once `done` was called.
  bool finished() const;

 private:
  class Call;

  void Connect();
  absl::Status Take(Call& call);
  void OnEnded(const absl::Status& status);
  void Finish(const absl::Status& status);

  const std::shared_ptr<PeerCore> core_;  // shared with all parts of the transport
  const uint64_t node_;
  const consensus::SnapshotId snapshot_;
  consensus::SnapshotSink& sink_;

  mutable absl::Mutex mutex_;
  std::function<void(absl::Status)> done_ ABSL_GUARDED_BY(mutex_);  // null once called
  Call* call_ ABSL_GUARDED_BY(mutex_) = nullptr;                    // owns itself
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t last_part_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t last_progress_nanos_ ABSL_GUARDED_BY(mutex_) = 0;

  // Of the step under way, one at a time.
  std::vector<consensus::SnapshotFile> files_;
  bool listed_ = false;
  consensus::SnapshotPosition position_;
};

}  // namespace vectron::rpc
