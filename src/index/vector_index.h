#pragma once

// Nearest neighbours of float vectors: the front door of this folder.
//
// An index holds rows; a row is one version of one point: an id, a vector, a 64-bit version and a
// byte of flags for the owner. A row lives in a slot, a u32 that stays the same for the row's life.
// New rows are the *tail*: they are searched exactly, code by code, at once; Build links them into
// an HNSW graph (Malkov & Yashunin 2018) in fixed batches. Below kFlatBytes of vectors there is no
// graph and every search is an exact scan.
//
// Threads, three roles that may run at the same time:
//   appender  one thread: Reserve, Upsert, Remove, Commit, Find, TakeFreedSlots, BeginCheckpoint
//   builder   one thread: Build, WriteCheckpoint, CheckpointPublished, VerifyAndAdopt (Build is
//             helped by an Executor)
//   readers   any number, without locks: TakeSnapshot, Search, and the other const functions
//
// Invariants:
//  1. A snapshot sees exactly the rows that were committed when it was taken: of each id the
//  newest,
//     none removed before. Nothing committed later shows, nothing removed later is missing.
//  2. Same calls by the appender, same graph: neither the number of threads nor how far the builder
//     lags matters.
//  3. A slot is not reused while a snapshot that can see its row is held, nor while the newest
//     published checkpoint needs its full-precision vector.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/vector_types.h"
#include "base/work_limit.h"

namespace vectron::index {

// Below this many bytes of f32 vectors: exact flat scan, no graph.
inline constexpr uint64_t kFlatBytes = uint64_t{8} << 20;
// Rows of one build batch; what is short of a batch stays in the tail.
inline constexpr uint32_t kBuildBatchRows = 64;

struct IndexOptions {
  uint32_t dimension = 0;  // 1-65535
  Metric metric = Metric::kEuclidean;
  VectorStorage storage = VectorStorage::kF32;  // of full-precision vectors
  bool vectors_in_memory = false;               // else in a file, mapped read-only
  uint32_t m = 16;                              // 4-64; 2 m links on the lowest level
  uint32_t ef_construct = 200;
};

// Slots that pass a filter. Bit `slot % 64` of words[slot / 64]; slots past the end do not pass.
struct SlotSet {
  std::vector<uint64_t> words;
  uint64_t count = 0;  // set bits
  bool Contains(uint32_t slot) const {
    const size_t word = slot / 64;
    return word < words.size() && ((words[word] >> (slot % 64)) & 1) != 0;
  }
};

enum class Plan : uint8_t {
  kFlat,           // exact scan of every row
  kGraph,          // graph walk, no filter
  kGraphFiltered,  // graph walk, results filtered, ef widened
  kGraphTwoHop,    // graph walk through matching rows and the neighbours of others (ACORN-1)
  kScanMatches,    // scan of the rows that pass the filter
};
std::string_view PlanName(Plan plan);

struct SearchOptions {
  uint32_t k = 10;                   // 1-16384
  uint32_t ef = 0;                   // 0: max(64, 3 k)
  bool exact = false;                // compare with every row on full precision
  const SlotSet* filter = nullptr;   // null: no filter
  const WorkLimit* limit = nullptr;  // of scans, which it stops; a walk is short. Null: none
};

struct Hit {
  std::string id;
  uint64_t version = 0;
  float distance = 0;  // by the metric, exact on the full-precision vector
  uint32_t slot = 0;
  uint8_t flags = 0;  // as given to Upsert
};

struct SearchStats {
  Plan plan = Plan::kFlat;
  uint64_t hops = 0;       // graph records expanded
  uint64_t distances = 0;  // code distances computed
  uint64_t tail_scanned = 0;
  uint64_t tombstones = 0;      // removed rows met
  uint64_t reranked = 0;        // candidates re-scored on full precision
  uint64_t rerank_changes = 0;  // of the k returned, not among the k best by code
};

struct SearchResult {
  std::vector<Hit> hits;  // by (distance, id)
  SearchStats stats;
};

// What one row of a point is made of.
struct Row {
  std::string_view id;            // 1-256 bytes
  std::span<const float> vector;  // dimension() finite floats; not all zero with kCosine
  uint64_t version = 0;           // log index of the write
  uint8_t flags = 0;
};

struct IndexStats {
  uint64_t live = 0;          // rows a new snapshot sees
  uint64_t linked = 0;        // of them, in the graph
  uint64_t tail_bytes = 0;    // codes of rows appended and not yet linked
  uint64_t dead = 0;          // removed, slot not yet free
  uint64_t memory_bytes = 0;  // anonymous memory
  uint64_t disk_bytes = 0;    // files of full-precision vectors
  bool has_graph = false;
};

class VectorIndex;

// A consistent view for one reader. Cheap; hold it for the length of one search. Movable,
// thread-compatible; does not outlive its index.
class Snapshot {
 public:
  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&&) = delete;
  ~Snapshot();
  // As given to the last Commit before the snapshot.
  uint64_t applied_index() const { return applied_index_; }
  // The rows it sees have slots below this.
  uint32_t row_count() const { return row_count_; }

 private:
  friend class VectorIndex;
  Snapshot() = default;

  VectorIndex* index_ = nullptr;
  uint64_t applied_index_ = 0;
  uint32_t sequence_ = 0;   // commit sequence: rows born later are invisible
  uint32_t row_count_ = 0;  // slots [0, row_count_) exist
  size_t reader_ = 0;       // registration that keeps slots from reuse
};

// A consistent cut to be written by WriteCheckpoint; taken by the appender.
struct CheckpointCut {
  uint64_t applied_index = 0;
  uint32_t sequence = 0;
  uint32_t row_count = 0;
};

class VectorIndex {
 public:
  // An empty index whose files live in `work_dir` (made; what is in it is removed).
  // Errors: InvalidArgument (options), ResourceExhausted, Internal (files).
  static absl::StatusOr<std::unique_ptr<VectorIndex>> Create(const IndexOptions& options,
                                                             FileSystem& files,
                                                             const std::string& work_dir);
  // The index as of the checkpoint in `checkpoint_dir`, by mapping its files: nothing is rebuilt.
  // Checks the manifest at once, the bytes when VerifyAndAdopt is called. Errors: NotFound (no
  // checkpoint), DataLoss naming the file, FailedPrecondition (format too new, or made with other
  // options).
  static absl::StatusOr<std::unique_ptr<VectorIndex>> Open(const IndexOptions& options,
                                                           FileSystem& files,
                                                           const std::string& checkpoint_dir,
                                                           const std::string& work_dir);
  virtual ~VectorIndex() = default;

  // --- appender ---
  // Makes sure that `rows` more rows can be appended without any allocation or disk space that
  // could fail.
  virtual absl::Status Reserve(uint64_t rows) = 0;
  // Appends a row and retires the id's older one. Takes effect for snapshots at the next Commit.
  // Needs a reservation. Returns the slot.
  virtual uint32_t Upsert(const Row& row) = 0;
  // Retires the id's row at the next Commit; nullopt when there is none.
  virtual std::optional<uint32_t> Remove(std::string_view id) = 0;
  // Makes all since the last Commit visible at once. applied_index never falls.
  virtual void Commit(uint64_t applied_index) = 0;
  // Slots that became free since the last call and may be handed out again by Upsert after this
  // call: the owner clears what it keeps by slot.
  virtual std::vector<uint32_t> TakeFreedSlots() = 0;
  // Everything is committed. The state as of now, to be written by WriteCheckpoint; until that has
  // returned the builder does nothing that was planned later. A new cut takes the place of one that
  // was not written.
  virtual CheckpointCut BeginCheckpoint() = 0;

  // --- builder ---
  // Does the next piece of work that is due (one batch linked, one repair, ...). False when there
  // is none.
  virtual bool Build(Executor& executor) = 0;
  // Writes the state at `cut` as a complete folder `dir` (made; nothing may be there): files
  // synced, folder synced. The caller renames it into place. Rows that were removed or linked after
  // the cut are written as of the cut or later; opening treats them as of the cut.
  virtual absl::Status WriteCheckpoint(const CheckpointCut& cut, const std::string& dir) = 0;
  // Tells that the checkpoint is published (the older one is gone): its free slots may be reused.
  virtual void CheckpointPublished(const CheckpointCut& cut) = 0;
  // Checks the CRC of every byte of the checkpoint opened from and moves it to huge-page memory,
  // piece by piece. DataLoss naming the file and offset: the owner drops this index and rebuilds
  // from its store.
  virtual absl::Status VerifyAndAdopt() = 0;
  // Gives mapped pages of full-precision vectors back to the page cache when many were touched
  // since the last call. For a timer of about one second; any thread.
  virtual void TrimResident() = 0;

  // --- readers ---
  virtual Snapshot TakeSnapshot() = 0;
  // The k nearest rows of the snapshot that pass the filter, best first, ties by id. Always min(k,
  // matching rows) of them. query: dimension() finite floats. Errors: InvalidArgument (size, not
  // finite, all zero with kCosine), those of options.limit.
  virtual absl::StatusOr<SearchResult> Search(const Snapshot& snapshot,
                                              std::span<const float> query,
                                              const SearchOptions& options) const = 0;
  // Calls visit(slot, id, version) for each row of the snapshot, in slot order.
  virtual void ForEachRow(
      const Snapshot& snapshot,
      const std::function<void(uint32_t, std::string_view, uint64_t)>& visit) const = 0;
  // The row in a slot; nullopt when the snapshot does not see it. The id is valid while the
  // snapshot is held.
  struct RowView {
    std::string_view id;
    uint64_t version = 0;
    uint8_t flags = 0;
  };
  virtual std::optional<RowView> RowAt(const Snapshot& snapshot, uint32_t slot) const = 0;
  // The slot and version of an id in the newest state of the appender; for the appender only.
  struct Located {
    uint32_t slot = 0;
    uint64_t version = 0;
  };
  virtual std::optional<Located> Find(std::string_view id) const = 0;

  virtual IndexStats stats() const = 0;
  virtual uint64_t applied_index() const = 0;  // of the last Commit
  virtual const IndexOptions& options() const = 0;

  // --- judges, for tests ---
  // Hash of levels, links and entry point in terms of rows (not slots); call while the builder
  // rests.
  virtual uint64_t GraphHash() const = 0;
  // Walks every record: links in range, no self-link, counts in bounds, every live linked row
  // reachable. Internal with the first fault found. While the builder rests.
  virtual absl::Status CheckGraph() const = 0;

 protected:
  virtual void ReleaseReader(size_t reader) = 0;
  static Snapshot MakeSnapshot(VectorIndex* index, const CheckpointCut& state, size_t reader);
  static uint32_t SequenceOf(const Snapshot& snapshot) { return snapshot.sequence_; }
  static uint32_t RowCountOf(const Snapshot& snapshot) { return snapshot.row_count_; }
  friend class Snapshot;
};

}  // namespace vectron::index
