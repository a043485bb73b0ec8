#include "shard/raft_host.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "shard/group_replicator.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
namespace {

// Rounds of write and apply in one turn before new input is looked at.
constexpr int kMaxRounds = 8;

struct Attached {
  std::unique_ptr<RaftReplica> replica;
  uint64_t incarnation = 0;
};

class Host : public RaftHost {
 public:
  // Runs on the raft thread with the group's replica; not run when the group is gone.
  using Input = std::function<void(RaftReplica&, Outbox&)>;

  Host(const RaftHostOptions& options, const RaftHostDeps& deps)
      : options_(options), deps_(deps), nodes_(options.life, options.silence_ticks) {}
  ~Host() override {
    for (auto& [id, attached] : groups_) {
      attached.replica->FailAll(Unavailable("this node stops"));
      attached.replica->DrainApply();
    }
  }

  absl::StatusOr<Replicator*> Attach(const RaftGroupStart& start) override;
  void Detach(GroupId group) override;
  absl::Status Destroy(GroupId group) override;
  void Receive(WorkerId node, std::vector<PeerMessage> messages) override;
  void ReportUnreachable(WorkerId node) override;
  void Tick() override;
  void SetDiskRoom(DiskRoom room) override;
  void ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                        std::function<void(absl::Status)> done) override;
  void TransferLeadership(GroupId group, ReplicaId to) override {
    Post(group, [to](RaftReplica& replica, Outbox&) { replica.TransferLeadership(to); });
  }
  void Campaign(GroupId group) override {
    Post(group, [](RaftReplica& replica, Outbox&) { replica.Campaign(); });
  }
  GroupView View(GroupId group) const override;
  std::vector<GroupId> Groups() const override;
  RaftHostStats stats() const override;
  bool Turn() override;

  // Puts input into the inbox; false when it is full.
  bool Post(GroupId group, Input input, size_t bytes = 0);

 private:
  struct Waiting {
    GroupId group;
    uint64_t incarnation = 0;  // 0: whichever replica is there
    size_t bytes = 0;
    Input input;
  };
  // What came since the last turn.
  struct Inbox {
    std::vector<Waiting> inputs;
    size_t bytes = 0;
    uint64_t ticks = 0;
    uint64_t dropped = 0;  // for want of room, or with a false sender
    std::vector<WorkerId> unreachable;
    std::map<WorkerId, std::string> heard;  // and the body of the last alive message, if any
    std::optional<DiskRoom> room;
  };

  // Of our own, for one replica and no other; always fits: there is at most one per hand-over.
  void PostOwn(GroupId group, uint64_t incarnation, Input input);
  RaftReplica::Hooks HooksFor(GroupId group, uint64_t incarnation);
  void LookAround(const Inbox& inbox, std::set<uint64_t>& touched);
  void TickAll(std::set<uint64_t>& touched, Outbox& out);
  void RunInputs(Inbox inbox, std::set<uint64_t>& touched);
  bool Round(const std::set<uint64_t>& touched);
  bool Write(const std::vector<LogAppend>& appends);  // false: the host has failed
  void ProbeDisk();
  void Quarantine(RaftReplica& replica, const absl::Status& status);
  void Send(Outbox& out);
  void Fatal(const absl::Status& status);
  void Count();

  const RaftHostOptions options_;
  const RaftHostDeps deps_;

  mutable absl::Mutex inbox_mutex_;
  Inbox inbox_ ABSL_GUARDED_BY(inbox_mutex_);
  RaftHostStats stats_ ABSL_GUARDED_BY(inbox_mutex_);

  // A turn, with its one write, runs under this lock; so attaching and detaching fall between
  // turns.
  mutable absl::Mutex turn_mutex_;
  std::map<uint64_t, Attached> groups_ ABSL_GUARDED_BY(turn_mutex_);
  std::set<uint64_t> attaching_ ABSL_GUARDED_BY(turn_mutex_);
  // All groups that are not quiet, and some that are: what ticks look at.
  std::set<uint64_t> awake_ ABSL_GUARDED_BY(turn_mutex_);
  bool look_again_ ABSL_GUARDED_BY(turn_mutex_) = true;     // groups may have changed since Count
  std::set<WorkerId> others_ ABSL_GUARDED_BY(turn_mutex_);  // nodes that replicas are on
  std::map<uint64_t, std::unique_ptr<GroupReplicator>> replicators_
      ABSL_GUARDED_BY(turn_mutex_);  // detached ones too
  consensus::Scratch scratch_ ABSL_GUARDED_BY(turn_mutex_);
  PeerNodes nodes_ ABSL_GUARDED_BY(turn_mutex_);
  RaftHostStats done_ ABSL_GUARDED_BY(turn_mutex_);  // what turns count
  uint64_t host_ticks_ ABSL_GUARDED_BY(turn_mutex_) = 0;
  uint64_t write_tick_ ABSL_GUARDED_BY(turn_mutex_) = 0;  // of the newest write
  uint64_t incarnations_ ABSL_GUARDED_BY(turn_mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(turn_mutex_) = false;

  // What View needs, without waiting for a turn.
  mutable absl::Mutex views_mutex_;
  std::map<uint64_t, const RaftReplica*> views_ ABSL_GUARDED_BY(views_mutex_);
};

bool Host::Post(GroupId group, Input input, size_t bytes) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    if (inbox_.inputs.size() >= options_.max_inbox ||
        inbox_.bytes + bytes > options_.max_inbox_bytes) {
      return false;
    }
    inbox_.bytes += bytes;
    inbox_.inputs.push_back({group, 0, bytes, std::move(input)});
  }
  deps_.wake();
  return true;
}

void Host::PostOwn(GroupId group, uint64_t incarnation, Input input) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    inbox_.inputs.push_back({group, incarnation, 0, std::move(input)});
  }
  deps_.wake();
}

RaftReplica::Hooks Host::HooksFor(GroupId group, uint64_t incarnation) {
  turn_mutex_.AssertHeld();
  const auto post = [this, group, incarnation](Input input) {
    PostOwn(group, incarnation, std::move(input));
  };
  RaftReplica::Hooks hooks;
  hooks.nodes = &nodes_;
  hooks.applied = [post](uint64_t index) {
    post([index](RaftReplica& replica, Outbox&) { replica.Applied(index); });
  };
  hooks.fetched = [post](PeerMessage message, absl::Status status) {
    post([message = std::move(message), status](RaftReplica& replica, Outbox& out) {
      replica.SnapshotFetched(message, status, out);
    });
  };
  hooks.installed = [this, post](absl::Status status) {
    post([this, status](RaftReplica& replica, Outbox& out) {
      turn_mutex_.AssertHeld();
      const absl::Status finished = replica.FinishInstall(status, scratch_, out);
      if (!finished.ok()) Quarantine(replica, finished);
    });
  };
  return hooks;
}

absl::StatusOr<Replicator*> Host::Attach(const RaftGroupStart& start) {
  const uint64_t group = start.group.value;
  CHECK_NE(group, uint64_t{0});
  CHECK(start.applier != nullptr);
  RaftReplica::Hooks hooks;
  uint64_t incarnation = 0;
  {
    const absl::MutexLock lock(&turn_mutex_);
    if (groups_.contains(group) || !attaching_.insert(group).second) {
      return FailedPrecondition("group {} is attached already", group);
    }
    incarnation = ++incarnations_;
    hooks = HooksFor(start.group, incarnation);
  }
  // Reading and replaying the log takes its time; the other groups go on meanwhile.
  absl::StatusOr<std::unique_ptr<RaftReplica>> replica =
      RaftReplica::Create(start, options_, deps_, std::move(hooks));
  absl::Status status = replica.status();
  if (status.ok()) status = (*replica)->Replay();
  const absl::MutexLock lock(&turn_mutex_);
  attaching_.erase(group);
  RETURN_IF_ERROR(status);
  (*replica)->RefreshView(/*with_progress=*/false);
  std::unique_ptr<GroupReplicator>& replicator = replicators_[group];
  const auto post = [this, id = start.group](GroupReplicator::Input input, size_t bytes) {
    return Post(
        id, [input = std::move(input)](RaftReplica& to, Outbox&) { input(to); }, bytes);
  };
  replicator =
      std::make_unique<GroupReplicator>(post, start.group, (*replica)->counters(), *deps_.logs);
  Attached& attached = groups_[group];
  attached = {*std::move(replica), incarnation};
  awake_.insert(group);
  look_again_ = true;
  const absl::MutexLock views_lock(&views_mutex_);
  views_[group] = attached.replica.get();
  return replicator.get();
}

void Host::Detach(GroupId group) {
  Attached gone;
  Outbox out;
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
    awake_.erase(group.value);
    look_again_ = true;
    gone.replica->WakeOthers(out);
    Send(out);
  }
  gone.replica->FailAll(Unavailable("group {} leaves this node", group.value));
  gone.replica->DrainApply();
}

absl::Status Host::Destroy(GroupId group) {
  Detach(group);
  const absl::MutexLock lock(&turn_mutex_);
  return deps_.logs->Destroy(group);
}

void Host::Receive(WorkerId node, std::vector<PeerMessage> messages) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    std::string& alive = inbox_.heard[node];
    for (PeerMessage& message : messages) {
      if (message.group == 0) {
        if (message.type == kAliveMessage) alive = std::move(message.bytes);
        continue;
      }
      const size_t bytes = message.bytes.size();
      if (inbox_.inputs.size() >= options_.max_inbox ||
          inbox_.bytes + bytes > options_.max_inbox_bytes ||
          ReplicaId{message.from}.node() != node) {
        ++inbox_.dropped;
        continue;
      }
      inbox_.bytes += bytes;
      auto shared = std::make_shared<PeerMessage>(std::move(message));  // std::function copies
      inbox_.inputs.push_back(
          {{shared->group}, 0, bytes, [this, shared](RaftReplica& replica, Outbox& out) {
             turn_mutex_.AssertHeld();
             if (!replica.Step(std::move(*shared), out)) ++done_.dropped;
           }});
    }
  }
  deps_.wake();
}

void Host::ReportUnreachable(WorkerId node) {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    std::vector<WorkerId>& nodes = inbox_.unreachable;
    if (std::find(nodes.begin(), nodes.end(), node) == nodes.end()) nodes.push_back(node);
  }
  deps_.wake();
}

void Host::Tick() {
  {
    const absl::MutexLock lock(&inbox_mutex_);
    ++inbox_.ticks;
  }
  deps_.wake();
}

void Host::SetDiskRoom(DiskRoom room) {
  const absl::MutexLock lock(&inbox_mutex_);
  inbox_.room = room;  // taken with the next turn
}

void Host::ChangeMembership(GroupId group, ReplicaId replica, consensus::ChangeKind kind,
                            std::function<void(absl::Status)> done) {
  // A change that never gets to the raft thread is answered like a proposal.
  auto call = std::make_shared<PendingCall>(
      "",
      [done = std::move(done)](const absl::StatusOr<uint64_t>& result) { done(result.status()); });
  const bool known = View(group).known;
  const bool posted =
      known && Post(group, [replica, kind, call](RaftReplica& target, Outbox&) {
        target.ChangeMembership(replica, kind, [answer = call->Take()](const absl::Status& status) {
          answer(status.ok() ? absl::StatusOr<uint64_t>(0) : status);
        });
      });
  if (!posted) {
    call->Take()(known ? ResourceExhausted("the node's consensus inbox is full")
                       : NotFound("group {} is not on this node", group.value));
  }
}

GroupView Host::View(GroupId group) const {
  const absl::MutexLock lock(&views_mutex_);
  const auto found = views_.find(group.value);
  return found == views_.end() ? GroupView() : found->second->view();
}

std::vector<GroupId> Host::Groups() const {
  const absl::MutexLock lock(&views_mutex_);
  std::vector<GroupId> ids;
  for (const auto& [id, replica] : views_) ids.push_back({id});
  return ids;
}

RaftHostStats Host::stats() const {
  const absl::MutexLock lock(&inbox_mutex_);
  return stats_;
}

// Which nodes live, and whom that wakes.
void Host::LookAround(const Inbox& inbox, std::set<uint64_t>& touched) {
  turn_mutex_.AssertHeld();
  const uint64_t rooms = nodes_.room_changes();
  if (inbox.room) nodes_.set_own_room(*inbox.room);
  const auto wake_for = [&](WorkerId node, uint32_t silent_ticks) {
    turn_mutex_.AssertHeld();
    for (auto& [id, attached] : groups_) {
      attached.replica->WakeFor(node, silent_ticks);
      touched.insert(id);
    }
  };
  for (const auto& [node, alive] : inbox.heard) {
    nodes_.Heard(node);
    if (!alive.empty() && nodes_.HeardAlive(node, alive)) wake_for(node, 0);
  }
  for (const WorkerId node : inbox.unreachable) {
    for (auto& [id, attached] : groups_) attached.replica->ReportUnreachable(node);
  }
  if (inbox.ticks > 0) {
    for (const WorkerId node : nodes_.Tick()) wake_for(node, options_.silence_ticks);
  }
  if (nodes_.room_changes() == rooms) return;
  for (auto& [id, attached] : groups_) attached.replica->RefreshRoom();
}

// A host that was held up does not make up for lost ticks: silence of its own is no sign of others'
// death.
void Host::TickAll(std::set<uint64_t>& touched, Outbox& out) {
  turn_mutex_.AssertHeld();
  ++host_ticks_;
  std::erase_if(awake_, [this](uint64_t id) {
    turn_mutex_.AssertHeld();
    return groups_.at(id).replica->quiet();
  });
  for (const uint64_t id : awake_) {
    groups_.at(id).replica->Tick(host_ticks_, out);
    touched.insert(id);
  }
  if (host_ticks_ % options_.alive_ticks != 0) return;
  Count();
  PeerMessage alive;
  alive.type = kAliveMessage;
  alive.bytes = nodes_.AliveBody();
  for (const WorkerId node : others_) out[node].push_back(alive);
}

void Host::RunInputs(Inbox inbox, std::set<uint64_t>& touched) {
  turn_mutex_.AssertHeld();
  Outbox out;
  LookAround(inbox, touched);
  done_.dropped += inbox.dropped;
  for (Waiting& waiting : inbox.inputs) {
    const auto found = groups_.find(waiting.group.value);
    if (found == groups_.end()) {
      ++done_.dropped;
      continue;
    }
    if (waiting.incarnation != 0 && waiting.incarnation != found->second.incarnation) continue;
    waiting.input(*found->second.replica, out);
    touched.insert(waiting.group.value);
  }
  awake_.insert(touched.begin(), touched.end());
  if (inbox.ticks > 0) TickAll(touched, out);
  if (!touched.empty()) look_again_ = true;
  // Leaders come last: what the others send tells them whom it costs least to ask.
  for (const bool leaders : {false, true}) {
    for (const uint64_t id : touched) {
      RaftReplica& replica = *groups_.at(id).replica;
      if (replica.leads() == leaders) replica.FlushInputs(out);
    }
  }
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
    // With a snapshot the entries follow it, and are written once it is in place.
    if (ready.state.empty() || ready.snapshot) continue;
    appends.push_back(
        {.group = replica->group(), .entries = &ready.entries, .hard_state = ready.state});
    done_.entries += ready.entries.size();
  }
  if (!appends.empty() && !Write(appends)) return false;
  for (auto& [replica, ready] : pending) {
    const absl::Status status = replica->FinishReady(scratch_, ready, out);
    if (!status.ok()) Quarantine(*replica, status);
  }
  Send(out);
  return true;
}

bool Host::Write(const std::vector<LogAppend>& appends) {
  turn_mutex_.AssertHeld();
  if (deps_.before_write) deps_.before_write();
  const absl::Status written = deps_.logs->Append(appends);
  if (deps_.after_write) deps_.after_write();
  ++done_.writes;
  write_tick_ = host_ticks_;
  if (!written.ok()) Fatal(written);
  return written.ok();
}

// While its disk hangs this node says nothing, as in any write: others take over what it leads.
void Host::ProbeDisk() {
  turn_mutex_.AssertHeld();
  const bool due = options_.probe_ticks != 0 && host_ticks_ - write_tick_ >= options_.probe_ticks;
  if (!due || nodes_.own_room() == DiskRoom::kFull) return;  // full: known to be of no use
  for (const auto& [id, attached] : groups_) {
    const std::string state = attached.replica->EncodedState();
    if (state.empty()) continue;
    Write({{.group = {id}, .entries = nullptr, .hard_state = state}});
    return;
  }
}

void Host::Quarantine(RaftReplica& replica, const absl::Status& status) {
  LogError("group {}: {}", replica.group().value, MessageOf(status));
  replica.Quarantine(status);
}

void Host::Send(Outbox& out) {
  turn_mutex_.AssertHeld();
  for (auto& [node, messages] : std::exchange(out, {})) {
    ++done_.frames;
    done_.messages += messages.size();
    deps_.transport->Send(node.value, std::move(messages));
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

// Groups are looked at when something happened in one of them: thousands of quiet ones cost
// nothing.
void Host::Count() {
  turn_mutex_.AssertHeld();
  if (std::exchange(look_again_, false)) {
    others_.clear();
    done_.groups = groups_.size();
    done_.quiet = done_.leaders = 0;
    for (const auto& [id, attached] : groups_) {
      const RaftReplica& replica = *attached.replica;
      if (replica.quiet()) ++done_.quiet;
      if (replica.leads()) ++done_.leaders;
      for (const auto* ids : {&replica.membership().voters, &replica.membership().learners}) {
        for (const uint64_t member : *ids) others_.insert(ReplicaId{member}.node());
      }
    }
    others_.erase(options_.node);
  }
  const absl::MutexLock lock(&inbox_mutex_);
  stats_ = done_;
}

bool Host::Turn() {
  Inbox inbox;  // outlives the lock: what is dropped of it calls back
  const absl::MutexLock lock(&turn_mutex_);
  {
    const absl::MutexLock inbox_lock(&inbox_mutex_);
    std::swap(inbox, inbox_);
  }
  if (stopped_) return false;
  const bool worked = !inbox.inputs.empty() || inbox.ticks > 0 || !inbox.heard.empty();
  std::set<uint64_t> touched;
  RunInputs(std::move(inbox), touched);
  int rounds = 0;
  while (rounds < kMaxRounds && !stopped_ && Round(touched)) ++rounds;
  if (rounds == kMaxRounds) {
    // More may be ready; an input for each group brings it into the next turn.
    for (const uint64_t id : touched)
      PostOwn({id}, groups_.at(id).incarnation, [](RaftReplica&, Outbox&) {});
  }
  if (!stopped_) ProbeDisk();
  return worked || rounds > 0;
}

}  // namespace

std::unique_ptr<RaftHost> RaftHost::Create(const RaftHostOptions& options,
                                           const RaftHostDeps& deps) {
  CHECK(deps.logs != nullptr && deps.transport != nullptr && deps.apply_executor != nullptr);
  CHECK(deps.wake != nullptr && deps.on_fatal != nullptr);
  CHECK_NE(options.node.value, uint64_t{0});
  return std::make_unique<Host>(options, deps);
}

}  // namespace vectron::shard
