#include "storage/radix_bitmap.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace vectron::storage {
namespace {

constexpr int kMaxDepth = 64 / RadixBitmap::kBits + 1;

template <typename T>
void PutArray(std::string& out, const std::vector<T>& values) {
  out.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

template <typename T>
bool ReadArray(ByteReader& reader, size_t count, std::vector<T>& values) {
  std::string_view bytes;
  if (count > reader.remaining() / sizeof(T)) return false;
  if (!reader.ReadBytes(count * sizeof(T), bytes)) return false;
  values.resize(count);
  if (count > 0) std::memcpy(values.data(), bytes.data(), bytes.size());
  return true;
}

}  // namespace

struct RadixBitmap::Node {
  enum class Kind : uint8_t { kLeaf = 0, kValue = 1, kInner = 2 };
  using Children = std::array<std::unique_ptr<Node>, kFanOut>;

  Kind kind = Kind::kLeaf;
  uint8_t shift = 0;            // kInner: of the bits that choose the child
  uint64_t prefix = 0;          // kInner: the bits above those; kValue: the key
  Roaring all;                  // kInner, kValue: every slot below
  Children children;            // kInner
  std::vector<uint64_t> keys;   // kLeaf
  std::vector<uint32_t> slots;  // kLeaf: of the keys, one by one

  uint64_t WidthMask() const {
    const int bits = kind == Kind::kValue ? 0 : shift + kBits;
    return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  }
  uint64_t last_key() const { return prefix | WidthMask(); }
  bool Covers(uint64_t key) const { return (key & ~WidthMask()) == prefix; }
  std::unique_ptr<Node>& ChildOf(uint64_t key) { return children[(key >> shift) & (kFanOut - 1)]; }

  void Append(uint64_t key, uint32_t slot) {
    keys.push_back(key);
    slots.push_back(slot);
  }

  // Makes this an inner node that tells apart keys like `key` that differ in `difference` (not 0),
  // and not above it.
  void BecomeInner(uint64_t key, uint64_t difference) {
    kind = Kind::kInner;
    const int top_bit = 63 - std::countl_zero(difference);
    shift = static_cast<uint8_t>(top_bit / kBits * kBits);
    prefix = key & ~WidthMask();
  }

  static void Add(std::unique_ptr<Node>& node, uint64_t key, uint32_t slot);
  void Split();
  // slots: sorted.
  static void Remove(std::unique_ptr<Node>& node, std::span<const uint32_t> slots);
  void Collect(const Range& range, Parts& parts) const;
  void Serialize(std::string& out) const;
  static bool Parse(ByteReader& reader, int depth, std::unique_ptr<Node>& node);
  bool ParseInner(ByteReader& reader, int depth);
  uint64_t memory_bytes() const;
};

void RadixBitmap::Node::Add(std::unique_ptr<Node>& node, uint64_t key, uint32_t slot) {
  if (node == nullptr) node = std::make_unique<Node>();
  if (node->kind == Kind::kLeaf) {
    node->Append(key, slot);
    if (node->keys.size() > kLeafEntries) node->Split();
    return;
  }
  if (node->Covers(key)) {
    node->all.add(slot);
    if (node->kind == Kind::kInner) Add(node->ChildOf(key), key, slot);
    return;
  }
  // The key parts from all below this node: a new node above tells the two apart.
  auto above = std::make_unique<Node>();
  above->BecomeInner(key, node->prefix ^ key);
  above->all = node->all;
  above->all.add(slot);
  std::unique_ptr<Node>& place = above->ChildOf(node->prefix);
  place = std::move(node);
  Add(above->ChildOf(key), key, slot);
  node = std::move(above);
}

// A leaf becomes a value node when it has one key, else an inner node over smaller leaves.
void RadixBitmap::Node::Split() {
  const std::vector<uint64_t> old_keys = std::exchange(keys, {});
  const std::vector<uint32_t> old_slots = std::exchange(slots, {});
  all.addMany(old_slots.size(), old_slots.data());
  uint64_t difference = 0;
  for (const uint64_t key : old_keys) difference |= key ^ old_keys.front();
  if (difference == 0) {
    kind = Kind::kValue;
    prefix = old_keys.front();
    return;
  }
  BecomeInner(old_keys.front(), difference);
  for (size_t i = 0; i < old_keys.size(); ++i) {
    std::unique_ptr<Node>& child = ChildOf(old_keys[i]);
    if (child == nullptr) child = std::make_unique<Node>();
    child->Append(old_keys[i], old_slots[i]);
  }
  for (const std::unique_ptr<Node>& child : children) {
    if (child != nullptr && child->keys.size() > kLeafEntries) child->Split();
  }
}

void RadixBitmap::Node::Remove(std::unique_ptr<Node>& node, std::span<const uint32_t> slots) {
  if (node->kind == Kind::kLeaf) {
    size_t kept = 0;
    for (size_t i = 0; i < node->keys.size(); ++i) {
      if (std::binary_search(slots.begin(), slots.end(), node->slots[i])) continue;
      node->keys[kept] = node->keys[i];
      node->slots[kept++] = node->slots[i];
    }
    node->keys.resize(kept);
    node->slots.resize(kept);
    if (kept == 0) node.reset();
    return;
  }
  std::vector<uint32_t> here;
  for (const uint32_t slot : slots) {
    if (node->all.removeChecked(slot)) here.push_back(slot);
  }
  if (here.empty()) return;
  if (node->all.isEmpty()) {
    node.reset();
    return;
  }
  for (std::unique_ptr<Node>& child : node->children) {
    if (child != nullptr) Remove(child, here);
  }
}

void RadixBitmap::Node::Collect(const Range& range, Parts& parts) const {
  if (kind == Kind::kLeaf) {
    for (size_t i = 0; i < keys.size(); ++i) {
      if (keys[i] >= range.first && keys[i] <= range.last) parts.slots.push_back(slots[i]);
    }
    return;
  }
  if (range.first > last_key() || range.last < prefix) return;
  if (range.first <= prefix && range.last >= last_key()) {
    parts.bitmaps.push_back(&all);
    return;
  }
  for (const std::unique_ptr<Node>& child : children) {
    if (child != nullptr) child->Collect(range, parts);
  }
}

void RadixBitmap::Node::Serialize(std::string& out) const {
  PutFixed(out, static_cast<uint8_t>(kind));
  if (kind == Kind::kLeaf) {
    PutVarint(out, keys.size());
    PutArray(out, keys);
    PutArray(out, slots);
    return;
  }
  PutFixed(out, shift);
  PutFixed(out, prefix);
  PutBitmap(out, all);
  if (kind == Kind::kValue) return;
  uint64_t present = 0;
  for (size_t i = 0; i < kFanOut; ++i) present |= uint64_t{children[i] != nullptr} << i;
  PutVarint(out, present);
  for (const std::unique_ptr<Node>& child : children) {
    if (child != nullptr) child->Serialize(out);
  }
}

bool RadixBitmap::Node::ParseInner(ByteReader& reader, int depth) {
  uint64_t present = 0;
  if (shift % kBits != 0 || shift > 64 - kBits || (prefix & WidthMask()) != 0) return false;
  if (!reader.ReadVarint(present) || present >> kFanOut != 0) return false;
  for (size_t i = 0; i < kFanOut; ++i) {
    if ((present >> i & 1) != 0 && !Parse(reader, depth + 1, children[i])) return false;
  }
  return true;
}

bool RadixBitmap::Node::Parse(ByteReader& reader, int depth, std::unique_ptr<Node>& node) {
  node = std::make_unique<Node>();
  uint8_t kind_byte = 0;
  if (depth > kMaxDepth || !reader.ReadFixed(kind_byte)) return false;
  if (kind_byte > static_cast<uint8_t>(Kind::kInner)) return false;
  node->kind = static_cast<Kind>(kind_byte);
  if (node->kind == Kind::kLeaf) {
    uint64_t count = 0;
    return reader.ReadVarint(count) && count <= kLeafEntries &&
           ReadArray(reader, count, node->keys) && ReadArray(reader, count, node->slots);
  }
  if (!reader.ReadFixed(node->shift) || !reader.ReadFixed(node->prefix)) return false;
  if (!ReadBitmap(reader, node->all)) return false;
  return node->kind == Kind::kValue || node->ParseInner(reader, depth);
}

uint64_t RadixBitmap::Node::memory_bytes() const {
  uint64_t bytes =
      sizeof(Node) + keys.capacity() * sizeof(uint64_t) + slots.capacity() * sizeof(uint32_t);
  if (kind != Kind::kLeaf) bytes += BitmapMemoryBytes(all);
  for (const std::unique_ptr<Node>& child : children) {
    if (child != nullptr) bytes += child->memory_bytes();
  }
  return bytes;
}

RadixBitmap::RadixBitmap() = default;
RadixBitmap::~RadixBitmap() = default;
RadixBitmap::RadixBitmap(RadixBitmap&&) noexcept = default;
RadixBitmap& RadixBitmap::operator=(RadixBitmap&&) noexcept = default;

void RadixBitmap::Add(uint64_t key, uint32_t slot) { Node::Add(root_, key, slot); }

void RadixBitmap::Remove(std::span<const uint32_t> slots) {
  if (root_ != nullptr) Node::Remove(root_, slots);
}

Roaring RadixBitmap::Parts::Unite() const {
  std::vector<const Roaring*> inputs = bitmaps;
  Roaring united = inputs.empty() ? Roaring() : Roaring::fastunion(inputs.size(), inputs.data());
  united.addMany(slots.size(), slots.data());
  return united;
}

void RadixBitmap::Collect(const Range& range, Parts& parts) const {
  if (root_ != nullptr && range.first <= range.last) root_->Collect(range, parts);
}

void RadixBitmap::Serialize(std::string& out) const {
  PutFixed(out, static_cast<uint8_t>(root_ != nullptr ? 1 : 0));
  if (root_ != nullptr) root_->Serialize(out);
}

bool RadixBitmap::Parse(ByteReader& reader) {
  root_.reset();
  uint8_t present = 0;
  if (!reader.ReadFixed(present) || present > 1) return false;
  return present == 0 || Node::Parse(reader, 0, root_);
}

uint64_t RadixBitmap::memory_bytes() const { return root_ == nullptr ? 0 : root_->memory_bytes(); }

void PutBitmap(std::string& out, const Roaring& bitmap) {
  const size_t size = bitmap.getSizeInBytes();
  PutVarint(out, size);
  const size_t start = out.size();
  out.resize(start + size);
  bitmap.write(out.data() + start);
}

bool ReadBitmap(ByteReader& reader, Roaring& bitmap) {
  std::string_view bytes;
  if (!reader.ReadLengthPrefixed(bytes)) return false;
  // The C function, because the C++ one throws.
  roaring_bitmap_t* read = roaring_bitmap_portable_deserialize_safe(bytes.data(), bytes.size());
  if (read == nullptr) return false;
  bitmap = Roaring(read);
  return true;
}

uint64_t BitmapMemoryBytes(const Roaring& bitmap) {
  constexpr uint64_t kFixedBytes = 64;  // the object's own arrays, about
  return bitmap.getSizeInBytes() + kFixedBytes;
}

}  // namespace vectron::storage
