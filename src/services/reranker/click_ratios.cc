#include "services/reranker/click_ratios.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/limits.h"

namespace vectron::reranker {
namespace {

constexpr double kShrink = 20;  // examinations that the mean counts for
constexpr double kFade = 0.97;
constexpr double kForgotten = 1e-3;  // less exposure than this says nothing

}  // namespace

double ClickRatios::Ratio(std::string_view id) const {
  const double mean = (clicks_ + 1) / (expected_ + 4);
  const auto found = counts_.find(id);
  const Counts counts = found == counts_.end() ? Counts() : found->second;
  return std::tanh(std::log((counts.clicks + kShrink * mean) / (counts.expected + kShrink) / mean));
}

void ClickRatios::Add(const std::string& id, double clicks, double expected) {
  Counts& counts = counts_[id];
  counts.clicks += clicks;
  counts.expected += expected;
  clicks_ += clicks;
  expected_ += expected;
  if (counts_.size() > kMaxRatioIds) DropHalf();
}

void ClickRatios::Fade() {
  clicks_ *= kFade;
  expected_ *= kFade;
  for (auto it = counts_.begin(); it != counts_.end();) {
    it->second.clicks *= kFade;
    it->second.expected *= kFade;
    it = it->second.expected < kForgotten ? counts_.erase(it) : std::next(it);
  }
}

void ClickRatios::DropHalf() {
  std::vector<double> exposures;
  exposures.reserve(counts_.size());
  for (const auto& [id, counts] : counts_) exposures.push_back(counts.expected);
  const auto middle = exposures.begin() + static_cast<ptrdiff_t>(exposures.size() / 2);
  std::nth_element(exposures.begin(), middle, exposures.end());
  size_t to_drop = exposures.size() / 2;
  for (auto it = counts_.begin(); it != counts_.end() && to_drop > 0;) {
    if (it->second.expected > *middle) {
      ++it;
      continue;
    }
    clicks_ -= it->second.clicks;
    expected_ -= it->second.expected;
    it = counts_.erase(it);
    --to_drop;
  }
  clicks_ = std::max(clicks_, 0.0);
  expected_ = std::max(expected_, 0.0);
}

void ClickRatios::Encode(std::string& out) const {
  PutFixed(out, clicks_);
  PutFixed(out, expected_);
  PutVarint(out, counts_.size());
  for (const auto& [id, counts] : counts_) {
    PutLengthPrefixed(out, id);
    PutFixed(out, counts.clicks);
    PutFixed(out, counts.expected);
  }
}

bool ClickRatios::Decode(ByteReader& reader) {
  const auto good = [](double value) { return std::isfinite(value) && value >= 0; };
  uint64_t count = 0;
  if (!reader.ReadFixed(clicks_) || !reader.ReadFixed(expected_) || !reader.ReadVarint(count) ||
      !good(clicks_) || !good(expected_) || count > kMaxRatioIds) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    std::string_view id;
    Counts counts;
    if (!reader.ReadLengthPrefixed(id) || id.size() > kMaxPointIdBytes ||
        !reader.ReadFixed(counts.clicks) || !reader.ReadFixed(counts.expected) ||
        !good(counts.clicks) || !good(counts.expected)) {
      return false;
    }
    counts_.emplace_hint(counts_.end(), std::string(id), counts);
  }
  return true;
}

}  // namespace vectron::reranker
