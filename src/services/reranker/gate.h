#pragma once

// Who serves a collection: the rule or its model, decided by evidence that holds for any position
// bias.
//
//   RULE     serves the rule.  Explored adjacent pairs on which model and rule disagree: the click
//            difference in the model's favour has mean > 0 exactly when the model orders those
//            pairs better. Enough of it: CANARY.
//   CANARY   serves the rule, half of the searches interleaved. The model's results clicked more
//            often: LEARNED. Worse, or undecided for long: RULE.
//   LEARNED  serves the model, a tenth interleaved. Worse by interleaving, by pairs, or by the
//            likelihood of the latest clicks: RULE.
//
// Back in RULE evidence clears and 300 events rest. Two falls from LEARNED within 7 days hold the
// collection in RULE until a person resumes it. The epoch counts changes of state: an impression of
// another epoch is evidence of another list and does not count. Pure and deterministic;
// thread-compatible.

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "services/reranker/impression.h"

namespace vectron::reranker {

// A mean that halves the weight of what it saw every `half_life` observations.
class ForgetfulMean {
 public:
  explicit ForgetfulMean(double half_life);
  void Add(double y);
  void Clear();
  double n() const { return n_; }
  double mean() const { return n_ > 0 ? sum_ / n_ : 0; }
  // sqrt(max(var, 0.01) sum w^2) / sum w; 0 without observations
  double standard_error() const;
  double Low(double z) const { return mean() - z * standard_error(); }
  double High(double z) const { return mean() + z * standard_error(); }

  void Encode(std::string& out) const;
  bool Decode(ByteReader& reader);

 private:
  double decay_;
  double n_ = 0;
  double sum_ = 0;
  double squares_ = 0;
  double weight_squares_ = 0;
};

// What one event says, if anything.
struct EventEvidence {
  uint64_t event = 0;  // number of the event, from 1
  int64_t unix_ms = 0;
  bool pairs_disagree = false;  // an explored list with a pair on which model and rule disagree
  double pair_clicks = 0;       // clicks in the model's favour on those pairs
  int live = 0;  // of an interleaved list: the sign of the model's clicks less the rule's
  bool has_fit = false;
  double fit = 0;                      // log-likelihood of the clicks, model less rule, per click
  GateState state = GateState::kRule;  // of the impression
  uint32_t epoch = 0;
};

class Gate {
 public:
  explicit Gate(bool auto_promote) : auto_promote_(auto_promote) {}

  GateState state() const { return state_; }
  uint32_t epoch() const { return epoch_; }
  bool held() const { return held_; }
  const std::string& last_change() const { return last_change_; }
  const ForgetfulMean& pairs() const { return pairs_; }
  const ForgetfulMean& live() const { return live_; }
  const ForgetfulMean& fit() const { return fit_; }
  uint64_t canaries() const { return canaries_; }
  uint64_t promotions() const { return promotions_; }
  uint64_t rollbacks() const { return rollbacks_; }

  // Takes the evidence and, each 50 events, reviews the state. True when it fell back from LEARNED
  // to RULE: what was learned before should count less.
  bool Observe(const EventEvidence& evidence);

  // By a person.
  void Promote();
  void Rollback(uint64_t event);
  void Resume();
  // Lists shown under `previous` are no evidence here.
  void StartAfter(const Gate& previous);

  void Encode(std::string& out) const;
  bool Decode(ByteReader& reader);

 private:
  bool Review(uint64_t event, int64_t unix_ms);
  void Enter(GateState state, std::string why);
  void FallBack(uint64_t event, std::string why);

  bool auto_promote_;
  GateState state_ = GateState::kRule;
  uint32_t epoch_ = 0;
  uint32_t list_epoch_ = 0;  // since when the lists are ordered as they are now
  ForgetfulMean pairs_{400};
  ForgetfulMean live_{400};
  ForgetfulMean fit_{50};
  uint64_t canary_sessions_ = 0;
  uint64_t quiet_until_ = 0;  // event
  uint64_t canaries_ = 0;
  uint64_t promotions_ = 0;
  uint64_t rollbacks_ = 0;
  int64_t last_rollback_ms_ = 0;
  bool held_ = false;
  std::string last_change_;
};

}  // namespace vectron::reranker
