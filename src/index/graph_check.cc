// Judges of the graph: what tests ask after every storm.

#include <deque>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "index/graph.h"

namespace vectron::index {
namespace {

bool IsLinked(const RowTable& table, uint32_t slot) {
  return table.Tail(slot).state.load(std::memory_order_acquire) == RowState::kLinked;
}

}  // namespace

absl::Status Graph::CheckLevel(const RowTable& table, uint32_t slot_count, uint32_t slot,
                               uint32_t level) const {
  const ConstLinks links = LinksOf(table, slot, level);
  if (links.count > MaxLinks(level)) {
    return Internal("slot {} level {}: {} links, at most {}", slot, level, links.count,
                    MaxLinks(level));
  }
  std::unordered_set<uint32_t> seen;
  for (uint32_t i = 0; i < links.count; ++i) {
    const uint32_t to = links.links[i].load(std::memory_order_acquire);
    if (to >= slot_count) {
      return Internal("slot {} level {}: link to {} of {}", slot, level, to, slot_count);
    }
    if (to == slot) return Internal("slot {} level {}: link to itself", slot, level);
    if (!seen.insert(to).second) return Internal("slot {} level {}: double link", slot, level);
    if (!IsLinked(table, to) || table.Tail(to).level < level) {
      return Internal("slot {} level {}: link to {}, which is not there", slot, level, to);
    }
  }
  return absl::OkStatus();
}

absl::Status Graph::CheckParents(const RowTable& table, uint32_t slot_count) const {
  std::vector<uint32_t> children(slot_count);
  for (uint32_t slot = 0; slot < slot_count; ++slot) {
    if (!IsLinked(table, slot)) continue;
    const uint32_t parent = table.Tail(slot).parent;
    if ((parent == kNoSlot) != (slot == entry().slot)) {
      return Internal("slot {}: parent {}, entry point {}", slot, parent, entry().slot);
    }
    if (parent == kNoSlot) continue;
    if (parent >= slot_count || !HasLink(table, parent, 0, slot)) {
      return Internal("slot {}: its parent {} does not link to it", slot, parent);
    }
    children[parent] += 1;
  }
  for (uint32_t slot = 0; slot < slot_count; ++slot) {
    if (!IsLinked(table, slot)) continue;
    if (children[slot] != table.Tail(slot).children || children[slot] > m_) {
      return Internal("slot {}: {} children, {} noted, at most {}", slot, children[slot],
                      table.Tail(slot).children, m_);
    }
  }
  return absl::OkStatus();
}

absl::Status Graph::Check(const RowTable& table, uint32_t slot_count) const {
  uint32_t linked = 0;
  for (uint32_t slot = 0; slot < slot_count; ++slot) {
    if (!IsLinked(table, slot)) continue;
    linked += 1;
    for (uint32_t level = 0; level <= table.Tail(slot).level; ++level) {
      RETURN_IF_ERROR(CheckLevel(table, slot_count, slot, level));
    }
  }
  if (empty()) {
    return linked == 0 ? absl::OkStatus() : Internal("{} linked rows, no entry point", linked);
  }
  if (!IsLinked(table, entry().slot) || table.Tail(entry().slot).level < entry().level) {
    return Internal("entry point {} is not linked on level {}", entry().slot, entry().level);
  }
  RETURN_IF_ERROR(CheckParents(table, slot_count));
  // Only lowest-level links: what upper ones reach is more.
  std::vector<bool> reached(slot_count);
  std::deque<uint32_t> queue = {entry().slot};
  reached[entry().slot] = true;
  uint32_t count = 0;
  for (; !queue.empty(); queue.pop_front()) {
    count += 1;
    const ConstLinks links = LinksOf(table, queue.front(), 0);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t to = links.links[i].load(std::memory_order_acquire);
      if (reached[to]) continue;
      reached[to] = true;
      queue.push_back(to);
    }
  }
  if (count != linked) return Internal("{} of {} linked rows can be reached", count, linked);
  return absl::OkStatus();
}

uint64_t Graph::Hash(const RowTable& table, uint32_t slot_count) const {
  uint64_t hash = 0;
  for (uint32_t slot = 0; slot < slot_count; ++slot) {
    if (!IsLinked(table, slot)) continue;
    const RecordTail& tail = table.Tail(slot);
    uint64_t row = Mix64(tail.tag);
    for (uint32_t level = 0; level <= tail.level; ++level) {
      const ConstLinks links = LinksOf(table, slot, level);
      for (uint32_t i = 0; i < links.count; ++i) {
        row = Mix64(row ^ table.Tail(links.links[i].load(std::memory_order_acquire)).tag);
      }
      row = Mix64(row + level);
    }
    const bool has_parent = tail.parent != kNoSlot;
    hash += Mix64(row ^ (has_parent ? table.Tail(tail.parent).tag : 0));
  }
  if (empty()) return hash;
  return Mix64(hash ^ table.Tail(entry().slot).tag) + entry().level;
}

}  // namespace vectron::index
