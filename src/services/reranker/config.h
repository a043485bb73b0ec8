#pragma once

// The settings of ranking, as a TOML document gives them (docs/configuration.md has every key):
//
//   [rerank]
//   strategy = "learned"
//   rule.weights = { similarity = 0.60, bm25 = 0.25, coverage = 0.10, recency = 0.05 }
//   rule.boosts = [ { field = "pinned", equals = "true", factor = 0.2 } ]
//
// A key that is not known or a value out of range refuses the start.

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/reranker/learner.h"
#include "services/reranker/rule.h"

namespace vectron::reranker {

struct LlmConfig {
  std::string url;  // "": the strategy is not available
  std::string key_file;
  std::string ca_file;  // of its certificate; "": the system's
  std::string model;
  size_t candidates = 50;  // sent to the model; the others follow
  double usd_per_mtok_in = 0;
  double usd_per_mtok_out = 0;
  double usd_per_day = 5;
};

struct CacheConfig {
  size_t bytes = size_t{64} << 20;
  std::string redis;  // "": none
};

struct RankingConfig {
  std::string strategy = "rule";
  uint32_t budget_ms = 75;
  RuleConfig rule;
  LearnedConfig learned;
  LlmConfig llm;
  CacheConfig cache;
};

// InvalidArgument names the key (an unknown one with the nearest known one), and for bad syntax the
// line.
absl::StatusOr<RankingConfig> ParseRankingConfig(std::string_view toml);

// The part of docs/configuration.md about them: every key.
std::string RankingReference();

// A hash of everything that changes a score.
uint64_t ConfigHash(const RankingConfig& config);

}  // namespace vectron::reranker
