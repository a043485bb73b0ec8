#pragma once

// Who is reading, so that what readers may still look at is not reused (epoch-based reclamation;
// Fraser, "Practical lock-freedom", 2004). A reader enters with the current epoch. What was made
// unreachable before Advance returned r is free once Oldest() >= r: every reader that holds on has
// entered after it.
//
// Thread-safe and lock-free.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace vectron::index {

class ReaderRegistry {
 public:
  static constexpr size_t kMaxReaders = 4096;  // at once; one more waits

  ReaderRegistry() = default;
  ~ReaderRegistry();
  ReaderRegistry(const ReaderRegistry&) = delete;
  ReaderRegistry& operator=(const ReaderRegistry&) = delete;

  // Returns the number to leave with.
  size_t Enter();
  void Leave(size_t reader);

  // Begins a new epoch and returns it.
  uint64_t Advance() { return epoch_.fetch_add(1) + 1; }
  // Epoch of the reader that entered first and has not left; the current epoch when there is none.
  uint64_t Oldest() const;

 private:
  static constexpr size_t kBlockReaders = 64;
  static constexpr uint64_t kIdle = 0;
  struct alignas(64) Slot {
    std::atomic<uint64_t> epoch{kIdle};
  };
  using Block = std::array<Slot, kBlockReaders>;

  Block& BlockAt(size_t i);

  std::atomic<uint64_t> epoch_{1};
  std::array<std::atomic<Block*>, kMaxReaders / kBlockReaders> blocks_{};
};

}  // namespace vectron::index
