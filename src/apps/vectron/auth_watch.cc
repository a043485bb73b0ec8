#include "apps/vectron/auth_watch.h"

#include <utility>

#include "rpc/credential_verifier.h"

namespace vectron {
namespace {

constexpr int64_t kVerdictNanos = rpc::kMaxRemoteVerdictMs * 1'000'000;

}  // namespace

AuthWatch::AuthWatch(Check check, const Clock& clock) : check_(std::move(check)), clock_(clock) {}

AuthWatch::~AuthWatch() {
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](AuthWatch* self) ABSL_NO_THREAD_SAFETY_ANALYSIS { return !self->asking_; }, this));
}

void AuthWatch::Tick() {
  {
    const absl::MutexLock lock(&mutex_);
    if (std::exchange(asking_, true)) return;
  }
  const int64_t asked_nanos = clock_.MonotonicNanos();
  check_([this, asked_nanos](const absl::Status& status) { Take(asked_nanos, status); });
}

void AuthWatch::Take(int64_t asked_nanos, const absl::Status& status) {
  const absl::MutexLock lock(&mutex_);
  asking_ = false;
  failing_ = !status.ok();
  if (status.ok()) well_nanos_ = asked_nanos;
}

std::string AuthWatch::Problem() const {
  const int64_t now = clock_.MonotonicNanos();
  const absl::MutexLock lock(&mutex_);
  if (!well_nanos_.has_value()) return "the Auth service has not answered yet";
  if (!failing_ || now - *well_nanos_ <= kVerdictNanos) return "";
  return "the Auth service, or its store, does not answer: no credential can be checked";
}

}  // namespace vectron
