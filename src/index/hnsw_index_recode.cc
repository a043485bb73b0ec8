// Making codes: the first scale of an index, and a new one when vectors have left the old one's
// range.

#include <algorithm>
#include <mutex>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "index/hnsw_index.h"

namespace vectron::index {
namespace {

constexpr uint32_t kRecodeRows = 256;  // of one task

bool IsInUse(const RecordTail& tail) {
  const RowState state = tail.state.load(std::memory_order_acquire);
  return state == RowState::kTail || state == RowState::kLinked;
}

// Whether a reader may compare the row's code: readers of old snapshots look at dead rows that have
// left the graph, too. No slot is handed back while codes are made.
bool NeedsCode(const RecordTail& tail) {
  return tail.state.load(std::memory_order_acquire) != RowState::kFree;
}

}  // namespace

// Values of a sample of the rows seen at the cut: the same rows on every replica, whatever their
// slots.
std::vector<float> HnswIndex::SampleValues(const RowTable& rows, uint32_t cut_sequence) const {
  const uint32_t slots = slot_count_.load(std::memory_order_acquire);
  std::vector<uint32_t> seen;
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (IsInUse(rows.Tail(slot)) && SeenAt(rows.Tail(slot), cut_sequence)) seen.push_back(slot);
  }
  const uint64_t wanted =
      std::clamp<uint64_t>(kScaleSampleValues / options_.dimension, 1, kScaleSampleRows);
  const auto by_tag = [&rows](uint32_t a, uint32_t b) {
    return Mix64(rows.Tail(a).tag) < Mix64(rows.Tail(b).tag);
  };
  if (seen.size() > wanted) {
    const auto end = seen.begin() + static_cast<ptrdiff_t>(wanted);
    std::nth_element(seen.begin(), end, seen.end(), by_tag);
    seen.erase(end, seen.end());
  }
  std::vector<float> values(seen.size() * options_.dimension);
  for (size_t i = 0; i < seen.size(); ++i) {
    raw_->Read(seen[i],
               std::span<float>(values).subspan(i * options_.dimension, options_.dimension));
  }
  return values;
}

void HnswIndex::EncodeRow(const Coder& coder, RowTable& rows, uint32_t slot,
                          std::span<float> scratch) const {
  raw_->Read(slot, scratch);
  char* record = rows.Record(slot);
  RecordTail& tail = rows.layout.Tail(record);
  const Coder::Encoded encoded = coder.Encode(scratch, reinterpret_cast<uint8_t*>(record));
  tail.norm = encoded.norm;
  tail.clamped = static_cast<uint16_t>(std::min<uint32_t>(encoded.clamped, 0xffff));
  if (!encoded.lossless) rows.NoteLossy();
}

// All but the code.
void HnswIndex::CopyTail(const RowTable& from, RowTable& to, uint32_t slot) const {
  const RecordTail& source = from.Tail(slot);
  RecordTail& target = to.Tail(slot);
  target.birth.store(source.birth.load(std::memory_order_acquire), std::memory_order_relaxed);
  target.death.store(source.death.load(std::memory_order_acquire), std::memory_order_relaxed);
  target.state.store(source.state.load(std::memory_order_acquire), std::memory_order_relaxed);
  target.level = source.level;
  target.upper = source.upper;
  target.parent = source.parent;
  target.children = source.children;
  target.tag = source.tag;
  const uint16_t links = source.link_count.load(std::memory_order_acquire);
  const Link* old_links = from.layout.Links(from.Record(slot));
  Link* new_links = to.layout.Links(to.Record(slot));
  for (uint16_t i = 0; i < links; ++i) {
    new_links[i].store(old_links[i].load(std::memory_order_acquire), std::memory_order_relaxed);
  }
  target.link_count.store(links, std::memory_order_relaxed);
}

// The rows get their codes in place: nobody reads codes yet.
bool HnswIndex::StartGraph(const Work& work, Executor& executor) {
  RowTable& rows = table();
  std::vector<uint32_t> changes;
  {
    const std::lock_guard<AppendLock> lock(append_lock_);
    recoded_changes_ = &changes;
  }
  std::vector<float> values = SampleValues(rows, work.cut_sequence);
  auto coder = std::make_unique<const Coder>(options_.dimension, options_.metric,
                                             TrainScale(options_.metric, values));
  const uint32_t slots = slot_count_.load(std::memory_order_acquire);
  ParallelFor(executor, (slots + kRecodeRows - 1) / kRecodeRows, [&](size_t task) {
    std::vector<float> scratch(options_.dimension);
    const auto first = static_cast<uint32_t>(task * kRecodeRows);
    for (uint32_t slot = first; slot < std::min(first + kRecodeRows, slots); ++slot) {
      if (NeedsCode(rows.Tail(slot))) EncodeRow(*coder, rows, slot, scratch);
    }
  });
  std::vector<float> scratch(options_.dimension);
  const std::lock_guard<AppendLock> lock(append_lock_);
  for (const uint32_t slot : changes) {
    if (NeedsCode(rows.Tail(slot))) EncodeRow(*coder, rows, slot, scratch);
  }
  recoded_changes_ = nullptr;
  rows.PublishCoder(std::move(coder));
  return true;
}

// Makes a table with a new scale aside, then puts it in the old one's place.
bool HnswIndex::Recode(uint32_t cut_sequence, Executor& executor) {
  RowTable& old = table();
  auto fresh = std::make_unique<RowTable>(layout_);
  std::vector<uint32_t> changes;
  {
    const std::lock_guard<AppendLock> lock(append_lock_);
    if (!fresh->records.Reserve(old.records.reserved_rows()).ok()) return false;
    recoded_changes_ = &changes;
  }
  std::vector<float> values = SampleValues(old, cut_sequence);
  auto coder = std::make_unique<const Coder>(options_.dimension, options_.metric,
                                             TrainScale(options_.metric, values));
  const auto recode = [&](uint32_t slot, std::span<float> scratch) {
    if (!NeedsCode(old.Tail(slot))) {
      fresh->Tail(slot).state.store(RowState::kFree, std::memory_order_relaxed);
      return;
    }
    CopyTail(old, *fresh, slot);
    EncodeRow(*coder, *fresh, slot, scratch);
  };
  const uint32_t slots = slot_count_.load(std::memory_order_acquire);
  ParallelFor(executor, (slots + kRecodeRows - 1) / kRecodeRows, [&](size_t task) {
    std::vector<float> scratch(options_.dimension);
    const auto first = static_cast<uint32_t>(task * kRecodeRows);
    for (uint32_t slot = first; slot < std::min(first + kRecodeRows, slots); ++slot) {
      recode(slot, scratch);
    }
  });
  std::vector<float> scratch(options_.dimension);
  const std::lock_guard<AppendLock> lock(append_lock_);
  recoded_changes_ = nullptr;
  if (!fresh->records.Reserve(old.records.reserved_rows()).ok()) return false;
  for (const uint32_t slot : changes) recode(slot, scratch);
  fresh->PublishCoder(std::move(coder));
  table_.store(fresh.get(), std::memory_order_release);
  old_tables_.push_back(
      {.epoch = readers_.Advance(), .table = std::exchange(table_owner_, std::move(fresh))});
  encoded_values_ = 0;
  clamped_values_ = 0;
  return true;
}

}  // namespace vectron::index
