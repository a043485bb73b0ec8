#include "index/graph_walk.h"

#include <algorithm>

#include "base/limits.h"
#include "index/graph.h"

namespace vectron::index {
namespace {

// A row counts when the snapshot sees it.
struct CountsSeen {
  uint32_t sequence;
  bool operator()(uint32_t /*slot*/, const RecordTail& tail) const {
    return SeenAt(tail, sequence);
  }
};

// ... and the filter passes it.
struct CountsMatching {
  uint32_t sequence;
  const SlotSet* filter;
  bool operator()(uint32_t slot, const RecordTail& tail) const {
    return filter->Contains(slot) && SeenAt(tail, sequence);
  }
};

int32_t DistanceTo(const Kernels& kernels, const RowTable& table, const CodeQuery& query,
                   uint32_t slot) {
  const uint8_t* code = table.Code(slot);
  int32_t distance = 0;
  kernels.code_distances(query, &code, 1, &distance);
  return distance;
}

}  // namespace

Candidate Graph::GreedyStep(const RowTable& table, Candidate from, uint32_t level,
                            SearchContext& context) const {
  SearchContext::Batch& batch = context.batch;
  while (true) {
    const ConstLinks links = LinksOf(table, from.slot, level);
    batch.count = 0;
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t slot = links.links[i].load(std::memory_order_acquire);
      if (slot == kNoSlot || !context.visited.Insert(slot)) continue;
      const char* record = table.Record(slot);
      PrefetchCode(table.layout, record);
      batch.Add(record, slot);
    }
    kernels_.code_distances(context.query, batch.codes.data(), batch.count, batch.distances.data());
    context.stats.hops += 1;
    context.stats.distances += batch.count;
    const uint32_t before = from.slot;
    for (uint32_t i = 0; i < batch.count; ++i) {
      if (batch.distances[i] >= from.distance) continue;
      from = {.distance = batch.distances[i], .slot = batch.slots[i]};
    }
    if (from.slot == before) return from;
  }
}

Candidate Graph::Descend(const RowTable& table, Entry from, uint32_t level,
                         SearchContext& context) const {
  Candidate nearest{.distance = DistanceTo(kernels_, table, context.query, from.slot),
                    .slot = from.slot};
  context.visited.Insert(from.slot);
  for (uint32_t l = from.level; l > level; --l) nearest = GreedyStep(table, nearest, l, context);
  return nearest;
}

void Graph::Walk(const Request& request, SearchContext& context) const {
  const RowTable& table = *request.table;
  context.pool.Reset(request.ef);
  const uint64_t packed = entry_.load(std::memory_order_acquire);
  if (packed == kNoEntry) return;
  context.visited.Begin(request.slots);
  const Candidate start = Descend(table, Unpack(packed), 0, context);
  context.visited.Begin(request.slots);
  context.visited.Insert(start.slot);
  const RecordTail& tail = table.Tail(start.slot);
  if (request.filter == nullptr) {
    const CountsSeen counts{request.sequence};
    context.pool.Insert(start.distance, start.slot, counts(start.slot, tail));
    WalkLevel(table, 0, counts, context);
  } else {
    const CountsMatching counts{request.sequence, request.filter};
    context.pool.Insert(start.distance, start.slot, counts(start.slot, tail));
    WalkLevel(table, 0, counts, context);
  }
}

// Neighbours of `slot` that pass the filter go into the batch, and neighbours of those that do not,
// until it is full.
void Graph::GatherTwoHop(const RowTable& table, uint32_t slot, const SlotSet& filter,
                         SearchContext& context) const {
  SearchContext::Batch& batch = context.batch;
  uint32_t around[2 * kMaxM];
  uint32_t around_count = 0;
  batch.count = 0;
  const auto add = [&](uint32_t to) {
    const char* record = table.Record(to);
    PrefetchCode(table.layout, record);
    batch.Add(record, to);
  };
  const ConstLinks links = LinksOf(table, slot, 0);
  for (uint32_t i = 0; i < links.count; ++i) {
    const uint32_t to = links.links[i].load(std::memory_order_acquire);
    if (!context.visited.Insert(to)) continue;
    if (filter.Contains(to)) {
      add(to);
    } else {
      around[around_count++] = to;
      PrefetchLinks(table.layout, table.Record(to));
    }
  }
  const uint32_t full = MaxLinks(0);
  for (uint32_t i = 0; i < around_count && batch.count < full; ++i) {
    const ConstLinks further = LinksOf(table, around[i], 0);
    for (uint32_t j = 0; j < further.count && batch.count < full; ++j) {
      const uint32_t to = further.links[j].load(std::memory_order_acquire);
      if (filter.Contains(to) && context.visited.Insert(to)) add(to);
    }
  }
}

void Graph::WalkTwoHop(const Request& request, std::span<const uint32_t> seeds,
                       SearchContext& context) const {
  const RowTable& table = *request.table;
  Pool& pool = context.pool;
  pool.Reset(request.ef);
  const uint64_t packed = entry_.load(std::memory_order_acquire);
  if (packed == kNoEntry) return;
  context.visited.Begin(request.slots);
  const Candidate start = Descend(table, Unpack(packed), 0, context);
  const CountsMatching counts{request.sequence, request.filter};
  context.visited.Begin(request.slots);
  context.visited.Insert(start.slot);
  pool.Insert(start.distance, start.slot, counts(start.slot, table.Tail(start.slot)));
  context.batch.count = 0;
  for (const uint32_t seed : seeds) {
    if (context.visited.Insert(seed)) context.batch.Add(table.Record(seed), seed);
  }
  Offer(table, counts, context);
  while (const Pool::Entry* next = pool.TakeNext()) {
    GatherTwoHop(table, next->slot(), *request.filter, context);
    context.stats.hops += 1;
    Offer(table, counts, context);
  }
}

}  // namespace vectron::index
