#pragma once

// What was shown to whom asked: the first results of an answer with the features they had, how they
// were mixed, and in which state of the gates. The gateway keeps it, opaque, until feedback comes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/reranker/features.h"

namespace vectron::reranker {

inline constexpr size_t kShown = 10;  // places that are learned from

enum class GateState : uint8_t { kRule = 0, kCanary = 1, kLearned = 2 };
// "rule", "canary", "learned"
std::string_view StateName(GateState state);

struct ShownResult {
  std::string id;
  FeatureRow row;
  int8_t team = 0;  // of an interleaved list: +1 the model's pick, -1 the rule's
};

struct Impression {
  GateState state = GateState::kRule;
  uint32_t epoch = 0;     // of the gate when served (gate.h)
  bool explored = false;  // adjacent pairs from `parity` on were flipped at random
  uint8_t parity = 0;
  bool interleaved = false;
  std::vector<ShownResult> shown;  // 1 to kShown, as shown
};

// docs/formats/rank-model.md. Decoding checks every bound: InvalidArgument.
std::string EncodeImpression(const Impression& impression);
absl::StatusOr<Impression> DecodeImpression(std::string_view bytes);

}  // namespace vectron::reranker
