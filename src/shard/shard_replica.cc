#include "shard/shard_replica.h"

#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/replica_record.h"

namespace vectron::shard {
namespace {

const char* const kDataParts[] = {"/data", "/old", "/incoming", "/outgoing"};
constexpr char kDamaged[] = "/damaged";

absl::Status RemoveData(FileSystem& files, const std::string& dir) {
  for (const char* part : kDataParts) RETURN_IF_ERROR(files.RemoveTree(dir + part));
  return files.SyncDir(dir);
}

// What of a group the log knows goes into the tombstone.
absl::Status FillTombstone(const LogStore& logs, GroupId group, ReplicaRecord& record) {
  record.state = ReplicaState::kTombstoned;
  record.last_index = logs.Extent(group).next_index - 1;
  ASSIGN_OR_RETURN(const std::string stored, logs.ReadHardState(group));
  if (stored.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const RaftState state, DecodeRaftState(stored));
  record.term = state.hard_state.term;
  record.vote = state.hard_state.vote;
  return absl::OkStatus();
}

class ShardReplicaImpl : public ShardReplica, private Applier, private SnapshotState {
 public:
  ShardReplicaImpl(const ShardReplicaOptions& options, const ShardReplicaDeps& deps)
      : options_(options), deps_(deps), files_(*deps.shard.files), dir_(options.shard.dir) {
    data_ = options.shard;
    data_.dir = dir_ + "/data";
  }

  ~ShardReplicaImpl() override {
    if (!removed_) deps_.host->Detach(group());
    snapshots_.reset();
    CloseShard();
  }

  absl::Status Start();

  // --- Shard ---
  void Upsert(UpsertWrite write, int64_t deadline_nanos, WriteCallback done) override {
    const Pin pin(*this);
    if (pin) return pin->Upsert(std::move(write), deadline_nanos, std::move(done));
    done(NotHere());
  }
  void Delete(DeleteWrite write, int64_t deadline_nanos, WriteCallback done) override {
    const Pin pin(*this);
    if (pin) return pin->Delete(std::move(write), deadline_nanos, std::move(done));
    done(NotHere());
  }
  void WriteKey(KeyWrite write, WriteCallback done) override {
    const Pin pin(*this);
    if (pin) return pin->WriteKey(std::move(write), std::move(done));
    done(NotHere());
  }
  void GetKey(const std::string& key,
              std::function<void(absl::StatusOr<std::optional<std::string>>)> done) override {
    const Pin pin(*this);
    if (pin) return pin->GetKey(key, std::move(done));
    done(NotHere());
  }
  void Search(const SearchQuery& query, const ReadTerms& terms,
              std::function<void(absl::StatusOr<SearchAnswer>)> done) override {
    const Pin pin(*this);
    if (pin) return pin->Search(query, terms, std::move(done));
    done(NotHere());
  }
  void Get(const std::string& id, const GetOptions& options,
           std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) override {
    const Pin pin(*this);
    if (pin) return pin->Get(id, options, std::move(done));
    done(NotHere());
  }
  absl::StatusOr<std::vector<PointRecord>> ScanPoints(const std::string& after, size_t limit,
                                                      bool with_vectors) override {
    const Pin pin(*this);
    return pin ? pin->ScanPoints(after, limit, with_vectors) : NotHere();
  }
  ShardStats stats() const override {
    const Pin pin(*this);
    return pin ? pin->stats() : ShardStats();
  }
  void WriteCopy(const std::string& dir,
                 std::function<void(absl::StatusOr<uint64_t>)> done) override {
    auto pin = std::make_shared<Pin>(*this);  // until the answer; std::function copies
    if (!*pin) return done(NotHere());
    (*pin)->WriteCopy(dir, [pin, done = std::move(done)](absl::StatusOr<uint64_t> index) {
      done(std::move(index));
    });
  }
  absl::Status FlushAll() override {
    const Pin pin(*this);
    return pin ? pin->FlushAll() : NotHere();
  }
  void Tick() override {
    const Pin pin(*this);
    if (pin) pin->Tick();
  }
  void WaitUntilIndexed() override {
    const Pin pin(*this);
    if (pin) pin->WaitUntilIndexed();
  }

  bool has_state() const override {
    const absl::MutexLock lock(&mutex_);
    return shard_ != nullptr;
  }
  GroupView view() const override { return deps_.host->View(group()); }
  absl::Status Remove() override;

 private:
  // Keeps the shard from being closed for a while.
  class Pin {
   public:
    explicit Pin(const ShardReplicaImpl& replica) : replica_(replica) {
      const absl::MutexLock lock(&replica_.mutex_);
      shard_ = replica_.shard_.get();
      if (shard_ != nullptr) ++replica_.pins_;
    }
    ~Pin() {
      if (shard_ == nullptr) return;
      const absl::MutexLock lock(&replica_.mutex_);
      --replica_.pins_;
    }
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    explicit operator bool() const { return shard_ != nullptr; }
    Shard* operator->() const { return shard_; }

   private:
    const ShardReplicaImpl& replica_;
    Shard* shard_ = nullptr;
  };

  GroupId group() const { return options_.shard.group; }
  absl::Status NotHere() const {
    return Unavailable("this replica of shard {} waits for a copy of its data",
                       options_.shard.ordinal.value);
  }

  absl::StatusOr<ReplicaRecord> SettleRecord();
  absl::Status Tombstone(ReplicaRecord& record);
  absl::StatusOr<bool> OthersHaveIt() const;
  absl::Status OpenWithLog();
  absl::Status AttachWithoutState();
  RaftGroupStart GroupStart(uint64_t applied_index);
  void CloseShard();

  // --- Applier ---
  void Apply(std::vector<Entry> entries) override;
  uint64_t stored_index() const override;
  uint64_t tail_bytes() const override {
    const absl::MutexLock lock(&mutex_);
    return gate_ == Gate::kOpen && inner_ != nullptr ? inner_->tail_bytes() : 0;
  }

  // --- SnapshotState ---
  void WriteFiles(const std::string& dir,
                  std::function<void(absl::StatusOr<uint64_t>)> done) override {
    WriteCopy(dir, std::move(done));
  }
  absl::Status InstallFiles(const std::string& dir, uint64_t index) override;
  absl::StatusOr<std::unique_ptr<Shard>> SwapIn(const std::string& dir, uint64_t index);

  const ShardReplicaOptions options_;
  const ShardReplicaDeps deps_;
  FileSystem& files_;
  const std::string dir_;
  ShardOptions data_;  // options_.shard with the folder of the data
  std::unique_ptr<SnapshotHandler> snapshots_;
  Replicator* replicator_ = nullptr;
  bool removed_ = false;

  mutable absl::Mutex mutex_;
  std::unique_ptr<Shard> shard_ ABSL_GUARDED_BY(mutex_);  // null: there is no whole data
  mutable int pins_ ABSL_GUARDED_BY(mutex_) = 0;
  // Entries wait while the shard is being opened, but for those handed over by the opening thread
  // itself.
  enum class Gate { kReplaying, kOpening, kOpen, kShut };
  Gate gate_ ABSL_GUARDED_BY(mutex_) = Gate::kReplaying;
  Applier* inner_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

// The record as it is after the states of an interrupted life are settled.
absl::StatusOr<ReplicaRecord> ShardReplicaImpl::SettleRecord() {
  RETURN_IF_ERROR(files_.MakeDirs(dir_));
  ASSIGN_OR_RETURN(const std::optional<ReplicaRecord> found, ReadReplicaRecord(files_, dir_));
  ReplicaRecord record = found.value_or(ReplicaRecord{.replica = options_.replica});
  const bool removed = record.state == ReplicaState::kTombstoned && !record.log_kept;
  if (found && removed && options_.replica > record.replica) {
    RETURN_IF_ERROR(RemoveData(files_, dir_));
    record = {.replica = options_.replica};
  } else if (removed || record.replica != options_.replica) {
    return FailedPrecondition("{}: replica {} is {}, {} cannot live there", dir_,
                              record.replica.value, removed ? "tombstoned" : "there",
                              options_.replica.value);
  }
  if (record.state == ReplicaState::kCopying) {
    LogWarning("{}: a copy was cut short; another is asked for", dir_);
    RETURN_IF_ERROR(Tombstone(record));
    return record;
  }
  if (record.state == ReplicaState::kTombstoned) {
    RETURN_IF_ERROR(RemoveData(files_, dir_));
    return record;
  }
  RETURN_IF_ERROR(files_.RemoveTree(dir_ + "/old"));
  RETURN_IF_ERROR(WriteReplicaRecord(files_, dir_, record));
  return record;
}

// The data is of no use; the log goes on.
absl::Status ShardReplicaImpl::Tombstone(ReplicaRecord& record) {
  RETURN_IF_ERROR(FillTombstone(deps_.host->logs(), group(), record));
  record.log_kept = true;
  RETURN_IF_ERROR(WriteReplicaRecord(files_, dir_, record));
  CrashPoint("replica.tombstoned");
  return RemoveData(files_, dir_);
}

absl::Status ShardReplicaImpl::Start() {
  ASSIGN_OR_RETURN(ReplicaRecord record, SettleRecord());
  ASSIGN_OR_RETURN(snapshots_,
                   MakeFileSnapshots(group(), dir_,
                                     {.files = &files_,
                                      .background_executor = deps_.shard.background_executor,
                                      .transport = deps_.snapshots,
                                      .registry = deps_.registry,
                                      .life = deps_.host->life()},
                                     *this));
  if (record.state != ReplicaState::kTombstoned) {
    const absl::Status opened = OpenWithLog();
    if (!absl::IsDataLoss(opened) && !absl::IsOutOfRange(opened)) return opened;
    ASSIGN_OR_RETURN(const bool others, OthersHaveIt());
    if (!others) return opened;
    LogError("{}: {}; the log or a whole copy makes up for it", dir_, MessageOf(opened));
    // Kept aside until that is here.
    RETURN_IF_ERROR(files_.RemoveTree(dir_ + kDamaged));
    RETURN_IF_ERROR(files_.Rename(data_.dir, dir_ + kDamaged));
    RETURN_IF_ERROR(Tombstone(record));
  }
  const storage::LogGroupRecord log = deps_.host->logs().Extent(group());
  if (log.next_index <= record.last_index) {
    return DataLoss("{}: replica {} had entries up to {}, its log ends at {}", dir_,
                    options_.replica.value, record.last_index, log.next_index - 1);
  }
  if (log.first_index > 1) return AttachWithoutState();
  // The log has everything from the first entry on.
  record = {.replica = options_.replica};
  RETURN_IF_ERROR(WriteReplicaRecord(files_, dir_, record));
  RETURN_IF_ERROR(OpenWithLog());
  return files_.RemoveTree(dir_ + kDamaged);
}

// Whether this replica may give up its data: its log knows it, and it is not the only copy.
absl::StatusOr<bool> ShardReplicaImpl::OthersHaveIt() const {
  ASSIGN_OR_RETURN(const std::string stored, deps_.host->logs().ReadHardState(group()));
  if (stored.empty()) return false;
  ASSIGN_OR_RETURN(const RaftState state, DecodeRaftState(stored));
  for (const uint64_t voter : state.current().voters) {
    if (voter != options_.replica.value) return true;
  }
  return false;
}

RaftGroupStart ShardReplicaImpl::GroupStart(uint64_t applied_index) {
  RaftGroupStart start;
  start.group = group();
  start.replica = options_.replica;
  start.members = options_.founders;
  start.applied_index = applied_index;
  start.applier = this;
  start.snapshots = snapshots_.get();
  return start;
}

absl::Status ShardReplicaImpl::OpenWithLog() {
  absl::StatusOr<std::unique_ptr<Shard>> shard =
      Shard::Open(data_, deps_.shard,
                  [this](Applier& applier, uint64_t applied_index) -> absl::StatusOr<Replicator*> {
                    {
                      const absl::MutexLock lock(&mutex_);
                      inner_ = &applier;
                      gate_ = Gate::kReplaying;
                    }
                    ASSIGN_OR_RETURN(replicator_, deps_.host->Attach(GroupStart(applied_index)));
                    const absl::MutexLock lock(&mutex_);
                    gate_ = Gate::kOpening;
                    return replicator_;
                  });
  {
    const absl::MutexLock lock(&mutex_);
    gate_ = shard.ok() ? Gate::kOpen : Gate::kShut;
    if (shard.ok()) {
      shard_ = *std::move(shard);
      return absl::OkStatus();
    }
    inner_ = nullptr;
  }
  deps_.host->Detach(group());
  return shard.status();
}

absl::Status ShardReplicaImpl::AttachWithoutState() {
  {
    const absl::MutexLock lock(&mutex_);
    gate_ = Gate::kShut;
  }
  RaftGroupStart start = GroupStart(0);
  start.lacks_state = true;
  ASSIGN_OR_RETURN(replicator_, deps_.host->Attach(start));
  return absl::OkStatus();
}

void ShardReplicaImpl::Apply(std::vector<Entry> entries) {
  Applier* inner = nullptr;
  {
    const auto decided = [this]() {
      mutex_.AssertReaderHeld();
      return gate_ != Gate::kOpening;
    };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&decided));
    if (gate_ == Gate::kShut) return;
    inner = inner_;
  }
  inner->Apply(std::move(entries));
}

uint64_t ShardReplicaImpl::stored_index() const {
  const absl::MutexLock lock(&mutex_);
  return inner_ == nullptr ? 0 : inner_->stored_index();
}

// Returns when no call uses the shard any more and it is closed.
void ShardReplicaImpl::CloseShard() {
  std::unique_ptr<Shard> closing;
  {
    const auto unpinned = [this]() {
      mutex_.AssertReaderHeld();
      return pins_ == 0;
    };
    const absl::MutexLock lock(&mutex_);
    closing = std::move(shard_);
    inner_ = nullptr;
    gate_ = Gate::kShut;
    mutex_.Await(absl::Condition(&unpinned));
  }
}

absl::Status ShardReplicaImpl::InstallFiles(const std::string& dir, uint64_t index) {
  RETURN_IF_ERROR(WriteReplicaRecord(
      files_, dir_,
      {.state = ReplicaState::kCopying, .replica = options_.replica, .snapshot_index = index}));
  CrashPoint("replica.copying");
  CloseShard();
  absl::StatusOr<std::unique_ptr<Shard>> shard = SwapIn(dir, index);
  if (!shard.ok()) {
    {
      const absl::MutexLock lock(&mutex_);
      inner_ = nullptr;
    }
    // Room for the next copy. What cannot be removed now is when that comes, or at the next start.
    for (const char* part : {"/data", "/old"}) files_.RemoveTree(dir_ + part).IgnoreError();
    return shard.status();
  }
  {
    const absl::MutexLock lock(&mutex_);
    shard_ = *std::move(shard);
    gate_ = Gate::kOpen;
  }
  absl::Status removed = files_.RemoveTree(dir_ + "/old");
  if (removed.ok()) removed = files_.RemoveTree(dir_ + kDamaged);
  if (!removed.ok()) LogWarning("{}: left after a copy: {}", dir_, MessageOf(removed));
  return absl::OkStatus();
}

// Replaces data/ by a copy and opens it; the record says COPYING.
absl::StatusOr<std::unique_ptr<Shard>> ShardReplicaImpl::SwapIn(const std::string& dir,
                                                                uint64_t index) {
  RETURN_IF_ERROR(files_.RemoveTree(dir_ + "/old"));
  ASSIGN_OR_RETURN(const bool had_data, files_.Exists(data_.dir));
  if (had_data) RETURN_IF_ERROR(files_.Rename(data_.dir, dir_ + "/old"));
  CrashPoint("replica.old_moved");
  RETURN_IF_ERROR(files_.Rename(dir, data_.dir));
  RETURN_IF_ERROR(files_.SyncDir(dir_));
  CrashPoint("replica.new_moved");
  absl::StatusOr<std::unique_ptr<Shard>> shard =
      Shard::Open(data_, deps_.shard,
                  [&](Applier& applier, uint64_t applied_index) -> absl::StatusOr<Replicator*> {
                    if (applied_index < index)
                      return OutOfRange("the index is at {}, the copy at {}", applied_index, index);
                    const absl::MutexLock lock(&mutex_);
                    inner_ = &applier;
                    return replicator_;
                  });
  RETURN_IF_ERROR(shard.status());
  if ((*shard)->stats().applied_index != index) {
    return DataLoss("{}: the copy is at {}, announced was {}", dir_,
                    (*shard)->stats().applied_index, index);
  }
  RETURN_IF_ERROR(WriteReplicaRecord(
      files_, dir_,
      {.state = ReplicaState::kReady, .replica = options_.replica, .snapshot_index = index}));
  CrashPoint("replica.ready");
  return shard;
}

absl::Status ShardReplicaImpl::Remove() {
  if (std::exchange(removed_, true)) return absl::OkStatus();
  deps_.host->Detach(group());
  snapshots_.reset();
  CloseShard();
  return RemoveClosed(files_, dir_, group(), *deps_.host);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ShardReplica>> ShardReplica::Open(const ShardReplicaOptions& options,
                                                                 const ShardReplicaDeps& deps) {
  CHECK(deps.host != nullptr && deps.snapshots != nullptr && deps.registry != nullptr);
  CHECK(options.replica.node() == deps.host->node());
  auto replica = std::make_unique<ShardReplicaImpl>(options, deps);
  RETURN_IF_ERROR(replica->Start());
  return std::unique_ptr<ShardReplica>(std::move(replica));
}

absl::Status ShardReplica::RemoveClosed(FileSystem& files, const std::string& dir, GroupId group,
                                        GroupHost& host) {
  ASSIGN_OR_RETURN(const std::optional<ReplicaRecord> found, ReadReplicaRecord(files, dir));
  if (!found) return absl::OkStatus();
  ReplicaRecord record = *found;
  const bool removed = record.state == ReplicaState::kTombstoned && !record.log_kept;
  if (!removed) {
    RETURN_IF_ERROR(FillTombstone(host.logs(), group, record));
    record.log_kept = false;
    RETURN_IF_ERROR(WriteReplicaRecord(files, dir, record));
    CrashPoint("replica.removed");
  }
  RETURN_IF_ERROR(RemoveData(files, dir));
  RETURN_IF_ERROR(files.RemoveTree(dir + kDamaged));
  return host.Destroy(group);
}

absl::Status ShardReplica::Forget(FileSystem& files, const std::string& dir) {
  ASSIGN_OR_RETURN(const std::optional<ReplicaRecord> record, ReadReplicaRecord(files, dir));
  if (record && (record->state != ReplicaState::kTombstoned || record->log_kept)) {
    return FailedPrecondition("{}: replica {} is no tombstone", dir, record->replica.value);
  }
  return files.RemoveTree(dir);
}

}  // namespace vectron::shard
