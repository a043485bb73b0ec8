// Taking removed rows out of the graph, after Singh et al., FreshDiskANN, 2021: every row that
// links to removed ones keeps its other links and fills up with the best of what the removed ones
// linked to.

#include <algorithm>
#include <deque>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "index/graph.h"
#include "index/graph_walk.h"

namespace vectron::index {
namespace {

// Links of removed rows that a row may inherit on one level, and removed rows that are asked.
constexpr size_t kMaxInherited = 256;
// Rows of one task of the sweep.
constexpr uint32_t kSweepRows = 1024;

}  // namespace

// One call of Repair.
class Graph::Repairer {
 public:
  Repairer(Graph& graph, RowTable& table, const RepairCut& cut, ContextPool& contexts);

  // In this order. Sweep: any number at once, i < sweep_count().
  void ChooseEntry();
  size_t sweep_count() const { return (cut_.slot_count + kSweepRows - 1) / kSweepRows; }
  void Sweep(size_t i);
  void AdoptOrphans();
  void Unlink();

 private:
  bool IsDead(uint32_t slot) const { return ((dead_[slot / 64] >> (slot % 64)) & 1) != 0; }
  bool IsLinked(uint32_t slot) const {
    return table_.Tail(slot).state.load(std::memory_order_relaxed) == RowState::kLinked;
  }
  RecordTail& Tail(uint32_t slot) { return table_.Tail(slot); }
  uint32_t FirstLiveFrom(uint32_t start, uint32_t level) const;
  void MakeRoomForChild(uint32_t slot);
  void MakeRoot(uint32_t slot);
  void RepairLevel(uint32_t slot, uint32_t level, SearchContext& context);
  void Inherit(uint32_t slot, uint32_t level, std::span<const Candidate> kept,
               SearchContext& context, std::vector<Candidate>& inherited) const;
  void Measure(uint32_t slot, std::vector<Candidate>& candidates, SearchContext& context) const;
  void ForceLink(uint32_t from, uint32_t to);
  void SetParent(uint32_t child, uint32_t parent);
  bool IsConnected(uint32_t slot) const;
  bool AdoptNear(uint32_t orphan);
  void AdoptAnywhere(uint32_t orphan);

  Graph& graph_;
  RowTable& table_;
  const RepairCut& cut_;
  ContextPool& contexts_;
  std::vector<uint64_t> dead_;  // bit a slot
  std::vector<uint32_t>
      orphans_;              // rows whose parent died, in the order of the dead and their links
  uint32_t root_ = kNoSlot;  // when it was replaced
};

Graph::Repairer::Repairer(Graph& graph, RowTable& table, const RepairCut& cut,
                          ContextPool& contexts)
    : graph_(graph),
      table_(table),
      cut_(cut),
      contexts_(contexts),
      dead_((size_t{cut.slot_count} + 63) / 64) {
  for (const uint32_t slot : cut.dead) {
    CHECK_LT(slot, cut.slot_count);
    CHECK(IsLinked(slot));
    dead_[slot / 64] |= uint64_t{1} << (slot % 64);
  }
  for (const uint32_t slot : cut.dead) {
    const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, 0);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t child = links.links[i].load(std::memory_order_relaxed);
      if (Tail(child).parent == slot && !IsDead(child)) orphans_.push_back(child);
    }
    const uint32_t parent = Tail(slot).parent;
    if (parent != kNoSlot) {
      Tail(parent).children -= 1;
    }
  }
  for (const uint32_t orphan : orphans_) {
    Tail(orphan).parent = kNoSlot;
  }
}

// The first live row met from `start` breadth first on a level.
uint32_t Graph::Repairer::FirstLiveFrom(uint32_t start, uint32_t level) const {
  std::unordered_set<uint32_t> seen = {start};
  std::deque<uint32_t> queue = {start};
  while (!queue.empty()) {
    const uint32_t slot = queue.front();
    queue.pop_front();
    if (!IsDead(slot)) return slot;
    const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, level);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t next = links.links[i].load(std::memory_order_relaxed);
      if (seen.insert(next).second) queue.push_back(next);
    }
  }
  return kNoSlot;
}

void Graph::Repairer::ChooseEntry() {
  const Entry old = graph_.entry();
  if (!IsDead(old.slot)) return;
  uint32_t found = kNoSlot;
  for (uint32_t level = old.level + 1; level-- > 0 && found == kNoSlot;) {
    found = FirstLiveFrom(old.slot, level);
  }
  if (found == kNoSlot) {
    graph_.entry_.store(kNoEntry, std::memory_order_release);
    return;
  }
  root_ = found;
  graph_.SetEntry({found, std::min<uint32_t>(table_.Tail(found).level, old.level)});
}

// The candidates' distances from the row.
void Graph::Repairer::Measure(uint32_t slot, std::vector<Candidate>& candidates,
                              SearchContext& context) const {
  const CodeQuery query = table_.coder()->QueryOfCode(table_.Code(slot), context.QueryValues());
  std::vector<const uint8_t*> codes(candidates.size());
  std::vector<int32_t> distances(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    const char* record = table_.Record(candidates[i].slot);
    PrefetchCode(table_.layout, record);
    codes[i] = reinterpret_cast<const uint8_t*>(record);
  }
  graph_.kernels_.code_distances(query, codes.data(), codes.size(), distances.data());
  for (size_t i = 0; i < candidates.size(); ++i) candidates[i].distance = distances[i];
}

// Live links of the removed rows that `slot` links to, and of the removed rows those link to.
void Graph::Repairer::Inherit(uint32_t slot, uint32_t level, std::span<const Candidate> kept,
                              SearchContext& context, std::vector<Candidate>& inherited) const {
  context.visited.Begin(cut_.slot_count);
  context.visited.Insert(slot);
  for (const Candidate& link : kept) context.visited.Insert(link.slot);
  std::vector<uint32_t> removed = {slot};
  for (size_t at = 0; at < removed.size() && inherited.size() < kMaxInherited; ++at) {
    const ConstLinks links = graph_.LinksOf(std::as_const(table_), removed[at], level);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t next = links.links[i].load(std::memory_order_relaxed);
      if (!context.visited.Insert(next)) continue;
      if (!IsDead(next)) {
        inherited.push_back({.distance = 0, .slot = next});
      } else if (removed.size() < kMaxInherited) {
        removed.push_back(next);
      }
    }
  }
}

void Graph::Repairer::RepairLevel(uint32_t slot, uint32_t level, SearchContext& context) {
  const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, level);
  std::vector<Candidate> kept;
  for (uint32_t i = 0; i < links.count; ++i) {
    const uint32_t to = links.links[i].load(std::memory_order_relaxed);
    if (!IsDead(to)) kept.push_back({.distance = 0, .slot = to});
  }
  if (kept.size() == links.count) return;
  std::vector<Candidate> inherited;
  Inherit(slot, level, kept, context, inherited);
  Measure(slot, inherited, context);
  std::stable_sort(inherited.begin(), inherited.end(),
                   [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
  context.selector.SelectMore(table_, graph_.kernels_, kept, inherited, graph_.MaxLinks(level));
  graph_.StoreLinks(table_, slot, level, context.selector.chosen());
}

void Graph::Repairer::Sweep(size_t i) {
  ContextPool::Lease context = contexts_.Take();
  const auto first = static_cast<uint32_t>(i * kSweepRows);
  const uint32_t end = std::min(first + kSweepRows, cut_.slot_count);
  for (uint32_t slot = first; slot < end; ++slot) {
    if (!IsLinked(slot) || IsDead(slot)) continue;
    for (uint32_t level = 0; level <= table_.Tail(slot).level; ++level) {
      RepairLevel(slot, level, *context);
    }
  }
}

// Links `from` to `to` on the lowest level, if need be in place of the farthest link that may go.
void Graph::Repairer::ForceLink(uint32_t from, uint32_t to) {
  if (graph_.HasLink(table_, from, 0, to)) return;
  const ConstLinks links = graph_.LinksOf(std::as_const(table_), from, 0);
  std::vector<Candidate> candidates;
  for (uint32_t i = 0; i < links.count; ++i) {
    candidates.push_back({.distance = 0, .slot = links.links[i].load(std::memory_order_relaxed)});
  }
  if (candidates.size() == graph_.MaxLinks(0)) {
    ContextPool::Lease context = contexts_.Take();
    Measure(from, candidates, *context);
    auto farthest = candidates.end();
    for (auto it = candidates.begin(); it != candidates.end(); ++it) {
      if (Tail(it->slot).parent == from) continue;
      if (farthest == candidates.end() || it->distance > farthest->distance) farthest = it;
    }
    CHECK(farthest != candidates.end());  // a row has at most m children and 2 m links
    candidates.erase(farthest);
  }
  candidates.push_back({.distance = 0, .slot = to});
  graph_.StoreLinks(table_, from, 0, candidates);
}

void Graph::Repairer::SetParent(uint32_t child, uint32_t parent) {
  ForceLink(parent, child);
  Tail(child).parent = parent;
  Tail(parent).children += 1;
}

// Makes an orphan of the row's last child, when it has no room for another one.
void Graph::Repairer::MakeRoomForChild(uint32_t slot) {
  if (Tail(slot).children < graph_.m_) return;
  const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, 0);
  for (uint32_t i = links.count; i-- > 0;) {
    const uint32_t child = links.links[i].load(std::memory_order_relaxed);
    if (Tail(child).parent != slot) continue;
    Tail(child).parent = kNoSlot;
    Tail(slot).children -= 1;
    orphans_.push_back(child);
    return;
  }
}

// Turns round the way from `slot` up to where its tree ends, so that the tree hangs on `slot`.
void Graph::Repairer::MakeRoot(uint32_t slot) {
  uint32_t child = slot;
  uint32_t parent = Tail(slot).parent;
  if (parent != kNoSlot) MakeRoomForChild(slot);
  Tail(slot).parent = kNoSlot;
  while (parent != kNoSlot) {
    const uint32_t above = Tail(parent).parent;
    Tail(parent).children -= 1;
    SetParent(parent, child);
    child = parent;
    parent = above;
  }
}

bool Graph::Repairer::IsConnected(uint32_t slot) const {
  const uint32_t root = graph_.entry().slot;
  while (slot != root && slot != kNoSlot) slot = table_.Tail(slot).parent;
  return slot == root;
}

bool Graph::Repairer::AdoptNear(uint32_t orphan) {
  const ConstLinks links = graph_.LinksOf(std::as_const(table_), orphan, 0);
  for (uint32_t i = 0; i < links.count; ++i) {
    const uint32_t candidate = links.links[i].load(std::memory_order_relaxed);
    if (Tail(candidate).children >= graph_.m_ || !IsConnected(candidate)) continue;
    SetParent(orphan, candidate);
    return true;
  }
  return false;
}

// Down the tree to the first row with room; a leaf has it.
void Graph::Repairer::AdoptAnywhere(uint32_t orphan) {
  std::deque<uint32_t> queue = {graph_.entry().slot};
  while (true) {
    CHECK(!queue.empty());
    const uint32_t slot = queue.front();
    queue.pop_front();
    if (Tail(slot).children < graph_.m_) return SetParent(orphan, slot);
    const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, 0);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t child = links.links[i].load(std::memory_order_relaxed);
      if (Tail(child).parent == slot) queue.push_back(child);
    }
  }
}

void Graph::Repairer::AdoptOrphans() {
  if (graph_.empty()) return;
  if (root_ != kNoSlot) MakeRoot(root_);
  std::vector<uint32_t> waiting;
  for (const uint32_t orphan : orphans_) {
    if (orphan != graph_.entry().slot && Tail(orphan).parent == kNoSlot) waiting.push_back(orphan);
  }
  while (!waiting.empty()) {
    std::vector<uint32_t> still;
    for (const uint32_t orphan : waiting) {
      if (!AdoptNear(orphan)) still.push_back(orphan);
    }
    if (still.size() == waiting.size()) {
      AdoptAnywhere(still.front());
      still.erase(still.begin());
    }
    waiting.swap(still);
  }
}

void Graph::Repairer::Unlink() {
  for (const uint32_t slot : cut_.dead) {
    Tail(slot).state.store(RowState::kUnlinked, std::memory_order_relaxed);
  }
}

void Graph::Repair(RowTable& table, const RepairCut& cut, ContextPool& contexts,
                   Executor& executor) {
  if (cut.dead.empty()) return;
  Repairer repairer(*this, table, cut, contexts);
  repairer.ChooseEntry();
  ParallelFor(executor, repairer.sweep_count(), [&](size_t i) { repairer.Sweep(i); });
  repairer.AdoptOrphans();
  repairer.Unlink();
}

}  // namespace vectron::index
