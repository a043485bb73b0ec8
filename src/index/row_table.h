#pragma once

// The records of all rows, and the coder that made their codes. A new scale makes a new table;
// readers of the old one finish on it.

#include <atomic>
#include <cstdint>
#include <memory>

#include "index/coder.h"
#include "index/record.h"
#include "index/record_store.h"

namespace vectron::index {

struct RowTable {
  explicit RowTable(const RecordLayout& record_layout)
      : layout(record_layout), records(record_layout.stride_bytes) {}

  char* Record(uint32_t slot) { return records.At(slot); }
  const char* Record(uint32_t slot) const { return records.At(slot); }
  RecordTail& Tail(uint32_t slot) { return layout.Tail(records.At(slot)); }
  const RecordTail& Tail(uint32_t slot) const { return layout.Tail(records.At(slot)); }
  const uint8_t* Code(uint32_t slot) const {
    return reinterpret_cast<const uint8_t*>(records.At(slot));
  }
  // Null until there is a scale: codes mean nothing before.
  const Coder* coder() const { return coder_ptr.load(std::memory_order_acquire); }
  // Once; every record has its code by then.
  void PublishCoder(std::unique_ptr<const Coder> coder) {
    owned_coder = std::move(coder);
    coder_ptr.store(owned_coder.get(), std::memory_order_release);
  }

  // Do the codes of all rows so far say their vectors exactly?
  bool is_lossless() const { return !lossy.load(std::memory_order_acquire); }
  void NoteLossy() {
    if (!lossy.load(std::memory_order_relaxed)) lossy.store(true, std::memory_order_release);
  }

  const RecordLayout layout;
  RecordStore records;
  std::unique_ptr<const Coder> owned_coder;
  std::atomic<const Coder*> coder_ptr{nullptr};
  std::atomic<bool> lossy{false};
};

}  // namespace vectron::index
