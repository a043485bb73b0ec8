#include "services/reranker/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vectron::reranker {
namespace {

constexpr uint64_t kReviewEvents = 50;
constexpr uint64_t kRestEvents = 300;
constexpr double kShadowSessions = 100;  // explored pairs before a canary
constexpr double kShadowZ = 1.64;
constexpr uint64_t kCanarySessions = 100;
constexpr uint64_t kCanaryFailSessions = 50;
constexpr uint64_t kCanaryMostSessions = 600;
constexpr double kPromoteZ = 2.33;
constexpr double kFallZ = 2.0;
constexpr double kFallLive = 40;
constexpr double kFallPairs = 60;
constexpr double kGuardSessions = 40;
constexpr double kGuardZ = 2.33;
constexpr double kGuardMargin = 0.05;
constexpr double kSmallestVariance = 0.01;
constexpr int64_t kHoldWindowMs = int64_t{7} * 86'400 * 1'000;

bool ReadBool(ByteReader& reader, bool& value) {
  uint8_t byte = 0;
  if (!reader.ReadFixed(byte) || byte > 1) return false;
  value = byte == 1;
  return true;
}

}  // namespace

ForgetfulMean::ForgetfulMean(double half_life) : decay_(std::pow(0.5, 1 / half_life)) {}

void ForgetfulMean::Add(double y) {
  n_ = n_ * decay_ + 1;
  sum_ = sum_ * decay_ + y;
  squares_ = squares_ * decay_ + y * y;
  weight_squares_ = weight_squares_ * decay_ * decay_ + 1;
}

void ForgetfulMean::Clear() { n_ = sum_ = squares_ = weight_squares_ = 0; }

double ForgetfulMean::standard_error() const {
  if (n_ <= 0) return 0;
  const double variance = std::max(squares_ / n_ - mean() * mean(), kSmallestVariance);
  return std::sqrt(variance * weight_squares_) / n_;
}

void ForgetfulMean::Encode(std::string& out) const {
  for (const double value : {n_, sum_, squares_, weight_squares_}) PutFixed(out, value);
}

bool ForgetfulMean::Decode(ByteReader& reader) {
  for (double* value : {&n_, &sum_, &squares_, &weight_squares_}) {
    if (!reader.ReadFixed(*value) || !std::isfinite(*value)) return false;
  }
  return n_ >= 0;
}

bool Gate::Observe(const EventEvidence& evidence) {
  if (evidence.has_fit) fit_.Add(evidence.fit);
  const bool same_lists = evidence.epoch >= list_epoch_ && evidence.epoch <= epoch_;
  if (evidence.pairs_disagree && same_lists) pairs_.Add(evidence.pair_clicks);
  if (evidence.live != 0 && evidence.epoch == epoch_) {
    live_.Add(evidence.live);
    if (state_ == GateState::kCanary) ++canary_sessions_;
  }
  return Review(evidence.event, evidence.unix_ms);
}

bool Gate::Review(uint64_t event, int64_t unix_ms) {
  if (event % kReviewEvents != 0) return false;
  switch (state_) {
    case GateState::kRule:
      if (auto_promote_ && !held_ && event >= quiet_until_ && pairs_.n() >= kShadowSessions &&
          pairs_.Low(kShadowZ) > 0) {
        ++canaries_;
        canary_sessions_ = 0;
        live_.Clear();
        Enter(GateState::kCanary, fmt::format("explored pairs favour the model: {:.3f} +- {:.3f}",
                                              pairs_.mean(), pairs_.standard_error()));
      }
      return false;
    case GateState::kCanary:
      if (canary_sessions_ >= kCanarySessions && live_.Low(kPromoteZ) > 0) {
        ++promotions_;
        pairs_.Clear();  // pairs of the rule's lists say nothing of the model's
        Enter(GateState::kLearned, fmt::format("interleaving favours the model: {:.3f} +- {:.3f}",
                                               live_.mean(), live_.standard_error()));
      } else if (canary_sessions_ >= kCanaryMostSessions) {
        FallBack(event, "interleaving did not decide");
      } else if (canary_sessions_ >= kCanaryFailSessions && live_.High(kFallZ) < 0) {
        FallBack(event, "interleaving favours the rule");
      }
      return false;
    case GateState::kLearned:
      break;
  }
  std::string why;
  if (live_.n() >= kFallLive && live_.High(kFallZ) < 0) {
    why = "interleaving favours the rule";
  } else if (pairs_.n() >= kFallPairs && pairs_.High(kFallZ) < 0) {
    why = "explored pairs favour the rule";
  } else if (fit_.n() >= kGuardSessions && fit_.High(kGuardZ) < -kGuardMargin) {
    why = "the latest clicks are likelier under the rule";
  } else {
    return false;
  }
  ++rollbacks_;
  held_ = last_rollback_ms_ != 0 && unix_ms - last_rollback_ms_ < kHoldWindowMs;
  last_rollback_ms_ = unix_ms;
  FallBack(event, std::move(why));
  return true;
}

void Gate::Enter(GateState state, std::string why) {
  ++epoch_;
  if (state != GateState::kCanary) list_epoch_ = epoch_;
  state_ = state;
  last_change_ = std::move(why);
}

void Gate::FallBack(uint64_t event, std::string why) {
  pairs_.Clear();
  live_.Clear();
  quiet_until_ = event + kRestEvents;
  Enter(GateState::kRule, std::move(why));
}

void Gate::Promote() {
  held_ = false;
  if (state_ == GateState::kLearned) return;
  ++promotions_;
  pairs_.Clear();
  live_.Clear();
  fit_.Clear();
  Enter(GateState::kLearned, "promoted by an administrator");
}

void Gate::Rollback(uint64_t event) {
  if (state_ == GateState::kLearned) ++rollbacks_;
  held_ = true;
  FallBack(event, "taken back by an administrator");
}

void Gate::Resume() {
  held_ = false;
  last_rollback_ms_ = 0;
  last_change_ = "resumed by an administrator";
}

void Gate::StartAfter(const Gate& previous) {
  epoch_ = std::max(epoch_, previous.epoch_) + 1;
  list_epoch_ = epoch_;
}

void Gate::Encode(std::string& out) const {
  PutFixed(out, static_cast<uint8_t>(state_));
  PutFixed(out, static_cast<uint8_t>(held_ ? 1 : 0));
  PutFixed(out, epoch_);
  PutFixed(out, list_epoch_);
  for (const ForgetfulMean* mean : {&pairs_, &live_, &fit_}) mean->Encode(out);
  for (const uint64_t value :
       {canary_sessions_, quiet_until_, canaries_, promotions_, rollbacks_}) {
    PutFixed(out, value);
  }
  PutFixed(out, last_rollback_ms_);
  PutLengthPrefixed(out, last_change_);
}

bool Gate::Decode(ByteReader& reader) {
  uint8_t state = 0;
  if (!reader.ReadFixed(state) || state > 2 || !ReadBool(reader, held_) ||
      !reader.ReadFixed(epoch_) || !reader.ReadFixed(list_epoch_)) {
    return false;
  }
  state_ = static_cast<GateState>(state);
  for (ForgetfulMean* mean : {&pairs_, &live_, &fit_}) {
    if (!mean->Decode(reader)) return false;
  }
  for (uint64_t* value :
       {&canary_sessions_, &quiet_until_, &canaries_, &promotions_, &rollbacks_}) {
    if (!reader.ReadFixed(*value)) return false;
  }
  std::string_view why;
  if (!reader.ReadFixed(last_rollback_ms_) || !reader.ReadLengthPrefixed(why)) return false;
  last_change_ = why;
  return true;
}

}  // namespace vectron::reranker
