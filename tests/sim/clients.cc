#include "sim/clients.h"

#include "base/status.h"

namespace vectron::sim {
namespace {

using shard::ReplicaId;

constexpr uint64_t kKeys = 8;

}  // namespace

Replica* Clients::ReplicaOn(uint64_t site) {
  Node& node = stage_.node(site);
  return node.alive() ? node.Find(group_) : nullptr;
}

Replica* Clients::Leader() {
  Replica* best = nullptr;
  uint64_t term = 0;
  for (const uint64_t site : sites_) {
    Replica* const candidate = ReplicaOn(site);
    if (candidate == nullptr) continue;
    const shard::GroupView view = candidate->View();
    if (view.is_leader && view.term >= term) {
      best = candidate;
      term = view.term;
    }
  }
  return best;
}

void Clients::Applied(Replica& replica, const shard::Entry& entry) {
  const uint64_t site = replica.node().site();
  stage_.Trace(Hash64(entry.command) + entry.index * 131 + site);
  judge.Applied(site, entry);
  if (entry.index % replica.machine().digest_period() != 0) return;
  if (replica.machine().stored() > entry.index) return;  // replayed into a state that has it
  const auto digest = replica.machine().Digest();
  if (!digest.ok()) {
    return stage_.Violation(fmt::format("node {}: {}", site, MessageOf(digest.status())));
  }
  judge.Digest(site, entry.index, *digest);
}

void Clients::Heard(Replica& replica) {
  const shard::GroupView view = replica.View();
  const uint64_t site = replica.node().site();
  if (view.quarantined) stage_.Violation(fmt::format("node {}: {}", site, view.problem));
}

void Clients::Leads(Node& node, uint64_t term) {
  if (judge.Leads(node.site(), term)) ++stage_.report().elections;
}

void Clients::Step() {
  const uint64_t site = sites_[stage_.random().Below(sites_.size())];
  Replica* const leader = Leader();
  const bool to_leader = leader != nullptr && !stage_.OneIn(4);
  Replica* const writer = to_leader ? leader : ReplicaOn(site);
  if (writer != nullptr) {
    Write(*writer);
    writer->node().Pump();
  }
  Replica* const reader = ReplicaOn(site);
  if (reader == nullptr || reader->View().term == 0) return;
  Read(*reader);
  reader->node().Pump();
}

void Clients::Write(Replica& target) {
  Operation operation{.key = stage_.random().Below(kKeys), .number = ++operations_};
  if (target.machine().knows_requests()) {
    operation.is_delete = stage_.OneIn(8);
    if (stage_.OneIn(2)) operation.request_id = fmt::format("r{}", operation.number);
  }
  Propose(target, operation);
  if (operation.request_id.empty() || !stage_.OneIn(4)) return;
  // A client that is not sure tries again, maybe elsewhere.
  stage_.After(stage_.Between(1, 1'500), [this, operation] {
    Replica* const leader = Leader();
    if (leader == nullptr) return;
    Propose(*leader, operation);
    leader->node().Pump();
  });
}

void Clients::Propose(Replica& target, const Operation& operation) {
  const std::string command = target.machine().Encode(operation);
  judge.Proposed(operation, command);
  target.replicator().Propose(command, [this, command](absl::StatusOr<uint64_t> index) {
    if (!index.ok()) return;
    judge.Acknowledged(command, *index);
    ++stage_.report().acked;
  });
  if (stage_.options().bug != PlantedBug::kAckAtLeader) return;
  target.node().Pump();
  const std::optional<uint64_t> index = target.LastEntryIf(command);
  if (index.has_value()) judge.Acknowledged(command, *index);
}

void Clients::Read(Replica& target) {
  const uint64_t key = stage_.random().Below(kKeys);
  const uint64_t floor = judge.Floor(key);  // acknowledged before the read began
  const auto finish = [this, key, floor, &target] {
    ++stage_.report().reads;
    judge.Read(target.node().site(), target.machine(), key, floor);
  };
  if (stage_.options().bug == PlantedBug::kStaleReads) {
    if (target.View().is_leader) finish();
    return;
  }
  Node& node = target.node();
  const auto told = told_.extract(node.site());
  if (stage_.options().bug == PlantedBug::kReadIndexReused && !told.empty()) {
    return target.WaitApplied(told.mapped(), finish);
  }
  target.replicator().ReadBarrier(
      [this, &node, life = node.life(), id = target.id(), finish](absl::StatusOr<uint64_t> index) {
        if (!index.ok() || node.life() != life) return;
        Replica* const replica = node.Find(group_);
        if (replica == nullptr || replica->id() != id) return;
        told_[node.site()] = *index;
        if (stage_.options().bug == PlantedBug::kReadBeforeApply) return finish();
        replica->WaitApplied(*index, finish);
      });
}

std::string Clients::Describe() {
  std::string text;
  for (const uint64_t site : sites_) {
    Replica* const replica = ReplicaOn(site);
    if (replica == nullptr) continue;
    text += DescribeView(site, replica->View(), replica->machine().applied());
  }
  return text;
}

bool Clients::LeaderHas(uint64_t index) {
  Replica* const leader = Leader();
  return leader != nullptr && !leader->lacks_state() && leader->machine().applied() >= index;
}

void Clients::CheckCaughtUp() {
  Replica* const leader = Leader();
  if (leader == nullptr) {
    return stage_.Violation(
        fmt::format("group {}: no leader after everything healed{}", group_.value, Describe()));
  }
  const consensus::Membership members = leader->View().membership;
  std::vector<uint64_t> all = members.voters;
  all.insert(all.end(), members.learners.begin(), members.learners.end());
  for (const uint64_t id : all) {
    const uint64_t site = leader->node().SiteOf(ReplicaId{id}.node().value);
    Replica* const member = ReplicaOn(site);
    // One that is not there was removed, by a change that is not known here yet.
    if (member == nullptr || member->id().value != id) continue;
    if (member->lacks_state() || member->machine().applied() < judge.acknowledged()) {
      return stage_.Violation(fmt::format("group {}: node {} never caught up with entry {}{}",
                                          group_.value, site, judge.acknowledged(), Describe()));
    }
    judge.CheckHolds(site, member->machine());
  }
}

}  // namespace vectron::sim
