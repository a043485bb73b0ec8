#include "sim/group_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "sim/register_machine.h"
#include "sim/shard_machine.h"

namespace vectron::sim {
namespace {

using shard::ReplicaId;

constexpr GroupId kGroup{7};
constexpr int64_t kReadableMs = 10'000;  // after everything healed

std::vector<uint64_t> SitesOf(const SimulationOptions& options) {
  std::vector<uint64_t> sites(options.nodes + (options.membership ? 2 : 0));
  std::iota(sites.begin(), sites.end(), 1);
  return sites;
}

}  // namespace

GroupWorld::GroupWorld(const SimulationOptions& options)
    : Stage(options), clients_(*this, kGroup, SitesOf(options)) {}

std::unique_ptr<Machine> GroupWorld::NewMachine() const {
  if (options().machine == MachineKind::kShard) {
    return std::make_unique<ShardMachine>(options().bug);
  }
  return std::make_unique<RegisterMachine>(options().bug);
}

void GroupWorld::ClientLoop() {
  clients_.Step();
  if (now() >= options().fault_ms + options().heal_ms / 2) return;
  // Pauses in which groups go quiet.
  After(OneIn(250) ? Between(1'000, 4'000) : Between(1, 40), [this] { ClientLoop(); });
}

// --- faults ---

void GroupWorld::FaultLoop() {
  if (now() >= options().fault_ms) return;
  if (options().membership && OneIn(4)) {
    ChangeMembers();
  } else if (!MakeFault()) {
    OneIn(6) ? LoseSomeState() : Transfer();
  }
  After(Between(50, 1'200), [this] { FaultLoop(); });
}

bool GroupWorld::NoneLacksState() {
  for (uint64_t site = 1; site <= sites(); ++site) {
    Replica* const replica = node(site).Find(kGroup);
    if (replica != nullptr && replica->lacks_state()) return false;
  }
  return true;
}

void GroupWorld::LoseSomeState() {
  Node& victim = node(1 + random().Below(sites()));
  if (!victim.alive() || !NoneLacksState()) return;
  victim.Crash();
  victim.Find(kGroup)->LoseState();
  After(Between(10, 2'500), [&victim] {
    if (!victim.alive()) victim.Start();
  });
}

void GroupWorld::Transfer() {
  Replica* const leader = clients_.Leader();
  if (leader == nullptr) return;
  Replica* const to = node(1 + random().Below(options().nodes)).Find(kGroup);
  leader->node().host().TransferLeadership(kGroup, to->id());
  leader->node().Pump();
}

void GroupWorld::ChangeMembers() {
  Replica* const leader = clients_.Leader();
  if (leader == nullptr) return;
  const consensus::Membership members = leader->View().membership;
  Node& target = node(1 + random().Below(sites()));
  const ReplicaId replica = target.Find(kGroup)->id();
  const bool learns = Has(members.learners, replica);
  const bool votes = Has(members.voters, replica);
  if (!learns && !votes && joined_[target.site()] && target.alive()) {
    // Removed: what is left of the replica goes, and the node is free for another.
    ReplaceRemoved(*leader, target);
    return;
  }
  consensus::ChangeKind kind = consensus::ChangeKind::kAddLearner;
  if (learns) {
    kind = OneIn(4) ? consensus::ChangeKind::kRemove : consensus::ChangeKind::kAddVoter;
  } else if (votes) {
    if (members.voters.size() <= 3 || &target == &leader->node()) return;
    kind = OneIn(2) ? consensus::ChangeKind::kRemove : consensus::ChangeKind::kAddLearner;
  }
  joined_[target.site()] = true;
  leader->node().host().ChangeMembership(kGroup, replica, kind, [this](const absl::Status& status) {
    if (status.ok()) ++report().membership_changes;
  });
  leader->node().Pump();
}

// Puts another replica in the place of one that was removed. Only a leader that has applied all
// that is committed knows: a new one may not have seen yet that the replica was added.
void GroupWorld::ReplaceRemoved(Replica& leader, Node& target) {
  Node& at = leader.node();
  const uint64_t life = at.life();
  const ReplicaId replica = target.Find(kGroup)->id();
  const auto replace = [this, life, replica, &at, &target] {
    if (at.life() != life || !at.alive() || !target.alive() || &at == &target) return;
    const consensus::Membership members = at.host().View(kGroup).membership;
    if (Has(members.voters, replica) || Has(members.learners, replica)) return;
    if (target.Find(kGroup)->id() == replica) BeginAnew(target);
  };
  leader.replicator().ReadBarrier([this, life, replace, &at](absl::StatusOr<uint64_t> index) {
    if (!index.ok() || at.life() != life) return;
    at.Find(kGroup)->WaitApplied(*index, [this, replace] { After(1, replace); });
  });
  at.Pump();
}

// Everything of a removed replica goes, and another one takes its place, which nobody knows yet.
void GroupWorld::BeginAnew(Node& target) {
  target.Destroy(kGroup);
  joined_[target.site()] = false;
  target.Add(kGroup, ReplicaId::Make(target.id(), ++serial_[target.site()]),
             Founders(options().nodes), NewMachine());
  target.Pump();
}

SimulationReport GroupWorld::Run() {
  for (const uint64_t id : SitesOf(options())) {
    serial_[id] = 1;
    joined_[id] = id <= options().nodes;
    AddNode(id, 1).Add(kGroup, ReplicaId::Make({id}, 1), Founders(options().nodes), NewMachine());
  }
  for (uint64_t site = 1; site <= sites(); ++site) node(site).Start();
  After(500, [this] { ClientLoop(); });
  After(1'500, [this] { FaultLoop(); });
  RunUntil(options().fault_ms);
  Heal();
  const uint64_t before = report().acked;
  const uint64_t entry = clients_.judge.acknowledged();
  const bool readable = RunUntilTrue(std::min(kReadableMs, options().heal_ms),
                                     [this, entry] { return clients_.LeaderHas(entry); });
  if (report().violation.empty() && !readable) {
    Violation(fmt::format("no leader has entry {}, {} ms after everything healed{}", entry,
                          kReadableMs, clients_.Describe()));
  }
  RunUntil(options().fault_ms + options().heal_ms);
  if (report().violation.empty() && report().acked == before) {
    Violation("no write was acknowledged after everything healed" + clients_.Describe());
  }
  if (report().violation.empty()) clients_.CheckCaughtUp();
  CrashAll();
  return report();
}

}  // namespace vectron::sim
