#pragma once

// What a reranking decided before any exploration: the part that is cached.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/reranker/impression.h"

namespace vectron::reranker {

struct RankedList {
  std::vector<uint16_t> order;  // candidates, best first
  std::vector<float> scores;    // by candidate, [0,1]
  bool empty() const { return order.empty(); }
};

struct Ranking {
  RankedList rule;
  RankedList other;                    // by the learned model, or by a language model; may be empty
  GateState state = GateState::kRule;  // of the learned strategy
  uint32_t epoch = 0;
  // Features of what the first kShown places may show, by candidate.
  std::vector<std::pair<uint16_t, FeatureRow>> rows;
  std::vector<std::string> explanations;  // by candidate; empty unless asked for
};

std::string EncodeRanking(const Ranking& ranking);
// False unless it fits `count` candidates.
bool DecodeRanking(std::string_view bytes, size_t count, Ranking& ranking);

}  // namespace vectron::reranker
