#include <algorithm>

#include "index/graph.h"
#include "index/graph_walk.h"

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
    kernels_.code_distances(context.query, batch.codes.data(), batch.count,
                            batch.distances.data());
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

}  // namespace vectron::index
