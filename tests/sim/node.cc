#include "sim/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "storage/borrowed_kv_testing.h"

namespace vectron::sim {

using consensus::PeerMessage;

namespace {

constexpr int64_t kTickMs = 20;

}  // namespace

// --- replica ---

shard::GroupView Replica::View() const { return node_.host_->View(group_); }

void Replica::LoseState() {
  machine_->Wipe();
  lacks_state_ = true;
}

void Replica::WaitApplied(uint64_t index, std::function<void()> then) {
  waiting_.Add(index, std::move(then));
  waiting_.Answer(machine_->applied());
}

absl::Status Replica::Join(shard::RaftHost& host) {
  making_copy_ = false;
  copy_.reset();
  fetched_.clear();
  waiting_ = Waiting();
  RETURN_IF_ERROR(machine_->Open());
  shard::RaftGroupStart start;
  start.group = group_;
  start.replica = id_;
  start.members = founders_;
  start.applied_index = machine_->applied();
  start.applier = this;
  start.snapshots = this;
  start.lacks_state = lacks_state_;
  auto replicator = host.Attach(start);
  if (absl::IsOutOfRange(replicator.status())) {
    RETURN_IF_ERROR(machine_->OpenWithoutCheckpoint());
    start.applied_index = machine_->applied();
    replicator = host.Attach(start);
  }
  if (!replicator.ok()) return replicator.status();
  replicator_ = *replicator;
  machine_->Attached(*replicator_);
  lacks_state_ = host.View(group_).lacks_state;
  return absl::OkStatus();
}

void Replica::Leave() {
  replicator_ = nullptr;
  machine_->Crash();
}

std::optional<uint64_t> Replica::LastEntryIf(const std::string& command) const {
  const storage::LogGroupRecord log = node_.logs_->Extent(group_);
  if (log.next_index == log.first_index) return std::nullopt;
  const uint64_t last = log.next_index - 1;
  const auto entries = node_.logs_->Read(group_, {.first = last, .last = last});
  // A byte that says what kind of entry it is stands before the command.
  const bool is_it = entries.ok() && entries->back().command.ends_with(command);
  return is_it ? std::optional(last) : std::nullopt;
}

void Replica::FlushWhenDue() {
  if (lacks_state_ || replicator_ == nullptr) return;  // the log may be all it has
  const uint64_t due = machine_->marks().needed + node_.stage_.flush_after();
  if (machine_->applied() < due) return;
  if (node_.stage_.options().bug == PlantedBug::kCutBeforeFlush) {
    return replicator_->SetLogMarks(machine_->applied(), machine_->applied());
  }
  const absl::Status flushed = machine_->Flush();
  if (!flushed.ok()) return node_.stage_.Violation(std::string(MessageOf(flushed)));
  replicator_->SetLogMarks(machine_->marks().needed, machine_->marks().wished);
}

void Replica::Apply(std::vector<shard::Entry> entries) {
  if (node_.dying_) return;
  std::span<const shard::Entry> rest(entries);
  while (!rest.empty() && rest.front().index <= machine_->applied()) rest = rest.subspan(1);
  while (!rest.empty()) {
    if (rest.front().index != machine_->applied() + 1) {
      return node_.stage_.Violation(fmt::format("node {} is given entry {} at {}", node_.site(),
                                                rest.front().index, machine_->applied()));
    }
    const uint64_t period = machine_->digest_period();
    const size_t count =
        std::min<size_t>(rest.size(), (period - rest.front().index % period) % period + 1);
    const std::span<const shard::Entry> group = rest.first(count);
    const absl::Status applied = machine_->Apply(group);
    if (!applied.ok()) {
      return node_.stage_.Violation(
          fmt::format("node {} cannot apply: {}", node_.site(), MessageOf(applied)));
    }
    for (const shard::Entry& entry : group) node_.stage_.Applied(*this, entry);
    rest = rest.subspan(count);
  }
  waiting_.Answer(machine_->applied());
}

void Replica::Later(int64_t ms, std::function<void()> run) {
  node_.Later(ms, [&node = node_, group = group_, id = id_, run = std::move(run)] {
    Replica* const replica = node.Find(group);
    if (replica != nullptr && replica->id_ == id) run();
  });
}

absl::StatusOr<shard::SnapshotHandler::Offer> Replica::MakeOffer(uint64_t min_index) {
  if (node_.stage_.options().bug == PlantedBug::kOldSnapshots) {
    min_index = replicator_->first_index() - 1;
  }
  if (copy_.has_value() && copy_->index >= min_index) return Offer{copy_->index, copy_token_};
  if (!std::exchange(making_copy_, true)) {
    Later(node_.stage_.Between(5, 400), [this] { MakeCopy(); });
  }
  return absl::UnavailableError("a copy is being made");
}

void Replica::MakeCopy() {
  making_copy_ = false;
  if (lacks_state_) return;
  absl::StatusOr<Machine::Copy> copy = machine_->MakeCopy();
  if (!copy.ok()) return node_.stage_.Violation(std::string(MessageOf(copy.status())));
  copy_ = *std::move(copy);
  copy_token_ = fmt::format("{}-{}", node_.life_, ++copies_);
}

void Replica::Fetch(WorkerId from, const std::string& token,
                    std::function<void(absl::Status)> done) {
  Stage& stage = node_.stage_;
  const int64_t ms = stage.OneIn(8) ? stage.Between(800, 4'000) : stage.Between(20, 800);
  Later(ms, [this, from, token, done = std::move(done)] {
    Node& source = node_.stage_.node(node_.SiteOf(from.value));
    Replica* const giver = source.alive() ? source.Find(group_) : nullptr;
    const bool there = giver != nullptr && giver->copy_.has_value() &&
                       giver->copy_token_ == token &&
                       !node_.stage_.IsCut(source.site(), node_.site());
    if (there) fetched_[token] = *giver->copy_;
    done(there ? absl::OkStatus() : absl::UnavailableError("the files are gone"));
  });
}

absl::Status Replica::Install(const std::string& token, uint64_t index) {
  if (node_.dying_) return absl::UnavailableError("the node is gone");
  const auto found = fetched_.find(token);
  if (found == fetched_.end() || found->second.index != index) {
    return Internal("the files of a snapshot do not fit its message");
  }
  RETURN_IF_ERROR(machine_->Install(found->second));
  copy_.reset();
  lacks_state_ = false;
  ++node_.stage_.report().snapshots;
  return absl::OkStatus();
}

// --- node ---

Node::~Node() = default;

void Node::Later(int64_t ms, std::function<void()> run) {
  stage_.After(ms, [this, life = life_, run = std::move(run)] {
    if (life != life_ || !alive()) return;
    run();
    Pump();
  });
}

void Node::Start() {
  if (disk_ == nullptr) {
    const PlantedBug bug = stage_.options().bug;
    disk_ = bug == PlantedBug::kAckBeforeSync || bug == PlantedBug::kVoteBeforeSync
                ? std::make_unique<UnsyncedKv>(bug == PlantedBug::kVoteBeforeSync)
                : std::make_unique<storage::MemoryKv>(2, storage::WriteAheadLog::kOn);
  }
  ++life_;
  dying_ = false;
  stalled_until_ms_ = 0;
  apply_executor_ = std::make_unique<LaterExecutor>([this](std::function<void()> run) {
    Later(stage_.OneIn(20) ? stage_.Between(10, 300) : stage_.Between(0, 3), std::move(run));
  });
  auto logs =
      shard::LogStore::Over(std::make_unique<storage::BorrowedKv>(*disk_), "sim", size_t{1} << 20);
  CHECK_OK(logs.status());
  logs_ = *std::move(logs);
  shard::RaftHostOptions options;
  options.node = id_;
  options.seed = Mix64(stage_.options().seed * 31 + site() * 7 + life_) | 1;
  options.life = Mix64(options.seed);
  options.quiet_after_ticks = 25;
  options.group_log_bytes = 4 << 10;
  shard::RaftHostDeps deps;
  deps.logs = logs_.get();
  deps.transport = this;
  deps.apply_executor = apply_executor_.get();
  deps.wake = [] {};
  deps.on_fatal = [this](const absl::Status& status) {
    stage_.Violation(std::string(MessageOf(status)));
  };
  deps.on_leader = [this](GroupId group, shard::ReplicaId, uint64_t term) {
    stage_.Leads(*this, group, term);
  };
  host_ = shard::RaftHost::Create(options, deps);
  for (const auto& [group, replica] : replicas_) {
    const absl::Status joined = replica->Join(*host_);
    if (!joined.ok()) {
      stage_.Violation(fmt::format("node {} cannot start: {}", site(), MessageOf(joined)));
      return;
    }
  }
  TickLoop();
  if (on_start) on_start();
  Pump();
}

void Node::Crash() {
  if (on_crash) on_crash();
  ++life_;
  dying_ = true;
  apply_executor_->RunAll();
  for (const auto& [group, replica] : replicas_) replica->Leave();
  host_.reset();
  logs_.reset();
  disk_->SimulateCrash(storage::MemoryKv::Crash::kPower);
  ++stage_.report().crashes;
}

Replica* Node::Find(GroupId group) {
  const auto found = replicas_.find(group);
  return found == replicas_.end() ? nullptr : found->second.get();
}

std::vector<Replica*> Node::replicas() {
  std::vector<Replica*> all;
  for (const auto& [group, replica] : replicas_) all.push_back(replica.get());
  return all;
}

Replica& Node::Add(GroupId group, shard::ReplicaId id, const consensus::Membership& founders,
                   std::unique_ptr<Machine> machine) {
  auto replica = std::make_unique<Replica>(*this, group, id, founders, std::move(machine));
  Replica& added = *replica;
  replicas_[group] = std::move(replica);
  if (!alive()) return added;
  const absl::Status joined = added.Join(*host_);
  if (!joined.ok()) {
    stage_.Violation(fmt::format("node {} cannot begin a replica: {}", site(), MessageOf(joined)));
  }
  return added;
}

void Node::Destroy(GroupId group) {
  apply_executor_->RunAll();
  CHECK_OK(host_->Destroy(group));
  replicas_.erase(group);
}

void Node::StallUntil(int64_t ms) {
  stalled_until_ms_ = std::max(stalled_until_ms_, ms);
  Later(ms - stage_.now(), [] {});
}

void Node::Pump() {
  if (pumping_ || host_ == nullptr || stage_.now() < stalled_until_ms_) return;
  pumping_ = true;
  while (host_->Turn()) {
  }
  pumping_ = false;
}

void Node::TickLoop() {
  Later(kTickMs, [this] {
    host_->Tick();
    Pump();
    for (const auto& [group, replica] : replicas_) {
      if (stage_.OneIn(40)) replica->FlushWhenDue();
    }
    TickLoop();
  });
}

void Node::Receive(PeerMessage message) {
  const GroupId group{message.group};
  std::vector<PeerMessage> messages;
  messages.push_back(std::move(message));
  const WorkerId from = shard::ReplicaId{messages.front().from}.node();
  host_->Receive(from, std::move(messages));
  Pump();
  Replica* const replica = Find(group);
  if (replica != nullptr) stage_.Heard(*replica);
}

void Node::Send(uint64_t to, std::vector<PeerMessage> messages) {
  for (PeerMessage& message : messages) stage_.Send(site(), SiteOf(to), std::move(message));
}

}  // namespace vectron::sim
