#include "services/reranker/ranking.h"

#include <cmath>

#include "base/bytes.h"

namespace vectron::reranker {
namespace {

void PutList(std::string& out, const RankedList& list) {
  PutVarint(out, list.order.size());
  for (const uint16_t index : list.order) PutFixed(out, index);
  for (const float score : list.scores) PutFixed(out, score);
}

// A permutation of `count` candidates, or nothing.
bool TakeList(ByteReader& reader, size_t count, RankedList& list) {
  uint64_t size = 0;
  if (!reader.ReadVarint(size) || (size != 0 && size != count)) return false;
  std::vector<bool> seen(count);
  list.order.resize(size);
  list.scores.resize(size);
  for (uint16_t& index : list.order) {
    if (!reader.ReadFixed(index) || index >= count || seen[index]) return false;
    seen[index] = true;
  }
  for (float& score : list.scores) {
    if (!reader.ReadFixed(score) || !(score >= 0 && score <= 1)) return false;
  }
  return true;
}

bool TakeRow(ByteReader& reader, size_t count, std::pair<uint16_t, FeatureRow>& entry) {
  uint8_t keys = 0;
  if (!reader.ReadFixed(entry.first) || entry.first >= count) return false;
  for (float& x : entry.second.x) {
    if (!reader.ReadFixed(x) || !(std::abs(x) <= kMaxFeature)) return false;
  }
  if (!reader.ReadFixed(keys) || keys > kMaxKeys) return false;
  for (uint8_t i = 0; i < keys; ++i) {
    uint16_t key = 0;
    if (!reader.ReadFixed(key) || key == 0 || key >= kKeySlots) return false;
    entry.second.keys.push_back(key);
  }
  return true;
}

}  // namespace

std::string EncodeRanking(const Ranking& ranking) {
  std::string out;
  PutList(out, ranking.rule);
  PutList(out, ranking.other);
  PutFixed(out, static_cast<uint8_t>(ranking.state));
  PutFixed(out, ranking.epoch);
  PutVarint(out, ranking.rows.size());
  for (const auto& [index, row] : ranking.rows) {
    PutFixed(out, index);
    for (const float x : row.x) PutFixed(out, x);
    PutFixed(out, static_cast<uint8_t>(row.keys.size()));
    for (const uint16_t key : row.keys) PutFixed(out, key);
  }
  PutVarint(out, ranking.explanations.size());
  for (const std::string& text : ranking.explanations) PutLengthPrefixed(out, text);
  return out;
}

bool DecodeRanking(std::string_view bytes, size_t count, Ranking& ranking) {
  ByteReader reader(bytes);
  uint8_t state = 0;
  uint64_t rows = 0;
  uint64_t explanations = 0;
  if (!TakeList(reader, count, ranking.rule) || ranking.rule.empty() ||
      !TakeList(reader, count, ranking.other) || !reader.ReadFixed(state) || state > 2 ||
      !reader.ReadFixed(ranking.epoch) || !reader.ReadVarint(rows) || rows > 2 * kShown) {
    return false;
  }
  ranking.state = static_cast<GateState>(state);
  ranking.rows.resize(rows);
  for (auto& entry : ranking.rows) {
    if (!TakeRow(reader, count, entry)) return false;
  }
  if (!reader.ReadVarint(explanations) || (explanations != 0 && explanations != count))
    return false;
  for (uint64_t i = 0; i < explanations; ++i) {
    std::string_view text;
    if (!reader.ReadLengthPrefixed(text)) return false;
    ranking.explanations.emplace_back(text);
  }
  return reader.remaining() == 0;
}

}  // namespace vectron::reranker
