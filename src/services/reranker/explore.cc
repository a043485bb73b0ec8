#include "services/reranker/explore.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace vectron::reranker {

uint8_t FlipPairs(Random& random, std::vector<size_t>& order) {
  const auto parity = static_cast<uint8_t>(random.Below(2));
  const size_t shown = std::min(order.size(), kShown);
  for (size_t p = parity; p + 1 < shown; p += 2) {
    if (random.OneIn(2)) std::swap(order[p], order[p + 1]);
  }
  return parity;
}

Interleaved TeamDraft(Random& random, std::span<const size_t> rule, std::span<const size_t> model,
                      std::span<const size_t> base) {
  CHECK(rule.size() == model.size() && rule.size() == base.size());
  Interleaved mixed;
  std::vector<bool> used(rule.size());
  const size_t shown = std::min(rule.size(), kShown);
  size_t next[2] = {0, 0};
  const std::span<const size_t> orders[2] = {rule, model};
  while (mixed.order.size() < shown) {
    const auto first = static_cast<size_t>(random.Below(2));
    for (const size_t side : {first, 1 - first}) {
      if (mixed.order.size() == shown) break;
      while (used[orders[side][next[side]]]) ++next[side];
      const size_t pick = orders[side][next[side]];
      used[pick] = true;
      mixed.order.push_back(pick);
      mixed.team.push_back(side == 1 ? 1 : -1);
    }
  }
  for (const size_t item : base) {
    if (!used[item]) mixed.order.push_back(item);
  }
  return mixed;
}

}  // namespace vectron::reranker
