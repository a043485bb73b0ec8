#include "services/reranker/learner.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr size_t kUserWindow = 1'000;
constexpr double kEvidenceWeight = 0.5;  // a lighter event is no evidence for the gate
constexpr uint64_t kFadeEvents = 100;
constexpr size_t kKeptAfterFall = 200;

int Sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : 0; }

double GainOf(uint32_t grade) { return (std::exp2(grade - 1) - 1) / 15; }

// Mean log-likelihood of the clicks under scores plus position offsets, per click.
double ClickLikelihood(const std::vector<double>& z, const std::vector<double>& clicks) {
  const double most = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double value : z) sum += std::exp(value - most);
  const double log_sum = most + std::log(sum);
  double total = 0;
  double count = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    total += clicks[i] * (z[i] - log_sum);
    count += clicks[i];
  }
  return total / std::max(count, 1.0);
}

}  // namespace

float ProbabilityOf(double z) {
  return static_cast<float>(1 / (1 + std::exp(std::clamp(2 - z, -30.0, 30.0))));
}

void Learner::FillRatio(std::string_view id, FeatureRow& row) const {
  row.x[kClickRatio] = static_cast<float>(ratios_.Ratio(id));
}

Learner::Judged Learner::Judge(const LearnEvent& event) {
  const std::vector<ShownResult>& shown = event.impression.shown;
  Judged judged{.clicks = std::vector<double>(shown.size()),
                .grades = std::vector<uint32_t>(shown.size())};
  for (const LearnEvent::Item& item : event.items) {
    const auto found = std::find_if(shown.begin(), shown.end(), [&](const ShownResult& result) {
      return result.id == item.id;
    });
    if (found == shown.end()) continue;
    const auto place = static_cast<size_t>(found - shown.begin());
    if (item.clicked) judged.clicks[place] = 1;
    if (item.grade >= 1 && item.grade <= 5) judged.grades[place] = item.grade;
    judged.any_click |= item.clicked;
    judged.any_grade |= judged.grades[place] != 0;
  }
  return judged;
}

double Learner::SpendWeight(std::string_view end_user) {
  double weight = 1;
  const uint64_t user = Hash64(end_user);
  if (!end_user.empty() || !config_.anonymous) {
    double spent = 0;
    for (const Spent& event : window_) spent += event.end_user == user ? event.weight : 0;
    weight = std::clamp(config_.end_user_cap - spent, 0.0, 1.0);
  }
  window_.push_back({.end_user = user, .weight = weight});
  if (window_.size() > kUserWindow) window_.pop_front();
  return weight;
}

void Learner::CountPairs(const Impression& impression, const std::vector<double>& clicks,
                         EventEvidence& evidence) {
  for (size_t p = impression.parity; p + 1 < impression.shown.size(); p += 2) {
    const FeatureRow& up = impression.shown[p].row;
    const FeatureRow& low = impression.shown[p + 1].row;
    const double model = model_.Score(up) - model_.Score(low);
    const double rule = ClickModel::RuleScore(up) - ClickModel::RuleScore(low);
    if (model * rule < 0) {
      evidence.pairs_disagree = true;
      evidence.pair_clicks += Sign(model) * (clicks[p] - clicks[p + 1]);
    }
    // Each order of a pair was shown with chance 1/2, so all weights are equal.
    if (model > 0) snips_.model_clicks += clicks[p], snips_.model_weight += 1;
    if (rule > 0) snips_.rule_clicks += clicks[p], snips_.rule_weight += 1;
  }
}

EventEvidence Learner::EvidenceOf(const LearnEvent& event, const Judged& judged, double weight) {
  const Impression& impression = event.impression;
  EventEvidence evidence{.event = events_,
                         .unix_ms = event.unix_ms,
                         .state = impression.state,
                         .epoch = impression.epoch};
  if (!judged.any_click || weight < kEvidenceWeight) return evidence;
  if (impression.explored) CountPairs(impression, judged.clicks, evidence);
  if (impression.interleaved) {
    double favour = 0;
    for (size_t i = 0; i < impression.shown.size(); ++i) {
      favour += judged.clicks[i] * impression.shown[i].team;
    }
    evidence.live = Sign(favour);
  }
  std::vector<double> model;
  std::vector<double> rule;
  for (size_t i = 0; i < impression.shown.size(); ++i) {
    const double bias = model_.LogBias(i);
    model.push_back(model_.Score(impression.shown[i].row) + bias);
    rule.push_back(ClickModel::RuleScore(impression.shown[i].row) + bias);
  }
  evidence.has_fit = true;
  evidence.fit = ClickLikelihood(model, judged.clicks) - ClickLikelihood(rule, judged.clicks);
  return evidence;
}

void Learner::LearnFrom(const LearnEvent& event, const Judged& judged, double weight) {
  Session session{.items = {}, .graded = judged.any_grade, .weight = static_cast<float>(weight)};
  double total = 0;
  for (size_t i = 0; i < event.impression.shown.size(); ++i) {
    const ShownResult& shown = event.impression.shown[i];
    Session::Item item{.row = shown.row};
    if (session.graded) {
      item.judged = judged.grades[i] != 0;
      item.clicks = item.judged ? static_cast<float>(GainOf(judged.grades[i])) : 0;
    } else {
      item.clicks = static_cast<float>(judged.clicks[i]);
      ratios_.Add(shown.id, weight * judged.clicks[i], weight * PriorBias(i));
    }
    total += item.clicks;
    session.items.push_back(std::move(item));
  }
  if (total <= 0) session.weight = 0;  // all were graded worst: no preference among them
  model_.Learn(std::move(session), events_);
}

bool Learner::Apply(const LearnEvent& event) {
  const Judged judged = Judge(event);
  if (!judged.any_click && !judged.any_grade) return false;
  ++events_;
  ++version_;
  const double weight = SpendWeight(event.end_user);
  const bool fell = gate_.Observe(EvidenceOf(event, judged, weight));
  if (fell) model_.Discount(kKeptAfterFall);
  LearnFrom(event, judged, weight);
  if (events_ % kFadeEvents == 0) ratios_.Fade();
  return true;
}

void Learner::Promote() {
  ++version_;
  gate_.Promote();
}

void Learner::Rollback() {
  ++version_;
  gate_.Rollback(events_);
}

void Learner::Resume() {
  ++version_;
  gate_.Resume();
}

void Learner::Succeed(const Learner& previous) {
  version_ = std::max(version_, previous.version_) + 1;
  gate_.StartAfter(previous.gate_);
}

void Learner::Encode(std::string& out) const {
  PutFixed(out, events_);
  PutFixed(out, version_);
  for (const double value :
       {snips_.model_clicks, snips_.model_weight, snips_.rule_clicks, snips_.rule_weight}) {
    PutFixed(out, value);
  }
  gate_.Encode(out);
  model_.Encode(out);
  ratios_.Encode(out);
  PutVarint(out, window_.size());
  for (const Spent& spent : window_) {
    PutFixed(out, spent.end_user);
    PutFixed(out, spent.weight);
  }
}

absl::StatusOr<Learner> Learner::Decode(std::string_view bytes, const LearnedConfig& config) {
  const auto bad = [] { return InvalidArgument("a model that does not fit"); };
  ByteReader reader(bytes);
  Learner learner(config);
  SnipsRates& snips = learner.snips_;
  if (!reader.ReadFixed(learner.events_) || !reader.ReadFixed(learner.version_)) return bad();
  for (double* value :
       {&snips.model_clicks, &snips.model_weight, &snips.rule_clicks, &snips.rule_weight}) {
    if (!reader.ReadFixed(*value) || !std::isfinite(*value)) return bad();
  }
  uint64_t window = 0;
  if (!learner.gate_.Decode(reader) || !learner.model_.Decode(reader) ||
      !learner.ratios_.Decode(reader) || !reader.ReadVarint(window) || window > kUserWindow) {
    return bad();
  }
  for (uint64_t i = 0; i < window; ++i) {
    Spent spent;
    if (!reader.ReadFixed(spent.end_user) || !reader.ReadFixed(spent.weight) ||
        !std::isfinite(spent.weight)) {
      return bad();
    }
    learner.window_.push_back(spent);
  }
  if (reader.remaining() != 0) return bad();
  return learner;
}

}  // namespace vectron::reranker
