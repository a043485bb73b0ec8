// CPU of ranking and latency of feedback: vectron_bench_ranking [SECONDS of feedback at 500/s]

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/random.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "services/gateway/feedback_store.h"
#include "services/reranker/explore.h"
#include "services/reranker/learner.h"
#include "services/reranker/rule.h"

namespace vectron {
namespace {

constexpr int kFeedbackPerSecond = 500;

double CpuMicros() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
}

// Of this thread's processor time, so that a busy machine does not count.
template <typename Body>
double MicrosOf(int rounds, Body body) {
  const double begin = CpuMicros();
  for (int i = 0; i < rounds; ++i) body(i);
  return (CpuMicros() - begin) / rounds;
}

std::string Words(Random& random, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += fmt::format("word{} ", random.Below(500));
  return text;
}

void MeasureRanking() {
  Random random(1);
  std::vector<std::string> payloads;
  for (int i = 0; i < 100; ++i) {
    payloads.push_back(fmt::format(
        R"({{"title":"{}","content":"{}","tags":["a","b"],"price":{},"created_at":"2026-01-01T00:00:00Z"}})",
        Words(random, 40), Words(random, 380), random.Below(1000)));
  }
  const auto parse = [&] {
    std::vector<reranker::Document> documents;
    for (int i = 0; i < 100; ++i) {
      documents.push_back(*reranker::DocumentFromPayload(
          fmt::format("d{}", i), 0.01f * static_cast<float>(i), payloads[static_cast<size_t>(i)]));
    }
    return documents;
  };
  const std::vector<reranker::Document> documents = parse();
  const reranker::Question question{
      .query = "word1 word20 word300", .metric = Metric::kCosine, .now_s = 1'767'225'600};
  const reranker::RuleConfig config;
  std::printf("parse 100 payloads of %zu bytes: %.0f us\n", payloads[0].size(),
              MicrosOf(500, [&](int) { parse(); }));
  std::printf("rule on them: %.0f us\n",
              MicrosOf(500, [&](int) { reranker::ScoreByRule(question, documents, config); }));
  const reranker::RuleResult rule = reranker::ScoreByRule(question, documents, config);
  std::printf("features on them: %.0f us\n",
              MicrosOf(500, [&](int) { reranker::ExtractFeatures(documents, rule.rows); }));
  const std::vector<reranker::FeatureRow> rows = reranker::ExtractFeatures(documents, rule.rows);
  reranker::Learner learner{reranker::LearnedConfig()};
  const auto learn = [&](int i) {
    reranker::LearnEvent event;
    for (size_t p = 0; p < reranker::kShown; ++p) {
      const size_t d = random.Below(100);
      event.impression.shown.push_back({.id = fmt::format("d{}-{}", d, p), .row = rows[d]});
    }
    event.items.push_back({.id = event.impression.shown[random.Below(10)].id, .clicked = true});
    event.end_user = fmt::format("u{}", i);
    learner.Apply(event);
  };
  MicrosOf(2'000, learn);  // fills the ring
  std::printf("learning from one event: %.1f us\n", MicrosOf(5'000, learn));
}

void MeasureFeedback(int seconds) {
  const TempDir dir;
  SystemClock clock;
  ThreadPool pool("feedback", 1);
  gateway::FeedbackStoreOptions options;
  options.path = dir / "feedback.db";
  auto store = gateway::FeedbackStore::Open(options, clock, pool);
  if (!store.ok()) return;
  const int total = seconds * kFeedbackPerSecond;
  std::vector<double> millis(static_cast<size_t>(total));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < total; ++i) {
    const auto due = begin + std::chrono::microseconds(1'000'000LL * i / kFeedbackPerSecond);
    std::this_thread::sleep_until(due);
    gateway::FeedbackWrite write;
    write.feedback_id = fmt::format("f{}", i);
    write.request.set_collection("c");
    for (int k = 0; k < 3; ++k) {
      write.request.add_feedback_items()->set_result_id(fmt::format("p{}", k));
    }
    write.learn = true;
    write.learn_record.set_impression(std::string(1'500, 'x'));
    (*store)->Write(std::move(write), [&millis, i, due](const absl::Status& status) {
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - due;
      millis[static_cast<size_t>(i)] = status.ok() ? took.count() : 1e9;
    });
  }
  store->reset();  // waits
  std::sort(millis.begin(), millis.end());
  std::printf("feedback at %d/s for %d s: p50 %.2f ms, p99 %.2f ms\n", kFeedbackPerSecond, seconds,
              millis[millis.size() / 2], millis[millis.size() * 99 / 100]);
}

}  // namespace
}  // namespace vectron

int main(int argc, char** argv) {
  vectron::MeasureRanking();
  vectron::MeasureFeedback(argc > 1 ? std::atoi(argv[1]) : 10);
  return 0;
}
