#pragma once

// The rows not yet in the graph, in log order: a ring of slots numbered by ordinal (0, 1, 2, ...
// over the index's life).
//
//   linked() <= committed() <= appended()
//
// Threads: the appender appends and commits; the builder moves linked(); readers load linked(),
// then committed(), and read what lies between. An entry they read late may be a younger row's:
// that is no harm, for the older row is in the graph by then and the younger one not visible to
// them.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vectron::index {

class RowLog {
 public:
  RowLog();

  // Any thread.
  uint64_t linked() const { return linked_.load(std::memory_order_acquire); }
  uint64_t committed() const { return committed_.load(std::memory_order_acquire); }
  uint32_t SlotAt(uint64_t ordinal) const {
    const Ring& ring = *ring_.load(std::memory_order_acquire);
    return ring.slots[ordinal & ring.mask].load(std::memory_order_relaxed);
  }

  // Appender. Makes room for `rows` more rows.
  void Reserve(uint64_t rows);
  void Append(uint32_t slot);
  void Commit() { committed_.store(appended_, std::memory_order_release); }
  uint64_t appended() const { return appended_; }
  // Drops the rows for which keep(slot) is false and moves the others to the end, in order. While
  // nothing is linked, no reader looks at the log and all is committed.
  template <typename Keep>
  void Compact(const Keep& keep) {
    uint64_t to = appended_;
    for (uint64_t from = appended_; from-- > linked();) {
      const uint32_t slot = SlotAt(from);
      if (keep(slot)) Put(--to, slot);
    }
    SetLinked(to);
  }
  // Begins at `ordinal`; the log is empty.
  void StartAt(uint64_t ordinal);

  // Builder.
  void SetLinked(uint64_t ordinal) { linked_.store(ordinal, std::memory_order_release); }

  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }

 private:
  struct Ring {
    explicit Ring(uint64_t size) : mask(size - 1), slots(new std::atomic<uint32_t>[size]()) {}
    const uint64_t mask;
    std::unique_ptr<std::atomic<uint32_t>[]> slots;
  };
  void Put(uint64_t ordinal, uint32_t slot) {
    const Ring& ring = *ring_.load(std::memory_order_relaxed);
    ring.slots[ordinal & ring.mask].store(slot, std::memory_order_relaxed);
  }
  void AddRing(uint64_t size);

  std::vector<std::unique_ptr<Ring>> rings_;  // the last is in use; readers may hold on to others
  std::atomic<const Ring*> ring_{nullptr};
  std::atomic<uint64_t> linked_{0};
  std::atomic<uint64_t> committed_{0};
  std::atomic<uint64_t> memory_bytes_{0};
  uint64_t appended_ = 0;
};

}  // namespace vectron::index
