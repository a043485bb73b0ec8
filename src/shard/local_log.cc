#include "shard/local_log.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

using Done = std::function<void(absl::StatusOr<uint64_t>)>;

// Proposals refused below this part of the reserve; above it, callers choose by nearly_full().
constexpr uint64_t kFloorPart = 4;

void EndProcess(const absl::Status& status) {
  LogError("{}; what is on disk is unknown, so this process ends", MessageOf(status));
  std::_Exit(EXIT_FAILURE);
}

class LocalLogImpl;

// One attached group.
class LocalGroup : public Replicator {
 public:
  LocalGroup(LocalLogImpl& log, GroupId id, Applier& applier, Executor& executor)
      : log_(log), id_(id), applier_(applier), serial_(executor) {}

  void Propose(std::string command, Done done) override;
  void ReadBarrier(Done done) override { done(committed_index()); }
  absl::StatusOr<std::vector<Entry>> ReadEntries(uint64_t first, uint64_t last) const override;
  void SetLogMarks(uint64_t needed, uint64_t wished) override;
  bool nearly_full() const override;
  uint64_t committed_index() const override { return committed_.load(std::memory_order_acquire); }
  uint64_t first_index() const override;

 private:
  friend class LocalLogImpl;

  LocalLogImpl& log_;
  const GroupId id_;
  Applier& applier_;
  SerialExecutor serial_;
  std::atomic<uint64_t> committed_{0};  // written by the log thread once attached
  // Guarded by the log's mutex.
  size_t pending_entries_ = 0;  // proposed and not yet applied
  uint64_t needed_ = 0;
  uint64_t wished_ = 0;
};

struct Proposal {
  LocalGroup* group = nullptr;
  std::string command;
  Done done;
};

// One group's part of a turn.
struct GroupTurn {
  LocalGroup* group = nullptr;
  std::vector<Entry> entries;
  std::vector<Done> done;  // of the entries
  uint64_t bytes = 0;
};

class LocalLogImpl : public LocalLog {
 public:
  LocalLogImpl(std::string dir, const LocalLogDeps& deps, std::unique_ptr<LogStore> store)
      : dir_(std::move(dir)), deps_(deps), store_(std::move(store)) {}
  ~LocalLogImpl() override;

  absl::StatusOr<Replicator*> Attach(GroupId id, Applier& applier, uint64_t applied_index) override;
  void Detach(GroupId id) override;
  absl::Status Destroy(GroupId id) override;
  std::vector<GroupId> Groups() const override { return store_->Groups(); }
  Stats stats() const override;

  void Propose(Proposal proposal);
  void SetLogMarks(LocalGroup& group, uint64_t needed, uint64_t wished);
  // Whether less than 1 / `part` of the reserve is left after `bytes` more.
  bool BelowReserve(uint64_t part, uint64_t bytes) const;
  const LogStore& store() const { return *store_; }

 private:
  absl::Status Replay(GroupId id, Applier& applier, uint64_t applied_index) const;
  absl::Status Enqueue(Proposal& proposal);
  void Run();
  std::vector<Proposal> TakeProposals() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunTurn(std::vector<Proposal> proposals);
  absl::Status WriteTurn(std::vector<std::unique_ptr<GroupTurn>>& turns);
  void HandOver(std::unique_ptr<GroupTurn> turn);
  void Release(LocalGroup& group, size_t entries, uint64_t bytes);
  void FailFrom(const absl::Status& status);
  void CutWhatIsDue(LocalGroup& group);

  bool Quiet() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !running_ && pending_bytes_ == 0 && pending_entries_ == 0;
  }

  const std::string dir_;
  const LocalLogDeps deps_;
  const std::unique_ptr<LogStore> store_;
  mutable absl::Mutex mutex_;
  std::map<uint64_t, std::unique_ptr<LocalGroup>> groups_ ABSL_GUARDED_BY(mutex_);
  std::deque<Proposal> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<LocalGroup*> cuts_due_ ABSL_GUARDED_BY(mutex_);
  LocalGroup* cutting_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint64_t pending_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // proposed and not yet applied
  size_t pending_entries_ ABSL_GUARDED_BY(mutex_) = 0;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;  // the log thread has work or is at it
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);  // of every proposal: stopping, or a write failed
  Stats stats_ ABSL_GUARDED_BY(mutex_);
  ThreadPool thread_{"log", 1};  // last: joined before the rest goes
};

LocalLogImpl::~LocalLogImpl() {
  const absl::MutexLock lock(&mutex_);
  refusal_ = Unavailable("log {}: shutting down", dir_);
  mutex_.Await(absl::Condition(this, &LocalLogImpl::Quiet));
}

absl::Status LocalLogImpl::Replay(GroupId id, Applier& applier, uint64_t applied_index) const {
  const storage::LogGroupRecord record = store_->Extent(id);
  if (applied_index >= record.next_index || applied_index + 1 < record.first_index) {
    return DataLoss("log {}: group {} has entries {}-{}, but its store is at {}", dir_, id.value,
                    record.first_index, record.next_index - 1, applied_index);
  }
  uint64_t next = applied_index + 1;
  while (next < record.next_index) {
    ASSIGN_OR_RETURN(
        std::vector<Entry> entries,
        store_->Read(
            id, {.first = next, .last = record.next_index - 1, .max_bytes = kLogReplayChunkBytes}));
    next = entries.back().index + 1;
    applier.Apply(std::move(entries));
  }
  return absl::OkStatus();
}

absl::StatusOr<Replicator*> LocalLogImpl::Attach(GroupId id, Applier& applier,
                                                 uint64_t applied_index) {
  LocalGroup* group = nullptr;
  {
    const absl::MutexLock lock(&mutex_);
    std::unique_ptr<LocalGroup>& place = groups_[id.value];
    if (place != nullptr) return FailedPrecondition("log {}: group {} is attached", dir_, id.value);
    place = std::make_unique<LocalGroup>(*this, id, applier, *deps_.apply_executor);
    group = place.get();
  }
  const absl::Status replayed = Replay(id, applier, applied_index);
  if (!replayed.ok()) {
    const absl::MutexLock lock(&mutex_);
    groups_.erase(id.value);
    return replayed;
  }
  group->committed_.store(store_->Extent(id).next_index - 1, std::memory_order_release);
  return group;
}

void LocalLogImpl::Detach(GroupId id) {
  std::unique_ptr<LocalGroup> group;
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = groups_.find(id.value);
    if (found == groups_.end()) return;
    LocalGroup* leaving = found->second.get();
    const auto let_go = [this, leaving] {
      mutex_.AssertReaderHeld();
      return leaving->pending_entries_ == 0 && cutting_ != leaving &&
             std::find(cuts_due_.begin(), cuts_due_.end(), leaving) == cuts_due_.end();
    };
    mutex_.Await(absl::Condition(&let_go));
    group = std::move(groups_[id.value]);
    groups_.erase(id.value);
  }
}

absl::Status LocalLogImpl::Destroy(GroupId id) {
  Detach(id);
  return store_->Destroy(id);
}

LocalLog::Stats LocalLogImpl::stats() const {
  Stats stats;
  {
    const absl::MutexLock lock(&mutex_);
    stats = stats_;
  }
  stats.disk_bytes = store_->disk_bytes();
  stats.memory_bytes = store_->memory_bytes();
  return stats;
}

bool LocalLogImpl::BelowReserve(uint64_t part, uint64_t bytes) const {
  const absl::StatusOr<FileSystem::Space> space = deps_.files->FreeSpace(dir_);
  if (!space.ok()) return false;  // the write itself will tell
  const uint64_t reserve = std::min(deps_.disk_reserve_bytes, space->total_bytes / 20);
  return space->free_bytes < reserve / part + bytes;
}

absl::Status LocalLogImpl::Enqueue(Proposal& proposal) {
  const absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(refusal_);
  LocalGroup& group = *proposal.group;
  const uint64_t bytes = proposal.command.size();
  if (group.pending_entries_ >= kMaxLogPendingEntriesPerGroup) {
    return ResourceExhausted("log {}: group {}: {} entries wait to be applied", dir_,
                             group.id_.value, group.pending_entries_);
  }
  if (pending_bytes_ + bytes > kMaxLogPendingBytes) {
    return ResourceExhausted("log {}: {} bytes wait to be applied, {} more are too many", dir_,
                             pending_bytes_, bytes);
  }
  ++group.pending_entries_;
  ++pending_entries_;
  pending_bytes_ += bytes;
  queue_.push_back(std::move(proposal));
  if (!running_) {
    running_ = true;
    thread_.Schedule([this] { Run(); });
  }
  return absl::OkStatus();
}

void LocalLogImpl::Propose(Proposal proposal) {
  const absl::Status status = Enqueue(proposal);
  if (!status.ok()) proposal.done(status);
}

void LocalLogImpl::SetLogMarks(LocalGroup& group, uint64_t needed, uint64_t wished) {
  const absl::MutexLock lock(&mutex_);
  group.needed_ = std::max(group.needed_, needed);
  group.wished_ = std::max(group.wished_, wished);
  cuts_due_.push_back(&group);
  if (running_) return;
  running_ = true;
  thread_.Schedule([this] { Run(); });
}

std::vector<Proposal> LocalLogImpl::TakeProposals() {
  std::vector<Proposal> taken;
  uint64_t bytes = 0;
  while (!queue_.empty() &&
         (taken.empty() || bytes + queue_.front().command.size() <= kMaxLogTurnBytes)) {
    bytes += queue_.front().command.size();
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return taken;
}

// The log thread: cuts, which are rare and would else wait for ever under load, and turns until
// nothing is proposed.
void LocalLogImpl::Run() {
  while (true) {
    std::vector<Proposal> proposals;
    LocalGroup* cut = nullptr;
    {
      const absl::MutexLock lock(&mutex_);
      cutting_ = nullptr;
      if (!cuts_due_.empty()) {
        cut = cutting_ = cuts_due_.back();
        cuts_due_.pop_back();
      } else {
        proposals = TakeProposals();
      }
      if (proposals.empty() && cut == nullptr) {
        running_ = false;
        return;
      }
    }
    if (cut != nullptr) {
      CutWhatIsDue(*cut);
    } else {
      RunTurn(std::move(proposals));
    }
  }
}

void LocalLogImpl::RunTurn(std::vector<Proposal> proposals) {
  std::vector<std::unique_ptr<GroupTurn>> turns;
  std::map<LocalGroup*, GroupTurn*> turn_of;
  for (Proposal& proposal : proposals) {
    GroupTurn*& turn = turn_of[proposal.group];
    if (turn == nullptr) {
      turns.push_back(std::make_unique<GroupTurn>());
      turn = turns.back().get();
      turn->group = proposal.group;
    }
    const uint64_t index = proposal.group->committed_index() + 1 + turn->entries.size();
    turn->bytes += proposal.command.size();
    turn->entries.push_back({.term = 1, .index = index, .command = std::move(proposal.command)});
    turn->done.push_back(std::move(proposal.done));
  }
  const absl::Status written = WriteTurn(turns);
  for (std::unique_ptr<GroupTurn>& turn : turns) {
    if (written.ok()) {
      HandOver(std::move(turn));
      continue;
    }
    for (const Done& done : turn->done) done(written);
    Release(*turn->group, turn->entries.size(), turn->bytes);
  }
}

// Makes a turn durable, or says why it is refused.
absl::Status LocalLogImpl::WriteTurn(std::vector<std::unique_ptr<GroupTurn>>& turns) {
  std::vector<LogAppend> appends;
  uint64_t bytes = 0;
  size_t entries = 0;
  for (const std::unique_ptr<GroupTurn>& turn : turns) {
    appends.push_back({.group = turn->group->id_, .entries = &turn->entries, .hard_state = {}});
    bytes += turn->bytes;
    entries += turn->entries.size();
  }
  {
    const absl::MutexLock lock(&mutex_);
    // After a failed write, what was queued before it. Stopping is no reason: that is still
    // written.
    if (stats_.failed) return refusal_;
  }
  if (BelowReserve(kFloorPart, bytes)) {
    return ResourceExhausted("log {}: the disk is full up to its reserve", dir_);
  }
  const absl::Status written = store_->Append(appends);
  if (!written.ok()) {
    FailFrom(written);
    return absl::IsResourceExhausted(written) ? written : absl::UnavailableError(written.message());
  }
  const absl::MutexLock lock(&mutex_);
  ++stats_.turns;
  stats_.entries += entries;
  stats_.bytes += bytes;
  return absl::OkStatus();
}

void LocalLogImpl::FailFrom(const absl::Status& status) {
  {
    const absl::MutexLock lock(&mutex_);
    stats_.failed = true;
    refusal_ =
        Unavailable("log {}: refuses proposals since a write failed: {}", dir_, MessageOf(status));
  }
  if (absl::IsResourceExhausted(status)) {
    LogError("log {}: refuses proposals until a restart, the disk is full: {}", dir_,
             MessageOf(status));
  } else if (deps_.on_fatal) {
    deps_.on_fatal(status);
  } else {
    EndProcess(status);
  }
}

void LocalLogImpl::HandOver(std::unique_ptr<GroupTurn> turn) {
  LocalGroup& group = *turn->group;
  group.committed_.store(turn->entries.back().index, std::memory_order_release);
  const storage::LogGroupRecord record = store_->Extent(group.id_);
  const bool past_bound = record.bytes_after - record.bytes_before > deps_.group_log_bytes;
  if (past_bound) CutWhatIsDue(group);
  // Shared, because a task must be copyable.
  std::shared_ptr<GroupTurn> shared = std::move(turn);
  group.serial_.Schedule([this, shared] {
    const size_t entries = shared->entries.size();
    uint64_t index = shared->entries.front().index;
    shared->group->applier_.Apply(std::move(shared->entries));
    // First, so that who waits for `done` finds room. The group's queue, which Detach drains, keeps
    // it alive until the end.
    Release(*shared->group, entries, shared->bytes);
    for (const Done& done : shared->done) done(index++);
  });
}

// After it the group may be gone.
void LocalLogImpl::Release(LocalGroup& group, size_t entries, uint64_t bytes) {
  const absl::MutexLock lock(&mutex_);
  CHECK_GE(group.pending_entries_, entries);
  group.pending_entries_ -= entries;
  pending_entries_ -= entries;
  pending_bytes_ -= bytes;
}

// Cuts below both marks, or below `needed` when what is kept would pass the bound.
void LocalLogImpl::CutWhatIsDue(LocalGroup& group) {
  uint64_t needed = 0;
  uint64_t wished = 0;
  {
    const absl::MutexLock lock(&mutex_);
    if (stats_.failed) return;
    needed = std::min(group.needed_, group.committed_index()) + 1;
    wished = std::min(group.wished_, group.committed_index()) + 1;
  }
  const storage::LogGroupRecord record = store_->Extent(group.id_);
  uint64_t cut = std::clamp(std::min(needed, wished), record.first_index, record.next_index);
  const absl::StatusOr<uint64_t> kept = store_->BytesFrom(group.id_, cut);
  if (kept.ok() && *kept > deps_.group_log_bytes) cut = std::max(cut, needed);
  absl::Status status = kept.ok() ? store_->CutBefore(group.id_, cut) : kept.status();
  if (status.ok()) status = store_->FlushIfMostlyCut();
  // A log that cannot be cut is only longer than it should be; one that cannot be written is found
  // out by the next turn.
  if (!status.ok())
    LogWarning("log {}: group {}: not cut: {}", dir_, group.id_.value, MessageOf(status));
}

void LocalGroup::Propose(std::string command, Done done) {
  log_.Propose({.group = this, .command = std::move(command), .done = std::move(done)});
}

absl::StatusOr<std::vector<Entry>> LocalGroup::ReadEntries(uint64_t first, uint64_t last) const {
  return log_.store().Read(id_, {.first = first, .last = last});
}

void LocalGroup::SetLogMarks(uint64_t needed, uint64_t wished) {
  log_.SetLogMarks(*this, needed, wished);
}

bool LocalGroup::nearly_full() const { return log_.BelowReserve(1, 0); }

uint64_t LocalGroup::first_index() const { return log_.store().Extent(id_).first_index; }

}  // namespace

absl::StatusOr<std::unique_ptr<LocalLog>> LocalLog::Open(const std::string& dir,
                                                         const LocalLogDeps& deps) {
  CHECK(deps.resources != nullptr);
  // Entries are applied from memory and read again at start only.
  constexpr size_t kNoTailCache = 0;
  ASSIGN_OR_RETURN(std::unique_ptr<LogStore> store,
                   LogStore::Open(dir, *deps.resources, kNoTailCache));
  return Over(dir, deps, std::move(store));
}

std::unique_ptr<LocalLog> LocalLog::Over(const std::string& dir, const LocalLogDeps& deps,
                                         std::unique_ptr<LogStore> store) {
  CHECK(deps.files != nullptr && deps.apply_executor != nullptr);
  return std::make_unique<LocalLogImpl>(dir, deps, std::move(store));
}

}  // namespace vectron::shard
