#pragma once

// Sets of slots known up to a remainder: what three-valued logic over bitmaps needs.

#include <cstdint>
#include <roaring/roaring.hh>
#include <utility>
#include <vector>

#include "index/vector_index.h"

namespace vectron::shard {

// Slots that pass a condition lie between two sets. A value type.
struct Bounds {
  Roaring lower;      // pass for sure
  Roaring upper;      // contains lower; no other slot passes. Not kept when exact
  bool exact = true;  // lower is the answer

  static Bounds Exactly(Roaring slots) { return {std::move(slots), {}, true}; }
  // lower: disjoint from unsure.
  static Bounds Between(Roaring lower, const Roaring& unsure) {
    if (unsure.isEmpty()) return Exactly(std::move(lower));
    Roaring upper = lower | unsure;
    return {std::move(lower), std::move(upper), false};
  }
  const Roaring& highest() const { return exact ? lower : upper; }
};

// The slots of [0, universe) that are not in `bounds`.
Bounds Not(const Bounds& bounds, uint32_t universe);
// Slots that are in at least `count` of the sets; count >= 1. In all of none is nowhere: callers
// treat an empty list.
Bounds AtLeast(uint32_t count, const std::vector<Bounds>& sets);
// The bits of a bitmap as the vector index takes them.
index::SlotSet ToSlotSet(const Roaring& slots);
// Both.
void IntersectWith(Bounds& bounds, const Bounds& other);

}  // namespace vectron::shard
