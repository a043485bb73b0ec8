#pragma once

// All that was learned of one collection: model, click ratios, gate, and whose feedback counted.
// Deterministic given the events; thread-compatible.

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/reranker/click_model.h"
#include "services/reranker/click_ratios.h"
#include "services/reranker/gate.h"

namespace vectron::reranker {

struct LearnedConfig {
  double explore = 0.3;      // share of first pages whose neighbours are flipped; at most 0.3
  double end_user_cap = 20;  // what one end user's events of the last 1,000 weigh together
  bool auto_promote = true;  // false: evidence is gathered, a person decides
  bool anonymous = false;    // events without an end user are not taken for those of one user
};

// Feedback on one shown answer.
struct LearnEvent {
  struct Item {
    std::string id;
    bool clicked = false;
    uint32_t grade = 0;  // 1-5, 0: not given
  };
  Impression impression;
  std::vector<Item> items;
  std::string end_user;  // "" for none
  int64_t unix_ms = 0;
};

// Off-policy click rates of explored pairs (Swaminathan & Joachims 2015): how often the upper
// result of a pair is clicked under an order, by the lists that happened to have that order.
struct SnipsRates {
  double model_clicks = 0, model_weight = 0;
  double rule_clicks = 0, rule_weight = 0;
};

class Learner {
 public:
  explicit Learner(const LearnedConfig& config) : config_(config), gate_(config.auto_promote) {}

  // Of a candidate as it would be served now; its click ratio is filled in.
  void FillRatio(std::string_view id, FeatureRow& row) const;
  double Score(const FeatureRow& row) const { return model_.Score(row); }

  // Learns from an event. False when none of its items says anything about what was shown.
  bool Apply(const LearnEvent& event);

  uint64_t events() const { return events_; }
  // Counts everything that changes what is served.
  uint64_t version() const { return version_; }
  const Gate& gate() const { return gate_; }
  const ClickModel& model() const { return model_; }
  const SnipsRates& snips() const { return snips_; }
  void Promote();
  void Rollback();
  void Resume();
  // Takes the place of another learner of the collection: what was shown by that one is no evidence
  // for this one, and no version is used twice.
  void Succeed(const Learner& previous);

  void Encode(std::string& out) const;
  // InvalidArgument when the bytes do not fit. `config` as of now.
  static absl::StatusOr<Learner> Decode(std::string_view bytes, const LearnedConfig& config);

 private:
  struct Judged {
    std::vector<double> clicks;  // per shown result: 0 or 1
    std::vector<uint32_t> grades;
    bool any_click = false;
    bool any_grade = false;
  };
  static Judged Judge(const LearnEvent& event);
  // What an event of this end user may still weigh; notes it as spent.
  double SpendWeight(std::string_view end_user);
  EventEvidence EvidenceOf(const LearnEvent& event, const Judged& judged, double weight);
  void CountPairs(const Impression& impression, const std::vector<double>& clicks,
                  EventEvidence& evidence);
  void LearnFrom(const LearnEvent& event, const Judged& judged, double weight);

  LearnedConfig config_;
  ClickModel model_;
  ClickRatios ratios_;
  Gate gate_;
  SnipsRates snips_;
  uint64_t events_ = 0;
  uint64_t version_ = 0;
  struct Spent {
    uint64_t end_user = 0;  // hash
    double weight = 0;
  };
  std::deque<Spent> window_;  // of the last 1,000 events
};

// Score in [0,1] of a model's z.
float ProbabilityOf(double z);

}  // namespace vectron::reranker
