#pragma once

// Sets of slots by text: a dictionary with a posting list for each value, and the values of each
// slot for its removal.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <roaring/roaring.hh>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"

namespace vectron::storage {

// Thread-compatible.
class KeywordPostings {
 public:
  // Posting lists longer than this are bitmaps.
  static constexpr size_t kFewSlots = 32;

  KeywordPostings() = default;
  KeywordPostings(const KeywordPostings&) = delete;
  KeywordPostings& operator=(const KeywordPostings&) = delete;

  // A slot may have several values; adding one twice does nothing.
  void Add(std::string_view value, uint32_t slot);
  // Removes the slot from all its values; cost is their number.
  void Remove(uint32_t slot);

  // Parts of an answer, united once. The bitmaps are the postings' own.
  struct Parts {
    std::vector<const Roaring*> bitmaps;
    std::vector<uint32_t> slots;
  };
  void Collect(std::string_view value, Parts& parts) const;

  size_t distinct_values() const { return ids_.size(); }
  void Serialize(std::string& out) const;
  // False when the bytes are none.
  bool Parse(ByteReader& reader);
  uint64_t memory_bytes() const;

 private:
  using ValueId = uint32_t;
  static constexpr ValueId kNone = ~ValueId{0};

  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Postings {
    const std::string* text = nullptr;  // the dictionary's; null: an id to be used again
    std::vector<uint32_t> few;
    std::unique_ptr<Roaring> many;  // instead of `few` once there were more than kFewSlots
  };

  ValueId IdOf(std::string_view value);
  void Erase(ValueId id, uint32_t slot);
  void Remember(uint32_t slot, ValueId id);
  bool ParseValue(ByteReader& reader);

  std::unordered_map<std::string, ValueId, TextHash, std::equal_to<>> ids_;
  std::vector<Postings> postings_;  // by value id
  std::vector<ValueId> free_ids_;
  std::vector<ValueId> first_value_;                            // by slot, or kNone
  std::unordered_map<uint32_t, std::vector<ValueId>> further_;  // of slots with several values
};

}  // namespace vectron::storage
