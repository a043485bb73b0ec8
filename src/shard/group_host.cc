#include "shard/group_host.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"

namespace vectron::shard {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// How often the disk's room is asked for.
constexpr int64_t kRoomEveryMs = 1'000;
// A transfer that brought no change of leadership is asked for again.
constexpr int64_t kTransferRetryMs = 400;

void EndProcess(const absl::Status& status) {
  LogError("{}; this process ends", MessageOf(status));
  std::_Exit(EXIT_FAILURE);
}

class GroupHostImpl;

// The way of the timer's task to the host: shared with the task, which may be about to run when the
// host ends.
struct Ticker {
  absl::Mutex mutex;
  GroupHostImpl* host ABSL_GUARDED_BY(mutex) = nullptr;
};

class GroupHostImpl : public GroupHost {
 public:
  GroupHostImpl(const GroupHostOptions& options, const GroupHostDeps& deps)
      : GroupHost(options, deps),
        options_(options),
        deps_(deps),
        ticker_(std::make_shared<Ticker>()) {
    if (!deps_.on_fatal) deps_.on_fatal = EndProcess;
    if (deps_.disk_room) room_thread_ = std::make_unique<ThreadPool>("disk-room", 1);
    RaftHostDeps raft;
    raft.logs = deps.logs;
    raft.transport = deps.transport;
    raft.apply_executor = deps.apply_executor;
    raft.wake = [this] { Wake(); };
    raft.on_fatal = [this](const absl::Status& status) { Fatal(status); };
    raft.on_leader = [](GroupId group, ReplicaId replica, uint64_t term) {
      LogInfo("group {}: replica {} leads in term {}", group.value, replica.value, term);
    };
    raft.before_write = [this] { write_began_nanos_ = deps_.clock->MonotonicNanos(); };
    raft.after_write = [this] { write_began_nanos_ = 0; };
    RaftHostOptions raft_options = options.raft;
    raft_options.life = life();
    host_ = RaftHost::Create(raft_options, raft);
    {
      const absl::MutexLock lock(&ticker_->mutex);
      ticker_->host = this;
    }
    next_tick_nanos_ = deps_.clock->MonotonicNanos();
    ScheduleTick();
  }

  ~GroupHostImpl() override {
    {
      const absl::MutexLock lock(&ticker_->mutex);
      ticker_->host = nullptr;
    }
    room_thread_.reset();  // it tells the host
    // What the raft thread has begun it ends; nothing new is begun.
    {
      const absl::MutexLock lock(&wake_mutex_);
      stopping_ = true;
    }
    thread_.reset();
    host_.reset();
  }

  absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) override {
    return host_->Attach(start);
  }
  void Detach(GroupId group) override { host_->Detach(group); }
  absl::Status Destroy(GroupId group) override { return host_->Destroy(group); }
  void Receive(uint64_t node, std::vector<PeerMessage> messages) override {
    host_->Receive({node}, std::move(messages));
  }
  void ReportUnreachable(uint64_t node) override { host_->ReportUnreachable({node}); }

  absl::Status HandOver(GroupId group) override { return HandOverSome({group}); }
  absl::Status HandOverAll() override { return HandOverSome(host_->Groups()); }

  void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                        std::function<void(absl::Status)> done) override {
    const GroupView view = host_->View(group);
    if (kind == consensus::ChangeKind::kRemove && view.is_leader && view.replica == replica) {
      done(FailedPrecondition("group {}: replica {} leads; hand over first", group.value,
                              replica.value));
      return;
    }
    host_->ChangeMembership(group, replica, kind, std::move(done));
  }
  void TransferLeadership(GroupId group, ReplicaId to) override {
    host_->TransferLeadership(group, to);
  }
  void Campaign(GroupId group) override { host_->Campaign(group); }
  GroupView View(GroupId group) const override { return host_->View(group); }
  std::vector<GroupId> Groups() const override { return host_->Groups(); }

  Stats stats() const override {
    Stats stats;
    stats.turns = turns_;
    stats.raft = host_->stats();
    stats.slow_writes = slow_writes_;
    stats.write_age_ms = WriteAgeMs();
    stats.failed = failed_;
    return stats;
  }

 private:
  void Wake() {
    if (awake_.exchange(true)) return;
    const absl::MutexLock lock(&wake_mutex_);
    if (!stopping_) thread_->Schedule([this] { Run(); });
  }

  void Run() {
    awake_ = false;
    while (!stopping_ && host_->Turn()) {
      ++turns_;
      const absl::MutexLock lock(&turn_mutex_);
      turned_.SignalAll();
    }
  }

  int64_t WriteAgeMs() const {
    const int64_t began = write_began_nanos_;
    return began == 0
               ? 0
               : std::max<int64_t>((deps_.clock->MonotonicNanos() - began) / kNanosPerMilli, 1);
  }

  void ScheduleTick() {
    // At fixed steps; after a hold-up from now on, without making up for what was lost.
    const int64_t step = options_.tick_ms * kNanosPerMilli;
    next_tick_nanos_ = std::max(next_tick_nanos_ + step, deps_.clock->MonotonicNanos() + step / 4);
    deps_.timer->At(next_tick_nanos_, [ticker = ticker_] {
      const absl::MutexLock lock(&ticker->mutex);
      if (ticker->host != nullptr) ticker->host->OnTimer();
    });
  }

  // On the timer's thread.
  void OnTimer() {
    host_->Tick();
    WatchDisk();
    ScheduleTick();
  }

  void WatchDisk() {
    const int64_t age_ms = WriteAgeMs();
    if (age_ms < options_.slow_write_ms) {
      slow_reported_ = false;
    } else if (!std::exchange(slow_reported_, true)) {
      ++slow_writes_;
      LogWarning("the log's disk is slow: a write has taken {} ms so far", age_ms);
    }
    if (age_ms >= options_.hung_write_ms) {
      Fatal(Unavailable("a write to the log has taken {} ms: its disk hangs", age_ms));
    }
    AskForRoom();
  }

  // In a thread of its own: a disk that hangs may not answer, and must not stop the timer that
  // judges it.
  void AskForRoom() {
    const int64_t now = deps_.clock->MonotonicNanos();
    if (room_thread_ == nullptr || now < next_room_nanos_ || asking_for_room_.exchange(true)) {
      return;
    }
    next_room_nanos_ = now + kRoomEveryMs * kNanosPerMilli;
    room_thread_->Schedule([this] {
      host_->SetDiskRoom(deps_.disk_room());
      asking_for_room_ = false;
    });
  }

  void Fatal(const absl::Status& status) {
    if (!failed_.exchange(true)) deps_.on_fatal(status);
  }

  // The voter that is best able to lead, 0 when there is none but this one.
  ReplicaId Successor(const GroupView& view) const {
    uint64_t best = 0;
    uint64_t best_match = 0;
    for (const consensus::PeerProgress& peer : view.progress) {
      const auto& voters = view.membership.voters;
      const bool votes = std::find(voters.begin(), voters.end(), peer.id) != voters.end();
      if (!votes || peer.id == view.replica.value || peer.pending_snapshot != 0) continue;
      if (!peer.recent_active && best != 0) continue;
      if (best == 0 || peer.match > best_match) {
        best = peer.id;
        best_match = peer.match;
      }
    }
    return {best};
  }

  absl::Status HandOverSome(const std::vector<GroupId>& groups) {
    const int64_t end = deps_.clock->MonotonicNanos() + options_.handover_ms * kNanosPerMilli;
    int64_t ask_again = 0;
    while (true) {
      const int64_t now = deps_.clock->MonotonicNanos();
      size_t leading = 0;
      for (const GroupId group : groups) {
        const GroupView view = host_->View(group);
        if (!view.is_leader || view.membership.voters.size() <= 1) continue;
        ++leading;
        if (now < ask_again) continue;
        const ReplicaId successor = Successor(view);
        if (successor.value != 0) host_->TransferLeadership(group, successor);
      }
      if (leading == 0) return absl::OkStatus();
      if (now >= end || failed_) {
        return DeadlineExceeded("{} of {} groups are still led by this node", leading,
                                groups.size());
      }
      if (now >= ask_again) ask_again = now + kTransferRetryMs * kNanosPerMilli;
      const absl::MutexLock lock(&turn_mutex_);
      turned_.WaitWithTimeout(&turn_mutex_, absl::Milliseconds(options_.tick_ms));
    }
  }

  const GroupHostOptions options_;
  GroupHostDeps deps_;
  const std::shared_ptr<Ticker> ticker_;
  std::unique_ptr<RaftHost> host_;

  std::atomic<bool> awake_{false};  // a Run is scheduled
  absl::Mutex wake_mutex_;
  std::atomic<bool> stopping_{false};  // set under wake_mutex_
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> turns_{0};
  std::atomic<uint64_t> slow_writes_{0};
  std::atomic<int64_t> write_began_nanos_{0};  // 0: none is under way
  absl::Mutex turn_mutex_;
  absl::CondVar turned_;

  // Of the timer's thread.
  int64_t next_tick_nanos_ = 0;
  int64_t next_room_nanos_ = 0;
  bool slow_reported_ = false;

  std::atomic<bool> asking_for_room_{false};
  std::unique_ptr<ThreadPool> room_thread_;  // null: nobody is asked
  std::unique_ptr<ThreadPool> thread_ = std::make_unique<ThreadPool>("raft", 1);
};

}  // namespace

GroupHost::GroupHost(const GroupHostOptions& options, const GroupHostDeps& deps)
    : node_(options.raft.node),
      life_(options.raft.life != 0
                ? options.raft.life
                : Mix64(static_cast<uint64_t>(deps.clock->UnixMillis()) ^
                        Mix64(static_cast<uint64_t>(deps.clock->MonotonicNanos()) ^
                              options.raft.node.value))),
      logs_(deps.logs) {}

std::unique_ptr<GroupHost> GroupHost::Start(const GroupHostOptions& options,
                                            const GroupHostDeps& deps) {
  CHECK(deps.clock != nullptr && deps.timer != nullptr);
  return std::make_unique<GroupHostImpl>(options, deps);
}

}  // namespace vectron::shard
