#pragma once

// Sets of slots by 64-bit key, made for ranges: a radix tree whose inner nodes hold the union of
// what is below.
//
// A range is the union of at most 2 (2^kBits - 1) whole nodes per level and two partial leaves,
// whatever the number of keys in it. Leaves are short lists of (key, slot); a key with many slots
// has a node of its own. Runs of bits that all keys share take no node (PATRICIA, Morrison 1968). A
// slot may have several keys.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace vectron::storage {

// Order-preserving keys.
inline uint64_t OrderedKey(int64_t value) {
  return static_cast<uint64_t>(value) ^ (uint64_t{1} << 63);
}
// -0.0 counts as 0.0. Not for NaN.
inline uint64_t OrderedKey(double value) {
  const auto bits = std::bit_cast<uint64_t>(value == 0 ? 0.0 : value);
  return (bits >> 63) != 0 ? ~bits : bits | (uint64_t{1} << 63);
}

// Thread-compatible.
class RadixBitmap {
 public:
  static constexpr int kBits = 2;  // of the key per level
  static constexpr size_t kFanOut = 1 << kBits;
  static constexpr size_t kLeafEntries = 256;  // at most, in a leaf

  RadixBitmap();
  ~RadixBitmap();
  RadixBitmap(RadixBitmap&&) noexcept;
  RadixBitmap& operator=(RadixBitmap&&) noexcept;

  void Add(uint64_t key, uint32_t slot);
  // Removes every entry of these slots, given in order.
  void Remove(std::span<const uint32_t> slots);

  // Parts of an answer, gathered over several ranges and united once. The bitmaps are the tree's
  // own.
  struct Parts {
    std::vector<const Roaring*> bitmaps;
    std::vector<uint32_t> slots;
    Roaring Unite() const;
  };
  struct Range {
    uint64_t first = 0;
    uint64_t last = ~uint64_t{0};  // inclusive; empty when below `first`
  };
  void Collect(const Range& range, Parts& parts) const;

  void Serialize(std::string& out) const;
  // False when the bytes are no tree.
  bool Parse(ByteReader& reader);
  uint64_t memory_bytes() const;

 private:
  struct Node;

  std::unique_ptr<Node> root_;
};

// The bitmap in the portable format, behind its length. ReadBitmap returns false when the bytes are
// none.
void PutBitmap(std::string& out, const Roaring& bitmap);
bool ReadBitmap(ByteReader& reader, Roaring& bitmap);
uint64_t BitmapMemoryBytes(const Roaring& bitmap);

}  // namespace vectron::storage
