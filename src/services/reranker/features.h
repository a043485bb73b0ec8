#pragma once

// What the learned strategy sees of a candidate: 27 numbers and up to 16 hashed keywords.
//
// Numbers: the 11 of DenseFeature, then 16 slots into which the document's own numeric fields are
// hashed as mid-rank percentiles of the list on [-1, 1]. Keywords: `field=value` of short strings,
// bools and list elements, hashed to 1..256. Thread-safe.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/reranker/rule.h"

namespace vectron::reranker {

enum DenseFeature : size_t {
  kRuleScore,
  kSimilarity,
  kVectorRank,  // 1 / log2(1 + rank)
  kBm25,
  kCoverage,
  kRecency,
  kTitleShare,  // of the query's terms in the title
  kLength,      // ln(1 + content tokens) / 8
  kBoost,
  kPenalty,
  kClickRatio,  // click_ratios.h; filled in when served
  kDenseCount,
};
inline constexpr size_t kNumericSlots = 16;
inline constexpr size_t kFeatureCount = kDenseCount + kNumericSlots;
inline constexpr size_t kKeySlots = 257;  // 0 is never used
inline constexpr size_t kMaxKeys = 16;    // per document
inline constexpr size_t kMaxKeywordBytes = 64;
inline constexpr size_t kMaxKeywordTokens = 3;
inline constexpr size_t kMaxNumericFields = 32;  // per list

std::string_view FeatureName(size_t feature);

struct FeatureRow {
  std::array<float, kFeatureCount> x{};   // finite, |x| <= kMaxFeature
  absl::InlinedVector<uint16_t, 6> keys;  // in [1, kKeySlots), at most kMaxKeys
};
inline constexpr float kMaxFeature = 100;

// One row per document, whose rule rows these are. The documents are in no particular order.
std::vector<FeatureRow> ExtractFeatures(std::span<const Document> documents,
                                        std::span<const RuleRow> rows);

}  // namespace vectron::reranker
