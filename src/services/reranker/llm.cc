#include "services/reranker/llm.h"

#include "absl/strings/cord.h"
#include "base/check.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr size_t kMaxInFlight = 64;
constexpr int kAttempts = 2;
constexpr int64_t kMillisPerDay = 86'400'000;
constexpr int64_t kBytesPerToken = 4;  // where the endpoint does not say

int64_t TokensOf(size_t bytes) { return static_cast<int64_t>(bytes) / kBytesPerToken + 1; }

// Whether another try may help.
bool IsTransient(long http_status) { return http_status == 429 || http_status >= 500; }

constexpr char kFailure[] = "vectron/llm_failure";  // the name of LlmFailureOf's part of a status

absl::Status Because(const char* failure, absl::Status status) {
  status.SetPayload(kFailure, absl::Cord(failure));
  return status;
}

const char* FailureOfHttp(long status) {
  if (status == 429) return "http_429";
  return status >= 500 ? "http_5xx" : "http_other";
}

const char* FailureOfPost(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return "timeout";
  return absl::IsResourceExhausted(status) ? "bad_answer" : "unreachable";
}

}  // namespace

std::string LlmFailureOf(const absl::Status& status) {
  const auto failure = status.GetPayload(kFailure);
  CHECK(failure.has_value());
  return std::string(*failure);
}

LlmRanker::LlmRanker(const LlmConfig& config, const std::string& key, const Clock& clock,
                     Executor& executor, Metrics& metrics)
    : config_(config),
      clock_(clock),
      executor_(executor),
      metrics_(metrics),
      client_(config.url, key, config.ca_file) {}

void LlmRanker::RollDay() const {
  const int64_t today = clock_.UnixMillis() / kMillisPerDay;
  if (today == day_) return;
  day_ = today;
  spent_usd_ = 0;
}

double LlmRanker::spent_today_usd() const {
  const absl::MutexLock lock(&mutex_);
  RollDay();
  return spent_usd_;
}

absl::Status LlmRanker::Admit() {
  const absl::MutexLock lock(&mutex_);
  RollDay();
  if (spent_usd_ >= config_.usd_per_day) {
    return Because("spent", ResourceExhausted("the day's {} USD for the language model are spent",
                                              config_.usd_per_day));
  }
  if (in_flight_ >= kMaxInFlight) {
    return Because(
        "busy", ResourceExhausted("{} questions to the language model are under way", in_flight_));
  }
  if (!breaker_.Admit(clock_.MonotonicMillis())) {
    return Because("breaker",
                   Unavailable("the language model kept failing and is left alone for a while"));
  }
  ++in_flight_;
  return absl::OkStatus();
}

void LlmRanker::Rank(std::string query, std::vector<Document> candidates, int64_t deadline_nanos,
                     uint64_t seed, Done done) {
  CHECK_NE(deadline_nanos, 0);
  if (const absl::Status admitted = Admit(); !admitted.ok()) return done(admitted);
  executor_.Schedule([this, query = std::move(query), candidates = std::move(candidates),
                      deadline_nanos, seed, done = std::move(done)] {
    absl::StatusOr<std::vector<size_t>> order =
        Ask(MakePrompt(query, candidates, seed), deadline_nanos);
    Finish(order.status());
    done(std::move(order));
  });
}

absl::StatusOr<std::vector<size_t>> LlmRanker::Ask(const LlmPrompt& prompt,
                                                   int64_t deadline_nanos) {
  const std::string body = ChatRequestBody(prompt, config_.model);
  absl::StatusOr<std::vector<size_t>> order;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    order = AskOnce(prompt, body, deadline_nanos);
    const bool again = absl::IsAborted(order.status()) || absl::IsInvalidArgument(order.status());
    if (order.ok() || !again) return order;
  }
  if (!absl::IsAborted(order.status())) return Because("bad_answer", order.status());
  const std::string failure = LlmFailureOf(order.status());
  return Because(failure.c_str(), Unavailable("{}", MessageOf(order.status())));
}

// Aborted: worth another try, as InvalidArgument is: the answer was no order.
absl::StatusOr<std::vector<size_t>> LlmRanker::AskOnce(const LlmPrompt& prompt,
                                                       const std::string& body,
                                                       int64_t deadline_nanos) {
  const int64_t left_ms = (deadline_nanos - clock_.MonotonicNanos()) / 1'000'000;
  if (left_ms <= 0) {
    return Because("timeout", DeadlineExceeded("no time is left for the language model"));
  }
  const absl::StatusOr<ChatReply> reply = client_.Post(body, left_ms);
  if (!reply.ok()) return Because(FailureOfPost(reply.status()), reply.status());
  if (reply->status != 200) {
    const char* const failure = FailureOfHttp(reply->status);
    if (IsTransient(reply->status)) {
      return Because(failure, Aborted("the chat endpoint answered with HTTP {}", reply->status));
    }
    return Because(failure, Unavailable("the chat endpoint answered with HTTP {}", reply->status));
  }
  absl::StatusOr<ChatAnswer> answer = ParseChatResponse(reply->body);
  Spend(body.size(), answer.ok() ? *answer : ChatAnswer{.content = reply->body});
  if (!answer.ok()) return answer.status();
  return ParseOrder(answer->content, prompt);
}

void LlmRanker::Spend(size_t asked_bytes, const ChatAnswer& answer) {
  const int64_t in = answer.prompt_tokens > 0 ? answer.prompt_tokens : TokensOf(asked_bytes);
  const int64_t out =
      answer.completion_tokens > 0 ? answer.completion_tokens : TokensOf(answer.content.size());
  const absl::MutexLock lock(&mutex_);
  RollDay();
  spent_usd_ += (static_cast<double>(in) * config_.usd_per_mtok_in +
                 static_cast<double>(out) * config_.usd_per_mtok_out) /
                1e6;
}

void LlmRanker::Finish(const absl::Status& outcome) {
  metrics_
      .AddCounter("vectron_rerank_llm_questions_total",
                  "Questions to the language model, by outcome.",
                  {{"outcome", std::string(absl::StatusCodeToString(outcome.code()))}})
      .Increment();
  const absl::MutexLock lock(&mutex_);
  --in_flight_;
  outcome.ok() ? breaker_.Succeeded() : breaker_.Failed(clock_.MonotonicMillis());
}

}  // namespace vectron::reranker
