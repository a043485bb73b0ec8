#pragma once

// The llm strategy: one listwise question to an OpenAI-compatible chat endpoint.
//
// Bounded in time (the caller's deadline), money (a day's limit) and calls under way (64). An
// endpoint that keeps failing is left alone for a while. Thread-safe; questions wait on the
// executor's threads.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "services/reranker/breaker.h"
#include "services/reranker/chat_client.h"
#include "services/reranker/config.h"
#include "services/reranker/document.h"
#include "services/reranker/llm_prompt.h"

namespace vectron::reranker {

// Why there is no order, as a label of a metric, of a status that a LlmRanker gave: spent, busy,
// breaker, timeout, unreachable, http_429, http_5xx, http_other, bad_answer.
std::string LlmFailureOf(const absl::Status& status);

class LlmRanker {
 public:
  // `key` from LlmConfig::key_file. What is borrowed outlives the ranker, which outlives its
  // questions.
  LlmRanker(const LlmConfig& config, const std::string& key, const Clock& clock, Executor& executor,
            Metrics& metrics);

  using Done = std::function<void(absl::StatusOr<std::vector<size_t>>)>;
  // The order of the candidates (1 to 50). deadline_nanos: monotonic, not 0. seed: of the labels.
  // Errors: DeadlineExceeded, ResourceExhausted (too many under way, the day's money is spent),
  // Unavailable (endpoint fails), InvalidArgument (its answers are no order).
  void Rank(std::string query, std::vector<Document> candidates, int64_t deadline_nanos,
            uint64_t seed, Done done);

  double spent_today_usd() const;

 private:
  absl::Status Admit();
  absl::StatusOr<std::vector<size_t>> Ask(const LlmPrompt& prompt, int64_t deadline_nanos);
  absl::StatusOr<std::vector<size_t>> AskOnce(const LlmPrompt& prompt, const std::string& body,
                                              int64_t deadline_nanos);
  void Spend(size_t asked_bytes, const ChatAnswer& answer);
  void Finish(const absl::Status& outcome);
  void RollDay() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const LlmConfig config_;
  const Clock& clock_;
  Executor& executor_;
  Metrics& metrics_;
  ChatClient client_;
  mutable absl::Mutex mutex_;
  Breaker breaker_ ABSL_GUARDED_BY(mutex_);
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable int64_t day_ ABSL_GUARDED_BY(mutex_) = 0;  // since 1970
  mutable double spent_usd_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace vectron::reranker
