#pragma once

// The VectorIndex: records and full-precision vectors by slot, a log of rows not yet linked, a graph, and the rules that
// tie them together (vector_index.h has the promises).
//
//   visibility   A row has a birth and a death, both commit sequences; a snapshot is a sequence. (record.h: SeenAt)
//   a slot       free -> tail (Upsert) -> linked (a batch) -> dead (Remove) -> unlinked (a repair) -> free (readers gone,
//                no checkpoint needs it). A row that dies before its batch goes from tail to unlinked.
//   old readers  Rows unlinked while a snapshot that sees them is held wait in retired_, where searches of such snapshots
//                look for them.
//   scale        A RowTable is the records with one scale. A new scale makes a new table aside, which then takes the old
//                one's place; readers of the old one finish on it.
//
// Locks: append_lock_ (appender writes a row; builder copies memory or swaps a table) before retired_mutex_; the work
// queue's and the context pool's are leaves. Readers take none, but for retired_mutex_ when their snapshot is older than
// the newest repair, and the context pool's for a few instructions.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "index/checkpoint.h"
#include "index/graph.h"
#include "index/id_map.h"
#include "index/published_state.h"
#include "index/raw_store.h"
#include "index/reader_registry.h"
#include "index/record_store.h"
#include "index/row_log.h"
#include "index/row_table.h"
#include "index/search_context.h"
#include "index/vector_index.h"
#include "index/work_queue.h"

namespace vectron::index {

class HnswIndex : public VectorIndex {
 public:
  // As VectorIndex::Create and Open. `kernels` is for tests.
  static absl::StatusOr<std::unique_ptr<HnswIndex>> CreateIn(
      const IndexOptions& options, FileSystem& files, const std::string& work_dir,
      const Kernels& kernels = BestKernels());
  static absl::StatusOr<std::unique_ptr<HnswIndex>> OpenIn(
      const IndexOptions& options, FileSystem& files, const std::string& checkpoint_dir,
      const std::string& work_dir, const Kernels& kernels = BestKernels());
  ~HnswIndex() override;

  absl::Status Reserve(uint64_t rows) override;
  uint32_t Upsert(const Row& row) override;
  std::optional<uint32_t> Remove(std::string_view id) override;
  void Commit(uint64_t applied_index) override;
  std::vector<uint32_t> TakeFreedSlots() override;
  CheckpointCut BeginCheckpoint() override;
  bool Build(Executor& executor) override;
  absl::Status WriteCheckpoint(const CheckpointCut& cut, const std::string& dir) override;
  void CheckpointPublished(const CheckpointCut& cut) override;
  absl::Status VerifyAndAdopt() override;
  void TrimResident() override { raw_->TrimResident(); }
  Snapshot TakeSnapshot() override;
  absl::StatusOr<SearchResult> Search(const Snapshot& snapshot, std::span<const float> query,
                                      const SearchOptions& options) const override;
  void ForEachRow(const Snapshot& snapshot,
                  const std::function<void(uint32_t, std::string_view, uint64_t)>& visit)
      const override;
  std::optional<Located> Find(std::string_view id) const override;
  IndexStats stats() const override;
  uint64_t applied_index() const override { return published_.Load().applied_index; }
  const IndexOptions& options() const override { return options_; }
  uint64_t GraphHash() const override;
  absl::Status CheckGraph() const override;

  // For tests of what happens after 2^30 commits: as if the last Commit had been the sequence'th. On an empty index.
  void StartSequenceAt(uint32_t sequence);

 protected:
  void ReleaseReader(size_t reader) override { readers_.Leave(reader); }

 private:
  // Rows that readers of old snapshots may still look for.
  struct Retired {
    uint64_t epoch = 0;             // free for reuse once no reader is older; 0: not yet known
    uint32_t cut_sequence = 0;      // snapshots at or after it see none of them
    std::vector<uint32_t> slots;
  };
  // The appender's state at a BeginCheckpoint.
  struct PendingCut {
    CheckpointCut cut;
    uint64_t committed = 0;                // of the log
    uint64_t batched = 0;
    bool graph_started = false;
    uint64_t live = 0;
    std::vector<uint32_t> dead;
  };
  struct SearchJob;   // hnsw_index_search.cc
  struct Recoding;    // hnsw_index_recode.cc

  HnswIndex(const IndexOptions& options, FileSystem& files, const std::string& work_dir,
            const Kernels& kernels);
  absl::Status PrepareWorkDir() const;
  RawStore::Options RawOptions() const;

  // Appender, under append_lock_.
  uint32_t TakeSlot() ABSL_NO_THREAD_SAFETY_ANALYSIS;
  void WriteRecord(uint32_t slot, const Row& row, std::span<const float> vector);
  void Kill(uint32_t slot);
  void PlanWork();
  void PlanFlat();
  void PlanLinks();
  bool IsManyDead() const;
  void CompactLog();
  bool MayReuse(uint32_t slot) const;

  // Builder.
  bool Execute(const Work& work, Executor& executor);
  bool Link(const Work& work, Executor& executor);
  void Repair(const Work& work, Executor& executor);
  void DropFlat(const Work& work);
  bool Freeze(const Work& work);
  void BeginRetire(uint32_t cut_sequence, std::vector<uint32_t> slots);
  void EndRetire();
  void CollectRetired();
  bool NeedsNewScale() const;
  bool StartGraph(const Work& work, Executor& executor);
  bool Recode(uint32_t cut_sequence, Executor& executor);
  std::vector<float> SampleValues(const RowTable& table, uint32_t cut_sequence) const;
  void EncodeRow(const Coder& coder, RowTable& table, uint32_t slot,
                 std::span<float> scratch) const;
  void CopyTail(const RowTable& from, RowTable& to, uint32_t slot) const;

  // Checkpoint.
  void WriteNumbers(CheckpointWriter& writer, const PendingCut& pending) const;
  absl::Status WriteLists(CheckpointWriter& writer, const PendingCut& pending) const;
  absl::Status LoadFrom(std::unique_ptr<CheckpointReader> reader);
  absl::Status CheckOptions(const CheckpointReader& reader) const;
  absl::Status LoadTable(const CheckpointReader& reader);
  absl::Status LoadLists(const CheckpointReader& reader);
  absl::Status LoadLog(std::string_view bytes);
  absl::Status LoadWork(std::string_view bytes);
  absl::Status LoadSlotFixes(std::string_view bytes);
  absl::Status LoadGraph(const CheckpointReader& reader, std::string_view bytes);

  RowTable& table() const { return *table_.load(std::memory_order_acquire); }

  const IndexOptions options_;
  FileSystem& files_;
  const std::string work_dir_;
  const Kernels& kernels_;
  const RecordLayout layout_;

  std::unique_ptr<RawStore> raw_;
  IdMap ids_;
  RowLog log_;
  Graph graph_;
  mutable ContextPool contexts_;
  mutable ReaderRegistry readers_;
  WorkQueue work_;
  PublishedState published_;
  mutable AppendLock append_lock_;

  // The table in use; replaced by the builder under append_lock_.
  std::atomic<RowTable*> table_{nullptr};
  std::unique_ptr<RowTable> table_owner_;
  // Tables replaced, with the epoch from which nobody looks at them. Builder.
  struct OldTable {
    uint64_t epoch = 0;
    std::unique_ptr<RowTable> table;
  };
  std::vector<OldTable> old_tables_;

  // --- appender's, changed under append_lock_ ---
  CheckpointCut state_;                    // as of the last Commit
  uint32_t next_slot_ = 0;
  std::vector<uint32_t> free_slots_;
  std::vector<uint32_t> dead_;             // removed since the last repair was planned, in log order
  bool changed_ = false;                   // since the last Commit
  bool graph_started_ = false;             // planned, not necessarily done
  uint64_t batched_ = 0;                   // rows of the log that are planned to be linked
  uint32_t last_freeze_ = 0;               // sequence
  std::optional<uint32_t> published_sequence_;   // of the newest published checkpoint
  std::optional<PendingCut> pending_cut_;
  uint32_t opened_sequence_ = 0;           // rows dead at it have no id in ids_
  bool opened_ = false;
  std::vector<uint32_t> reusable_;         // unlinked, readers gone; maybe still needed by a checkpoint
  bool reuse_changed_ = false;
  std::vector<float> scratch_;
  std::vector<uint16_t> half_scratch_;
  // Slots written or killed while the builder makes a new table; null while it does not.
  std::vector<uint32_t>* recoded_changes_ = nullptr;

  // --- builder's ---
  uint64_t encoded_values_ = 0;            // linked since the scale was trained
  uint64_t clamped_values_ = 0;
  std::unique_ptr<CheckpointReader> opened_from_;

  // --- shared ---
  std::atomic<uint64_t> live_{0};
  std::atomic<uint64_t> dead_count_{0};    // removed, slot not free
  std::atomic<uint32_t> slot_count_{0};    // slots ever used
  std::atomic<uint32_t> retired_sequence_{0};   // the newest cut_sequence in retired_
  mutable absl::Mutex retired_mutex_;
  std::deque<Retired> retired_ ABSL_GUARDED_BY(retired_mutex_);
};

}  // namespace vectron::index
