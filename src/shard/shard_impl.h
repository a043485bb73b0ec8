#pragma once

// The one implementation of shard.h, and what tests may put in place of its parts.
//
// Lock order: apply_mutex_, then the state machine's own, then the small ones. None is held over a
// callback.

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "shard/admission.h"
#include "shard/apply.h"
#include "shard/checkpoint.h"
#include "shard/serial_tasks.h"
#include "shard/shard.h"

namespace vectron::shard {

// Where a shard's store and index come from.
struct ShardParts {
  std::function<absl::StatusOr<std::unique_ptr<storage::Kv>>(const std::string& dir)> open_store;
  std::function<absl::StatusOr<std::unique_ptr<index::VectorIndex>>(const std::string& work_dir)>
      create_index;
  std::function<absl::StatusOr<std::unique_ptr<index::VectorIndex>>(
      const std::string& checkpoint_dir, const std::string& work_dir)>
      open_index;
};
// RocksDB and the HNSW index.
ShardParts DefaultParts(const ShardOptions& options, const ShardDeps& deps);
absl::StatusOr<std::unique_ptr<Shard>> OpenShard(const ShardOptions& options, const ShardDeps& deps,
                                                 const ShardParts& parts,
                                                 const Shard::Attach& attach);

class ShardImpl : public Shard, private Applier {
 public:
  static absl::StatusOr<std::unique_ptr<ShardImpl>> Make(const ShardOptions& options,
                                                         const ShardDeps& deps, ShardParts parts);
  ~ShardImpl() override;
  absl::Status Attach(const Shard::Attach& attach);

  void Upsert(UpsertWrite write, int64_t deadline_nanos, WriteCallback done) override;
  void Delete(DeleteWrite write, int64_t deadline_nanos, WriteCallback done) override;
  void WriteKey(KeyWrite write, WriteCallback done) override;
  void Search(const SearchQuery& query, const ReadTerms& terms,
              std::function<void(absl::StatusOr<SearchAnswer>)> done) override;
  void Get(const std::string& id, const GetOptions& options,
           std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override;
  void GetKey(const std::string& key,
              std::function<void(absl::StatusOr<std::optional<std::string>>)> done) override;
  absl::StatusOr<std::vector<PointRecord>> ScanPoints(const std::string& after, size_t limit,
                                                      bool with_vectors) override;
  ShardStats stats() const override;
  void WriteCopy(const std::string& dir,
                 std::function<void(absl::StatusOr<uint64_t>)> done) override;
  absl::Status FlushAll() override;
  void Tick() override;
  void WaitUntilIndexed() override;

 private:
  // A write on its way to the log.
  struct Write {
    std::string command;
    uint64_t rows = 0;
    WriteCallback done;
  };
  using Resume = std::function<void(absl::Status)>;
  // How fresh a read must be.
  struct Freshness {
    Consistency consistency = Consistency::kUnspecified;
    uint32_t max_staleness_ms = 0;  // of kBounded; 0: as kStrong
  };
  // Reads whose barrier is passed, on their way to the read executor. Shared with its tasks, which
  // may come late: the shard runs at its end what they have not.
  struct ReadyReads {
    absl::Mutex mutex;
    std::deque<std::function<void()>> queue ABSL_GUARDED_BY(mutex);
    int running ABSL_GUARDED_BY(mutex) = 0;
    bool RunOne();
  };

  ShardImpl(const ShardOptions& options, const ShardDeps& deps, ShardParts parts);

  // --- open (shard_open.cc) ---
  absl::Status OpenState();
  absl::Status CheckSchema();
  absl::Status RestoreNewestCheckpoint();
  absl::Status TryCheckpoint(const CheckpointFolder::Found& checkpoint);
  absl::Status StartAnew();
  absl::Status FallBackToStore();

  // --- writes (shard_write.cc) ---
  absl::Status WriteGate() const;
  absl::Status RoomGate();
  void ProposeSmall(std::string command, WriteCallback done);
  absl::Status CheckHalves(const PointBatch& points) const;
  void Propose(Write write);
  void OnProposed(uint64_t rows, const WriteCallback& done, absl::StatusOr<uint64_t> log_index);
  void EndWrite();
  uint64_t TailWith(uint64_t coming_bytes) const;
  uint64_t TailForAdmission() const;
  void Apply(std::vector<Entry> entries) override;
  uint64_t stored_index() const override { return state_->store_applied(); }
  uint64_t tail_bytes() const override { return TailWith(0); }
  void ApplyAll(std::vector<Entry> entries) ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mutex_);
  void Stall(std::vector<Entry> rest, const absl::Status& why)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mutex_);
  void RetryStalled();
  void Quarantine(const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mutex_);
  void AnswerWaiters();
  absl::Status CheckOnceReplayed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(apply_mutex_);

  // --- reads (shard_read.cc) ---
  absl::Status ReadGate() const;
  Consistency ConsistencyOf(const Freshness& wanted) const;
  bool NeedsBarrier(const Freshness& wanted) const;
  absl::Status WhyNotFresh(const Freshness& wanted, const absl::Status& status) const;
  void KeepFresh();
  void NoteFresh(int64_t as_of_nanos);
  void WithBarrier(const Freshness& wanted, Resume then);
  void GoOn(Resume read, absl::Status status);
  void SearchHereOrThere(const SearchQuery& query, const ReadTerms& terms, int64_t begun_nanos,
                         const std::function<void(absl::StatusOr<SearchAnswer>)>& done);
  void NoteSearchEnded(int64_t begun_nanos);
  enum class Pace { kQuick, kAny };
  // Nullopt: it is not quick.
  absl::StatusOr<std::optional<SearchAnswer>> SearchNow(const SearchQuery& query,
                                                        const ReadTerms& terms, Pace pace);
  absl::StatusOr<std::vector<PointRecord>> ScanNow(const std::string& after, size_t limit,
                                                   bool with_vectors) const;
  // Makes damage that a read met known, once.
  void NoteDamage(const absl::Status& read);
  // Makes the bitmaps of a filter whose search ran out of time, unless another one's are being
  // made.
  void PrepareLater(const SearchQuery& query);

  // --- background (shard_background.cc) ---
  void ScheduleBuild();
  void BuildSome();
  bool BuildStep(Indexes& indexes);
  void RefreshLoad();
  void ScheduleCheckpoint();
  absl::Status WriteCheckpoint();
  absl::StatusOr<uint64_t> WriteCopyNow(const std::string& dir);
  void CloseReads();
  void VerifyIndex();
  absl::Status RebuildIndex();
  bool CheckpointIsCurrent() const;

  const ShardOptions options_;
  const ShardDeps deps_;
  const ShardParts parts_;
  std::unique_ptr<Timer> own_timer_;  // when none was lent
  Timer& timer_;
  std::unique_ptr<storage::Kv> kv_;
  std::unique_ptr<StateMachine> state_;
  CheckpointFolder checkpoints_;  // background tasks, and open and close
  DiskReserve disk_;
  std::shared_ptr<Admission> admission_;  // shared with the timer's tasks
  Replicator* replicator_ = nullptr;
  bool replay_checked_ = false;  // apply_mutex_, or open

  // Entries are applied under it, and cuts taken.
  absl::Mutex apply_mutex_;
  std::deque<Entry> stalled_ ABSL_GUARDED_BY(apply_mutex_);
  bool is_stalled_ ABSL_GUARDED_BY(apply_mutex_) = false;
  Timer::Id stall_timer_ ABSL_GUARDED_BY(apply_mutex_) = 0;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, WriteCallback> waiters_ ABSL_GUARDED_BY(mutex_);  // by log index
  absl::flat_hash_map<uint64_t, absl::StatusOr<WriteResult>> answers_ ABSL_GUARDED_BY(mutex_);
  uint64_t proposals_ ABSL_GUARDED_BY(mutex_) = 0;  // Propose calls without an answer from the log
  std::multimap<uint64_t, Resume> barriers_
      ABSL_GUARDED_BY(mutex_);                               // reads that wait for an index
  uint64_t barriers_asked_ ABSL_GUARDED_BY(mutex_) = 0;      // ReadBarrier calls without an answer
  uint64_t searches_elsewhere_ ABSL_GUARDED_BY(mutex_) = 0;  // handed over, not answered
  absl::Status problem_ ABSL_GUARDED_BY(mutex_);             // not OK: quarantined
  absl::Status damage_ ABSL_GUARDED_BY(mutex_);              // not OK: met by a read
  uint64_t writes_open_ ABSL_GUARDED_BY(mutex_) = 0;         // taken, callback not called

  // Every write acknowledged before this moment is applied here, as barriers have shown.
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
  std::atomic<int64_t> fresh_as_of_nanos_{kNever};
  std::atomic<bool> refreshing_{false};       // KeepFresh waits for an answer
  std::atomic<uint64_t> refreshed_index_{0};  // applied when KeepFresh asked what it was answered

  const std::shared_ptr<ReadyReads> ready_reads_ = std::make_shared<ReadyReads>();

  std::atomic<bool> quarantined_{false};
  std::atomic<bool> attached_{false};  // replicator_ is set
  std::atomic<bool> closing_{false};
  std::atomic<bool> stalled_flag_{false};
  std::atomic<bool> searches_refused_{false};
  std::atomic<uint64_t> in_flight_bytes_{0};  // of codes: proposed, not applied
  std::atomic<uint64_t> log_bytes_since_cut_{0};
  std::atomic<int64_t> last_apply_nanos_{0};
  mutable std::atomic<uint64_t> searches_{0};
  std::atomic<uint64_t> searches_ended_{0};
  std::atomic<uint64_t> search_nanos_{0};
  std::atomic<uint64_t> writes_{0};

  // What admission knows of the index: its stats cost more than a write, so they are read now and
  // then and kept up in between.
  std::atomic<uint64_t> tail_bytes_{0};
  std::atomic<bool> has_graph_{false};
  std::atomic<uint64_t> index_memory_bytes_{0};
  std::atomic<int64_t> load_refreshed_nanos_{0};

  std::atomic<bool> build_scheduled_{false};
  std::atomic<bool> checkpoint_scheduled_{false};
  std::atomic<bool> rebuild_wanted_{false};
  std::atomic<uint64_t> checkpoint_index_{
      0};  // applied index and linked rows of the newest checkpoint
  std::atomic<uint64_t> checkpoint_linked_{0};
  std::atomic<bool> preparing_filter_{false};
  std::shared_ptr<SerialTasks>
      tasks_;  // the builder's role; shared with timers. These two last, so that they end first
  SerialTasks filter_tasks_;
};

}  // namespace vectron::shard
