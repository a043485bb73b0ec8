#pragma once

// The rule strategy: a pure function of (query, candidates, now, configuration) to scores in [0,1].
//
// similarity: min-max within the list (Bruch et al. 2023). bm25: BM25F (Robertson & Zaragoza 2009)
// with the statistics of the candidate set, so that replicas and caches agree. base = the weighted
// sum of similarity, bm25, coverage and recency; parts that say nothing of the whole list drop out
// and the other weights are rescaled to sum 1. score = (base + B (1 - base)) (1 - P) with boost B
// and penalty P. No input gives NaN. Thread-safe.

#include <map>
#include <span>
#include <string>
#include <vector>

#include "services/reranker/document.h"

namespace vectron::reranker {

struct FieldRule {
  double weight = 1;
  double b = 0.75;      // how much a long field is held against a match, 0 to 1
  size_t bytes = 2048;  // read of the field
};

// Acts on a candidate whose field has exactly this text.
struct MatchRule {
  std::string field;
  std::string equals;
  double factor = 0;  // 0 to 0.9
};

struct RuleConfig {
  double similarity = 0.60;  // weights, not negative
  double bm25 = 0.25;
  double coverage = 0.10;
  double recency = 0.05;
  double k1 = 1.2;
  std::map<std::string, FieldRule> fields = {
      {"title", {2.0, 0.5, 256}}, {"content", {1.0, 0.75, 2048}}, {"tags", {1.5, 0.0, 512}}};
  std::string recency_field = "created_at";
  double half_life_days = 30;
  std::vector<MatchRule> boosts;
  std::vector<MatchRule> penalties;
};

inline constexpr size_t kMaxQueryTerms = 32;  // of a query that are looked for
inline constexpr double kMaxBoost = 0.5;
inline constexpr double kMaxPenalty = 0.9;

struct RuleRow {
  double similarity = 0;
  double bm25 = 0;
  double coverage = 0;
  double recency = 0;
  double boost = 0;
  double penalty = 0;
  double title_share = 0;     // of the query's terms in the title
  size_t content_tokens = 0;  // of the content, as far as it is read
  float score = 0;            // [0,1]
};

struct RuleResult {
  std::vector<RuleRow> rows;  // by candidate
  bool uses_recency = false;  // some candidate has a time: the answer depends on the minute
};

RuleResult ScoreByRule(const Question& question, std::span<const Document> documents,
                       const RuleConfig& config);

// Indexes best first: by score, ties by smaller distance, then smaller id (bytes). One score per
// document.
std::vector<size_t> OrderByScore(std::span<const float> scores,
                                 std::span<const Document> documents);

// Unix seconds of an RFC 3339 text or of a number of seconds (above 1e11: milliseconds); negative:
// none of these.
double TimestampOf(std::string_view text);

// The parts in words, for explanations.
std::string DescribeRow(const RuleRow& row);

}  // namespace vectron::reranker
