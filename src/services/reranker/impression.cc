#include "services/reranker/impression.h"

#include <cmath>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"

namespace vectron::reranker {
namespace {

constexpr uint8_t kFormat = 1;

enum Flag : uint8_t { kExplored = 1, kParity = 2, kInterleaved = 4 };

bool ReadShown(ByteReader& reader, ShownResult& shown) {
  std::string_view id;
  uint8_t key_count = 0;
  if (!reader.ReadLengthPrefixed(id) || id.empty() || id.size() > kMaxPointIdBytes) return false;
  shown.id = id;
  if (!reader.ReadFixed(shown.team) || shown.team < -1 || shown.team > 1) return false;
  for (float& x : shown.row.x) {
    if (!reader.ReadFixed(x) || !(std::abs(x) <= kMaxFeature)) return false;
  }
  if (!reader.ReadFixed(key_count) || key_count > kMaxKeys) return false;
  for (uint8_t i = 0; i < key_count; ++i) {
    uint16_t key = 0;
    if (!reader.ReadFixed(key) || key == 0 || key >= kKeySlots) return false;
    shown.row.keys.push_back(key);
  }
  return true;
}

}  // namespace

std::string_view StateName(GateState state) {
  switch (state) {
    case GateState::kRule:
      return "rule";
    case GateState::kCanary:
      return "canary";
    case GateState::kLearned:
      return "learned";
  }
  return "unknown";
}

std::string EncodeImpression(const Impression& impression) {
  CHECK(!impression.shown.empty() && impression.shown.size() <= kShown);
  std::string out;
  PutFixed(out, kFormat);
  PutFixed(out, static_cast<uint8_t>(impression.state));
  PutFixed(out, impression.epoch);
  PutFixed(out, static_cast<uint8_t>((impression.explored ? kExplored : 0) |
                                     (impression.parity != 0 ? kParity : 0) |
                                     (impression.interleaved ? kInterleaved : 0)));
  PutFixed(out, static_cast<uint8_t>(impression.shown.size()));
  for (const ShownResult& shown : impression.shown) {
    PutLengthPrefixed(out, shown.id);
    PutFixed(out, shown.team);
    for (const float x : shown.row.x) PutFixed(out, x);
    PutFixed(out, static_cast<uint8_t>(shown.row.keys.size()));
    for (const uint16_t key : shown.row.keys) PutFixed(out, key);
  }
  return out;
}

absl::StatusOr<Impression> DecodeImpression(std::string_view bytes) {
  const auto bad = [] { return InvalidArgument("impression: damaged or of another version"); };
  if (bytes.size() > kMaxImpressionBytes) return bad();
  ByteReader reader(bytes);
  Impression impression;
  uint8_t format = 0;
  uint8_t state = 0;
  uint8_t flags = 0;
  uint8_t count = 0;
  if (!reader.ReadFixed(format) || format != kFormat || !reader.ReadFixed(state) || state > 2 ||
      !reader.ReadFixed(impression.epoch) || !reader.ReadFixed(flags) || !reader.ReadFixed(count) ||
      count == 0 || count > kShown) {
    return bad();
  }
  impression.state = static_cast<GateState>(state);
  impression.explored = (flags & kExplored) != 0;
  impression.parity = (flags & kParity) != 0 ? 1 : 0;
  impression.interleaved = (flags & kInterleaved) != 0;
  for (uint8_t i = 0; i < count; ++i) {
    ShownResult shown;
    if (!ReadShown(reader, shown)) return bad();
    impression.shown.push_back(std::move(shown));
  }
  if (reader.remaining() != 0) return bad();
  return impression;
}

}  // namespace vectron::reranker
