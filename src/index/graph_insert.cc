#include <algorithm>
#include <deque>
#include <optional>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "index/graph.h"
#include "index/graph_walk.h"

namespace vectron::index {
namespace {

// Candidates of the lowest level that are remembered in case none of a row's own links can be its
// parent.
constexpr size_t kParentCandidates = 64;

// A row counts when it was not removed before the cut. (Those in the graph were all born before
// it.)
struct CountsAtCut {
  uint32_t sequence;
  bool operator()(uint32_t /*slot*/, const RecordTail& tail) const {
    return SeenAt(tail, sequence);
  }
};

}  // namespace

struct Graph::NewRow {
  uint32_t slot = 0;
  uint32_t level = 0;
  std::vector<std::vector<Candidate>> links;  // by level
  std::vector<Candidate> near;                // nearest of the lowest level, chosen or not
};

// `source` is to be linked from `target`.
struct Graph::BackLink {
  uint32_t level = 0;
  uint32_t target = 0;
  uint32_t source = 0;
  int32_t distance = 0;
};

// One call of InsertBatch.
class Graph::Inserter {
 public:
  Inserter(Graph& graph, RowTable& table, const Batch& batch, ContextPool& contexts)
      : graph_(graph), table_(table), batch_(batch), contexts_(contexts) {}

  absl::Status Prepare();
  void FindLinks(size_t i);
  void PublishOwnLinks();
  void AttachAll();
  void RaiseEntry();
  size_t GroupBackLinks();
  void ApplyGroup(size_t group);
  void PublishEntry() {
    if (raised_.has_value()) graph_.SetEntry(*raised_);
  }

 private:
  Entry OldEntry() const { return graph_.entry(); }
  void AddPeers(const NewRow& row, uint32_t level, std::span<const int32_t> distances,
                std::vector<Candidate>& candidates) const;
  bool IsAttached(uint32_t slot) const {
    return table_.Tail(slot).state.load(std::memory_order_relaxed) == RowState::kLinked;
  }
  bool CanAdopt(uint32_t slot) const {
    return IsAttached(slot) && table_.Tail(slot).children < graph_.m_;
  }
  bool AttachToNear(const NewRow& row);
  void AttachAnywhere(const NewRow& row);
  void Attach(const NewRow& row, const Candidate& parent);
  size_t HighestRow() const;
  int32_t Distance(uint32_t a, uint32_t b) const;

  Graph& graph_;
  RowTable& table_;
  const Batch& batch_;
  ContextPool& contexts_;
  std::vector<NewRow> rows_;
  std::vector<BackLink> back_links_;
  std::optional<Entry> raised_;
  std::vector<size_t> group_begins_;  // into back_links_, and its size at the end
};

absl::Status Graph::Inserter::Prepare() {
  uint64_t blocks = graph_.upper_end_;
  rows_.resize(batch_.slots.size());
  for (size_t i = 0; i < rows_.size(); ++i) {
    rows_[i].slot = batch_.slots[i];
    rows_[i].level = graph_.LevelOf(batch_.first_ordinal + i);
    rows_[i].links.resize(rows_[i].level + 1);
    blocks += rows_[i].level;
  }
  return graph_.upper_.Reserve(std::max(blocks, graph_.upper_.reserved_rows()));
}

void Graph::Inserter::AddPeers(const NewRow& row, uint32_t level,
                               std::span<const int32_t> distances,
                               std::vector<Candidate>& candidates) const {
  for (size_t j = 0; j < rows_.size(); ++j) {
    if (rows_[j].slot == row.slot || rows_[j].level < level) continue;
    candidates.push_back({.distance = distances[j], .slot = rows_[j].slot});
  }
}

// Phase 1, any number at once: what row i will link to.
void Graph::Inserter::FindLinks(size_t i) {
  NewRow& row = rows_[i];
  ContextPool::Lease context = contexts_.Take();
  context->query = table_.coder()->QueryOfCode(table_.Code(row.slot), context->QueryValues());
  std::vector<const uint8_t*> peer_codes(rows_.size());
  std::vector<int32_t> peer_distances(rows_.size());
  for (size_t j = 0; j < rows_.size(); ++j) peer_codes[j] = table_.Code(rows_[j].slot);
  graph_.kernels_.code_distances(context->query, peer_codes.data(), peer_codes.size(),
                                 peer_distances.data());

  const bool has_graph = !graph_.empty();
  const Entry entry = has_graph ? OldEntry() : Entry{};
  Candidate start;
  if (has_graph) {
    context->visited.Begin(batch_.slot_count);
    start = graph_.Descend(table_, entry, std::min(row.level, entry.level), *context);
  }
  const CountsAtCut counts{batch_.cut_sequence};
  std::vector<Candidate> candidates;
  for (uint32_t level = row.level + 1; level-- > 0;) {
    candidates.clear();
    if (has_graph && level <= entry.level) {
      context->visited.Begin(batch_.slot_count);
      context->visited.Insert(start.slot);
      context->pool.Reset(graph_.ef_construct_);
      context->pool.Insert(start.distance, start.slot, counts(start.slot, table_.Tail(start.slot)));
      graph_.WalkLevel(table_, level, counts, *context);
      const Pool& pool = context->pool;
      for (uint32_t k = 0; k < pool.size(); ++k) {
        if (pool[k].counts()) candidates.push_back({pool[k].distance, pool[k].slot()});
      }
      start = {pool[0].distance, pool[0].slot()};
    }
    AddPeers(row, level, peer_distances, candidates);
    std::stable_sort(
        candidates.begin(), candidates.end(),
        [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
    context->selector.Select(table_, graph_.kernels_, candidates, graph_.m_);
    row.links[level] = context->selector.chosen();
  }
  row.near.assign(
      candidates.begin(),
      candidates.begin() + static_cast<ptrdiff_t>(std::min(candidates.size(), kParentCandidates)));
}

// Phase 2: the new rows become whole. Nobody can reach them yet.
void Graph::Inserter::PublishOwnLinks() {
  for (const NewRow& row : rows_) {
    RecordTail& tail = table_.Tail(row.slot);
    tail.level = static_cast<uint8_t>(row.level);
    tail.upper = graph_.TakeUpper(row.level);
    tail.parent = kNoSlot;
    tail.children = 0;
    tail.link_count.store(0, std::memory_order_relaxed);
    for (uint32_t level = 0; level <= row.level; ++level) {
      graph_.StoreLinks(table_, row.slot, level, row.links[level]);
      for (const Candidate& link : row.links[level]) {
        back_links_.push_back({level, link.slot, row.slot, link.distance});
      }
    }
  }
}

int32_t Graph::Inserter::Distance(uint32_t a, uint32_t b) const {
  std::vector<int8_t> values(table_.layout.code_bytes);
  const CodeQuery query = table_.coder()->QueryOfCode(table_.Code(a), values.data());
  const uint8_t* code = table_.Code(b);
  int32_t distance = 0;
  graph_.kernels_.code_distances(query, &code, 1, &distance);
  return distance;
}

size_t Graph::Inserter::HighestRow() const {
  size_t highest = 0;
  for (size_t i = 1; i < rows_.size(); ++i) {
    if (rows_[i].level > rows_[highest].level) highest = i;
  }
  return highest;
}

void Graph::Inserter::Attach(const NewRow& row, const Candidate& parent) {
  RecordTail& tail = table_.Tail(row.slot);
  tail.parent = parent.slot;
  tail.state.store(RowState::kLinked, std::memory_order_release);
  table_.Tail(parent.slot).children += 1;
  if (!graph_.HasLink(table_, row.slot, 0, parent.slot)) {
    back_links_.push_back({0, parent.slot, row.slot, parent.distance});
  }
}

bool Graph::Inserter::AttachToNear(const NewRow& row) {
  for (const std::vector<Candidate>* list : {&row.links[0], &row.near}) {
    for (const Candidate& candidate : *list) {
      if (!CanAdopt(candidate.slot)) continue;
      Attach(row, candidate);
      return true;
    }
  }
  return false;
}

// Any row with room will do, the nearer in the tree to the row's neighbours the better. A leaf of
// the tree, or a row of this batch, always has room.
void Graph::Inserter::AttachAnywhere(const NewRow& row) {
  for (const NewRow& peer : rows_) {
    if (peer.slot == row.slot || !CanAdopt(peer.slot)) continue;
    return Attach(row, {Distance(peer.slot, row.slot), peer.slot});
  }
  std::deque<uint32_t> queue;
  for (const Candidate& candidate : row.near) {
    if (IsAttached(candidate.slot)) queue.push_back(candidate.slot);
  }
  queue.push_back(OldEntry().slot);
  while (true) {
    CHECK(!queue.empty());
    const uint32_t slot = queue.front();
    queue.pop_front();
    if (CanAdopt(slot)) return Attach(row, {Distance(slot, row.slot), slot});
    const ConstLinks links = graph_.LinksOf(std::as_const(table_), slot, 0);
    for (uint32_t i = 0; i < links.count; ++i) {
      const uint32_t child = links.links[i].load(std::memory_order_relaxed);
      if (table_.Tail(child).parent == slot) queue.push_back(child);
    }
  }
}

// Phase 3: every new row gets a parent (invariant 3 of the graph).
void Graph::Inserter::AttachAll() {
  if (graph_.empty()) {
    table_.Tail(rows_[HighestRow()].slot).state.store(RowState::kLinked, std::memory_order_release);
  }
  std::vector<const NewRow*> waiting;
  for (const NewRow& row : rows_) {
    if (!IsAttached(row.slot)) waiting.push_back(&row);
  }
  while (!waiting.empty()) {
    std::vector<const NewRow*> still;
    for (const NewRow* row : waiting) {
      if (!AttachToNear(*row)) still.push_back(row);
    }
    if (still.size() == waiting.size()) {
      AttachAnywhere(*still.front());
      still.erase(still.begin());
    }
    waiting.swap(still);
  }
}

// Phase 4: a row of the highest level yet becomes entry point and root; the root before becomes its
// child.
void Graph::Inserter::RaiseEntry() {
  const NewRow& highest = rows_[HighestRow()];
  if (!graph_.empty()) {
    const Entry old = OldEntry();
    if (highest.level <= old.level) return;
    RecordTail& tail = table_.Tail(highest.slot);
    table_.Tail(tail.parent).children -= 1;
    tail.parent = kNoSlot;
    tail.children += 1;
    table_.Tail(old.slot).parent = highest.slot;
    if (!graph_.HasLink(table_, highest.slot, 0, old.slot)) {
      back_links_.push_back({0, highest.slot, old.slot, Distance(highest.slot, old.slot)});
    }
  }
  raised_ = Entry{highest.slot, highest.level};
}

size_t Graph::Inserter::GroupBackLinks() {
  std::stable_sort(back_links_.begin(), back_links_.end(),
                   [](const BackLink& a, const BackLink& b) {
                     return std::tie(a.level, a.target) < std::tie(b.level, b.target);
                   });
  for (size_t i = 0; i < back_links_.size(); ++i) {
    const bool begins = i == 0 || back_links_[i].target != back_links_[i - 1].target ||
                        back_links_[i].level != back_links_[i - 1].level;
    if (begins) group_begins_.push_back(i);
  }
  const size_t groups = group_begins_.size();
  group_begins_.push_back(back_links_.size());
  return groups;
}

// Phase 5, any number at once: one row's links gain the new ones.
void Graph::Inserter::ApplyGroup(size_t group) {
  const std::span<const BackLink> added(back_links_.data() + group_begins_[group],
                                        group_begins_[group + 1] - group_begins_[group]);
  const uint32_t level = added[0].level;
  const uint32_t target = added[0].target;
  graph_.AddLinks(table_, target, level, added, contexts_);
}

void Graph::AddLinks(RowTable& table, uint32_t target, uint32_t level,
                     std::span<const BackLink> added, ContextPool& contexts) {
  const Links links = LinksOf(table, target, level);
  std::vector<Candidate> fresh;
  for (const BackLink& link : added) {
    if (!HasLink(table, target, level, link.source)) {
      fresh.push_back({.distance = link.distance, .slot = link.source});
    }
  }
  if (links.count + fresh.size() <= MaxLinks(level)) {
    AppendLinks(table, target, level, fresh);
    return;
  }
  ContextPool::Lease context = contexts.Take();
  const CodeQuery query = table.coder()->QueryOfCode(table.Code(target), context->QueryValues());
  std::vector<Candidate> candidates(links.count);
  std::vector<const uint8_t*> codes(links.count);
  std::vector<int32_t> distances(links.count);
  for (uint32_t i = 0; i < links.count; ++i) {
    candidates[i].slot = links.links[i].load(std::memory_order_relaxed);
    const char* record = table.Record(candidates[i].slot);
    PrefetchCode(table.layout, record);
    codes[i] = reinterpret_cast<const uint8_t*>(record);
  }
  kernels_.code_distances(query, codes.data(), links.count, distances.data());
  for (uint32_t i = 0; i < links.count; ++i) candidates[i].distance = distances[i];
  candidates.insert(candidates.end(), fresh.begin(), fresh.end());
  if (level == 0) {
    for (Candidate& candidate : candidates) {
      candidate.keep = table.Tail(candidate.slot).parent == target;
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
  context->selector.Select(table, kernels_, candidates, MaxLinks(level));
  StoreLinks(table, target, level, context->selector.chosen());
}

absl::Status Graph::InsertBatch(RowTable& table, const Batch& batch, ContextPool& contexts,
                                Executor& executor) {
  if (batch.slots.empty()) return absl::OkStatus();
  Inserter inserter(*this, table, batch, contexts);
  RETURN_IF_ERROR(inserter.Prepare());
  ParallelFor(executor, batch.slots.size(), [&](size_t i) { inserter.FindLinks(i); });
  inserter.PublishOwnLinks();
  inserter.AttachAll();
  inserter.RaiseEntry();
  const size_t groups = inserter.GroupBackLinks();
  ParallelFor(executor, groups, [&](size_t group) { inserter.ApplyGroup(group); });
  inserter.PublishEntry();
  return absl::OkStatus();
}

}  // namespace vectron::index
