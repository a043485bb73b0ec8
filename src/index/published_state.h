#pragma once

// The committed state, read by any thread while the appender replaces it (a sequence lock: a reader
// that meets a change reads again; the change takes a few nanoseconds).

#include <atomic>
#include <cstdint>

#include "index/vector_index.h"

namespace vectron::index {

class PublishedState {
 public:
  // Appender only.
  void Store(const CheckpointCut& state) {
    const uint64_t version = version_.load(std::memory_order_relaxed);
    version_.store(version + 1);
    applied_index_.store(state.applied_index);
    sequence_.store(state.sequence);
    row_count_.store(state.row_count);
    version_.store(version + 2);
  }
  CheckpointCut Load() const {
    while (true) {
      const uint64_t before = version_.load();
      const CheckpointCut state{.applied_index = applied_index_.load(),
                                .sequence = sequence_.load(),
                                .row_count = row_count_.load()};
      if (before % 2 == 0 && version_.load() == before) return state;
    }
  }

 private:
  std::atomic<uint64_t> version_{0};
  std::atomic<uint64_t> applied_index_{0};
  std::atomic<uint32_t> sequence_{0};
  std::atomic<uint32_t> row_count_{0};
};

}  // namespace vectron::index
