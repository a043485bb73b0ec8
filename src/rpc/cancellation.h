#pragma once

// Calls off a call whose answer is no longer wanted. Shared by who asks and who carries the call
// out: the one says Cancel, the other sets what that does for as long as the call is under way.

#include <functional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace vectron::rpc {

// Thread-safe.
class Cancellation {
 public:
  // Runs the hook if there is one; one that is set later runs at once.
  void Cancel() {
    const absl::MutexLock lock(&mutex_);
    cancelled_ = true;
    if (hook_) hook_();
  }
  bool cancelled() const {
    const absl::MutexLock lock(&mutex_);
    return cancelled_;
  }
  // Null: there is nothing to call off (any more). When this returns no earlier hook runs. A hook
  // runs under a lock: it is short and calls nobody back.
  void SetHook(std::function<void()> hook) {
    const absl::MutexLock lock(&mutex_);
    hook_ = std::move(hook);
    if (cancelled_ && hook_) hook_();
  }

 private:
  mutable absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> hook_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::rpc
