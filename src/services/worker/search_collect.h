#pragma once

// The answers of one search over several shards of this worker, put together for one response.

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/status.h"
#include "rpc/worker_api.h"
#include "services/worker/service.h"

namespace vectron::worker {

// Shared by the callbacks of the shards and the timer; whoever completes it ends it. A caller that
// sets a deadline gets, shortly before it, what there is: one slow shard does not cost the answers
// of the others. Of what is too much for one response only the best of all shards are kept; when
// these are too much by themselves, all are refused.
class SearchCollect : public std::enable_shared_from_this<SearchCollect> {
 public:
  // One per target, in their order.
  using Done = std::function<void(std::vector<rpc::ShardAnswer>)>;

  SearchCollect(const WorkerServiceDeps& deps, Done done) : deps_(deps), done_(std::move(done)) {}

  void Start(rpc::ShardsSearch search, int64_t deadline_nanos) {
    const size_t count = search.targets.size();
    k_ = search.query.k;
    {
      const absl::MutexLock lock(&mutex_);
      for (size_t i = 0; i < count; ++i) {
        position_of_[search.targets[i].group] = i;
        answers_.push_back({.group = search.targets[i].group,
                            .answer = DeadlineExceeded("the shard did not answer in time")});
      }
      left_ = count;
      if (count > 1 && deadline_nanos != 0) ArmTimer(deadline_nanos);
    }
    deps_.worker->Search(std::move(search), deadline_nanos,
                         [self = shared_from_this()](rpc::ShardAnswer answer) {
                           self->OnAnswer(std::move(answer));
                         });
  }

 private:
  static constexpr int64_t kLeastReserveNanos = 5'000'000;  // for the way back

  void ArmTimer(int64_t deadline_nanos) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const int64_t now = deps_.clock->MonotonicNanos();
    const int64_t reserve = std::max(kLeastReserveNanos, (deadline_nanos - now) / 20);
    timer_ = deps_.timer->At(deadline_nanos - reserve,
                             [self = shared_from_this()] { self->End(/*late=*/true); });
  }

  void OnAnswer(rpc::ShardAnswer answer) {
    {
      const absl::MutexLock lock(&mutex_);
      if (ended_) return;
      if (answer.answer.ok()) bytes_ += BytesOf(*answer.answer);
      answers_[position_of_.at(answer.group)].answer = std::move(answer.answer);
      const bool refused = bytes_ > deps_.max_answer_bytes && !MakeRoom();
      if (--left_ != 0 && !refused) return;
    }
    End(/*late=*/false);
  }

  // False when there is none to be made: then the answer of every shard is why.
  bool MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<SearchAnswer*> good;
    for (rpc::ShardAnswer& answer : answers_) {
      if (answer.answer.ok()) good.push_back(&*answer.answer);
    }
    const absl::StatusOr<size_t> kept = KeepWithin(deps_.max_answer_bytes, k_, good);
    if (kept.ok()) {
      bytes_ = *kept;
      return true;
    }
    for (rpc::ShardAnswer& answer : answers_) answer.answer = kept.status();
    return false;
  }

  void End(bool late) {
    std::vector<rpc::ShardAnswer> answers;
    Timer::Id timer = 0;
    {
      const absl::MutexLock lock(&mutex_);
      if (std::exchange(ended_, true)) return;
      answers = std::move(answers_);
      timer = timer_;
    }
    if (timer != 0 && !late) deps_.timer->Cancel(timer);
    done_(std::move(answers));
  }

  const WorkerServiceDeps& deps_;
  const Done done_;
  size_t k_ = 0;  // set before anything is asked

  absl::Mutex mutex_;
  std::map<GroupId, size_t> position_of_ ABSL_GUARDED_BY(mutex_);
  std::vector<rpc::ShardAnswer> answers_ ABSL_GUARDED_BY(mutex_);
  size_t left_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of the answers
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron::worker
