#pragma once

// The candidates of one walk: a sorted array, nearest first, that serves as both heaps of the
// textbook search.
//
// An entry either counts (a result) or only routes (removed, or not passing the filter). The pool
// keeps the `capacity` nearest that count, and of the routing ones those nearer than the last of
// them; so routing entries never use up the budget of results. Entries at equal distances stay in
// the order they came, which makes a walk a function of the graph alone. Confined to one thread.

#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace vectron::index {

class Pool {
 public:
  struct Entry {
    int32_t distance;
    uint32_t tagged;  // slot and the two marks
    uint32_t slot() const { return tagged & kSlotMask; }
    bool counts() const { return (tagged & kRoutesOnly) == 0; }
  };
  static constexpr uint32_t kExpanded = uint32_t{1} << 31;
  static constexpr uint32_t kRoutesOnly = uint32_t{1} << 30;
  static constexpr uint32_t kSlotMask = kRoutesOnly - 1;

  // Empties the pool. At most `capacity` results and four times that many entries in all.
  void Reset(uint32_t capacity) {
    capacity_ = capacity;
    room_ = 4 * capacity + 64;
    if (entries_.size() < room_ + 1) entries_.resize(room_ + 1);
    size_ = 0;
    results_ = 0;
    cursor_ = 0;
    bound_ = std::numeric_limits<int32_t>::max();
  }

  // A candidate at this distance or farther is of no use.
  int32_t bound() const { return bound_; }
  uint32_t size() const { return size_; }
  uint32_t results() const { return results_; }
  const Entry& operator[](uint32_t i) const { return entries_[i]; }

  // Precondition: distance < bound(), or the pool is not full.
  void Insert(int32_t distance, uint32_t slot, bool counts) {
    const uint32_t at = UpperBound(distance);
    Entry* place = entries_.data() + at;
    std::memmove(place + 1, place, (size_ - at) * sizeof(Entry));
    *place = {distance, slot | (counts ? 0 : kRoutesOnly)};
    size_ += 1;
    results_ += counts ? 1 : 0;
    if (at < cursor_) cursor_ = at;
    if (results_ >= capacity_ || size_ >= room_) Trim();
  }

  // The nearest entry not yet expanded, marked so; null when there is none.
  const Entry* TakeNext() {
    while (cursor_ < size_ && (entries_[cursor_].tagged & kExpanded) != 0) ++cursor_;
    if (cursor_ == size_) return nullptr;
    Entry* entry = &entries_[cursor_++];
    entry->tagged |= kExpanded;
    return entry;
  }
  // The one that TakeNext would return, unmarked; null when there is none.
  const Entry* PeekNext() const {
    uint32_t i = cursor_;
    while (i < size_ && (entries_[i].tagged & kExpanded) != 0) ++i;
    return i == size_ ? nullptr : &entries_[i];
  }

 private:
  // Entries at or below `distance`.
  uint32_t UpperBound(int32_t distance) const {
    const Entry* base = entries_.data();
    uint32_t count = size_;
    while (count > 0) {
      const uint32_t half = count / 2;
      const bool right = base[half].distance <= distance;
      base += right ? half + 1 : 0;
      count = right ? count - half - 1 : half;
    }
    return static_cast<uint32_t>(base - entries_.data());
  }

  void Trim() {
    while (results_ > capacity_ || size_ > room_) {
      size_ -= 1;
      results_ -= entries_[size_].counts() ? 1 : 0;
    }
    if (results_ == capacity_) {
      while (!entries_[size_ - 1].counts()) size_ -= 1;
      bound_ = entries_[size_ - 1].distance;
    } else if (size_ == room_) {
      bound_ = entries_[size_ - 1].distance;
    }
    if (cursor_ > size_) cursor_ = size_;
  }

  std::vector<Entry> entries_;
  uint32_t capacity_ = 0;
  uint32_t room_ = 0;
  uint32_t size_ = 0;
  uint32_t results_ = 0;
  uint32_t cursor_ = 0;
  int32_t bound_ = 0;
};

}  // namespace vectron::index
