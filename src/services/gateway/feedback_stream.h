#pragma once

// Sends what feedback taught to the reranker, at least once and in order.
//
// Once a second the reranker is asked what it has, the records after that go out in one batch, and
// what it says is durable leaves the store. So one that lost its memory is sent the rest again.

#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/timer.h"
#include "rpc/reranker_api.h"
#include "services/gateway/feedback_store.h"

namespace vectron::gateway {

// Thread-safe. What is borrowed outlives it; Stop, or the end, waits for the batch under way.
class FeedbackStream {
 public:
  // tidy: called once a second, where the store's work runs and only until Stop.
  FeedbackStream(FeedbackStore& store, rpc::RerankerApi& reranker, Timer& timer, const Clock& clock,
                 std::function<void()> tidy);
  ~FeedbackStream();
  FeedbackStream(const FeedbackStream&) = delete;
  FeedbackStream& operator=(const FeedbackStream&) = delete;

  void Start();
  void Stop();

 private:
  struct State;
  static void Plan(const std::shared_ptr<State>& state);
  static void Ask(const std::shared_ptr<State>& state);
  static void Send(const std::shared_ptr<State>& state);
  static void Call(const std::shared_ptr<State>& state, reranker::v1::LearnFeedbackRequest request,
                   void (*then)(const std::shared_ptr<State>&));
  static absl::Status TakeMarks(const std::shared_ptr<State>& state,
                                const reranker::v1::LearnFeedbackResponse& marks);
  static void Ended(const std::shared_ptr<State>& state, const absl::Status& outcome);

  std::shared_ptr<State>
      state_;  // shared with the timer, the store's tasks and the batch under way
};

}  // namespace vectron::gateway
