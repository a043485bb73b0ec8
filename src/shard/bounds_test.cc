#include "shard/bounds.h"

#include <set>

#include "base/random.h"
#include "gtest/gtest.h"

namespace vectron::shard {
namespace {

constexpr uint32_t kUniverse = 200'000;

// Bounds around a known truth.
struct Known {
  std::set<uint32_t> truth;
  Bounds bounds;
};

Known RandomKnown(Random& random) {
  Known known;
  Roaring lower;
  Roaring unsure;
  const bool exact = random.OneIn(3);
  for (int i = 0; i < 300; ++i) {
    const auto slot = static_cast<uint32_t>(random.Below(kUniverse) / 500 * 500);
    if (lower.contains(slot) || unsure.contains(slot)) continue;
    if (exact || random.OneIn(2)) {
      lower.add(slot);
      known.truth.insert(slot);
    } else {
      unsure.add(slot);
      if (random.OneIn(2)) known.truth.insert(slot);
    }
  }
  known.bounds = Bounds::Between(lower, unsure);
  return known;
}

void ExpectHolds(const std::set<uint32_t>& truth, const Bounds& bounds) {
  for (uint32_t slot = 0; slot < kUniverse; slot += 100) {
    const bool in = truth.contains(slot);
    EXPECT_TRUE(in || !bounds.lower.contains(slot)) << slot;
    EXPECT_TRUE(!in || bounds.highest().contains(slot)) << slot;
  }
}

TEST(Bounds, LogicKeepsTheTruthBetweenTheBounds) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    std::vector<Known> sets;
    for (int i = 0; i < 4; ++i) sets.push_back(RandomKnown(random));
    Bounds both = sets[0].bounds;
    IntersectWith(both, sets[1].bounds);
    std::set<uint32_t> in_both;
    std::set<uint32_t> in_none;
    std::set<uint32_t> in_two;
    for (uint32_t slot = 0; slot < kUniverse; slot += 100) {
      size_t count = 0;
      for (const Known& set : sets) count += set.truth.count(slot);
      if (sets[0].truth.contains(slot) && sets[1].truth.contains(slot)) in_both.insert(slot);
      if (count >= 2) in_two.insert(slot);
      if (!sets[0].truth.contains(slot)) in_none.insert(slot);
    }
    ExpectHolds(in_both, both);
    ExpectHolds(in_none, Not(sets[0].bounds, kUniverse));
    std::vector<Bounds> bounds;
    for (const Known& set : sets) bounds.push_back(set.bounds);
    ExpectHolds(in_two, AtLeast(2, bounds));
    EXPECT_TRUE(AtLeast(5, bounds).highest().isEmpty());
  }
}

TEST(SlotSet, HoldsTheBitsOfEveryKindOfContainer) {
  Random random(3);
  Roaring slots;
  slots.addRange(70'000, 90'000);                                                       // runs
  for (int i = 0; i < 30; ++i) slots.add(static_cast<uint32_t>(random.Below(65'536)));  // an array
  for (int i = 0; i < 30'000; ++i) slots.add(131'072 + static_cast<uint32_t>(random.Below(60'000)));
  slots.runOptimize();
  slots.add(400'001);
  const index::SlotSet set = ToSlotSet(slots);
  EXPECT_EQ(set.count, slots.cardinality());
  for (uint32_t slot = 0; slot < 400'100; ++slot) {
    ASSERT_EQ(set.Contains(slot), slots.contains(slot)) << slot;
  }
  EXPECT_EQ(ToSlotSet(Roaring()).count, 0u);
}

}  // namespace
}  // namespace vectron::shard
