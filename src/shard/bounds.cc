#include "shard/bounds.h"

#include <algorithm>

#include "base/check.h"

namespace vectron::shard {
namespace {

// reached[j] holds the slots seen in at least j + 1 of the sets so far.
Roaring AtLeastOf(uint32_t count, const std::vector<const Roaring*>& sets) {
  if (count > sets.size()) return {};
  std::vector<Roaring> reached(count);
  for (const Roaring* set : sets) {
    for (size_t j = count; j-- > 1;) reached[j] |= reached[j - 1] & *set;
    reached[0] |= *set;
  }
  return std::move(reached[count - 1]);
}

}  // namespace

Bounds Not(const Bounds& bounds, uint32_t universe) {
  Roaring all;
  if (universe > 0) all.addRange(0, universe);
  if (bounds.exact) return Bounds::Exactly(all - bounds.lower);
  return {all - bounds.upper, all - bounds.lower, false};
}

Bounds AtLeast(uint32_t count, const std::vector<Bounds>& sets) {
  CHECK_GE(count, 1u);
  std::vector<const Roaring*> lower;
  std::vector<const Roaring*> upper;
  for (const Bounds& set : sets) {
    lower.push_back(&set.lower);
    upper.push_back(&set.highest());
  }
  const bool exact =
      std::all_of(sets.begin(), sets.end(), [](const Bounds& set) { return set.exact; });
  if (exact) return Bounds::Exactly(AtLeastOf(count, lower));
  return {AtLeastOf(count, lower), AtLeastOf(count, upper), false};
}

index::SlotSet ToSlotSet(const Roaring& slots) {
  index::SlotSet set;
  set.count = slots.cardinality();
  if (set.count == 0) return set;
  const roaring_array_t& array = slots.roaring.high_low_container;
  constexpr size_t kWords = 65'536 / 64;  // of one container
  set.words.resize(slots.maximum() / 64 + 1);
  for (int32_t i = 0; i < array.size; ++i) {
    uint8_t type = array.typecodes[i];
    const void* container = container_unwrap_shared(array.containers[i], &type);
    const size_t first = array.keys[i] * kWords;
    uint64_t* words = set.words.data() + first;
    if (type == BITSET_CONTAINER_TYPE_CODE) {
      const auto* bits = static_cast<const bitset_container_t*>(container);
      std::copy_n(bits->array, std::min(kWords, set.words.size() - first), words);
    } else if (type == ARRAY_CONTAINER_TYPE_CODE) {
      const auto* values = static_cast<const array_container_t*>(container);
      for (int32_t j = 0; j < values->cardinality; ++j) {
        words[values->array[j] / 64] |= uint64_t{1} << (values->array[j] % 64);
      }
    } else {
      const auto* runs = static_cast<const run_container_t*>(container);
      for (int32_t j = 0; j < runs->n_runs; ++j) {
        const uint32_t begin = runs->runs[j].value;
        bitset_set_lenrange(words, begin, runs->runs[j].length);
      }
    }
  }
  return set;
}

void IntersectWith(Bounds& bounds, const Bounds& other) {
  if (bounds.exact && other.exact) {
    bounds.lower &= other.lower;
    return;
  }
  bounds.upper = bounds.highest() & other.highest();
  bounds.lower &= other.lower;
  bounds.exact = false;
}

}  // namespace vectron::shard
