#include "services/reranker/click_model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/random.h"

namespace vectron::reranker {
namespace {

constexpr size_t kBatch = 32;
constexpr double kRate = 0.05;
constexpr double kBiasRate = 0.015;
constexpr double kPullWeights = 30;
constexpr double kPullKeys = 60;
constexpr double kPullBias = 2;
constexpr double kMemory = 0.999;  // of squared gradients
constexpr double kFirstSquare = 1e-3;
constexpr double kOldWeight = 0.1;  // of sessions before a rollback

template <size_t N>
void Step(std::array<double, N>& values, std::array<double, N>& squares,
          const std::array<double, N>& gradient, double rate) {
  for (size_t i = 0; i < N; ++i) {
    squares[i] = kMemory * squares[i] + gradient[i] * gradient[i];
    values[i] -= rate * gradient[i] / std::sqrt(squares[i]);
  }
}

bool ReadItem(ByteReader& reader, Session::Item& item) {
  uint8_t judged = 0;
  uint8_t keys = 0;
  for (float& x : item.row.x) {
    if (!reader.ReadFixed(x) || !(std::abs(x) <= kMaxFeature)) return false;
  }
  if (!reader.ReadFixed(item.clicks) || !(item.clicks >= 0 && item.clicks <= 1) ||
      !reader.ReadFixed(judged) || judged > 1 || !reader.ReadFixed(keys) || keys > kMaxKeys) {
    return false;
  }
  item.judged = judged == 1;
  for (uint8_t i = 0; i < keys; ++i) {
    uint16_t key = 0;
    if (!reader.ReadFixed(key) || key == 0 || key >= kKeySlots) return false;
    item.row.keys.push_back(key);
  }
  return true;
}

}  // namespace

namespace {

std::array<double, kShown> LogPriors() {
  std::array<double, kShown> logs;
  for (size_t i = 0; i < kShown; ++i) logs[i] = std::log(PriorBias(i));
  return logs;
}

}  // namespace

double PriorBias(size_t position) { return 1 / (1 + 0.2 * static_cast<double>(position)); }

ClickModel::ClickModel() {
  w_[kRuleScore] = kRuleWeight;
  squares_.w.fill(kFirstSquare);
  squares_.v.fill(kFirstSquare);
  squares_.bias.fill(kFirstSquare);
}

double ClickModel::Score(const FeatureRow& row) const {
  std::array<double, 4> sums{};  // independent of each other, so that they overlap
  size_t i = 0;
  for (; i + 4 <= kFeatureCount; i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) sums[lane] += w_[i + lane] * row.x[i + lane];
  }
  for (; i < kFeatureCount; ++i) sums[0] += w_[i] * row.x[i];
  for (const uint16_t key : row.keys) sums[1] += v_[key];
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

double ClickModel::LogBias(size_t position) const {
  CHECK_LT(position, kShown);
  static const std::array<double, kShown> priors = LogPriors();
  return priors[position] + bias_[position];
}

void ClickModel::Accumulate(const Session& session, Gradient& gradient) const {
  std::array<double, kShown> p{};
  double most = -1e300;
  double clicks = 0;
  for (size_t i = 0; i < session.items.size(); ++i) {
    const Session::Item& item = session.items[i];
    if (!item.judged) continue;
    p[i] = Score(item.row) + (session.graded ? 0 : LogBias(i));
    most = std::max(most, p[i]);
    clicks += item.clicks;
  }
  double sum = 0;
  for (size_t i = 0; i < session.items.size(); ++i) {
    p[i] = session.items[i].judged ? std::exp(p[i] - most) : 0;
    sum += p[i];
  }
  if (sum <= 0) return;
  for (size_t i = 0; i < session.items.size(); ++i) {
    const Session::Item& item = session.items[i];
    if (!item.judged) continue;
    const double g = session.weight * (clicks * p[i] / sum - item.clicks) / kBatch;
    for (size_t f = 0; f < kFeatureCount; ++f) gradient.w[f] += g * item.row.x[f];
    for (const uint16_t key : item.row.keys) gradient.v[key] += g;
    if (!session.graded) gradient.bias[i] += g;
  }
}

void ClickModel::Learn(Session session, uint64_t number) {
  CHECK(!session.items.empty() && session.items.size() <= kShown);
  size_t newest = ring_.size();
  if (ring_.size() < kRingSessions) {
    ring_.push_back(std::move(session));
  } else {
    newest = next_;
    ring_[next_] = std::move(session);
    next_ = (next_ + 1) % kRingSessions;
  }
  Gradient gradient;
  Random random(number);
  Accumulate(ring_[newest], gradient);
  for (size_t i = 1; i < kBatch; ++i) Accumulate(ring_[random.Below(ring_.size())], gradient);
  const auto n = static_cast<double>(ring_.size());
  for (size_t i = 0; i < kFeatureCount; ++i) {
    const double start = i == kRuleScore ? kRuleWeight : 0;
    gradient.w[i] += kPullWeights / n * (w_[i] - start);
  }
  for (size_t i = 0; i < kKeySlots; ++i) gradient.v[i] += kPullKeys / n * v_[i];
  for (size_t i = 0; i < kShown; ++i) gradient.bias[i] += kPullBias / n * bias_[i];
  Step(w_, squares_.w, gradient.w, kRate);
  Step(v_, squares_.v, gradient.v, kRate);
  Step(bias_, squares_.bias, gradient.bias, kBiasRate);
  const double first = bias_[0];
  for (double& bias : bias_) bias -= first;
}

void ClickModel::Discount(size_t keep) {
  const size_t count = ring_.size();
  for (size_t age = keep; age < count; ++age) {
    const size_t newest = count < kRingSessions ? count - 1 : (next_ + count - 1) % count;
    ring_[(newest + count - age) % count].weight *= static_cast<float>(kOldWeight);
  }
}

void ClickModel::Encode(std::string& out) const {
  const auto put = [&out](const auto& values) {
    for (const double value : values) PutFixed(out, value);
  };
  put(w_);
  put(v_);
  put(bias_);
  put(squares_.w);
  put(squares_.v);
  put(squares_.bias);
  PutVarint(out, next_);
  PutVarint(out, ring_.size());
  for (const Session& session : ring_) {
    PutFixed(out, static_cast<uint8_t>(session.items.size()));
    PutFixed(out, static_cast<uint8_t>(session.graded ? 1 : 0));
    PutFixed(out, session.weight);
    for (const Session::Item& item : session.items) {
      for (const float x : item.row.x) PutFixed(out, x);
      PutFixed(out, item.clicks);
      PutFixed(out, static_cast<uint8_t>(item.judged ? 1 : 0));
      PutFixed(out, static_cast<uint8_t>(item.row.keys.size()));
      for (const uint16_t key : item.row.keys) PutFixed(out, key);
    }
  }
}

bool ClickModel::Decode(ByteReader& reader) {
  const auto read = [&reader](auto& values) {
    for (double& value : values) {
      if (!reader.ReadFixed(value) || !std::isfinite(value)) return false;
    }
    return true;
  };
  const auto positive = [](const auto& values) {
    return std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
  };
  uint64_t next = 0;
  uint64_t count = 0;
  if (!read(w_) || !read(v_) || !read(bias_) || !read(squares_.w) || !read(squares_.v) ||
      !read(squares_.bias) || !positive(squares_.w) || !positive(squares_.v) ||
      !positive(squares_.bias) || !reader.ReadVarint(next) || next >= kRingSessions ||
      !reader.ReadVarint(count) || count > kRingSessions) {
    return false;
  }
  next_ = next;
  for (uint64_t i = 0; i < count; ++i) {
    uint8_t items = 0;
    uint8_t graded = 0;
    Session session;
    if (!reader.ReadFixed(items) || items == 0 || items > kShown || !reader.ReadFixed(graded) ||
        graded > 1 || !reader.ReadFixed(session.weight) ||
        !(session.weight >= 0 && session.weight <= 1)) {
      return false;
    }
    session.graded = graded == 1;
    session.items.resize(items);
    for (Session::Item& item : session.items) {
      if (!ReadItem(reader, item)) return false;
    }
    ring_.push_back(std::move(session));
  }
  return true;
}

}  // namespace vectron::reranker
