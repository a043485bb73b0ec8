#pragma once

// What one search or one insertion needs besides the graph, kept between searches so that a query
// allocates nothing.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "index/best_of.h"
#include "index/coder.h"
#include "index/pool.h"
#include "index/select.h"
#include "index/visited_set.h"

namespace vectron::index {

// Bytes aligned to a cache line.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size)
      : bytes_(static_cast<uint8_t*>(::operator new (size, std::align_val_t{64}))) {}
  ~AlignedBytes() { ::operator delete (bytes_, std::align_val_t{64}); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;
  uint8_t* data() { return bytes_; }

 private:
  uint8_t* bytes_;
};

// Counters of one search.
struct WalkStats {
  uint64_t hops = 0;
  uint64_t distances = 0;
  uint64_t tombstones = 0;
};

// A row with its exact distance.
struct ScoredRow {
  float distance = 0;
  uint32_t slot = 0;
  uint32_t rank = 0;  // among the candidates by code
};

// Confined to the thread that leased it.
struct SearchContext {
  explicit SearchContext(uint32_t dimension, uint32_t max_links);

  // Candidates of one step: records and slots in step, then their distances.
  struct Batch {
    std::vector<const uint8_t*> codes;
    std::vector<uint32_t> slots;
    std::vector<int32_t> distances;
    uint32_t count = 0;

    explicit Batch(size_t room) : codes(room), slots(room), distances(room) {}
    void Add(const char* record, uint32_t slot) {
      codes[count] = reinterpret_cast<const uint8_t*>(record);
      slots[count] = slot;
      count += 1;
    }
    size_t room() const { return codes.size(); }
  };

  CodeQuery query;
  VisitedSet visited;
  Pool pool;
  BestOf scanned;
  Batch batch;
  std::vector<Candidate> candidates;
  std::vector<ScoredRow> scored;
  std::vector<uint32_t> seeds;
  std::vector<uint32_t> tail_slots;
  WalkStats stats;
  Selector selector;
  std::vector<float> vector;  // the query, of unit length with kCosine
  AlignedBytes query_values;  // of `query`
  AlignedBytes row_values;    // of a row compared with others
  AlignedBytes code;          // scratch

  int8_t* QueryValues() { return reinterpret_cast<int8_t*>(query_values.data()); }
  int8_t* RowValues() { return reinterpret_cast<int8_t*>(row_values.data()); }
};

// Contexts not in use. Thread-safe.
class ContextPool {
 public:
  ContextPool(uint32_t dimension, uint32_t max_links)
      : dimension_(dimension), max_links_(max_links) {}

  class Lease {
   public:
    Lease(ContextPool& pool, std::unique_ptr<SearchContext> context)
        : pool_(pool), context_(std::move(context)) {}
    ~Lease() { pool_.Return(std::move(context_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    SearchContext& operator*() { return *context_; }
    SearchContext* operator->() { return context_.get(); }

   private:
    ContextPool& pool_;
    std::unique_ptr<SearchContext> context_;
  };
  Lease Take();

 private:
  void Return(std::unique_ptr<SearchContext> context);

  const uint32_t dimension_;
  const uint32_t max_links_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<SearchContext>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace vectron::index
