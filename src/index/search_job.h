#pragma once

// One search of an HnswIndex: plan, candidates by code, exact scores. Confined to one thread.

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "index/graph.h"
#include "index/id_map.h"
#include "index/kernels.h"
#include "index/raw_store.h"
#include "index/row_table.h"
#include "index/search_context.h"
#include "index/vector_index.h"

namespace vectron::index {

// What a search reads; all of it outlives the search.
struct SearchInput {
  const IndexOptions& index;
  const Kernels& kernels;
  uint64_t scan_lines = 0;   // a filter is scanned when its codes have at most so many cache lines
  uint32_t scan_one_in = 0;  // a walk for one in so many rows costs more than a scan
  const RowTable& rows;
  const Graph& graph;
  const RawStore& raw;
  const IdMap& ids;
  uint32_t sequence = 0;
  uint32_t row_count = 0;   // slots the snapshot knows
  uint32_t slot_count = 0;  // slots there are now
  uint64_t live = 0;
};

class SearchJob {
 public:
  SearchJob(const SearchInput& input, const SearchOptions& options, std::span<const float> query,
            SearchContext& context);

  Plan ChoosePlan() const;
  // Compares with every row on full precision.
  void ScanExact();
  // Candidates by code: the graph's, those among `slots`, or all that the snapshot sees and the
  // filter passes.
  void FindInGraph(Plan plan);
  void FindAmong(std::span<const uint32_t> slots);
  void ScanCodes();
  // Scores the candidates exactly.
  void Rerank();
  SearchStats& stats() { return stats_; }
  size_t hit_count() const { return scored_.size(); }
  // Not OK: a scan stopped at the limit of the search.
  const absl::Status& stopped() const { return stopped_; }
  SearchResult Finish(Plan plan);

 private:
  double Share() const;
  bool Passes(uint32_t slot) const {
    return options_.filter == nullptr || options_.filter->Contains(slot);
  }
  bool IsBefore(const ScoredRow& a, const ScoredRow& b) const;
  float Exact(uint32_t slot) const;
  void AddExact(uint32_t slot, uint32_t rank);
  // Calls visit(slots) with at most 64 slots at a time that pass the filter, of all the snapshot
  // knows, until the limit stops it.
  template <typename Visit>
  void ForEachSlot(const Visit& visit);
  // False once the limit is reached; asked before each call of visit.
  bool MayGoOn();
  void OfferCodes(std::span<const uint32_t> slots);
  void PickSeeds(std::vector<uint32_t>& seeds) const;
  bool CodesSayAll() const;
  // Candidates of the walk and of the scans together, nearest first, no slot twice.
  void MergeCandidates();

  const SearchInput& input_;
  const SearchOptions& options_;
  SearchContext& context_;
  const uint32_t k_;
  const uint32_t rerank_;  // candidates that are scored exactly
  const uint32_t ef_;
  std::span<const float> query_;
  bool walked_ = false;
  size_t batches_ = 0;  // of slots given to visit
  absl::Status stopped_;
  std::vector<ScoredRow>& scored_;
  SearchStats stats_;
};

}  // namespace vectron::index
