#pragma once

// Lists mixed at random so that clicks tell which order is better, whatever the position bias.

#include <cstdint>
#include <span>
#include <vector>

#include "base/random.h"
#include "services/reranker/impression.h"

namespace vectron::reranker {

// FairPairs (Radlinski & Joachims 2006): the first kShown of `order` fall into adjacent pairs from
// a random parity; each is flipped with probability 1/2. Returns the parity (0 or 1).
uint8_t FlipPairs(Random& random, std::vector<size_t>& order);

struct Interleaved {
  std::vector<size_t> order;  // the first kShown are mixed, the others follow as in `base`
  std::vector<int8_t> team;   // of the first kShown: +1 the model's pick, -1 the rule's
};
// Team-draft interleaving (Radlinski, Kurup & Joachims 2008) of two orders of the same items.
// `base` gives the rest of the list.
Interleaved TeamDraft(Random& random, std::span<const size_t> rule, std::span<const size_t> model,
                      std::span<const size_t> base);

}  // namespace vectron::reranker
