#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "base/random.h"
#include "index/best_of.h"
#include "index/pool.h"
#include "index/reader_registry.h"
#include "index/row_log.h"
#include "index/visited_set.h"

namespace vectron::index {
namespace {

TEST(Pool, KeepsTheNearestThatCount) {
  const uint64_t seed = 5;
  Random random(seed);
  for (int round = 0; round < 200; ++round) {
    const auto capacity = static_cast<uint32_t>(1 + random.Below(20));
    Pool pool;
    pool.Reset(capacity);
    std::vector<int32_t> counting;
    for (uint32_t i = 0; i < 100; ++i) {
      const auto distance = static_cast<int32_t>(random.Below(50)) - 25;
      const bool counts = !random.OneIn(3);
      if (counts) counting.push_back(distance);
      if (distance < pool.bound()) pool.Insert(distance, i, counts);
      if (random.OneIn(4)) pool.TakeNext();
    }
    std::sort(counting.begin(), counting.end());
    counting.resize(std::min<size_t>(counting.size(), capacity));
    std::vector<int32_t> got;
    for (uint32_t i = 0; i < pool.size(); ++i) {
      ASSERT_LE(pool[i == 0 ? 0 : i - 1].distance, pool[i].distance);
      if (pool[i].counts()) got.push_back(pool[i].distance);
    }
    ASSERT_EQ(got, counting) << "seed " << seed << " round " << round;
  }
}

TEST(Pool, HandsOutEachEntryOnceNearestFirst) {
  Pool pool;
  pool.Reset(10);
  pool.Insert(5, 1, true);
  pool.Insert(3, 2, false);
  EXPECT_EQ(pool.PeekNext()->slot(), 2U);
  EXPECT_EQ(pool.TakeNext()->slot(), 2U);
  pool.Insert(1, 3, true);
  EXPECT_EQ(pool.TakeNext()->slot(), 3U);
  EXPECT_EQ(pool.TakeNext()->slot(), 1U);
  EXPECT_EQ(pool.TakeNext(), nullptr);
  EXPECT_EQ(pool.PeekNext(), nullptr);
}

TEST(Pool, KeepsArrivalOrderOfEqualDistances) {
  Pool pool;
  pool.Reset(3);
  for (uint32_t slot = 0; slot < 5; ++slot) {
    if (7 < pool.bound()) pool.Insert(7, slot, true);
  }
  ASSERT_EQ(pool.size(), 3U);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ(pool[i].slot(), i);
}

TEST(Pool, BoundsEntriesThatOnlyRoute) {
  Pool pool;
  pool.Reset(4);
  for (uint32_t i = 0; i < 10'000; ++i) {
    const auto distance = static_cast<int32_t>(20'000 - i);
    if (distance < pool.bound()) pool.Insert(distance, i, false);
  }
  EXPECT_EQ(pool.results(), 0U);
  EXPECT_LE(pool.size(), 4U * 4 + 64);
}

TEST(VisitedSet, RemembersForOneWalk) {
  for (const uint32_t dense_slots : {VisitedSet::kDenseSlots, 0U}) {
    VisitedSet visited(dense_slots);
    Random random(9);
    // More walks than a u16 can number.
    for (int walk = 0; walk < 70'000; ++walk) {
      visited.Begin(500);
      const auto slot = static_cast<uint32_t>(random.Below(500));
      ASSERT_TRUE(visited.Insert(slot)) << walk;
      ASSERT_FALSE(visited.Insert(slot)) << walk;
    }
    visited.Begin(100'000);
    std::set<uint32_t> twin;
    for (int i = 0; i < 50'000; ++i) {
      const auto slot = static_cast<uint32_t>(random.Below(100'000));
      ASSERT_EQ(visited.Insert(slot), twin.insert(slot).second);
    }
  }
}

TEST(BestOf, KeepsTheNearest) {
  Random random(3);
  for (const size_t capacity : {1U, 2U, 20U, 500U}) {
    BestOf best;
    best.Reset(capacity);
    std::vector<int32_t> all;
    for (uint32_t i = 0; i < 5000; ++i) {
      const auto distance = static_cast<int32_t>(random.Next());
      all.push_back(distance);
      if (distance < best.bound()) best.Add(distance, i);
    }
    std::sort(all.begin(), all.end());
    const std::vector<Candidate>& got = best.Sorted();
    ASSERT_EQ(got.size(), capacity);
    for (size_t i = 0; i < capacity; ++i) EXPECT_EQ(got[i].distance, all[i]);
  }
}

TEST(RowLog, GrowsAndCompacts) {
  RowLog log;
  log.Reserve(5000);
  for (uint32_t i = 0; i < 5000; ++i) log.Append(i);
  log.Commit();
  EXPECT_EQ(log.committed(), 5000U);
  log.Compact([](uint32_t slot) { return slot % 2 == 1; });
  ASSERT_EQ(log.linked(), 2500U);
  for (uint64_t i = 2500; i < 5000; ++i) ASSERT_EQ(log.SlotAt(i), (i - 2500) * 2 + 1);
  log.SetLinked(4990);
  for (uint32_t round = 0; round < 100; ++round) {
    log.Reserve(1000);
    for (uint32_t i = 0; i < 1000; ++i) log.Append(i);
    log.Commit();
    ASSERT_EQ(log.SlotAt(log.committed() - 1), 999U);
    log.SetLinked(log.committed() - 3);
  }
  EXPECT_LE(log.memory_bytes(), 100'000U);
}

TEST(ReaderRegistry, HoldsBackTheOldestReader) {
  ReaderRegistry readers;
  const uint64_t first = readers.Advance();
  EXPECT_GE(readers.Oldest(), first);
  const size_t early = readers.Enter();
  const uint64_t second = readers.Advance();
  EXPECT_LT(readers.Oldest(), second);
  const size_t late = readers.Enter();
  EXPECT_LT(readers.Oldest(), second);
  readers.Leave(early);
  EXPECT_GE(readers.Oldest(), second);
  readers.Leave(late);
  std::vector<size_t> many;
  for (int i = 0; i < 1000; ++i) many.push_back(readers.Enter());
  EXPECT_EQ(std::set<size_t>(many.begin(), many.end()).size(), 1000U);
  const uint64_t third = readers.Advance();
  EXPECT_LT(readers.Oldest(), third);
  for (const size_t reader : many) readers.Leave(reader);
  EXPECT_GE(readers.Oldest(), third);
}

}  // namespace
}  // namespace vectron::index
