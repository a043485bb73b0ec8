#include "services/reranker/breaker.h"

#include <algorithm>
#include <bit>

namespace vectron::reranker {
namespace {

constexpr int kFailuresInRow = 5;
constexpr int kFailuresOfLast = 10;
constexpr uint32_t kLastMask = (uint32_t{1} << 20) - 1;
constexpr int64_t kFirstOpenMs = 30'000;
constexpr int64_t kLongestOpenMs = 600'000;

}  // namespace

bool Breaker::Admit(int64_t now_ms) {
  if (!open_) return true;
  if (probing_ || now_ms < open_until_ms_) return false;
  probing_ = true;
  return true;
}

void Breaker::Succeeded() {
  Note(false);
  failures_in_row_ = 0;
  if (!probing_) return;
  probing_ = false;
  open_ = false;
  open_for_ms_ = 0;
  last_ = 0;
}

void Breaker::Failed(int64_t now_ms) {
  Note(true);
  ++failures_in_row_;
  if (open_ && !probing_) return;  // was under way when it opened
  if (probing_ || failures_in_row_ >= kFailuresInRow || std::popcount(last_) >= kFailuresOfLast) {
    Open(now_ms);
  }
}

void Breaker::Open(int64_t now_ms) {
  open_ = true;
  probing_ = false;
  open_for_ms_ = std::clamp(2 * open_for_ms_, kFirstOpenMs, kLongestOpenMs);
  open_until_ms_ = now_ms + open_for_ms_;
}

void Breaker::Note(bool failed) { last_ = ((last_ << 1) | (failed ? 1U : 0U)) & kLastMask; }

}  // namespace vectron::reranker
