#pragma once

// The VectorIndex: records and full-precision vectors by slot, a log of rows not yet linked, a
// graph, and the rules that tie them together (vector_index.h has the promises).
//
//   visibility   A row has a birth and a death, both commit sequences; a snapshot is a sequence
//                (record.h: SeenAt).
//   a slot       free -> tail (Upsert) -> linked (a batch) -> dead (Remove) -> unlinked (a repair)
//                -> free (readers gone, no checkpoint needs it). A row that dies before its batch
//                goes from tail to unlinked.
//   old readers  Rows unlinked while a snapshot that sees them is held wait in retired_, where
//                searches of such snapshots look for them.
//   scale        A RowTable is the records with one scale. A new scale makes a new table aside,
//                which then takes the old one's place; readers of the old one finish on it.
//
// Locks: append_lock_ (appender writes a row; builder copies memory or swaps a table) before
// retired_mutex_; the work queue's and the context pool's are leaves. Readers take none, but for
// retired_mutex_ when their snapshot is older than the newest repair, and the context pool's for a
// few instructions.

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

// Limits that tests lower, to see with few rows what needs many.
struct IndexTuning {
  uint64_t flat_bytes = kFlatBytes;  // below this no graph
  // Filters whose rows have codes of at most so many cache lines together are scanned; a walk costs
  // about as much.
  uint64_t scan_lines = 52'000;
  uint32_t scan_one_in = 8;     // a walk for one in so many rows costs more than a scan
  uint32_t first_sequence = 1;  // of commits
  // In commits; far below 2^31, where sequences become ambiguous.
  uint32_t freeze_every = uint32_t{1} << 30;
  const Kernels* kernels = &BestKernels();
};

class SearchJob;

class HnswIndex : public VectorIndex {
 public:
  // As VectorIndex::Create and Open.
  static absl::StatusOr<std::unique_ptr<HnswIndex>> CreateIn(const IndexOptions& options,
                                                             FileSystem& files,
                                                             const std::string& work_dir,
                                                             const IndexTuning& tuning = {});
  static absl::StatusOr<std::unique_ptr<HnswIndex>> OpenIn(const IndexOptions& options,
                                                           FileSystem& files,
                                                           const std::string& checkpoint_dir,
                                                           const std::string& work_dir,
                                                           const IndexTuning& tuning = {});
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
  void ForEachRow(
      const Snapshot& snapshot,
      const std::function<void(uint32_t, std::string_view, uint64_t)>& visit) const override;
  std::optional<RowView> RowAt(const Snapshot& snapshot, uint32_t slot) const override;
  std::optional<Located> Find(std::string_view id) const override;
  IndexStats stats() const override;
  uint64_t applied_index() const override { return published_.Load().applied_index; }
  const IndexOptions& options() const override { return options_; }
  uint64_t GraphHash() const override;
  absl::Status CheckGraph() const override;

 protected:
  void ReleaseReader(size_t reader) override { readers_.Leave(reader); }

 private:
  // Rows that readers of old snapshots may still look for.
  struct Retired {
    uint64_t epoch = 0;         // free for reuse once no reader is older; 0: not yet known
    uint32_t cut_sequence = 0;  // snapshots at or after it see none of them
    std::vector<uint32_t> slots;
  };
  // The appender's state at a BeginCheckpoint.
  struct PendingCut {
    CheckpointCut cut;
    uint64_t tail_first = 0;     // ordinal of tail[0]
    std::vector<uint32_t> tail;  // rows of the log not linked then
    uint64_t batched = 0;
    bool graph_started = false;
    uint64_t live = 0;
    uint32_t last_freeze = 0;
    std::vector<uint32_t> dead;
  };
  // What of the slots a checkpoint says besides their records.
  struct SlotLists {
    std::vector<uint32_t> free;
    std::vector<uint32_t> revived;  // removed after the cut
    uint64_t dead = 0;              // removed before it, not free
  };

  HnswIndex(const IndexOptions& options, FileSystem& files, const std::string& work_dir,
            const IndexTuning& tuning);
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
  bool LinkBatch(const Work& work, Executor& executor);
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

  // Readers.
  void AddRetired(uint32_t sequence, std::vector<uint32_t>& slots) const;
  Plan RunPlan(SearchJob& job, uint32_t sequence, std::vector<uint32_t>& slots) const;

  // Checkpoint.
  absl::Status WriteStores(CheckpointWriter& writer, const PendingCut& pending);
  absl::Status WriteState(CheckpointWriter& writer, const PendingCut& pending) const;
  SlotLists ListSlots(const CheckpointCut& cut) const;
  absl::Status CheckOptions(const CheckpointReader& reader) const;
  absl::Status LoadFrom(const CheckpointReader& reader);
  absl::Status LoadState(const CheckpointReader& reader);
  absl::Status LoadScale(const CheckpointReader& reader);
  absl::Status LoadLists(const CheckpointReader& reader);

  RowTable& table() const { return *table_.load(std::memory_order_acquire); }

  const IndexOptions options_;
  FileSystem& files_;
  const std::string work_dir_;
  const IndexTuning tuning_;
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
  CheckpointCut state_;  // as of the last Commit
  uint32_t next_slot_ = 0;
  std::vector<uint32_t> free_slots_;
  std::vector<uint32_t> dead_;  // removed since the last repair was planned, in log order
  bool changed_ = false;        // since the last Commit
  bool graph_started_ = false;  // planned, not necessarily done
  uint64_t batched_ = 0;        // rows of the log that are planned to be linked
  uint32_t last_freeze_ = 0;    // sequence
  std::optional<uint32_t> published_sequence_;  // of the newest published checkpoint
  std::optional<PendingCut> pending_cut_;
  uint32_t opened_sequence_ = 0;  // rows dead at it have no id in ids_
  bool opened_ = false;
  std::vector<uint32_t> reusable_;  // unlinked, readers gone; maybe still needed by a checkpoint
  bool reuse_changed_ = false;
  std::vector<float> scratch_;
  std::vector<uint16_t> half_scratch_;
  // Slots written or killed while the builder makes a new table; null while it does not.
  std::vector<uint32_t>* recoded_changes_ = nullptr;

  // --- builder's ---
  uint64_t encoded_values_ = 0;  // linked since the scale was trained
  uint64_t clamped_values_ = 0;
  std::unique_ptr<CheckpointReader> opened_from_;

  // --- shared ---
  std::atomic<uint64_t> live_{0};
  std::atomic<uint64_t> dead_count_{0};        // removed, slot not free
  std::atomic<uint32_t> slot_count_{0};        // slots ever used
  std::atomic<uint32_t> retired_sequence_{0};  // the newest cut_sequence in retired_
  mutable absl::Mutex retired_mutex_;
  std::deque<Retired> retired_ ABSL_GUARDED_BY(retired_mutex_);
};

}  // namespace vectron::index
