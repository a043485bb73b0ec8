#include "services/gateway/feedback_stream.h"

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kIntervalNanos = 1'000'000'000;
constexpr uint64_t kExpireRounds = 60;  // rounds between two looks for feedback past its time

}  // namespace

struct FeedbackStream::State {
  State(FeedbackStore& from, rpc::RerankerApi& to, Timer& wakes, const Clock& steady,
        std::function<void()> tidies)
      : store(from), reranker(to), timer(wakes), clock(steady), tidy(std::move(tidies)) {}

  FeedbackStore& store;
  rpc::RerankerApi& reranker;
  Timer& timer;
  const Clock& clock;
  const std::function<void()> tidy;

  absl::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
  bool sending ABSL_GUARDED_BY(mutex) = false;
  Timer::Id next ABSL_GUARDED_BY(mutex) = 0;
  bool failing ABSL_GUARDED_BY(mutex) = false;

  // Of the store's executor alone:
  uint64_t cursor = 0;  // the reranker has what comes up to this
  uint64_t dropped = 0;
  uint64_t rounds = 0;
  bool expiring = false;  // there is more past its time
};

FeedbackStream::FeedbackStream(FeedbackStore& store, rpc::RerankerApi& reranker, Timer& timer,
                               const Clock& clock, std::function<void()> tidy)
    : state_(std::make_shared<State>(store, reranker, timer, clock, std::move(tidy))) {}

FeedbackStream::~FeedbackStream() { Stop(); }

void FeedbackStream::Start() { Plan(state_); }

void FeedbackStream::Stop() {
  const absl::MutexLock lock(&state_->mutex);
  state_->stopped = true;
  if (state_->next != 0) state_->timer.Cancel(state_->next);
  const auto idle = [](State* state)
                        ABSL_SHARED_LOCKS_REQUIRED(state->mutex) { return !state->sending; };
  state_->mutex.Await(absl::Condition(+idle, state_.get()));
}

void FeedbackStream::Plan(const std::shared_ptr<State>& state) {
  const absl::MutexLock lock(&state->mutex);
  state->sending = false;
  if (state->stopped) return;
  state->next = state->timer.At(state->clock.MonotonicNanos() + kIntervalNanos, [state] {
    {
      const absl::MutexLock timer_lock(&state->mutex);
      if (state->stopped) return;
      state->sending = true;
    }
    state->store.Run([state] { Ask(state); });
  });
}

// Asks for the marks, if anything waits.
void FeedbackStream::Ask(const std::shared_ptr<State>& state) {
  state->tidy();
  if (state->rounds++ % kExpireRounds == 0 || state->expiring) {
    const absl::StatusOr<bool> more = state->store.Expire();
    state->expiring = more.ok() && *more;
    if (!more.ok()) LogWarning("old feedback stays for now: {}", MessageOf(more.status()));
  }
  const absl::StatusOr<std::vector<reranker::v1::LearnRecord>> waiting =
      state->store.QueuedAfter(state->cursor, 1);
  if (!waiting.ok()) return Ended(state, waiting.status());
  if (waiting->empty()) return Plan(state);
  Call(state, {}, Send);
}

void FeedbackStream::Send(const std::shared_ptr<State>& state) {
  absl::StatusOr<std::vector<reranker::v1::LearnRecord>> records =
      state->store.QueuedAfter(state->cursor, kMaxLearnBatch);
  if (!records.ok()) return Ended(state, records.status());
  reranker::v1::LearnFeedbackRequest request;
  for (reranker::v1::LearnRecord& record : *records) *request.add_records() = std::move(record);
  Call(state, std::move(request),
       [](const std::shared_ptr<State>& sent) { Ended(sent, absl::OkStatus()); });
}

void FeedbackStream::Call(const std::shared_ptr<State>& state,
                          reranker::v1::LearnFeedbackRequest request,
                          void (*then)(const std::shared_ptr<State>&)) {
  request.set_source(state->store.source());
  state->reranker.Learn(
      std::move(request),
      [state, then](const absl::StatusOr<reranker::v1::LearnFeedbackResponse>& marks) {
        state->store.Run([state, then, marks] {
          const absl::Status taken = marks.ok() ? TakeMarks(state, *marks) : marks.status();
          taken.ok() ? then(state) : Ended(state, taken);
        });
      });
}

absl::Status FeedbackStream::TakeMarks(const std::shared_ptr<State>& state,
                                       const reranker::v1::LearnFeedbackResponse& marks) {
  state->cursor = marks.applied_through();
  if (marks.durable_through() <= state->dropped) return absl::OkStatus();
  RETURN_IF_ERROR(state->store.DropQueued(marks.durable_through()));
  state->dropped = marks.durable_through();
  return absl::OkStatus();
}

void FeedbackStream::Ended(const std::shared_ptr<State>& state, const absl::Status& outcome) {
  {
    const absl::MutexLock lock(&state->mutex);
    if (!outcome.ok() && !state->failing) {  // once per outage
      LogWarning("feedback waits for the reranker: {}", MessageOf(outcome));
    }
    state->failing = !outcome.ok();
  }
  Plan(state);
}

}  // namespace vectron::gateway
