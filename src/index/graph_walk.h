#pragma once

// The inner loop of every walk, shared by searches and insertions.

#include "index/graph.h"

namespace vectron::index {

// Asks for the cache lines that a distance will read.
inline void PrefetchCode(const RecordLayout& layout, const char* record) {
  for (uint32_t line = 0; line < layout.code_lines; ++line) {
    __builtin_prefetch(record + size_t{line} * 64);
  }
}

// Asks for the fixed fields and links.
inline void PrefetchLinks(const RecordLayout& layout, const char* record) {
  const uint32_t first = layout.code_bytes / 64 * 64;
  for (uint32_t at = first; at < layout.stride_bytes; at += 64) __builtin_prefetch(record + at);
}

// Computes the distances of the batch and puts what is near enough into the pool. counts(slot,
// tail): is it a result?
template <typename Counts>
void Graph::Offer(const RowTable& table, const Counts& counts, SearchContext& context) const {
  SearchContext::Batch& batch = context.batch;
  Pool& pool = context.pool;
  kernels_.code_distances(context.query, batch.codes.data(), batch.count, batch.distances.data());
  context.stats.distances += batch.count;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (batch.distances[i] >= pool.bound()) continue;
    const auto* record = reinterpret_cast<const char*>(batch.codes[i]);
    const bool does_count = counts(batch.slots[i], table.layout.Tail(record));
    context.stats.tombstones += does_count ? 0 : 1;
    pool.Insert(batch.distances[i], batch.slots[i], does_count);
  }
}

// Expands the pool's entries, nearest first, until none is left. Rows in context.visited are not
// met again.
template <typename Counts>
void Graph::WalkLevel(const RowTable& table, uint32_t level, const Counts& counts,
                      SearchContext& context) const {
  SearchContext::Batch& batch = context.batch;
  Pool& pool = context.pool;
  while (const Pool::Entry* next = pool.TakeNext()) {
    const ConstLinks links = LinksOf(table, next->slot(), level);
    batch.count = 0;
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t slot = links.links[i].load(std::memory_order_acquire);
      if (slot == kNoSlot || !context.visited.Insert(slot)) continue;
      const char* record = table.Record(slot);
      PrefetchCode(table.layout, record);
      batch.Add(record, slot);
    }
    if (const Pool::Entry* after = pool.PeekNext()) {
      PrefetchLinks(table.layout, table.Record(after->slot()));
    }
    context.stats.hops += 1;
    Offer(table, counts, context);
  }
}

}  // namespace vectron::index
