#include "sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "base/check.h"
#include "base/status.h"
#include "sim/parts.h"
#include "sim/register_machine.h"

namespace vectron::sim {
namespace {

using consensus::PeerMessage;
using shard::ReplicaId;

constexpr GroupId kGroup{7};
constexpr int64_t kTickMs = 20;
constexpr uint64_t kKeys = 8;

class World;

// One node: a disk that survives, and a process that does not.
class Node : public shard::Applier, public shard::SnapshotHandler, public consensus::PeerTransport {
 public:
  Node(World& world, uint64_t id) : world_(world), id_(id) {}

  void Start();
  void Crash();
  bool alive() const { return host_ != nullptr; }
  bool joined = true;  // a member of the group, or about to be; founders are
  uint64_t id() const { return id_; }
  ReplicaId replica() const { return ReplicaId::Make({id_}, serial_); }
  bool lacks_state() const { return state_lost_; }
  // The disk keeps its log, but loses the state machine's part. Not alive.
  void LoseState() {
    flushed_ = Registers();
    state_lost_ = true;
  }
  // The replica was removed: everything of it goes, and another one of the same group takes its
  // place, which nobody knows yet.
  void BeginAnew();
  // The disk takes its time: nothing is done until `until`.
  void StallUntil(int64_t until) { stalled_until_ = std::max(stalled_until_, until); }
  uint64_t incarnation() const { return incarnation_; }
  shard::RaftHost& host() { return *host_; }
  shard::Replicator& replicator() { return *replicator_; }
  const Registers& state() const { return state_; }
  void Pump();
  void FlushState();
  // Calls `then` once the entry is applied, in this life.
  void WaitApplied(uint64_t index, std::function<void()> then) {
    waiting_.Add(index, std::move(then));
    waiting_.Answer(state_.applied);
  }

  void Apply(std::vector<shard::Entry> entries) override;
  absl::StatusOr<Offer> MakeOffer(uint64_t min_index) override;
  void Fetch(WorkerId from, const std::string& token,
             std::function<void(absl::Status)> done) override;
  absl::Status Install(const std::string& token, uint64_t index) override;
  void Send(uint64_t to, std::vector<PeerMessage> messages) override;

 private:
  friend class World;
  World& world_;
  absl::Status Join();

  const uint64_t id_;
  uint64_t incarnation_ = 0;
  bool pumping_ = false;
  int64_t stalled_until_ = 0;
  // --- disk ---
  uint64_t serial_ = 1;
  bool state_lost_ = false;
  std::unique_ptr<storage::MemoryKv> disk_;
  Registers flushed_;
  // --- process ---
  std::unique_ptr<shard::LogStore> logs_;
  std::unique_ptr<LaterExecutor> apply_executor_;
  bool dying_ = false;  // what is still to be applied has no effect any more
  std::unique_ptr<shard::RaftHost> host_;
  shard::Replicator* replicator_ = nullptr;
  Registers state_;
  std::map<std::string, Registers> fetched_;
  Waiting waiting_;
};

// The clock, the network, the clients and the judge.
class World {
 public:
  explicit World(const SimulationOptions& options)
      : options_(options), random_(Mix64(options.seed)) {}

  SimulationReport Run();

 private:
  friend class Node;
  void After(int64_t ms, std::function<void()> run) { events_.At(now_ + ms, std::move(run)); }
  void RunUntil(int64_t end) {
    while (report_.violation.empty() && events_.RunNext(end, now_)) {
    }
    now_ = std::max(now_, end);
  }
  void Violation(const std::string& what) {
    if (report_.violation.empty()) report_.violation = fmt::format("at {} ms: {}", now_, what);
  }
  void Trace(uint64_t value) { report_.trace_hash = Mix64(report_.trace_hash ^ value); }
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(high - low + 1)));
  }
  Node& node(uint64_t id) { return *nodes_[id - 1]; }

  void Deliver(uint64_t from, uint64_t to, PeerMessage message);
  void TickLoop(uint64_t id, uint64_t incarnation);
  void ClientLoop();
  void Write(Node& target);
  void Read(Node& target);
  void FinishRead(const Node& target, uint64_t incarnation, uint64_t key, uint64_t floor);
  void FaultLoop();
  void Fault();
  bool NoneLacksState() const {
    return std::none_of(nodes_.begin(), nodes_.end(),
                        [](const auto& node) { return node->lacks_state(); });
  }
  void Cut(uint64_t from, uint64_t to, bool both);
  void ChangeMembers();
  void ReplaceRemoved(Node& leader, Node& target);
  void CheckApplied(const Node& node, const shard::Entry& entry);
  void CheckLeaders();
  void CheckHealed();
  std::string Describe() const;
  Node* Leader();

  const SimulationOptions options_;
  Random random_;
  int64_t now_ = 0;
  Events events_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::set<std::pair<uint64_t, uint64_t>> cuts_;  // (from, to)
  bool faulty_ = true;
  SimulationReport report_;
  // --- what the judge knows ---
  std::map<uint64_t, uint64_t> command_at_;  // log index -> hash of its entry
  std::map<uint64_t, uint64_t> digest_at_;   // applied index -> digest of the state
  std::map<uint64_t, uint64_t> leader_of_term_;
  std::map<uint64_t, uint64_t> acked_of_key_;  // highest acknowledged index, by key
  uint64_t writes_ = 0;
};

void Node::Start() {
  if (disk_ == nullptr) {
    using storage::WriteAheadLog;
    disk_ = world_.options_.bug == PlantedBug::kAckBeforeSync
                ? std::make_unique<UnsyncedKv>(2, WriteAheadLog::kOn)
                : std::make_unique<storage::MemoryKv>(2, WriteAheadLog::kOn);
  }
  ++incarnation_;
  dying_ = false;
  stalled_until_ = 0;
  apply_executor_ = std::make_unique<LaterExecutor>(
      [this, incarnation = incarnation_](std::function<void()> run) {
        world_.After(world_.random_.OneIn(20) ? world_.Between(10, 300) : world_.Between(0, 3),
                     [this, incarnation, run = std::move(run)] {
                       if (incarnation != incarnation_) return;
                       run();
                       Pump();
                     });
      });
  auto logs = shard::LogStore::Over(std::make_unique<BorrowedKv>(*disk_), "sim", size_t{1} << 20);
  CHECK_OK(logs.status());
  logs_ = *std::move(logs);
  shard::RaftHostOptions options;
  options.node = {id_};
  options.seed = Mix64(world_.options_.seed * 31 + id_ * 7 + incarnation_) | 1;
  options.life = Mix64(options.seed);
  options.quiet_after_ticks = 25;
  options.group_log_bytes = 4 << 10;
  shard::RaftHostDeps deps;
  deps.logs = logs_.get();
  deps.transport = this;
  deps.apply_executor = apply_executor_.get();
  deps.wake = [] {};
  deps.on_fatal = [this](const absl::Status& status) {
    world_.Violation(std::string(MessageOf(status)));
  };
  host_ = shard::RaftHost::Create(options, deps);
  const absl::Status status = Join();
  if (!status.ok()) {
    world_.Violation(fmt::format("node {} cannot start: {}", id_, MessageOf(status)));
    host_.reset();
    return;
  }
  world_.TickLoop(id_, incarnation_);
}

absl::Status Node::Join() {
  state_ = flushed_;
  fetched_.clear();
  waiting_ = Waiting();
  shard::RaftGroupStart start;
  start.group = kGroup;
  start.replica = replica();
  start.members = Founders(world_.options_.nodes);
  start.applied_index = state_.applied;
  start.applier = this;
  start.snapshots = this;
  start.lacks_state = state_lost_;
  ASSIGN_OR_RETURN(replicator_, host_->Attach(start));
  state_lost_ = host_->View(kGroup).lacks_state;
  return absl::OkStatus();
}

void Node::BeginAnew() {
  apply_executor_->RunAll();
  CHECK_OK(host_->Destroy(kGroup));
  flushed_ = Registers();
  state_lost_ = false;
  ++serial_;
  const absl::Status status = Join();
  if (!status.ok())
    world_.Violation(fmt::format("node {} cannot begin anew: {}", id_, MessageOf(status)));
}

void Node::Crash() {
  ++incarnation_;
  dying_ = true;
  apply_executor_->RunAll();
  host_.reset();
  replicator_ = nullptr;
  logs_.reset();
  disk_->SimulateCrash(storage::MemoryKv::Crash::kPower);
  ++world_.report_.crashes;
}

void Node::Pump() {
  if (pumping_ || host_ == nullptr || world_.now_ < stalled_until_) return;
  pumping_ = true;
  while (host_->Turn()) {
  }
  pumping_ = false;
}

void Node::FlushState() {
  if (state_lost_) return;  // the log is all it has
  if (world_.options_.bug == PlantedBug::kAppliedApartFromData) {
    flushed_.applied = state_.applied;  // and the data later, if at all
  } else {
    flushed_ = state_;
  }
  if (replicator_ != nullptr) replicator_->SetLogMarks(flushed_.applied, flushed_.applied);
}

void Node::Apply(std::vector<shard::Entry> entries) {
  if (dying_) return;
  for (const shard::Entry& entry : entries) {
    if (entry.index <= state_.applied) continue;
    if (entry.index != state_.applied + 1) {
      world_.Violation(
          fmt::format("node {} applies {} after {}", id_, entry.index, state_.applied));
    }
    state_.Apply(entry);
    world_.CheckApplied(*this, entry);
  }
  waiting_.Answer(state_.applied);
}

absl::StatusOr<shard::SnapshotHandler::Offer> Node::MakeOffer(uint64_t min_index) {
  if (state_.applied < min_index || state_lost_) return absl::UnavailableError("not applied yet");
  FlushState();
  return Offer{flushed_.applied, fmt::format("{}", flushed_.applied)};
}

void Node::Fetch(WorkerId from, const std::string& token, std::function<void(absl::Status)> done) {
  const uint64_t incarnation = incarnation_;
  world_.After(world_.Between(20, 800), [this, incarnation, from, token, done = std::move(done)] {
    if (incarnation != incarnation_) return;
    Node& source = world_.node(from.value);
    const bool lost = !source.alive() || world_.cuts_.contains({from.value, id_}) ||
                      fmt::format("{}", source.flushed_.applied) != token;
    if (!lost) fetched_[token] = source.flushed_;
    done(lost ? absl::UnavailableError("the files are gone") : absl::OkStatus());
    Pump();
  });
}

absl::Status Node::Install(const std::string& token, uint64_t index) {
  if (dying_) return absl::UnavailableError("the node is gone");
  const auto found = fetched_.find(token);
  if (found == fetched_.end() || found->second.applied != index) {
    return absl::InternalError("snapshot files do not fit their message");
  }
  flushed_ = state_ = found->second;
  state_lost_ = false;
  ++world_.report_.snapshots;
  return absl::OkStatus();
}

void Node::Send(uint64_t to, std::vector<PeerMessage> messages) {
  for (PeerMessage& message : messages) world_.Deliver(id_, to, std::move(message));
}

void World::Deliver(uint64_t from, uint64_t to, PeerMessage message) {
  if (to == 0 || to > nodes_.size()) return;
  const bool doubled = faulty_ && random_.OneIn(40);
  for (int copy = 0; copy < (doubled ? 2 : 1); ++copy) {
    if (faulty_ && random_.OneIn(30)) continue;
    int64_t delay = Between(1, 15);
    if (faulty_ && random_.OneIn(50)) delay += Between(50, 2'000);
    After(delay, [this, from, to, message] {
      Node& target = node(to);
      if (!target.alive() || cuts_.contains({from, to})) return;
      Trace(Hash64(message.bytes, from * 64 + to) + static_cast<uint64_t>(now_));
      target.host().Receive({from}, {message});
      target.Pump();
      CheckLeaders();
    });
  }
}

void World::TickLoop(uint64_t id, uint64_t incarnation) {
  After(kTickMs, [this, id, incarnation] {
    Node& target = node(id);
    if (!target.alive() || target.incarnation() != incarnation) return;
    target.host().Tick();
    target.Pump();
    if (random_.OneIn(40)) target.FlushState();
    TickLoop(id, incarnation);
  });
}

void World::Write(Node& target) {
  const uint64_t key = random_.Below(kKeys);
  const std::string command = WriteCommand(key, ++writes_);
  const uint64_t hash = Hash64(command);
  target.replicator().Propose(command, [this, key, hash](absl::StatusOr<uint64_t> index) {
    if (!index.ok()) return;
    const auto known = command_at_.find(*index);
    if (known != command_at_.end() && known->second != hash) {
      Violation(fmt::format("entry {} was acknowledged and is another", *index));
    }
    command_at_[*index] = hash;
    acked_of_key_[key] = std::max(acked_of_key_[key], *index);
    ++report_.acked;
  });
}

void World::Read(Node& target) {
  const uint64_t key = random_.Below(kKeys);
  const uint64_t floor = acked_of_key_[key];  // acknowledged before the read began
  if (options_.bug == PlantedBug::kStaleReads) {
    if (target.host().View(kGroup).is_leader) FinishRead(target, target.incarnation(), key, floor);
    return;
  }
  const uint64_t incarnation = target.incarnation();
  target.replicator().ReadBarrier(
      [this, key, floor, &target, incarnation](absl::StatusOr<uint64_t> index) {
        if (index.ok() && target.alive())
          target.WaitApplied(*index,
                             [=, this, &target] { FinishRead(target, incarnation, key, floor); });
      });
}

void World::FinishRead(const Node& target, uint64_t incarnation, uint64_t key, uint64_t floor) {
  if (!target.alive() || target.incarnation() != incarnation) return;
  ++report_.reads;
  const auto found = target.state().values.find(key);
  const uint64_t seen = found == target.state().values.end() ? 0 : found->second;
  if (seen < floor) {
    Violation(fmt::format("stale read on node {}: key {} at {}, acknowledged at {}", target.id(),
                          key, seen, floor));
  }
}

void World::ClientLoop() {
  Node& target = *nodes_[random_.Below(nodes_.size())];
  Node* const leader = Leader();
  Node& writer = leader != nullptr && !random_.OneIn(4) ? *leader : target;
  if (writer.alive()) {
    Write(writer);
    writer.Pump();
  }
  if (target.alive() && target.host().View(kGroup).term > 0) {
    Read(target);
    target.Pump();
  }
  if (now_ < options_.fault_ms + options_.heal_ms / 2) {
    // Pauses in which groups go quiet.
    After(random_.OneIn(250) ? Between(1'000, 4'000) : Between(1, 40), [this] { ClientLoop(); });
  }
}

Node* World::Leader() {
  Node* best = nullptr;
  uint64_t term = 0;
  for (const auto& candidate : nodes_) {
    if (!candidate->alive()) continue;
    const shard::GroupView view = candidate->host().View(kGroup);
    if (view.is_leader && view.term >= term) {
      best = candidate.get();
      term = view.term;
    }
  }
  return best;
}

void World::Cut(uint64_t from, uint64_t to, bool both) {
  cuts_.insert({from, to});
  if (both) cuts_.insert({to, from});
  After(Between(50, 3'000), [this, from, to] {
    cuts_.erase({from, to});
    cuts_.erase({to, from});
  });
}

void World::ChangeMembers() {
  Node* const leader = Leader();
  if (leader == nullptr) return;
  const consensus::Membership members = leader->host().View(kGroup).membership;
  const uint64_t id = 1 + random_.Below(nodes_.size());
  Node& target = node(id);
  const ReplicaId replica = target.replica();
  const bool member = Has(members.learners, replica) || Has(members.voters, replica);
  if (!member && target.joined && target.alive()) {
    // Removed: what is left of the replica goes, and the node is free for another.
    ReplaceRemoved(*leader, target);
    return;
  }
  consensus::ChangeKind kind = consensus::ChangeKind::kAddLearner;
  if (Has(members.learners, replica)) {
    kind = random_.OneIn(4) ? consensus::ChangeKind::kRemove : consensus::ChangeKind::kAddVoter;
  } else if (Has(members.voters, replica)) {
    if (members.voters.size() <= 3 || id == leader->id()) return;
    kind = random_.OneIn(2) ? consensus::ChangeKind::kRemove : consensus::ChangeKind::kAddLearner;
  }
  target.joined = true;
  leader->host().ChangeMembership(kGroup, replica, kind, [this](const absl::Status& status) {
    if (status.ok()) ++report_.membership_changes;
  });
  leader->Pump();
}

// Puts another replica in the place of one that was removed. Only a leader that has applied all
// that is committed knows: a new one may not have seen yet that the replica was added.
void World::ReplaceRemoved(Node& leader, Node& target) {
  const uint64_t life = leader.incarnation();
  const ReplicaId replica = target.replica();
  const auto replace = [this, life, replica, &leader, &target] {
    if (leader.incarnation() != life || !target.alive() || &leader == &target) return;
    const consensus::Membership members = leader.host().View(kGroup).membership;
    if (Has(members.voters, replica) || Has(members.learners, replica)) return;
    if (target.replica() != replica) return;
    target.joined = false;
    target.BeginAnew();
  };
  leader.replicator().ReadBarrier([this, life, replace, &leader](absl::StatusOr<uint64_t> index) {
    if (!index.ok() || leader.incarnation() != life) return;
    leader.WaitApplied(*index, [this, replace] { After(1, replace); });
  });
  leader.Pump();
}

void World::Fault() {
  const uint64_t kind = random_.Below(12);
  Node& victim = *nodes_[random_.Below(nodes_.size())];
  const uint64_t other = 1 + random_.Below(nodes_.size());
  if (kind < 4) {
    if (!victim.alive()) return;
    victim.Crash();
    if (random_.OneIn(10) && NoneLacksState()) victim.LoseState();
    After(Between(10, 2'500), [&victim] {
      if (!victim.alive()) victim.Start();
    });
  } else if (kind < 7 && other != victim.id()) {
    Cut(victim.id(), other, random_.OneIn(2));
  } else if (kind == 7) {
    for (uint64_t id = 1; id <= nodes_.size(); ++id) {
      if (id != victim.id()) Cut(victim.id(), id, /*both=*/true);
    }
  } else if (kind == 8) {
    Node* const leader = Leader();
    if (leader == nullptr) return;
    leader->host().TransferLeadership(kGroup, node(1 + random_.Below(options_.nodes)).replica());
    leader->Pump();
  } else if (kind == 9) {
    if (!victim.alive()) return;
    const int64_t until = now_ + Between(100, 3'000);
    victim.StallUntil(until);
    After(until - now_, [&victim] { victim.Pump(); });
  } else if (options_.membership) {
    ChangeMembers();
  }
}

void World::FaultLoop() {
  if (now_ >= options_.fault_ms) return;
  Fault();
  After(Between(50, 1'200), [this] { FaultLoop(); });
}

void World::CheckApplied(const Node& node, const shard::Entry& entry) {
  const uint64_t hash = Hash64(entry.command);
  Trace(hash + entry.index * 131 + node.id());
  if (!entry.command.empty()) {
    const auto [known, fresh] = command_at_.emplace(entry.index, hash);
    if (!fresh && known->second != hash) {
      Violation(fmt::format("node {} applies another entry at {}", node.id(), entry.index));
    }
  }
  const auto [digest, first] = digest_at_.emplace(entry.index, node.state().digest);
  if (!first && digest->second != node.state().digest) {
    Violation(fmt::format("node {} has another state at {}", node.id(), entry.index));
  }
}

void World::CheckLeaders() {
  for (const auto& candidate : nodes_) {
    if (!candidate->alive()) continue;
    const shard::GroupView view = candidate->host().View(kGroup);
    if (view.quarantined) Violation(fmt::format("node {}: {}", candidate->id(), view.problem));
    if (!view.is_leader) continue;
    const auto [known, fresh] = leader_of_term_.emplace(view.term, candidate->id());
    if (fresh) ++report_.elections;
    if (known->second != candidate->id()) {
      Violation(fmt::format("two leaders of term {}: {} and {}", view.term, known->second,
                            candidate->id()));
    }
  }
}

std::string World::Describe() const {
  std::string text;
  for (const auto& node : nodes_) {
    if (!node->alive()) continue;
    text += DescribeView(node->id(), node->host().View(kGroup), node->state().applied);
  }
  return text;
}

void World::CheckHealed() {
  Node* const leader = Leader();
  if (leader == nullptr) {
    Violation("no leader after everything healed");
    return;
  }
  uint64_t acked = 0;
  for (const auto& [key, index] : acked_of_key_) acked = std::max(acked, index);
  for (const uint64_t id : leader->host().View(kGroup).membership.voters) {
    const Node& voter = node(ReplicaId{id}.node().value);
    if (voter.replica().value != id) continue;  // removed by a change that is not known here yet
    if (voter.state().applied < acked) {
      Violation(fmt::format("node {} is at {}, acknowledged at {}", voter.id(),
                            voter.state().applied, acked));
    }
    for (const auto& [key, index] : acked_of_key_) {
      const auto found = voter.state().values.find(key);
      if (found == voter.state().values.end() || found->second < index) {
        Violation(fmt::format("node {} lost the write of key {} at {}", voter.id(), key, index));
      }
    }
  }
}

SimulationReport World::Run() {
  const uint64_t count = options_.nodes + (options_.membership ? 2 : 0);
  for (uint64_t id = 1; id <= count; ++id) {
    nodes_.push_back(std::make_unique<Node>(*this, id));
    nodes_.back()->joined = id <= options_.nodes;
  }
  for (const auto& node : nodes_) node->Start();
  After(500, [this] { ClientLoop(); });
  After(1'500, [this] { FaultLoop(); });
  RunUntil(options_.fault_ms);
  faulty_ = false;
  cuts_.clear();
  for (const auto& node : nodes_) {
    if (!node->alive()) node->Start();
  }
  const uint64_t before = report_.acked;
  RunUntil(options_.fault_ms + options_.heal_ms);
  if (report_.violation.empty() && report_.acked == before)
    Violation("no write was acknowledged after everything healed" + Describe());
  if (report_.violation.empty()) CheckHealed();
  for (const auto& node : nodes_) {
    if (node->alive()) node->Crash();
  }
  return report_;
}

}  // namespace

SimulationReport RunSimulation(const SimulationOptions& options) { return World(options).Run(); }

}  // namespace vectron::sim
