#pragma once

// The settings of ranking, as a TOML document gives them:
//
//   [rerank]
//   strategy = "rule"            # none | rule | learned | llm
//   budget_ms = 75
//   [rerank.rule]
//   weights = { similarity = 0.60, bm25 = 0.25, coverage = 0.10, recency = 0.05 }
//   k1 = 1.2
//   fields.title = { weight = 2.0, b = 0.5, bytes = 256 }   # any field; replaces the three
//   defaults recency = { field = "created_at", half_life_days = 30.0 } boosts = [ { field =
//   "pinned", equals = "true", factor = 0.2 } ] penalties = [ { field = "deprecated", equals =
//   "true", factor = 0.5 } ] [rerank.learned] explore = 0.3                # at most 0.3
//   end_user_cap = 20
//   auto_promote = true
//   anonymous = false            # true: events without an end user count one by one
//   [rerank.llm]
//   url = "https://host/v1/chat/completions"
//   key_file = "/etc/vectron/llm.key"
//   model = "name"
//   candidates = 50
//   usd_per_mtok = { in = 0.5, out = 1.5 }
//   usd_per_day = 5.0
//   [rerank.cache]
//   megabytes = 64
//   redis = "127.0.0.1:6379"     # or "unix:/path"; left out: memory alone
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

// InvalidArgument names the key, and for bad syntax the line.
absl::StatusOr<RankingConfig> ParseRankingConfig(std::string_view toml);

// A hash of everything that changes a score.
uint64_t ConfigHash(const RankingConfig& config);

}  // namespace vectron::reranker
