// The builder's part: one piece of work at a time, in log order.

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "index/hnsw_index.h"

namespace vectron::index {
namespace {

// A new scale is due when more than one value in this many lay outside it, among at least so many
// values.
constexpr uint64_t kClampedOneIn = 100;
constexpr uint64_t kMinValuesToJudge = 1 << 16;
// Rows of one hold of the append lock.
constexpr uint32_t kFreezeRows = 4096;

}  // namespace

bool HnswIndex::Build(Executor& executor) {
  CollectRetired();
  const Work* work = work_.Front();
  if (work == nullptr || !Execute(*work, executor)) return false;
  work_.Pop();
  return true;
}

bool HnswIndex::Execute(const Work& work, Executor& executor) {
  switch (work.kind) {
    case WorkKind::kStartGraph:
      return StartGraph(work, executor);
    case WorkKind::kLink:
      return LinkBatch(work, executor);
    case WorkKind::kRepair:
      Repair(work, executor);
      return true;
    case WorkKind::kDropFlat:
      DropFlat(work);
      return true;
    case WorkKind::kFreeze:
      return Freeze(work);
  }
  CHECK(false);
  return false;
}

bool HnswIndex::LinkBatch(const Work& work, Executor& executor) {
  // Values of the batch before this one may have asked for a new scale; a failure for want of
  // memory is tried again.
  if (NeedsNewScale() && !Recode(work.cut_sequence, executor)) return false;
  RowTable& rows = table();
  std::vector<uint32_t> alive;
  std::vector<uint32_t> removed;
  for (uint64_t i = work.first; i < work.first + work.count; ++i) {
    const uint32_t slot = log_.SlotAt(i);
    (SeenAt(rows.Tail(slot), work.cut_sequence) ? alive : removed).push_back(slot);
  }
  const Graph::Batch batch{.slots = alive,
                           .first_ordinal = work.first,
                           .cut_sequence = work.cut_sequence,
                           .slot_count = slot_count_.load(std::memory_order_acquire)};
  if (!graph_.InsertBatch(rows, batch, contexts_, executor).ok()) return false;
  for (const uint32_t slot : alive) clamped_values_ += rows.Tail(slot).clamped;
  encoded_values_ += alive.size() * options_.dimension;
  if (!removed.empty()) {
    for (const uint32_t slot : removed) {
      rows.Tail(slot).state.store(RowState::kUnlinked, std::memory_order_release);
    }
    BeginRetire(work.cut_sequence, std::move(removed));
    log_.SetLinked(work.first + work.count);
    EndRetire();
  } else {
    log_.SetLinked(work.first + work.count);
  }
  return true;
}

void HnswIndex::Repair(const Work& work, Executor& executor) {
  RowTable& rows = table();
  std::vector<uint32_t> dead;
  std::unordered_set<uint32_t> seen;
  // A row that died in the tail went with its batch, and its slot may have a new row by now: alive,
  // or dead and named further on. So the last mention of a slot counts.
  for (auto slot = work.dead.rbegin(); slot != work.dead.rend(); ++slot) {
    const RecordTail& tail = rows.Tail(*slot);
    if (tail.state.load(std::memory_order_acquire) == RowState::kLinked &&
        IsDeadAt(tail.death.load(std::memory_order_acquire), work.cut_sequence) &&
        seen.insert(*slot).second) {
      dead.push_back(*slot);
    }
  }
  std::reverse(dead.begin(), dead.end());
  if (dead.empty()) return;
  const Graph::RepairCut cut{.dead = dead,
                             .slot_count = slot_count_.load(std::memory_order_acquire)};
  BeginRetire(work.cut_sequence, dead);
  graph_.Repair(rows, cut, contexts_, executor);
  EndRetire();
}

void HnswIndex::DropFlat(const Work& work) {
  RowTable& rows = table();
  for (const uint32_t slot : work.dead) {
    rows.Tail(slot).state.store(RowState::kUnlinked, std::memory_order_release);
  }
  BeginRetire(work.cut_sequence, work.dead);
  EndRetire();
}

// From here on searches of snapshots before the cut look for these rows in retired_.
void HnswIndex::BeginRetire(uint32_t cut_sequence, std::vector<uint32_t> slots) {
  const absl::MutexLock lock(&retired_mutex_);
  retired_.push_back({.epoch = 0, .cut_sequence = cut_sequence, .slots = std::move(slots)});
  retired_sequence_.store(cut_sequence, std::memory_order_release);
}

// The rows can no longer be reached by readers that enter from now on.
void HnswIndex::EndRetire() {
  const uint64_t epoch = readers_.Advance();
  const absl::MutexLock lock(&retired_mutex_);
  retired_.back().epoch = epoch;
}

// Hands over slots that no reader can look at any more.
void HnswIndex::CollectRetired() {
  const uint64_t oldest = readers_.Oldest();
  std::vector<uint32_t> slots;
  {
    const absl::MutexLock lock(&retired_mutex_);
    while (!retired_.empty() && retired_.front().epoch != 0 && retired_.front().epoch <= oldest) {
      const std::vector<uint32_t>& group = retired_.front().slots;
      slots.insert(slots.end(), group.begin(), group.end());
      retired_.pop_front();
    }
  }
  std::erase_if(old_tables_, [oldest](const OldTable& old) { return old.epoch <= oldest; });
  if (slots.empty()) return;
  for (const uint32_t slot : slots) graph_.ReleaseUpper(table(), slot);
  const std::lock_guard<AppendLock> lock(append_lock_);
  reusable_.insert(reusable_.end(), slots.begin(), slots.end());
  reuse_changed_ = true;
}

// Births and deaths that all readers are past become "always", so that sequences may wrap around.
bool HnswIndex::Freeze(const Work& work) {
  const uint64_t epoch = readers_.Advance();
  if (readers_.Oldest() < epoch) return false;  // a reader from before the cut; try again later
  RowTable& rows = table();
  const uint32_t slots = slot_count_.load(std::memory_order_acquire);
  for (uint32_t first = 0; first < slots; first += kFreezeRows) {
    const std::lock_guard<AppendLock> lock(append_lock_);
    for (uint32_t slot = first; slot < std::min(first + kFreezeRows, slots); ++slot) {
      RecordTail& tail = rows.Tail(slot);
      if (tail.state.load(std::memory_order_relaxed) == RowState::kFree) continue;
      const uint32_t birth = tail.birth.load(std::memory_order_relaxed);
      const uint32_t death = tail.death.load(std::memory_order_relaxed);
      // A dead row that a checkpoint needs keeps its numbers.
      if (death != kNever && death != kAlways && Reached(work.cut_sequence, death) &&
          MayReuse(slot)) {
        tail.death.store(kAlways, std::memory_order_release);
      }
      if (birth != kAlways && Reached(work.cut_sequence, birth)) {
        tail.birth.store(kAlways, std::memory_order_release);
      }
    }
  }
  return true;
}

bool HnswIndex::NeedsNewScale() const {
  return encoded_values_ >= kMinValuesToJudge && clamped_values_ * kClampedOneIn > encoded_values_;
}

}  // namespace vectron::index
