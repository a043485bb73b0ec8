#pragma once

// The HNSW graph (Malkov & Yashunin 2018) over the records of a RowTable: walks for readers,
// batched insertion and repair for the builder, judges for tests.
//
// Invariants:
//  1. Any path of published links leads to whole records.
//  2. Batches, cuts and the graph before decide the graph after; slot numbers and threads do not.
//     (Ties of distance are broken by the order in which a walk or a batch meets rows.)
//  3. Every linked row but the root has a parent: a linked row whose level-0 link to it is never
//     dropped; the root is the entry point. So every linked row can be reached from the entry
//     point.
//  4. After Repair(dead) no linked row has a link to one of `dead`.
//
// Threads: const functions by any; the others by the builder, one at a time, beside any number of
// readers.

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "base/executor.h"
#include "index/kernels.h"
#include "index/record_store.h"
#include "index/row_table.h"
#include "index/search_context.h"
#include "index/select.h"
#include "index/vector_index.h"

namespace vectron::index {

class Graph {
 public:
  Graph(const IndexOptions& options, const Kernels& kernels);

  // --- readers ---
  struct Request {
    const RowTable* table = nullptr;
    uint32_t slots = 0;     // all that may be met
    uint32_t sequence = 0;  // rows not seen at it only route
    const SlotSet* filter = nullptr;
    uint32_t ef = 0;
  };
  // Leaves the ef nearest rows that count in context.pool. context.query is set. Malkov & Yashunin
  // 2018, alg. 5.
  void Walk(const Request& request, SearchContext& context) const;
  // The same for a filter that few rows pass: steps over rows that do not pass to their neighbours
  // that do (Patel et al., ACORN, 2024). `seeds`: rows that pass, to begin with besides the entry
  // point.
  void WalkTwoHop(const Request& request, std::span<const uint32_t> seeds,
                  SearchContext& context) const;
  bool empty() const { return entry_.load(std::memory_order_acquire) == kNoEntry; }

  // --- builder ---
  struct Batch {
    std::span<const uint32_t> slots;  // in log order; seen at the cut
    uint64_t first_ordinal = 0;       // of slots[0] in the log; decides levels
    uint32_t cut_sequence = 0;        // removals after it are ignored
    uint32_t slot_count = 0;          // slots that exist
  };
  // Links the rows of the batch. ResourceExhausted before anything has changed.
  absl::Status InsertBatch(RowTable& table, const Batch& batch, ContextPool& contexts,
                           Executor& executor);
  struct RepairCut {
    std::span<const uint32_t> dead;  // linked rows, in log order
    uint32_t slot_count = 0;
  };
  // Takes rows out of the graph: their neighbours inherit their links. Rows are marked kUnlinked.
  void Repair(RowTable& table, const RepairCut& cut, ContextPool& contexts, Executor& executor);
  // Blocks of upper links that were the rows' own may be used again: no reader can be at one.
  void ReleaseUpper(RowTable& table, uint32_t slot);
  // Makes room for the upper links of `rows` rows in all.
  absl::Status Reserve(uint64_t rows);

  // --- checkpoint ---
  struct Saved {
    uint64_t entry = 0;
    uint64_t upper_end = 0;
    std::vector<uint32_t> upper_free;  // by level: count, then block numbers
  };
  Saved Save() const;
  absl::Status Load(const Saved& saved);  // DataLoss
  RecordStore& upper() { return upper_; }

  // --- judges ---
  absl::Status Check(const RowTable& table, uint32_t slot_count) const;
  // Of levels, links, parents and entry point, in terms of the rows' tags; slot numbers do not
  // matter.
  uint64_t Hash(const RowTable& table, uint32_t slot_count) const;

  uint64_t memory_bytes() const { return upper_.memory_bytes(); }
  uint32_t LevelOf(uint64_t ordinal) const;

 private:
  static constexpr uint64_t kNoEntry = ~uint64_t{0};
  struct Entry {
    uint32_t slot = kNoSlot;
    uint32_t level = 0;
  };
  struct NewRow;
  struct BackLink;
  class Inserter;
  class Repairer;

  static Entry Unpack(uint64_t entry) {
    return {static_cast<uint32_t>(entry), static_cast<uint32_t>(entry >> 32)};
  }
  Entry entry() const { return Unpack(entry_.load(std::memory_order_acquire)); }
  void SetEntry(Entry entry) {
    entry_.store(uint64_t{entry.level} << 32 | entry.slot, std::memory_order_release);
  }

  // Links of a row on a level, and how many there are.
  struct Links {
    Link* links = nullptr;
    uint32_t count = 0;
  };
  Links LinksOf(RowTable& table, uint32_t slot, uint32_t level);
  struct ConstLinks {
    const Link* links = nullptr;
    uint32_t count = 0;
  };
  ConstLinks LinksOf(const RowTable& table, uint32_t slot, uint32_t level) const;
  uint32_t MaxLinks(uint32_t level) const { return level == 0 ? 2 * m_ : m_; }
  // Replaces the links of a row; those it had before may be seen mixed with the new ones for a
  // moment.
  void StoreLinks(RowTable& table, uint32_t slot, uint32_t level, std::span<const Candidate> links);
  void AppendLinks(RowTable& table, uint32_t slot, uint32_t level,
                   std::span<const Candidate> links);
  // Links the sources from `target`; chooses among all its links when they are too many.
  void AddLinks(RowTable& table, uint32_t target, uint32_t level, std::span<const BackLink> added,
                ContextPool& contexts);
  bool HasLink(const RowTable& table, uint32_t slot, uint32_t level, uint32_t to) const;

  // From the entry point down to `level` + 1 by steps to the nearest neighbour; where to begin on
  // `level`.
  Candidate Descend(const RowTable& table, Entry from, uint32_t level,
                    SearchContext& context) const;
  Candidate GreedyStep(const RowTable& table, Candidate from, uint32_t level,
                       SearchContext& context) const;
  template <typename Counts>
  void WalkLevel(const RowTable& table, uint32_t level, const Counts& counts,
                 SearchContext& context) const;
  template <typename Counts>
  void Offer(const RowTable& table, const Counts& counts, SearchContext& context) const;

  absl::Status CheckLevel(const RowTable& table, uint32_t slot_count, uint32_t slot,
                          uint32_t level) const;
  absl::Status CheckParents(const RowTable& table, uint32_t slot_count) const;

  void GatherTwoHop(const RowTable& table, uint32_t slot, const SlotSet& filter,
                    SearchContext& context) const;

  // Blocks for `level` upper levels, filled with "none"; kNoSlot for level 0.
  uint32_t TakeUpper(uint32_t level);
  char* UpperBlock(uint32_t first, uint32_t level) { return upper_.At(first + level - 1); }
  const char* UpperBlock(uint32_t first, uint32_t level) const {
    return upper_.At(first + level - 1);
  }

  const uint32_t m_;
  const uint32_t ef_construct_;
  const Kernels& kernels_;
  RecordStore upper_;                              // blocks of m links, kNoSlot where there is none
  std::atomic<uint64_t> entry_{kNoEntry};          // level << 32 | slot
  uint64_t upper_end_ = 0;                         // blocks handed out so far
  std::vector<std::vector<uint32_t>> upper_free_;  // by level: first blocks of runs of `level`
};

}  // namespace vectron::index
