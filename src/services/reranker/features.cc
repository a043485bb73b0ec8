#include "services/reranker/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "base/random.h"
#include "services/reranker/tokens.h"

namespace vectron::reranker {
namespace {

constexpr std::string_view kNames[kDenseCount] = {"rule",     "similarity", "vector_rank", "bm25",
                                                  "coverage", "recency",    "title",       "length",
                                                  "boost",    "penalty",    "click_ratio"};

void FillDense(std::span<const Document> documents, std::span<const RuleRow> rows,
               std::vector<FeatureRow>& features) {
  std::vector<size_t> by_distance(documents.size());
  std::iota(by_distance.begin(), by_distance.end(), size_t{0});
  std::sort(by_distance.begin(), by_distance.end(), [&](size_t a, size_t b) {
    return std::tie(documents[a].distance, documents[a].id) <
           std::tie(documents[b].distance, documents[b].id);
  });
  for (size_t rank = 0; rank < by_distance.size(); ++rank) {
    const RuleRow& row = rows[by_distance[rank]];
    std::array<float, kFeatureCount>& x = features[by_distance[rank]].x;
    x[kRuleScore] = row.score;
    x[kSimilarity] = static_cast<float>(row.similarity);
    x[kVectorRank] = static_cast<float>(1 / std::log2(2.0 + static_cast<double>(rank)));
    x[kBm25] = static_cast<float>(row.bm25);
    x[kCoverage] = static_cast<float>(row.coverage);
    x[kRecency] = static_cast<float>(row.recency);
    x[kTitleShare] = static_cast<float>(row.title_share);
    x[kLength] = static_cast<float>(std::log1p(static_cast<double>(row.content_tokens)) / 8);
    x[kBoost] = static_cast<float>(row.boost);
    x[kPenalty] = static_cast<float>(row.penalty);
  }
}

// The number a value stands for; false when it is none.
bool NumberOf(const Value& value, double& number) {
  if (const int64_t* whole = value.get<int64_t>()) {
    number = static_cast<double>(*whole);
    return true;
  }
  if (const double* real = value.get<double>()) {
    number = *real;
    return true;
  }
  return false;
}

// Adds the mid-rank percentile of each value among them all to its document's slot.
void AddPercentiles(std::vector<std::pair<double, size_t>>& values, size_t slot,
                    std::vector<FeatureRow>& features) {
  if (values.size() < 2) return;  // alone it is neither high nor low
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  for (size_t begin = 0; begin < values.size();) {
    size_t end = begin;
    while (end < values.size() && values[end].first == values[begin].first) ++end;
    const auto percentile =
        static_cast<float>(static_cast<double>(2 * begin + (end - begin - 1)) / last - 1);
    for (; begin < end; ++begin) features[values[begin].second].x[slot] += percentile;
  }
}

void FillNumbers(std::span<const Document> documents, std::vector<FeatureRow>& features) {
  std::map<std::string_view, std::vector<std::pair<double, size_t>>> fields;
  for (size_t i = 0; i < documents.size(); ++i) {
    for (const auto& [name, value] : *documents[i].payload.get<Object>()) {
      double number = 0;
      if (!NumberOf(value, number)) continue;
      const auto found = fields.find(name);
      if (found != fields.end()) {
        found->second.emplace_back(number, i);
      } else if (fields.size() < kMaxNumericFields) {
        fields[name].emplace_back(number, i);
      }
    }
  }
  for (auto& [name, values] : fields) {
    AddPercentiles(values, kDenseCount + Hash64(name) % kNumericSlots, features);
  }
}

void AddKeyword(std::string_view name, std::string_view value, FeatureRow& row) {
  if (row.keys.size() == kMaxKeys || value.empty() || value.size() > kMaxKeywordBytes) return;
  if (CountTokens(value, kMaxKeywordTokens + 1) > kMaxKeywordTokens) return;
  const std::string keyword = fmt::format("{}={}", name, value);
  row.keys.push_back(static_cast<uint16_t>(1 + Hash64(keyword) % (kKeySlots - 1)));
}

void AddKeywords(std::string_view name, const Value& value, FeatureRow& row) {
  if (const std::string* text = value.get<std::string>()) {
    AddKeyword(name, *text, row);
  } else if (const bool* flag = value.get<bool>()) {
    AddKeyword(name, *flag ? "true" : "false", row);
  } else if (const Array* list = value.get<Array>()) {
    for (const Value& element : *list) {
      if (row.keys.size() == kMaxKeys) return;
      if (const std::string* item = element.get<std::string>()) AddKeyword(name, *item, row);
    }
  }
}

}  // namespace

std::string_view FeatureName(size_t feature) {
  CHECK_LT(feature, kDenseCount);
  return kNames[feature];
}

std::vector<FeatureRow> ExtractFeatures(std::span<const Document> documents,
                                        std::span<const RuleRow> rows) {
  CHECK_EQ(documents.size(), rows.size());
  std::vector<FeatureRow> features(documents.size());
  FillDense(documents, rows, features);
  FillNumbers(documents, features);
  for (size_t i = 0; i < documents.size(); ++i) {
    for (const auto& [name, value] : *documents[i].payload.get<Object>()) {
      AddKeywords(name, value, features[i]);
    }
    for (float& x : features[i].x) x = std::clamp(x, -kMaxFeature, kMaxFeature);
  }
  return features;
}

}  // namespace vectron::reranker
