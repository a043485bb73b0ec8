#include "index/row_log.h"

#include <bit>

#include "base/check.h"

namespace vectron::index {
namespace {

constexpr uint64_t kFirstSize = 1024;

}  // namespace

RowLog::RowLog() { AddRing(kFirstSize); }

void RowLog::AddRing(uint64_t size) {
  rings_.push_back(std::make_unique<Ring>(size));
  const Ring& fresh = *rings_.back();
  for (uint64_t i = linked(); i < appended_; ++i) {
    fresh.slots[i & fresh.mask].store(SlotAt(i), std::memory_order_relaxed);
  }
  ring_.store(&fresh, std::memory_order_release);
  memory_bytes_.fetch_add(size * sizeof(uint32_t), std::memory_order_relaxed);
}

void RowLog::Reserve(uint64_t rows) {
  const uint64_t needed = appended_ - linked() + rows;
  if (needed > rings_.back()->mask + 1) AddRing(std::bit_ceil(needed));
}

void RowLog::Append(uint32_t slot) {
  CHECK_LE(appended_ - linked(), ring_.load(std::memory_order_relaxed)->mask);
  Put(appended_, slot);
  appended_ += 1;
}

void RowLog::StartAt(uint64_t ordinal) {
  CHECK_EQ(appended_, linked());
  appended_ = ordinal;
  committed_.store(ordinal, std::memory_order_release);
  SetLinked(ordinal);
}

}  // namespace vectron::index
