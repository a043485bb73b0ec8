#pragma once

// The model: z = w . x + sum of v[key] over a candidate's features, learned online from clicks.
//
// Loss: conditional logit over the results shown, with the log of the position model (Craswell et
// al. 2008) as offset, which is learned too; convex. Graded results have no offset. One step per
// event over it and 31 drawn from the last 2,000, decayed AdaGrad, pulled to the rule with strength
// lambda / n: at the start w = 4 on the rule's score and 0 elsewhere, so the order is the rule's.
// Deterministic given the events; thread-compatible.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "services/reranker/impression.h"

namespace vectron::reranker {

inline constexpr double kRuleWeight = 4;  // of the rule's score at the start
inline constexpr size_t kRingSessions = 2'000;

// The prior chance that place `position` (0-based) is looked at: 1 / (1 + 0.2 position).
double PriorBias(size_t position);

// What one event teaches.
struct Session {
  struct Item {
    FeatureRow row;
    float clicks = 0;    // or the gain of a grade, in [0, 1]
    bool judged = true;  // of a graded event: those with a grade
  };
  std::vector<Item> items;  // as shown, 1 to kShown
  bool graded = false;      // no position offset
  float weight = 1;         // 0 to 1
};

class ClickModel {
 public:
  ClickModel();

  double Score(const FeatureRow& row) const;
  // What the rule alone scores.
  static double RuleScore(const FeatureRow& row) { return kRuleWeight * row.x[kRuleScore]; }
  // Of position p, 0-based: the log of its learned bias.
  double LogBias(size_t position) const;
  double weight(size_t feature) const { return w_[feature]; }

  // Learns from the event numbered `number`, which seeds the draw.
  void Learn(Session session, uint64_t number);
  // All but the newest `keep` sessions count a tenth of what they did.
  void Discount(size_t keep);

  void Encode(std::string& out) const;
  bool Decode(ByteReader& reader);

 private:
  struct Gradient {
    std::array<double, kFeatureCount> w{};
    std::array<double, kKeySlots> v{};
    std::array<double, kShown> bias{};
  };
  void Accumulate(const Session& session, Gradient& gradient) const;

  std::array<double, kFeatureCount> w_{};
  std::array<double, kKeySlots> v_{};
  std::array<double, kShown> bias_{};  // added to the log of the prior; that of the first is 0
  Gradient squares_;                   // decayed sums of squared gradients
  std::vector<Session> ring_;
  size_t next_ = 0;  // where the next session goes, once the ring is full
};

}  // namespace vectron::reranker
