#pragma once

// Slots seen by one walk. A u16 a slot that holds the number of the walk, so nothing is cleared
// between walks; above kDenseSlots a hash table, so that many readers of a large index do not hold
// 2 bytes a row each.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/random.h"

namespace vectron::index {

// Confined to one thread.
class VisitedSet {
 public:
  static constexpr uint32_t kDenseSlots = uint32_t{8} << 20;

  explicit VisitedSet(uint32_t dense_slots = kDenseSlots) : dense_slots_(dense_slots) {}

  // Empties the set, for slots below `slots`.
  void Begin(uint32_t slots) {
    is_dense_ = slots <= dense_slots_;
    if (!is_dense_) {
      BeginSparse();
      return;
    }
    // Grows in large steps: a growing index asks for a little more each time.
    if (dense_.size() < slots) dense_.resize(slots + slots / 4 + 1024);
    epoch_ = static_cast<uint16_t>(epoch_ + 1);
    if (epoch_ == 0) {
      std::fill(dense_.begin(), dense_.end(), uint16_t{0});
      epoch_ = 1;
    }
  }

  // True the first time.
  bool Insert(uint32_t slot) {
    if (!is_dense_) [[unlikely]]
      return InsertSparse(slot);
    if (slot >= dense_.size()) [[unlikely]]
      return false;  // appended since Begin: not for this walk
    if (dense_[slot] == epoch_) return false;
    dense_[slot] = epoch_;
    return true;
  }

  uint64_t memory_bytes() const { return dense_.capacity() * 2 + table_.capacity() * 8; }

 private:
  void BeginSparse() {
    if (table_.empty()) table_.resize(uint64_t{1} << 14);
    used_ = 0;
    sparse_epoch_ += 1;
    if (sparse_epoch_ == 0) {
      std::fill(table_.begin(), table_.end(), uint64_t{0});
      sparse_epoch_ = 1;
    }
  }
  bool InsertSparse(uint32_t slot) {
    if (used_ * 2 >= table_.size()) Rehash();
    const uint64_t wanted = uint64_t{sparse_epoch_} << 32 | slot;
    const uint64_t mask = table_.size() - 1;
    for (uint64_t at = Mix64(slot) & mask;; at = (at + 1) & mask) {
      if (table_[at] == wanted) return false;
      if (table_[at] >> 32 == sparse_epoch_) continue;
      table_[at] = wanted;
      used_ += 1;
      return true;
    }
  }
  void Rehash() {
    std::vector<uint64_t> old(table_.size() * 2);
    old.swap(table_);
    used_ = 0;
    for (const uint64_t entry : old) {
      if (entry >> 32 == sparse_epoch_) InsertSparse(static_cast<uint32_t>(entry));
    }
  }

  const uint32_t dense_slots_;
  bool is_dense_ = true;
  std::vector<uint16_t> dense_;
  uint16_t epoch_ = 0;
  std::vector<uint64_t> table_;  // epoch << 32 | slot
  uint64_t used_ = 0;
  uint32_t sparse_epoch_ = 0;
};

}  // namespace vectron::index
