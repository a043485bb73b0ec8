#include "index/id_map.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::index {
namespace {

constexpr uint32_t kUnitBytes = 4;
constexpr uint64_t kGroupSize = 16;
constexpr uint64_t kMinGroups = 4;
constexpr uint64_t kMaxGroups = uint64_t{1} << 29;  // 2^33 places, for 2^32 ids
constexpr uint64_t kMigratedPerWrite = 2;           // groups; one would do (see ReserveTable)

// A tag is empty, deleted, or 128 plus 7 bits of the hash. Fresh memory is zero: an empty table.
constexpr uint8_t kEmpty = 0;
constexpr uint8_t kDeleted = 1;
uint8_t TagOf(uint64_t hash) { return static_cast<uint8_t>(0x80 | (hash & 0x7f)); }

struct TagGroup {
  alignas(kGroupSize) uint8_t tags[kGroupSize];
};

// Bit i is set where tag i equals `tag`.
uint32_t Matches(const TagGroup& group, uint8_t tag) {
#if defined(__SSE2__)
  const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(group.tags));
  const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
  return static_cast<uint32_t>(_mm_movemask_epi8(equal));
#else
  uint32_t mask = 0;
  for (uint32_t i = 0; i < kGroupSize; ++i) mask |= uint32_t{group.tags[i] == tag} << i;
  return mask;
#endif
}

// The groups to look at for a hash, each once: triangular numbers modulo a power of two.
class Probe {
 public:
  Probe(uint64_t hash, uint64_t groups) : mask_(groups - 1), group_((hash >> 7) & mask_) {}
  uint64_t group() const { return group_; }
  bool Next() {
    group_ = (group_ + ++step_) & mask_;
    return step_ <= mask_;
  }

 private:
  const uint64_t mask_;
  uint64_t group_;
  uint64_t step_ = 0;
};

uint64_t MostUsed(uint64_t groups) { return groups * kGroupSize / 8 * 7; }

uint64_t GroupsFor(uint64_t ids) {
  uint64_t groups = kMinGroups;
  while (MostUsed(groups) < ids) groups *= 2;
  return groups;
}

uint32_t UnitsForBytes(uint64_t bytes) {
  return static_cast<uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes);
}

// Writes rows one after the other as the sections "name/0", ... that RecordStore::OpenFrom expects
// of a store with the same stride.
class RowSections {
 public:
  RowSections(CheckpointWriter& writer, std::string_view name, uint32_t stride, uint64_t rows)
      : writer_(writer),
        name_(name),
        chunk_bytes_(RecordStore(stride).rows_per_chunk() * stride),
        left_(rows * stride) {}

  absl::Status Append(std::string_view bytes) {
    while (!bytes.empty()) {
      if (in_chunk_ == 0) {
        RETURN_IF_ERROR(
            writer_.Begin(fmt::format("{}/{}", name_, chunk_), std::min(chunk_bytes_, left_)));
      }
      const uint64_t room = std::min(chunk_bytes_ - in_chunk_, left_);
      const std::string_view part = bytes.substr(0, std::min<uint64_t>(bytes.size(), room));
      RETURN_IF_ERROR(writer_.Append(part));
      bytes.remove_prefix(part.size());
      in_chunk_ += part.size();
      left_ -= part.size();
      if (in_chunk_ == chunk_bytes_ || left_ == 0) {
        RETURN_IF_ERROR(writer_.End());
        ++chunk_;
        in_chunk_ = 0;
      }
    }
    return absl::OkStatus();
  }

 private:
  CheckpointWriter& writer_;
  const std::string name_;
  const uint64_t chunk_bytes_;
  uint64_t left_;
  uint64_t in_chunk_ = 0;
  uint64_t chunk_ = 0;
};

template <typename T>
std::string_view AsBytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// Where a block of `units` goes in an arena that ends at `end`: blocks do not cross chunks.
uint64_t PlaceBlock(uint64_t end, uint32_t units, uint64_t units_per_chunk) {
  const uint64_t used = end % units_per_chunk;
  return used + units > units_per_chunk ? end + (units_per_chunk - used) : end;
}

}  // namespace

struct IdMap::Table {
  uint64_t groups = 0;  // a power of two
  uint64_t used = 0;    // tags that are not empty
  ChunkedArray<TagGroup> tags;
  ChunkedArray<uint32_t> slots;  // kGroupSize a group

  absl::Status Reserve(uint64_t group_count) {
    groups = group_count;
    RETURN_IF_ERROR(tags.Reserve(groups));
    return slots.Reserve(groups * kGroupSize);
  }
  // There is room. The id is not in the table.
  void Add(uint64_t hash, uint32_t slot) {
    Probe probe(hash, groups);
    do {
      TagGroup& group = tags[probe.group()];
      const uint32_t empty = Matches(group, kEmpty);
      const uint32_t open = empty | Matches(group, kDeleted);
      if (open == 0) continue;
      const auto i = static_cast<uint64_t>(std::countr_zero(open));
      used += (empty >> i) & 1;
      group.tags[i] = TagOf(hash);
      slots[probe.group() * kGroupSize + i] = slot;
      return;
    } while (probe.Next());
    CHECK(false);
  }
  void RemoveAt(uint64_t place) {
    TagGroup& group = tags[place / kGroupSize];
    // A search that came this far stops at an empty tag of the group, so this one may become empty
    // too.
    const bool stops = Matches(group, kEmpty) != 0;
    group.tags[place % kGroupSize] = stops ? kEmpty : kDeleted;
    if (stops) --used;
  }
  uint64_t bytes() const { return groups * kGroupSize * (1 + sizeof(uint32_t)); }
};

IdMap::IdMap() : arena_(kUnitBytes) {}
IdMap::~IdMap() = default;

// --- arena ---

uint32_t IdMap::Allocate(uint32_t units) {
  uint32_t from = units;
  if (free_heads_[units] == 0 && free_units_ > arena_end_ / 4) {
    while (from < free_heads_.size() && free_heads_[from] == 0) ++from;
  }
  if (from < free_heads_.size() && free_heads_[from] != 0) {
    const uint32_t ref = free_heads_[from];
    std::memcpy(&free_heads_[from], arena_.At(ref), kUnitBytes);
    free_units_ -= from;
    if (from > units) Free(ref + units, from - units);
    return ref;
  }
  const uint64_t start = PlaceBlock(arena_end_, units, arena_.rows_per_chunk());
  CHECK_LE(start + units, arena_.reserved_rows());
  const uint64_t skipped_from = std::exchange(arena_end_, start + units);
  if (start > skipped_from) {
    Free(static_cast<uint32_t>(skipped_from), static_cast<uint32_t>(start - skipped_from));
  }
  return static_cast<uint32_t>(start);
}

void IdMap::Free(uint32_t ref, uint32_t units) {
  CHECK(units >= 1 && units < free_heads_.size());
  std::memcpy(arena_.At(ref), &free_heads_[units], kUnitBytes);
  free_heads_[units] = ref;
  free_units_ += units;
}

// --- table ---

std::optional<uint64_t> IdMap::Locate(const Table* table, std::string_view id,
                                      uint64_t hash) const {
  if (table == nullptr) return std::nullopt;
  Probe probe(hash, table->groups);
  do {
    const TagGroup& group = table->tags[probe.group()];
    for (uint32_t match = Matches(group, TagOf(hash)); match != 0; match &= match - 1) {
      const uint64_t place =
          probe.group() * kGroupSize + static_cast<uint64_t>(std::countr_zero(match));
      const uint32_t slot = table->slots[place];
      if (slot < entries_.reserved_rows() && Id(slot) == id) return place;
    }
    if (Matches(group, kEmpty) != 0) return std::nullopt;
  } while (probe.Next());
  return std::nullopt;
}

const uint32_t* IdMap::FindPlace(std::string_view id, uint64_t hash) const {
  if (const auto place = Locate(table_.get(), id, hash)) return &table_->slots[*place];
  if (const auto place = Locate(old_.get(), id, hash)) return &old_->slots[*place];
  return nullptr;
}

void IdMap::MigrateGroups(uint64_t groups) {
  if (old_ == nullptr) return;
  const uint64_t end = std::min(old_group_ + groups, old_->groups);
  for (; old_group_ < end; ++old_group_) {
    TagGroup& group = old_->tags[old_group_];
    for (uint64_t i = 0; i < kGroupSize; ++i) {
      if (group.tags[i] < 0x80) continue;
      const uint32_t slot = old_->slots[old_group_ * kGroupSize + i];
      // A slot out of range came damaged from a checkpoint; its verification will tell.
      if (slot < entries_.reserved_rows()) table_->Add(Hash64(Id(slot)), slot);
      group.tags[i] = kDeleted;
      --old_left_;
    }
  }
  if (old_group_ < old_->groups) return;
  old_left_ = 0;
  table_bytes_.fetch_sub(old_->bytes(), std::memory_order_relaxed);
  old_ = nullptr;
}

absl::Status IdMap::ReserveTable(uint64_t ids) {
  // What is still in the old table will need its place too.
  if (table_ != nullptr && table_->used + old_left_ + ids <= MostUsed(table_->groups)) {
    return absl::OkStatus();
  }
  MigrateGroups(~uint64_t{0} / 2);
  if (table_ != nullptr && table_->used + ids <= MostUsed(table_->groups)) return absl::OkStatus();
  // At least a quarter of the new table's room is left after the move, many times what the old one
  // has groups; so the move, two groups a write, ends long before the next.
  const uint64_t groups = GroupsFor(size_ + ids + (size_ + ids) / 3);
  if (groups > kMaxGroups) return ResourceExhausted("{} ids wanted", size_ + ids);
  auto table = std::make_unique<Table>();
  RETURN_IF_ERROR(table->Reserve(groups));
  table_bytes_.fetch_add(table->bytes(), std::memory_order_relaxed);
  old_ = std::exchange(table_, std::move(table));
  old_group_ = 0;
  old_left_ = size_;
  return absl::OkStatus();
}

// --- appender ---

absl::Status IdMap::Reserve(uint64_t slot_end, uint64_t ids, uint64_t id_bytes) {
  RETURN_IF_ERROR(entries_.Reserve(slot_end));
  const uint64_t units = id_bytes / kUnitBytes + ids;
  const uint64_t crossings = units / arena_.rows_per_chunk() + 1;
  RETURN_IF_ERROR(arena_.Reserve(arena_end_ + units + crossings * free_heads_.size()));
  return ReserveTable(ids);
}

std::optional<uint32_t> IdMap::Find(std::string_view id) const {
  const uint32_t* const place = FindPlace(id, Hash64(id));
  return place == nullptr ? std::nullopt : std::optional(*place);
}

std::optional<uint32_t> IdMap::Insert(uint32_t slot, std::string_view id, uint64_t version,
                                      uint8_t flags) {
  CHECK(!id.empty() && id.size() <= kMaxPointIdBytes);
  CHECK_LT(slot, entries_.reserved_rows());
  CHECK_EQ(entries_[slot].ref, 0U);
  MigrateGroups(kMigratedPerWrite);
  const uint64_t hash = Hash64(id);
  const uint32_t* const place = FindPlace(id, hash);

  Entry& entry = entries_[slot];
  entry.ref = Allocate(UnitsForBytes(id.size()));
  std::memcpy(arena_.At(entry.ref), id.data(), id.size());
  entry.length_minus_1 = static_cast<uint8_t>(id.size() - 1);
  entry.version = version;
  entry.flags = flags;

  if (place != nullptr) return std::exchange(*const_cast<uint32_t*>(place), slot);
  CHECK(table_ != nullptr && table_->used < MostUsed(table_->groups));
  table_->Add(hash, slot);
  ++size_;
  return std::nullopt;
}

std::optional<uint32_t> IdMap::Erase(std::string_view id) {
  MigrateGroups(kMigratedPerWrite);
  const uint64_t hash = Hash64(id);
  for (Table* const table : {table_.get(), old_.get()}) {
    if (const auto place = Locate(table, id, hash)) {
      const uint32_t slot = table->slots[*place];
      table->RemoveAt(*place);
      if (table == old_.get()) --old_left_;
      --size_;
      return slot;
    }
  }
  return std::nullopt;
}

void IdMap::Release(uint32_t slot) {
  Entry& entry = entries_[slot];
  CHECK_NE(entry.ref, 0U);
  Free(entry.ref, UnitsOf(entry));
  entry = Entry{};
}

// --- checkpoint ---

absl::Status IdMap::WriteTo(CheckpointWriter& writer, uint64_t slot_end,
                            const std::function<bool(uint32_t)>& live) const {
  CHECK_LE(slot_end, entries_.reserved_rows());
  const uint64_t per_chunk = arena_.rows_per_chunk();
  uint64_t count = 0;
  uint64_t arena_end = 1;
  for (uint32_t slot = 0; slot < slot_end; ++slot) {
    if (!live(slot)) continue;
    const uint32_t units = UnitsOf(entries_[slot]);
    arena_end = PlaceBlock(arena_end, units, per_chunk) + units;
    ++count;
  }
  Table table;
  const uint64_t groups = GroupsFor(count);
  RETURN_IF_ERROR(table.Reserve(groups));
  RowSections entries(writer, "ids/entries", sizeof(Entry), slot_end);
  uint64_t end = 1;
  for (uint32_t slot = 0; slot < slot_end; ++slot) {
    Entry entry;
    if (live(slot)) {
      entry = entries_[slot];
      const uint64_t start = PlaceBlock(end, UnitsOf(entry), per_chunk);
      end = start + UnitsOf(entry);
      entry.ref = static_cast<uint32_t>(start);
      table.Add(Hash64(Id(slot)), slot);
    }
    RETURN_IF_ERROR(entries.Append({reinterpret_cast<const char*>(&entry), sizeof entry}));
  }
  RowSections arena(writer, "ids/arena", kUnitBytes, arena_end);
  const std::string zeros(size_t{kUnitBytes} * 64, '\0');
  RETURN_IF_ERROR(arena.Append({zeros.data(), kUnitBytes}));
  end = 1;
  for (uint32_t slot = 0; slot < slot_end; ++slot) {
    if (!live(slot)) continue;
    const std::string_view id = Id(slot);
    const uint32_t units = UnitsForBytes(id.size());
    const uint64_t start = PlaceBlock(end, units, per_chunk);
    RETURN_IF_ERROR(arena.Append({zeros.data(), (start - end) * kUnitBytes}));
    RETURN_IF_ERROR(arena.Append(id));
    RETURN_IF_ERROR(arena.Append({zeros.data(), units * kUnitBytes - id.size()}));
    end = start + units;
  }
  CHECK_EQ(end, arena_end);
  writer.SetNumber("ids.count", count);
  writer.SetNumber("ids.groups", groups);
  writer.SetNumber("ids.used", table.used);
  writer.SetNumber("ids.arena_units", arena_end);
  AppendLock nobody;
  RETURN_IF_ERROR(table.tags.store().WriteTo(writer, "ids/tags", groups, nobody));
  return table.slots.store().WriteTo(writer, "ids/slots", groups * kGroupSize, nobody);
}

absl::Status IdMap::OpenFrom(const CheckpointReader& reader, uint64_t slot_end) {
  CHECK(table_ == nullptr);
  ASSIGN_OR_RETURN(const uint64_t count, reader.Number("ids.count"));
  ASSIGN_OR_RETURN(const uint64_t groups, reader.Number("ids.groups"));
  ASSIGN_OR_RETURN(const uint64_t used, reader.Number("ids.used"));
  ASSIGN_OR_RETURN(const uint64_t arena_units, reader.Number("ids.arena_units"));
  if (!std::has_single_bit(groups) || groups > kMaxGroups || used > MostUsed(groups) ||
      count > used || arena_units < 1) {
    return DataLoss("{}: id table of {} ids, {} groups, {} used, {} units", reader.dir(), count,
                    groups, used, arena_units);
  }
  auto table = std::make_unique<Table>();
  table->groups = groups;
  table->used = used;
  RETURN_IF_ERROR(table->tags.store().OpenFrom(reader, "ids/tags", groups));
  RETURN_IF_ERROR(table->slots.store().OpenFrom(reader, "ids/slots", groups * kGroupSize));
  RETURN_IF_ERROR(entries_.store().OpenFrom(reader, "ids/entries", slot_end));
  RETURN_IF_ERROR(arena_.OpenFrom(reader, "ids/arena", arena_units));
  table_bytes_.store(table->bytes(), std::memory_order_relaxed);
  table_ = std::move(table);
  arena_end_ = arena_units;
  size_ = count;
  return absl::OkStatus();
}

absl::Status IdMap::CheckConsistent(uint64_t slot_end,
                                    const std::function<bool(uint32_t)>& live) const {
  uint64_t count = 0;
  for (uint32_t slot = 0; slot < slot_end; ++slot) {
    if (!live(slot)) continue;
    ++count;
    const std::string_view id = Id(slot);
    if (entries_[slot].ref == 0 || id.empty()) return DataLoss("slot {} has no id", slot);
    if (Find(id) != slot) return DataLoss("slot {} is not found by its id", slot);
  }
  if (count != size_) return DataLoss("{} ids in the table, {} live slots", size_, count);
  return absl::OkStatus();
}

absl::Status IdMap::Adopt(AppendLock& lock) {
  RETURN_IF_ERROR(entries_.store().Adopt(lock));
  RETURN_IF_ERROR(arena_.Adopt(lock));
  // The appender may put another table in place between two pieces.
  for (bool again = true; again;) {
    const std::lock_guard hold(lock);
    again = false;
    for (Table* const table : {table_.get(), old_.get()}) {
      if (table == nullptr) continue;
      for (RecordStore* const store : {&table->tags.store(), &table->slots.store()}) {
        if (again || store->fully_adopted()) continue;
        RETURN_IF_ERROR(store->AdoptPiece());
        again = true;
      }
    }
  }
  return absl::OkStatus();
}

uint64_t IdMap::memory_bytes() const {
  return entries_.store().memory_bytes() + arena_.memory_bytes() +
         table_bytes_.load(std::memory_order_relaxed);
}

}  // namespace vectron::index
