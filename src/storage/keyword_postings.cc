#include "storage/keyword_postings.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "storage/radix_bitmap.h"

namespace vectron::storage {

KeywordPostings::ValueId KeywordPostings::IdOf(std::string_view value) {
  const auto found = ids_.find(value);
  if (found != ids_.end()) return found->second;
  ValueId id = kNone;
  if (free_ids_.empty()) {
    id = static_cast<ValueId>(postings_.size());
    postings_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  const auto added = ids_.emplace(std::string(value), id).first;
  postings_[id].text = &added->first;
  return id;
}

void KeywordPostings::Remember(uint32_t slot, ValueId id) {
  if (slot >= first_value_.size()) first_value_.resize(slot + size_t{1}, kNone);
  if (first_value_[slot] == kNone) {
    first_value_[slot] = id;
  } else {
    further_[slot].push_back(id);
  }
}

void KeywordPostings::Add(std::string_view value, uint32_t slot) {
  const ValueId id = IdOf(value);
  Postings& postings = postings_[id];
  if (postings.many != nullptr) {
    if (!postings.many->addChecked(slot)) return;
  } else {
    std::vector<uint32_t>& few = postings.few;
    if (std::find(few.begin(), few.end(), slot) != few.end()) return;
    few.push_back(slot);
    if (few.size() > kFewSlots) {
      postings.many = std::make_unique<Roaring>(few.size(), few.data());
      std::vector<uint32_t>().swap(few);
    }
  }
  Remember(slot, id);
}

void KeywordPostings::Erase(ValueId id, uint32_t slot) {
  Postings& postings = postings_[id];
  CHECK(postings.text != nullptr);
  if (postings.many != nullptr) {
    postings.many->remove(slot);
    if (!postings.many->isEmpty()) return;
  } else {
    std::erase(postings.few, slot);
    if (!postings.few.empty()) return;
  }
  ids_.erase(ids_.find(std::string_view(*postings.text)));
  postings = Postings();
  free_ids_.push_back(id);
}

void KeywordPostings::Remove(uint32_t slot) {
  if (slot >= first_value_.size() || first_value_[slot] == kNone) return;
  Erase(std::exchange(first_value_[slot], kNone), slot);
  const auto further = further_.find(slot);
  if (further == further_.end()) return;
  for (const ValueId id : further->second) Erase(id, slot);
  further_.erase(further);
}

void KeywordPostings::Collect(std::string_view value, Parts& parts) const {
  const auto found = ids_.find(value);
  if (found == ids_.end()) return;
  const Postings& postings = postings_[found->second];
  if (postings.many != nullptr) {
    parts.bitmaps.push_back(postings.many.get());
  } else {
    parts.slots.insert(parts.slots.end(), postings.few.begin(), postings.few.end());
  }
}

void KeywordPostings::Serialize(std::string& out) const {
  PutVarint(out, ids_.size());
  for (const Postings& postings : postings_) {
    if (postings.text == nullptr) continue;
    PutLengthPrefixed(out, *postings.text);
    PutVarint(out, postings.few.size());  // 0: a bitmap follows
    for (const uint32_t slot : postings.few) PutFixed(out, slot);
    if (postings.few.empty()) PutBitmap(out, *postings.many);
  }
}

bool KeywordPostings::ParseValue(ByteReader& reader) {
  std::string_view text;
  uint64_t few = 0;
  if (!reader.ReadLengthPrefixed(text) || !reader.ReadVarint(few)) return false;
  if (few > kFewSlots || ids_.contains(text)) return false;
  const ValueId id = IdOf(text);
  Postings& postings = postings_[id];
  if (few == 0) {
    postings.many = std::make_unique<Roaring>();
    if (!ReadBitmap(reader, *postings.many)) return false;
    for (const uint32_t slot : *postings.many) Remember(slot, id);
    return !postings.many->isEmpty();
  }
  postings.few.resize(few);
  for (uint32_t& slot : postings.few) {
    if (!reader.ReadFixed(slot)) return false;
    Remember(slot, id);
  }
  return true;
}

bool KeywordPostings::Parse(ByteReader& reader) {
  CHECK(postings_.empty());
  uint64_t values = 0;
  if (!reader.ReadVarint(values) || values > reader.remaining()) return false;
  ids_.reserve(values);
  for (uint64_t i = 0; i < values; ++i) {
    if (!ParseValue(reader)) return false;
  }
  return true;
}

uint64_t KeywordPostings::memory_bytes() const {
  constexpr uint64_t kNodeBytes = 32;  // of a hash table's node and bucket
  uint64_t bytes = postings_.capacity() * sizeof(Postings) +
                   (first_value_.capacity() + free_ids_.capacity()) * sizeof(ValueId) +
                   ids_.size() * (sizeof(std::string) + kNodeBytes);
  for (const Postings& postings : postings_) {
    if (postings.text != nullptr && postings.text->capacity() > 15)
      bytes += postings.text->capacity();
    bytes += postings.few.capacity() * sizeof(uint32_t);
    if (postings.many != nullptr) bytes += BitmapMemoryBytes(*postings.many);
  }
  for (const auto& [slot, values] : further_) {
    bytes += kNodeBytes + sizeof(values) + values.capacity() * sizeof(ValueId);
  }
  return bytes;
}

}  // namespace vectron::storage
