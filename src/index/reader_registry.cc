#include "index/reader_registry.h"

#include <functional>
#include <memory>
#include <thread>

namespace vectron::index {

ReaderRegistry::~ReaderRegistry() {
  for (std::atomic<Block*>& block : blocks_) delete block.load();
}

ReaderRegistry::Block& ReaderRegistry::BlockAt(size_t i) {
  Block* block = blocks_[i].load(std::memory_order_acquire);
  if (block != nullptr) return *block;
  auto fresh = std::make_unique<Block>();
  if (blocks_[i].compare_exchange_strong(block, fresh.get())) return *fresh.release();
  return *block;
}

size_t ReaderRegistry::Enter() {
  const size_t hint = std::hash<std::thread::id>{}(std::this_thread::get_id());
  for (size_t block_index = 0;; block_index = (block_index + 1) % blocks_.size()) {
    Block& block = BlockAt(block_index);
    for (size_t i = 0; i < kBlockReaders; ++i) {
      const size_t at = (hint + i) % kBlockReaders;
      std::atomic<uint64_t>& mine = block[at].epoch;
      uint64_t expected = kIdle;
      uint64_t epoch = epoch_.load();
      if (mine.load(std::memory_order_relaxed) != kIdle ||
          !mine.compare_exchange_strong(expected, epoch)) {
        continue;
      }
      // The epoch may have moved on before the entry could be seen; enter with the one that holds
      // now.
      for (uint64_t now = epoch_.load(); now != epoch; now = epoch_.load()) {
        epoch = now;
        mine.store(epoch);
      }
      return block_index * kBlockReaders + at;
    }
  }
}

void ReaderRegistry::Leave(size_t reader) {
  Block& block = *blocks_[reader / kBlockReaders].load(std::memory_order_acquire);
  block[reader % kBlockReaders].epoch.store(kIdle, std::memory_order_release);
}

uint64_t ReaderRegistry::Oldest() const {
  uint64_t oldest = epoch_.load();
  for (const std::atomic<Block*>& pointer : blocks_) {
    const Block* block = pointer.load();
    if (block == nullptr) continue;
    for (const Slot& slot : *block) {
      const uint64_t epoch = slot.epoch.load();
      if (epoch != kIdle && epoch < oldest) oldest = epoch;
    }
  }
  return oldest;
}

}  // namespace vectron::index
