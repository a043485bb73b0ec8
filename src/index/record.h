#pragma once

// One row's graph record: code, fixed fields, links of the lowest level, in one run of cache lines.
//
//   u8 code[code_bytes]   RecordTail (32 bytes)   u32 links[2 m]   zeros up to a multiple of 64
//
// Who writes: the appender all but the links' fields, before the row is committed, and `death`
// later; the builder the links' fields. Readers see a link only after the record it points to is
// whole (release and acquire on the link).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "index/coder.h"

namespace vectron::index {

inline constexpr uint32_t kNoSlot = ~uint32_t{0};
// Two bits of a slot number are used as marks.
inline constexpr uint32_t kMaxRows = uint32_t{1} << 30;
inline constexpr uint32_t kMaxLevel = 15;

// Commit sequences count from 1 and may wrap around; these two are not used as such.
inline constexpr uint32_t kAlways = 0;  // birth: before all snapshots. death: likewise
inline constexpr uint32_t kNever = ~uint32_t{0};

enum class RowState : uint8_t {
  kFree = 0,      // never used, or handed back
  kTail = 1,      // appended
  kLinked = 2,    // in the graph
  kUnlinked = 3,  // dead and out of the graph; waits for its readers
};

using Link = std::atomic<uint32_t>;

struct RecordTail {
  int32_t norm;  // directly behind the code: kernels read it there
  std::atomic<uint16_t> link_count;
  uint8_t level;  // the builder's, before the row is reachable
  std::atomic<RowState> state;
  std::atomic<uint32_t> birth;  // commit sequence from which the row is seen
  std::atomic<uint32_t> death;  // commit sequence from which it is not, or kNever
  uint32_t upper;               // first of `level` blocks of links, or kNoSlot
  uint32_t parent;              // the row whose link to this one is never dropped; builder's alone
  uint16_t children;            // rows that have this one as parent; builder's alone
  uint16_t clamped;             // values out of the scale's range
  uint32_t tag;                 // hash of id and version: the row's name in terms of the log
};
static_assert(sizeof(RecordTail) == 32);
static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(Link) == 4);

// Is `sequence` at or past `event`, in the order of a counter that wraps?
inline bool Reached(uint32_t sequence, uint32_t event) {
  return static_cast<int32_t>(sequence - event) >= 0;
}
inline bool IsDeadAt(uint32_t death, uint32_t sequence) {
  return death != kNever && (death == kAlways || Reached(sequence, death));
}
// May be called while the slot is handed out anew: `death` is then read first, and written last.
inline bool SeenAt(const RecordTail& tail, uint32_t sequence) {
  if (IsDeadAt(tail.death.load(std::memory_order_acquire), sequence)) return false;
  const uint32_t birth = tail.birth.load(std::memory_order_acquire);
  return birth == kAlways || Reached(sequence, birth);
}

// Offsets within a record.
struct RecordLayout {
  uint32_t code_bytes = 0;
  uint32_t max_links = 0;     // 2 m
  uint32_t stride_bytes = 0;  // multiple of 64
  uint32_t code_lines = 0;    // cache lines that a distance touches

  RecordLayout(uint32_t dimension, uint32_t m)
      : code_bytes(Coder::CodeBytes(dimension)),
        max_links(2 * m),
        stride_bytes((code_bytes + uint32_t{sizeof(RecordTail)} + 4 * max_links + 63) / 64 * 64),
        code_lines((code_bytes + 16 + 63) / 64) {}

  RecordTail& Tail(char* record) const {
    return *reinterpret_cast<RecordTail*>(record + code_bytes);
  }
  const RecordTail& Tail(const char* record) const {
    return *reinterpret_cast<const RecordTail*>(record + code_bytes);
  }
  Link* Links(char* record) const {
    return reinterpret_cast<Link*>(record + code_bytes + sizeof(RecordTail));
  }
  const Link* Links(const char* record) const {
    return reinterpret_cast<const Link*>(record + code_bytes + sizeof(RecordTail));
  }
};

}  // namespace vectron::index
