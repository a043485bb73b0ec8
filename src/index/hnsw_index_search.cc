// The readers' part.

#include <algorithm>

#include "base/status.h"
#include "index/hnsw_index.h"
#include "index/search_job.h"
#include "index/validate.h"

namespace vectron::index {

// Slots of rows that left tail or graph though this snapshot sees them.
void HnswIndex::AddRetired(uint32_t sequence, std::vector<uint32_t>& slots) const {
  if (Reached(sequence, retired_sequence_.load(std::memory_order_acquire))) return;
  const absl::MutexLock lock(&retired_mutex_);
  for (const Retired& group : retired_) {
    if (Reached(sequence, group.cut_sequence)) continue;
    slots.insert(slots.end(), group.slots.begin(), group.slots.end());
  }
}

Plan HnswIndex::RunPlan(SearchJob& job, uint32_t sequence, std::vector<uint32_t>& slots) const {
  const Plan plan = job.ChoosePlan();
  switch (plan) {
    case Plan::kFlat:
      job.ScanExact();
      return plan;
    case Plan::kScanMatches:
      job.ScanCodes();
      job.Rerank();
      return plan;
    default:
      break;
  }
  // Tail, then graph, then what was retired: a row that moves on meanwhile is met where it goes.
  slots.clear();
  const uint64_t linked = log_.linked();
  const uint64_t committed = log_.committed();
  for (uint64_t i = linked; i < committed; ++i) slots.push_back(log_.SlotAt(i));
  job.FindAmong(slots);
  job.FindInGraph(plan);
  slots.clear();
  AddRetired(sequence, slots);
  job.FindAmong(slots);
  job.Rerank();
  return plan;
}

absl::StatusOr<SearchResult> HnswIndex::Search(const Snapshot& snapshot,
                                               std::span<const float> query,
                                               const SearchOptions& options) const {
  RETURN_IF_ERROR(ValidateQuery(options_, query));
  RETURN_IF_ERROR(ValidateSearch(options));
  ContextPool::Lease context = contexts_.Take();
  std::span<const float> vector = query;
  if (options_.metric == Metric::kCosine) {
    Normalise(query, context->vector);
    vector = context->vector;
  }
  const SearchInput input{.index = options_,
                          .kernels = *tuning_.kernels,
                          .scan_lines = tuning_.scan_lines,
                          .scan_one_in = tuning_.scan_one_in,
                          .rows = table(),
                          .graph = graph_,
                          .raw = *raw_,
                          .ids = ids_,
                          .sequence = SequenceOf(snapshot),
                          .row_count = RowCountOf(snapshot),
                          .slot_count = slot_count_.load(std::memory_order_acquire),
                          .live = live_.load(std::memory_order_relaxed)};
  SearchJob job(input, options, vector, *context);
  const Plan plan = RunPlan(job, input.sequence, context->tail_slots);
  const bool scanned = plan == Plan::kFlat || plan == Plan::kScanMatches;
  uint64_t possible = input.row_count;
  if (options.filter != nullptr) possible = std::min(possible, options.filter->count);
  // A walk may come back with too few: a filter that matches far from where it went, or a snapshot
  // older than repairs.
  if (!scanned && job.hit_count() < std::min<uint64_t>(options.k, possible)) job.ScanExact();
  raw_->NoteReads(job.stats().reranked);
  RETURN_IF_ERROR(job.stopped());
  return job.Finish(plan);
}

std::optional<VectorIndex::RowView> HnswIndex::RowAt(const Snapshot& snapshot,
                                                     uint32_t slot) const {
  if (slot >= RowCountOf(snapshot) || !SeenAt(table().Tail(slot), SequenceOf(snapshot))) {
    return std::nullopt;
  }
  return RowView{ids_.Id(slot), ids_.Version(slot), ids_.Flags(slot)};
}

void HnswIndex::ForEachRow(
    const Snapshot& snapshot,
    const std::function<void(uint32_t, std::string_view, uint64_t)>& visit) const {
  const RowTable& rows = table();
  const uint32_t row_count = RowCountOf(snapshot);
  for (uint32_t slot = 0; slot < row_count; ++slot) {
    if (!SeenAt(rows.Tail(slot), SequenceOf(snapshot))) continue;
    visit(slot, ids_.Id(slot), ids_.Version(slot));
  }
}

}  // namespace vectron::index
