#pragma once

// The deterministic part of a shard: what entries do to the store, the payload bitmaps, the request
// window and the vector index. No clock, no chance, no threads of its own.
//
// Entries are applied in groups: Prepare changes the index (nothing of it is visible yet) and
// collects one store batch; Finish writes the batch, with the applied index in it, and commits the
// index right after. So between the moment a read of the store can see a write and the moment a
// search can lies only the end of the store's write call. Get and search together are linearizable
// because a read that saw state newer than `published()` waits for it (WaitPublished).
//
// Replay of entries that the store already holds ("index only") takes the same way without the
// store's write.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "index/vector_index.h"
#include "model/collection.h"
#include "shard/command.h"
#include "shard/filter_index.h"
#include "shard/point_store.h"
#include "shard/replicator.h"
#include "shard/request_window.h"
#include "shard/shard.h"
#include "storage/kv.h"

namespace vectron::shard {

// Bit of a row's flags: the point has a payload.
inline constexpr uint8_t kHasPayload = 1;
// Bytes of commands that go into one group: large enough that a group's fixed cost vanishes, small
// enough that its first writer does not wait long for its last.
inline constexpr size_t kMaxGroupBytes = size_t{1} << 20;

// What searches read, replaced as a whole when the index is made anew.
struct Indexes {
  Indexes(std::unique_ptr<index::VectorIndex> vector_index, const CollectionSchema& schema)
      : vectors(std::move(vector_index)), filters(schema.payload_indexes) {}
  const std::unique_ptr<index::VectorIndex> vectors;
  FilterIndex filters;
};

class StateMachine {
 public:
  // What came of an entry.
  struct Outcome {
    uint64_t index = 0;
    absl::StatusOr<WriteResult> result;
  };
  // What an index checkpoint needs besides the index's own files.
  struct Image {
    uint64_t applied_index = 0;
    uint64_t points = 0;
    std::string requests;  // RequestWindow::Serialize
    std::string filters;   // FilterIndex::Serialize
  };

  // kv outlives it.
  StateMachine(const CollectionSchema& schema, storage::Kv& kv);

  // --- open: one of these two first ---
  // Continues from an index checkpoint: `vectors` and `image` are of the same log position, at most
  // that of the store. Entries up to the store's applied index are then applied to the index only.
  // DataLoss.
  absl::Status Restore(std::unique_ptr<index::VectorIndex> vectors, const Image& image);
  // Begins with an index that may lack entries (empty, or a checkpoint's): rows of another version
  // than the store's are replaced, those that the store lacks removed. Errors: DataLoss,
  // ResourceExhausted.
  absl::Status CatchUpWithStore(std::unique_ptr<index::VectorIndex> vectors, const Image* image);
  // Whether index and store hold equally many points; asked when published() == store_applied().
  bool AgreesWithStore() const;
  uint64_t store_applied() const { return store_applied_; }

  // --- appender ---
  // Applies as many entries as make a group, at least one, and returns how many; those applied
  // already are skipped. The group before is finished. Errors: DataLoss and FailedPrecondition (the
  // first entry cannot be applied: the shard must be quarantined), ResourceExhausted (no room in
  // the index: nothing was changed, try again).
  absl::StatusOr<size_t> Prepare(std::span<const Entry> entries);
  // Writes what was prepared and makes it visible. After ResourceExhausted or Unavailable it may be
  // called again; after other errors the shard must be quarantined.
  absl::Status Finish();
  bool has_prepared() const { return has_group_; }
  // Outcomes of the entries finished since the last call.
  std::vector<Outcome> TakeOutcomes() { return std::exchange(finished_, {}); }
  // The cut and what goes with it, at the applied index. Nothing is prepared.
  struct Cut {
    std::shared_ptr<Indexes> indexes;
    index::CheckpointCut index;
    Image image;
  };
  Cut TakeCut();
  // Replaces the indexes by new ones, filled from the store, and renews the digest. Nothing is
  // prepared. Errors as CatchUpWithStore; the old ones stay then.
  absl::Status Rebuild(std::unique_ptr<index::VectorIndex> empty);

  // --- any thread ---
  // Makes sure that `rows` more rows than those promised already fit; Release takes the promise
  // back once the write is applied or has failed. ResourceExhausted.
  absl::Status Reserve(uint64_t rows);
  void Release(uint64_t rows);

  // Shared with searches under way when it is replaced.
  std::shared_ptr<Indexes> indexes() const;
  // Equal digests at equal indexes: the same points with the same versions, and that is what
  // replicas are held against. Lags published() for a moment; ahead of it while entries are
  // replayed.
  struct Mark {
    uint64_t index = 0;
    uint64_t digest = 0;
  };
  Mark mark() const;
  // The digest of what the store holds, by a scan.
  absl::StatusOr<uint64_t> ScanDigest() const;
  const PointStore& store() const { return store_; }
  const CollectionSchema& schema() const { return schema_; }
  uint64_t points() const { return points_.load(std::memory_order_relaxed); }
  // Rows given to the index by entries, in all.
  uint64_t rows_applied() const { return rows_applied_.load(std::memory_order_relaxed); }

  // Index up to which effects of entries may be in the store: read after a read of the store, the
  // newest that one can have seen.
  uint64_t writing() const { return writing_.load(std::memory_order_seq_cst); }
  // Index up to which every effect shows in store and index.
  uint64_t published() const { return published_.load(std::memory_order_seq_cst); }
  // Returns when published() >= index. That is the end of a store write away, so it blocks; but for
  // Unavailable while nothing will come (Halt).
  absl::Status WaitPublished(uint64_t index);
  // While not OK, WaitPublished returns this instead of waiting.
  void Halt(absl::Status why);

  // Runs `body` while no entry is being prepared. `committed`: the appender's state holds nothing
  // that a new snapshot would not show.
  struct AppenderView {
    Indexes& indexes;
    uint64_t prepared = 0;
    bool committed = false;
  };
  void WithAppender(const std::function<void(const AppenderView&)>& body);

 private:
  struct Group {
    storage::WriteBatch batch;
    std::vector<Outcome> outcomes;
    uint64_t last_index = 0;
    uint64_t digest = 0;  // after it; nothing with index_only
    bool index_only = false;
  };

  absl::Status ReadStoreState();
  absl::Status ReadDigest();
  absl::Status RenewDigest();
  absl::Status CheckApplicable(const Command& command) const;
  WriteResult ApplyUpsert(const Command& command, uint64_t log_index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(appender_);
  WriteResult ApplyDelete(const Command& command, uint64_t log_index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(appender_);
  WriteResult ApplyKey(const Command& command, uint64_t log_index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(appender_);
  absl::StatusOr<WriteResult> ApplyCommand(const Command& command, uint64_t log_index)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(appender_);
  absl::Status EnsureRoom(uint64_t rows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(appender_);
  // Adds to `indexes`, which nobody else uses yet, what the store has and `known` (id -> version)
  // has not; removes what the store has not.
  absl::Status Fill(Indexes& indexes) const;
  void SetIndexes(std::shared_ptr<Indexes> indexes);
  void Publish(uint64_t log_index);

  const CollectionSchema schema_;
  const PointStore store_;

  absl::Mutex appender_;  // the appender's side of the indexes; held while a group is prepared, not
                          // while it is written
  mutable absl::Mutex indexes_mutex_;
  std::shared_ptr<Indexes> indexes_ ABSL_GUARDED_BY(indexes_mutex_);
  Indexes* appending_ ABSL_GUARDED_BY(appender_) = nullptr;  // the same object
  RequestWindow requests_ ABSL_GUARDED_BY(appender_);
  uint64_t digest_ ABSL_GUARDED_BY(appender_) = 0;  // of store and group
  uint64_t reserved_rows_ ABSL_GUARDED_BY(appender_) = 0;
  uint64_t promised_rows_ ABSL_GUARDED_BY(appender_) = 0;

  // Confined to the appender.
  Group group_;
  bool has_group_ = false;
  uint64_t store_applied_ = 0;  // as found at open
  uint64_t store_points_ = 0;   // likewise
  std::vector<Outcome> finished_;
  std::vector<float> rounded_;

  mutable absl::Mutex mark_mutex_;
  Mark mark_ ABSL_GUARDED_BY(mark_mutex_);
  std::atomic<uint64_t> points_{0};
  std::atomic<uint64_t> rows_applied_{0};
  std::atomic<uint64_t> prepared_{0};  // in the appender's indexes
  std::atomic<uint64_t> writing_{0};
  std::atomic<uint64_t> published_{0};
  std::atomic<uint32_t> waiters_{0};
  absl::Mutex wait_mutex_;
  absl::CondVar published_changed_;
  absl::Status halted_ ABSL_GUARDED_BY(wait_mutex_);
};

}  // namespace vectron::shard
