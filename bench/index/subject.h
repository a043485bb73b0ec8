#pragma once

// The index under test, filled from rows: the id of row i is "i".

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/file.h"
#include "bench/index/data_set.h"
#include "bench/index/exact.h"
#include "index/vector_index.h"

namespace vectron::bench {

struct IndexParameters {
  uint32_t m = 16;
  uint32_t ef_construct = 200;
};

index::IndexOptions OptionsFor(const DataSet& set, const IndexParameters& parameters);

class Subject {
 public:
  // An empty index with its files in `work_dir`; ends the program when that cannot be made.
  Subject(const index::IndexOptions& options, const std::string& work_dir);
  // Around an index that was opened from a checkpoint; slots() stays empty.
  explicit Subject(std::unique_ptr<index::VectorIndex> opened);

  // Writes row `id` and commits nothing. Reserves as needed.
  void Upsert(uint32_t id, const float* vector);
  // Commits and builds all that is due, in the calling thread.
  void CommitAndBuild();

  struct Answer {
    std::vector<uint32_t> ids;
    index::SearchStats stats;
  };
  // One search on a fresh snapshot, as the program around the index does it.
  Answer Search(const float* query, const index::SearchOptions& options) const;

  index::VectorIndex& index() { return *index_; }
  // slots()[id]: the slot of the id's newest row.
  const std::vector<uint32_t>& slots() const { return slots_; }

 private:
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  InlineExecutor executor_;
  std::unique_ptr<index::VectorIndex> index_;
  std::vector<uint32_t> slots_;
  uint64_t writes_ = 0;
  uint64_t reserved_ = 0;
};

struct Pass {
  double cpu_seconds = 0;
  std::vector<std::vector<uint32_t>> found;  // of each query
};
// Searches all queries once, timed by the thread's CPU clock.
Pass SearchAll(const Subject& subject, const Rows& queries, const index::SearchOptions& options);

double Median(std::vector<double> values);

}  // namespace vectron::bench
