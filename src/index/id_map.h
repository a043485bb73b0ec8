#pragma once

// Ids of points: id -> slot for the appender, slot -> (id, version, flags) for everyone.
//
// The table is open addressing over groups of 16 one-byte tags (after Kulukundis, "Designing a
// fast, efficient, cache-friendly hash table, step by step", CppCon 2017) with a u32 slot beside
// each; it grows by moving a group or two per write, so that no write pays for all. Id bytes lie in
// an arena of 4-byte units; those of a released slot are used again for ids of that size (smaller
// ones too while much is free), so that garbage is bounded by the peak of each size. Per row: 16
// bytes, 6 to 12 of table, and the id rounded up to 4.
//
// Threads: Find, Insert, Erase, Release and Reserve by the appender (all but Find under the
// AppendLock, when Adopt may run); Id, Version, Flags by any thread while the slot's row is visible
// to it: what they read is written once, before the row is committed, and changes only after
// Release.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/checkpoint.h"
#include "index/record_store.h"

namespace vectron::index {

class IdMap {
 public:
  IdMap();
  ~IdMap();
  IdMap(const IdMap&) = delete;
  IdMap& operator=(const IdMap&) = delete;

  // Makes sure that slots [0, slot_end) can be used and that `ids` more Inserts, of `id_bytes`
  // bytes of ids together, need no memory that could be refused. ResourceExhausted when there is
  // not enough.
  absl::Status Reserve(uint64_t slot_end, uint64_t ids, uint64_t id_bytes);

  // The id's slot.
  std::optional<uint32_t> Find(std::string_view id) const;
  // Gives `slot` to the id. Returns the slot the id had before; that one keeps its own copy of the
  // id for its readers until it is released. id: 1-256 bytes. slot: reserved, and free (never
  // inserted, or released).
  std::optional<uint32_t> Insert(uint32_t slot, std::string_view id, uint64_t version,
                                 uint8_t flags);
  // Forgets the id; returns the slot it had. The slot's row stays readable until it is released.
  std::optional<uint32_t> Erase(std::string_view id);
  // The slot's row is seen by nobody any more: its id bytes may be reused. The slot is neither the
  // id's current one nor released already.
  void Release(uint32_t slot);
  uint64_t size() const { return size_; }  // ids

  // Of an inserted slot.
  // Empty when the entry came damaged from a checkpoint and points outside the arena.
  std::string_view Id(uint32_t slot) const {
    const Entry& entry = entries_[slot];
    const uint32_t units = UnitsOf(entry);
    if (entry.ref + uint64_t{units} > arena_.reserved_rows() ||
        entry.ref % arena_.rows_per_chunk() + units > arena_.rows_per_chunk()) {
      return {};
    }
    return {arena_.At(entry.ref), size_t{entry.length_minus_1} + 1};
  }
  uint64_t Version(uint32_t slot) const { return entries_[slot].version; }
  uint8_t Flags(uint32_t slot) const { return entries_[slot].flags; }
  void Prefetch(uint32_t slot) const { __builtin_prefetch(&entries_[slot]); }

  // Writes the ids of the slots in [0, slot_end) for which live(slot) says true, as of the cut:
  // those rows must be held against release while this runs (as by a reader), and hold each id
  // once. Packed anew, so what removed ids left behind goes. Needs 6 to 12 bytes of memory per id
  // for the time.
  absl::Status WriteTo(CheckpointWriter& writer, uint64_t slot_end,
                       const std::function<bool(uint32_t)>& live) const;
  // Maps what WriteTo made; on an empty map only. No row is touched. Slots that were not live are
  // free. Errors: DataLoss (missing or contradictory), ResourceExhausted.
  absl::Status OpenFrom(const CheckpointReader& reader, uint64_t slot_end);
  // Checks what CRCs cannot: that every entry of [0, slot_end) for which live(slot) says true
  // points to bytes of the arena and is found by its id. DataLoss with the slot. By the appender's
  // thread or while it rests.
  absl::Status CheckConsistent(uint64_t slot_end, const std::function<bool(uint32_t)>& live) const;
  // Moves what is mapped from a checkpoint into memory of our own.
  absl::Status Adopt(AppendLock& lock);

  uint64_t memory_bytes() const;

 private:
  struct Entry {
    uint64_t version = 0;
    uint32_t ref = 0;  // first unit of the id in the arena; 0: the slot is free
    uint8_t length_minus_1 = 0;
    uint8_t flags = 0;
    uint16_t unused = 0;
  };
  static_assert(sizeof(Entry) == 16);
  struct Table;

  static uint32_t UnitsOf(const Entry& entry) { return uint32_t{entry.length_minus_1} / 4 + 1; }
  uint32_t Allocate(uint32_t units);
  void Free(uint32_t ref, uint32_t units);
  absl::Status ReserveTable(uint64_t ids);
  void MigrateGroups(uint64_t groups);
  // The entry's place in the table's slots, or nothing.
  std::optional<uint64_t> Locate(const Table* table, std::string_view id, uint64_t hash) const;
  // Where the id's slot is kept, in the table or the old one; null when there is none.
  const uint32_t* FindPlace(std::string_view id, uint64_t hash) const;

  ChunkedArray<Entry> entries_;
  RecordStore arena_;        // rows of one 4-byte unit; unit 0 is never handed out
  uint64_t arena_end_ = 1;   // units handed out so far
  uint64_t free_units_ = 0;  // of them, in free blocks
  // By units: first free block, 0 = none; a free block holds the next.
  std::array<uint32_t, 65> free_heads_{};
  std::unique_ptr<Table> table_;
  std::unique_ptr<Table> old_;  // being moved into table_, or null
  uint64_t old_group_ = 0;      // groups of old_ before this one are moved
  uint64_t old_left_ = 0;       // ids still in it
  uint64_t size_ = 0;
  std::atomic<uint64_t> table_bytes_{0};
};

}  // namespace vectron::index
