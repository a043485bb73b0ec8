#include "services/reranker/rule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <tuple>

#include "base/check.h"
#include "model/filter.h"
#include "services/reranker/tokens.h"

namespace vectron::reranker {
namespace {

constexpr double kCosineFloor = 0.02;
constexpr double kOtherFloor = 0.05;  // of the largest |distance|
constexpr double kSmallestSpan = 1e-12;
constexpr double kSecondsPerDay = 86'400;
constexpr double kMillisFrom = 1e11;  // a larger number of a time is milliseconds

void FillSimilarity(const Question& question, std::span<const Document> documents,
                    std::vector<RuleRow>& rows) {
  double low = documents[0].distance;
  double high = low;
  for (const Document& document : documents) {
    low = std::min<double>(low, document.distance);
    high = std::max<double>(high, document.distance);
  }
  const double floor = question.metric == Metric::kCosine
                           ? kCosineFloor
                           : kOtherFloor * std::max(std::abs(low), std::abs(high));
  const double span = std::max({high - low, floor, kSmallestSpan});
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].similarity = 1.0 - (documents[i].distance - low) / span;
  }
}

// The distinct tokens of a query, found quickly: most tokens of a text are told off by their first
// byte.
class Terms {
 public:
  explicit Terms(std::string_view query) {
    VisitTokens(query, [this](std::string_view token) {
      if (terms_.size() == kMaxQueryTerms || Find(token) >= 0) return;
      terms_.emplace_back(token);
      first_[static_cast<unsigned char>(token[0])] = true;
    });
  }
  size_t size() const { return terms_.size(); }
  // The number of the term; -1 when it is none.
  int Find(std::string_view token) const {
    if (!first_[static_cast<unsigned char>(token[0])]) return -1;
    for (size_t i = 0; i < terms_.size(); ++i) {
      if (terms_[i] == token) return static_cast<int>(i);
    }
    return -1;
  }

 private:
  std::vector<std::string> terms_;
  std::array<bool, 256> first_{};
};

// Occurrences of each term and the tokens in all, per document of one field.
struct FieldCounts {
  std::vector<uint32_t> tf;  // documents x terms, row-major
  std::vector<uint32_t> length;
};

FieldCounts CountField(std::span<const Document> documents, const std::string& field, size_t bytes,
                       const Terms& terms) {
  FieldCounts counts;
  counts.tf.resize(documents.size() * terms.size());
  counts.length.resize(documents.size());
  std::string scratch;
  for (size_t i = 0; i < documents.size(); ++i) {
    uint32_t* tf = counts.tf.data() + i * terms.size();
    uint32_t& length = counts.length[i];
    VisitTokens(CutText(FieldText(documents[i], field, scratch), bytes),
                [&](std::string_view token) {
                  ++length;
                  if (const int term = terms.Find(token); term >= 0) ++tf[term];
                });
  }
  return counts;
}

double AverageLength(const std::vector<uint32_t>& lengths) {
  double total = 0;
  double filled = 0;
  for (const uint32_t length : lengths) {
    total += length;
    filled += length > 0 ? 1 : 0;
  }
  return filled > 0 ? total / filled : 1.0;
}

void FillText(std::span<const Document> documents, const RuleConfig& config, const Terms& terms,
              std::vector<RuleRow>& rows) {
  const size_t count = documents.size();
  std::vector<double> weighted(count * terms.size());
  for (const auto& [field, rule] : config.fields) {
    const FieldCounts counts = CountField(documents, field, rule.bytes, terms);
    const double average = AverageLength(counts.length);
    for (size_t i = 0; i < count; ++i) {
      const double norm = rule.weight / (1 - rule.b + rule.b * counts.length[i] / average);
      size_t found = 0;
      for (size_t t = 0; t < terms.size(); ++t) {
        const uint32_t tf = counts.tf[i * terms.size() + t];
        if (tf == 0) continue;
        weighted[i * terms.size() + t] += norm * tf;
        ++found;
      }
      if (field == "title" && terms.size() > 0) {
        rows[i].title_share = static_cast<double>(found) / static_cast<double>(terms.size());
      }
      if (field == "content") rows[i].content_tokens = counts.length[i];
    }
  }
  std::vector<double> idf(terms.size());
  for (size_t t = 0; t < terms.size(); ++t) {
    double df = 0;
    for (size_t i = 0; i < count; ++i) df += weighted[i * terms.size() + t] > 0 ? 1 : 0;
    idf[t] = std::log(1 + (static_cast<double>(count) - df + 0.5) / (df + 0.5));
  }
  const double total = std::accumulate(idf.begin(), idf.end(), 0.0);
  for (size_t i = 0; i < count && terms.size() > 0; ++i) {
    double sum = 0;
    double matched = 0;
    for (size_t t = 0; t < terms.size(); ++t) {
      const double x = weighted[i * terms.size() + t];
      sum += idf[t] * x / (config.k1 + x);
      matched += x > 0 ? 1 : 0;
    }
    rows[i].bm25 = sum / total;
    rows[i].coverage = matched / static_cast<double>(terms.size());
  }
}

// Whether any candidate has a time.
bool FillRecency(int64_t now_s, std::span<const Document> documents, const RuleConfig& config,
                 std::vector<RuleRow>& rows) {
  const auto now = static_cast<double>(now_s - now_s % 60);
  bool any = false;
  std::string scratch;
  for (size_t i = 0; i < documents.size(); ++i) {
    const double time = TimestampOf(FieldText(documents[i], config.recency_field, scratch));
    if (time < 0) continue;
    any = true;
    const double age_days = std::max(0.0, now - time) / kSecondsPerDay;
    rows[i].recency = std::pow(0.5, age_days / config.half_life_days);
  }
  return any;
}

double MatchFactor(const Document& document, const std::vector<MatchRule>& rules, double most) {
  double keep = 1;
  std::string scratch;
  for (const MatchRule& rule : rules) {
    if (document.payload.Find(rule.field) == nullptr) continue;
    if (FieldText(document, rule.field, scratch) == rule.equals) keep *= 1 - rule.factor;
  }
  return std::min(1 - keep, most);
}

}  // namespace

double TimestampOf(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return -1;
  text = text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
    if (!std::isfinite(number) || number < 0) return -1;
    return number > kMillisFrom ? number / 1000 : number;
  }
  const std::optional<Timestamp> time = ParseRfc3339(text);
  if (!time.has_value()) return -1;
  return std::max(
      0.0, static_cast<double>(time->seconds) + time->nanos * 1e-9);  // before 1970 is old enough
}

RuleResult ScoreByRule(const Question& question, std::span<const Document> documents,
                       const RuleConfig& config) {
  CHECK(!documents.empty());
  RuleResult result;
  std::vector<RuleRow>& rows = result.rows;
  rows.resize(documents.size());
  FillSimilarity(question, documents, rows);
  const Terms terms(question.query);
  FillText(documents, config, terms, rows);
  result.uses_recency = FillRecency(question.now_s, documents, config, rows);

  const double bm25 = terms.size() > 0 ? config.bm25 : 0;
  const double coverage = terms.size() > 0 ? config.coverage : 0;
  const double recency = result.uses_recency ? config.recency : 0;
  const double total = config.similarity + bm25 + coverage + recency;
  for (size_t i = 0; i < rows.size(); ++i) {
    RuleRow& row = rows[i];
    const double base = total > 0 ? (config.similarity * row.similarity + bm25 * row.bm25 +
                                     coverage * row.coverage + recency * row.recency) /
                                        total
                                  : row.similarity;
    row.boost = MatchFactor(documents[i], config.boosts, kMaxBoost);
    row.penalty = MatchFactor(documents[i], config.penalties, kMaxPenalty);
    const double score = (base + row.boost * (1 - base)) * (1 - row.penalty);
    row.score = static_cast<float>(std::clamp(score, 0.0, 1.0));
  }
  return result;
}

std::vector<size_t> OrderByScore(std::span<const float> scores,
                                 std::span<const Document> documents) {
  CHECK_EQ(scores.size(), documents.size());
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::forward_as_tuple(-scores[a], documents[a].distance, documents[a].id) <
           std::forward_as_tuple(-scores[b], documents[b].distance, documents[b].id);
  });
  return order;
}

std::string DescribeRow(const RuleRow& row) {
  std::string text = fmt::format("similarity {:.3f}, bm25 {:.3f}, coverage {:.3f}, recency {:.3f}",
                                 row.similarity, row.bm25, row.coverage, row.recency);
  if (row.boost > 0) text += fmt::format(", boost {:.3f}", row.boost);
  if (row.penalty > 0) text += fmt::format(", penalty {:.3f}", row.penalty);
  return text;
}

}  // namespace vectron::reranker
