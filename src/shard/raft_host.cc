#include "shard/raft_host.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
namespace {

// Rounds of write and apply in one turn before new input is looked at.
constexpr int kMaxRounds = 8;

class Host;

// The face of one group for its shard; posts into the host's inbox.
class GroupReplicator : public Replicator {
 public:
  GroupReplicator(Host& host, RaftReplica& replica, LogStore& logs)
      : host_(host), replica_(replica), logs_(logs) {}

  void Propose(std::string command, ProposeCallback done) override;
  void ReadBarrier(ProposeCallback done) override;
  void SetLogMarks(uint64_t needed, uint64_t wished) override;

  absl::StatusOr<std::vector<Entry>> ReadEntries(uint64_t first, uint64_t last) const override {
    ASSIGN_OR_RETURN(std::vector<Entry> entries,
                     logs_.Read(replica_.group(), {.first = first, .last = last}));
    for (Entry& entry : entries) {
      const bool normal = KindOf(entry.command) == consensus::EntryKind::kNormal;
      entry.command = normal ? std::string(WithoutKind(entry.command)) : std::string();
    }
    return entries;
  }
  uint64_t committed_index() const override { return replica_.committed(); }
  uint64_t first_index() const override { return logs_.Extent(replica_.group()).first_index; }

 private:
  Host& host_;
  RaftReplica& replica_;
  LogStore& logs_;
};

struct Attached {
  std::unique_ptr<RaftReplica> replica;
  std::unique_ptr<GroupReplicator> replicator;
  uint64_t incarnation = 0;
};

class Host : public RaftHost {
 public:
  // Runs on the raft thread with the group's replica; not run when the group is gone.
  using Input = std::function<void(RaftReplica&, Outbox&)>;

  Host(const RaftHostOptions& options, const RaftHostDeps& deps) : options_(options), deps_(deps) {}
  ~Host() override {
    for (auto& [id, attached] : groups_) attached.replica->DrainApply();
  }

  absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) override;
  void Detach(GroupId group) override;
  absl::Status Destroy(GroupId group) override;
  void Receive(std::vector<PeerMessage> messages) override;
  void ReportUnreachable(WorkerId node) override;
  void Tick() override;
  void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                        std::function<void(absl::Status)> done) override;
  void TransferLeadership(GroupId group, ReplicaId to) override {
    Post(group, 0, [to](RaftReplica& replica, Outbox&) { replica.TransferLeadership(to); });
  }
  void Campaign(GroupId group) override {
    Post(group, 0, [](RaftReplica& replica, Outbox&) { replica.Campaign(); });
  }
  GroupView View(GroupId group) const override;
  bool Turn() override;

  // Puts input into the inbox; false when it is full. incarnation 0: whichever replica is there.
  bool Post(GroupId group, uint64_t incarnation, Input input);

 private:
  struct Waiting {
    GroupId group;
    uint64_t incarnation;
    Input input;
  };

  void RunInputs(std::vector<Waiting> inputs, uint64_t ticks, std::set<uint64_t>& touched);
  bool Round(const std::set<uint64_t>& touched);
  void Quarantine(RaftReplica& replica, const absl::Status& status);
  void Send(Outbox& out);
  void Fatal(const absl::Status& status);

  const RaftHostOptions options_;
  const RaftHostDeps deps_;

  mutable absl::Mutex inbox_mutex_;
  std::vector<Waiting> inbox_ ABSL_GUARDED_BY(inbox_mutex_);
  uint64_t ticks_ ABSL_GUARDED_BY(inbox_mutex_) = 0;
  std::vector<WorkerId> unreachable_ ABSL_GUARDED_BY(inbox_mutex_);

  // A turn, with its one write, runs under this lock; so attaching and detaching fall between turns.
  mutable absl::Mutex turn_mutex_;
  std::map<uint64_t, Attached> groups_ ABSL_GUARDED_BY(turn_mutex_);
  consensus::Scratch scratch_ ABSL_GUARDED_BY(turn_mutex_);
  uint64_t incarnations_ ABSL_GUARDED_BY(turn_mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(turn_mutex_) = false;

  // What View needs, without waiting for a turn.
  mutable absl::Mutex views_mutex_;
  std::map<uint64_t, const RaftReplica*> views_ ABSL_GUARDED_BY(views_mutex_);
};

// A call on its way to the raft thread. If it never gets there, because its group left meanwhile, the caller hears of it.
struct PendingCall {
  std::string command;
  ProposeCallback done;

  PendingCall(std::string c, ProposeCallback d) : command(std::move(c)), done(std::move(d)) {}
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;
  ~PendingCall() {
    if (done) done(absl::UnavailableError("the group left this node"));
  }
  ProposeCallback Take() { return std::exchange(done, nullptr); }
};

void GroupReplicator::Propose(std::string command, ProposeCallback done) {
  // Shared, because a std::function must be copyable and the inbox may refuse it.
  auto call = std::make_shared<PendingCall>(std::move(command), std::move(done));
  const bool posted = host_.Post(replica_.group(), 0, [call](RaftReplica& replica, Outbox&) {
    replica.QueueProposal(std::move(call->command), call->Take());
  });
  if (!posted) call->Take()(ResourceExhausted("the node's consensus inbox is full"));
}

void GroupReplicator::ReadBarrier(ProposeCallback done) {
  const uint64_t lone = replica_.lone_commit();
  if (lone != 0) {
    done(lone);
    return;
  }
  auto call = std::make_shared<PendingCall>("", std::move(done));
  const bool posted = host_.Post(replica_.group(), 0, [call](RaftReplica& replica, Outbox&) {
    replica.QueueRead(call->Take());
  });
  if (!posted) call->Take()(ResourceExhausted("the node's consensus inbox is full"));
}

void GroupReplicator::SetLogMarks(uint64_t needed, uint64_t wished) {
  host_.Post(replica_.group(), 0, [needed, wished](RaftReplica& replica, Outbox&) {
    replica.SetLogMarks(needed, wished);
  });
}

bool Host::Post(GroupId group, uint64_t incarnation, Input input) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    // Completions of our own (with an incarnation) always fit: there is at most one per hand-over.
    if (incarnation == 0 && inbox_.size() >= options_.max_inbox) return false;
    inbox_.push_back({group, incarnation, std::move(input)});
  }
  deps_.wake();
  return true;
}

absl::StatusOr<Replicator*> Host::Attach(const RaftGroupStart& start) {
  const absl::MutexLock lock(&turn_mutex_);
  if (groups_.contains(start.group.value)) {
    return FailedPrecondition("group {} is attached already", start.group.value);
  }
  const uint64_t incarnation = ++incarnations_;
  RaftReplica::Hooks hooks;
  hooks.applied = [this, group = start.group, incarnation](uint64_t index) {
    Post(group, incarnation, [index](RaftReplica& replica, Outbox&) { replica.Applied(index); });
  };
  hooks.fetched = [this, group = start.group, incarnation](PeerMessage message, absl::Status status) {
    Post(group, incarnation,
         [message = std::move(message), status](RaftReplica& replica, Outbox& out) {
           replica.SnapshotFetched(message, status, out);
         });
  };
  ASSIGN_OR_RETURN(std::unique_ptr<RaftReplica> replica,
                   RaftReplica::Create(start, options_, deps_, std::move(hooks)));
  Attached& attached = groups_[start.group.value];
  attached.incarnation = incarnation;
  attached.replicator = std::make_unique<GroupReplicator>(*this, *replica, *deps_.logs);
  attached.replica = std::move(replica);
  const absl::MutexLock views_lock(&views_mutex_);
  views_[start.group.value] = attached.replica.get();
  return attached.replicator.get();
}

void Host::Detach(GroupId group) {
  Attached gone;
  {
    const absl::MutexLock lock(&turn_mutex_);
    const auto found = groups_.find(group.value);
    if (found == groups_.end()) return;
    {
      const absl::MutexLock views_lock(&views_mutex_);
      views_.erase(group.value);
    }
    gone = std::move(found->second);
    groups_.erase(found);
  }
  gone.replica->FailAll(Unavailable("group {} leaves this node", group.value));
  gone.replica->DrainApply();
}

absl::Status Host::Destroy(GroupId group) {
  Detach(group);
  const absl::MutexLock lock(&turn_mutex_);
  return deps_.logs->Destroy(group);
}

void Host::Receive(std::vector<PeerMessage> messages) {
  for (PeerMessage& message : messages) {
    const GroupId group = message.group;
    auto shared = std::make_shared<PeerMessage>(std::move(message));
    Post(group, 0, [shared](RaftReplica& replica, Outbox&) { replica.Step(std::move(*shared)); });
  }
}

void Host::ReportUnreachable(WorkerId node) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    if (std::find(unreachable_.begin(), unreachable_.end(), node) == unreachable_.end()) {
      unreachable_.push_back(node);
    }
  }
  deps_.wake();
}

void Host::Tick() {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    ++ticks_;
  }
  deps_.wake();
}

void Host::ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                            std::function<void(absl::Status)> done) {
  auto call = std::make_shared<std::function<void(absl::Status)>>(std::move(done));
  const bool known = View(group).known;
  const bool posted = known && Post(group, 0, [replica, kind, call](RaftReplica& target, Outbox&) {
    target.ChangeMembership(replica, kind, std::move(*call));
  });
  if (!posted) (*call)(known ? ResourceExhausted("the node's consensus inbox is full")
                             : NotFound("group {} is not on this node", group.value));
}

GroupView Host::View(GroupId group) const {
  const absl::MutexLock lock(&views_mutex_);
  const auto found = views_.find(group.value);
  return found == views_.end() ? GroupView() : found->second->view();
}

void Host::RunInputs(std::vector<Waiting> inputs, uint64_t ticks, std::set<uint64_t>& touched) {
  turn_mutex_.AssertHeld();
  Outbox out;
  for (Waiting& waiting : inputs) {
    const auto found = groups_.find(waiting.group.value);
    if (found == groups_.end()) continue;
    if (waiting.incarnation != 0 && waiting.incarnation != found->second.incarnation) continue;
    waiting.input(*found->second.replica, out);
    touched.insert(waiting.group.value);
  }
  // A host that was held up does not make up for lost ticks: silence of its own is no sign of others' death.
  if (ticks > 0) {
    for (auto& [id, attached] : groups_) {
      attached.replica->Tick();
      touched.insert(id);
    }
  }
  for (const uint64_t id : touched) groups_.at(id).replica->FlushInputs();
  Send(out);
}

// One write for the Readies of all groups that have one.
bool Host::Round(const std::set<uint64_t>& touched) {
  turn_mutex_.AssertHeld();
  std::vector<std::pair<RaftReplica*, PendingReady>> pending;
  Outbox out;
  for (const uint64_t id : touched) {
    RaftReplica& replica = *groups_.at(id).replica;
    if (!replica.HasReady()) continue;
    PendingReady ready;
    const absl::Status status = replica.TakeReady(scratch_, ready, out);
    if (!status.ok()) {
      Quarantine(replica, status);
      continue;
    }
    pending.emplace_back(&replica, std::move(ready));
  }
  if (pending.empty()) return false;
  Send(out);
  std::vector<LogAppend> appends;
  for (auto& [replica, ready] : pending) {
    if (ready.state.empty()) continue;
    appends.push_back({.group = replica->group(), .entries = &ready.entries, .hard_state = ready.state});
  }
  const absl::Status written = appends.empty() ? absl::OkStatus() : deps_.logs->Append(appends);
  if (!written.ok()) {
    Fatal(written);
    return false;
  }
  for (auto& [replica, ready] : pending) {
    const absl::Status status = replica->FinishReady(scratch_, ready, out);
    if (!status.ok()) Quarantine(*replica, status);
  }
  Send(out);
  return true;
}

void Host::Quarantine(RaftReplica& replica, const absl::Status& status) {
  LogError("group {}: {}", replica.group().value, MessageOf(status));
  replica.Quarantine(status);
}

void Host::Send(Outbox& out) {
  for (auto& [node, messages] : std::exchange(out, {})) {
    deps_.transport->Send(node, std::move(messages));
  }
}

void Host::Fatal(const absl::Status& status) {
  turn_mutex_.AssertHeld();
  stopped_ = true;
  for (auto& [id, attached] : groups_) {
    attached.replica->FailAll(Unavailable("the log of this node failed: {}", MessageOf(status)));
  }
  deps_.on_fatal(status);
}

bool Host::Turn() {
  const absl::MutexLock lock(&turn_mutex_);
  if (stopped_) return false;
  std::vector<Waiting> inputs;
  std::vector<WorkerId> unreachable;
  uint64_t ticks = 0;
  {
    const absl::MutexLock inbox_lock(&inbox_mutex_);
    inputs.swap(inbox_);
    unreachable.swap(unreachable_);
    std::swap(ticks, ticks_);
  }
  for (const WorkerId node : unreachable) {
    for (auto& [id, attached] : groups_) attached.replica->ReportUnreachable(node);
  }
  bool worked = !inputs.empty() || ticks > 0;
  std::set<uint64_t> touched;
  RunInputs(std::move(inputs), ticks, touched);
  int rounds = 0;
  while (rounds < kMaxRounds && !stopped_ && Round(touched)) ++rounds;
  if (rounds == kMaxRounds) {
    // More may be ready; an input for each group brings it into the next turn.
    for (const uint64_t id : touched) Post({id}, groups_.at(id).incarnation, [](RaftReplica&, Outbox&) {});
  }
  return worked || rounds > 0;
}

}  // namespace

std::unique_ptr<RaftHost> RaftHost::Create(const RaftHostOptions& options, const RaftHostDeps& deps) {
  CHECK(deps.logs != nullptr && deps.transport != nullptr && deps.apply_executor != nullptr);
  CHECK(deps.wake != nullptr && deps.on_fatal != nullptr);
  return std::make_unique<Host>(options, deps);
}

}  // namespace vectron::shard
