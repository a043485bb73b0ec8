#include "sim/fleet_world.h"

#include <fmt/format.h>

#include <utility>

#include "vectron/vectron.pb.h"

namespace vectron::sim {
namespace {

namespace pb = placementdriver::v1;

constexpr uint64_t kPlacementNodes = 3;
constexpr uint64_t kWorkers = 5;
constexpr uint64_t kFirstWorkerSite = kPlacementNodes + 1;
constexpr uint32_t kCopies = 3;
constexpr int64_t kSetUpMs = 10'000;  // for each part of it
constexpr int64_t kSettleMs = 90'000;
constexpr int64_t kRestMs = 4'000;  // without a change: at rest

placement::PlacementOptions Options() {
  placement::PlacementOptions options;
  options.heartbeat_interval_ms = 400;
  options.busy_heartbeat_ms = 100;
  options.dead_after_ms = 4'000;
  options.create_timeout_ms = 15'000;
  options.schedule_interval_ms = 200;
  options.scheduler.move_cooldown_ms = 1'000;
  options.scheduler.stuck_learner_ms = 8'000;
  return options;
}

std::vector<uint64_t> Numbers(uint64_t first, uint64_t count) {
  std::vector<uint64_t> numbers;
  for (uint64_t i = 0; i < count; ++i) numbers.push_back(first + i);
  return numbers;
}

}  // namespace

FleetWorld::FleetWorld(const SimulationOptions& options)
    : Stage(options), placement_(*this, kPlacementGroup, Numbers(1, kPlacementNodes)) {}

Clients& FleetWorld::ClientsOf(const Node& node, GroupId group) {
  if (node.site() < kFirstWorkerSite) return placement_;
  std::unique_ptr<Clients>& clients = groups_[group];
  if (clients == nullptr) {
    clients = std::make_unique<Clients>(*this, group, Numbers(kFirstWorkerSite, kWorkers));
  }
  return *clients;
}

void FleetWorld::Applied(Replica& replica, const shard::Entry& entry) {
  ClientsOf(replica.node(), replica.group()).Applied(replica, entry);
}

void FleetWorld::Heard(Replica& replica) {
  ClientsOf(replica.node(), replica.group()).Heard(replica);
}

void FleetWorld::Leads(Node& node, GroupId group, uint64_t term) {
  ClientsOf(node, group).Leads(node, term);
}

PlacementSite* FleetWorld::LeadingPlacement() {
  for (const auto& site : placement_sites_) {
    if (site->leads()) return site.get();
  }
  return nullptr;
}

// --- operators ---

void FleetWorld::Create(const std::string& name, uint32_t shards) {
  PlacementSite* const site = LeadingPlacement();
  if (site == nullptr) return;
  pb::CreateCollectionRequest request;
  request.mutable_schema()->set_name(name);
  request.mutable_schema()->set_dimension(2);
  request.mutable_schema()->set_shard_count(shards);
  request.mutable_schema()->set_replication_factor(kCopies);
  site->service().CreateCollection(request, [](const auto&) {});
  site->node().Pump();
}

void FleetWorld::Drop(const std::string& name) {
  PlacementSite* const site = LeadingPlacement();
  if (site == nullptr) return;
  pb::DeleteCollectionRequest request;
  request.set_name(name);
  site->service().DeleteCollection(request, [](const auto&) {});
  site->node().Pump();
}

void FleetWorld::Drain(uint64_t worker, bool cancel) {
  PlacementSite* const site = LeadingPlacement();
  if (site == nullptr) return;
  pb::DrainWorkerRequest request;
  request.set_worker_id(std::to_string(worker));
  request.set_cancel(cancel);
  site->service().DrainWorker(request, [this, worker, cancel](const auto& drained) {
    if (drained.ok()) draining_ = cancel ? 0 : worker;
  });
  site->node().Pump();
}

void FleetWorld::OperatorActs() {
  const uint64_t kind = random().Below(6);
  if (kind < 2) {
    if (draining_ != 0) {
      Drain(draining_, /*cancel=*/true);
    } else {
      Drain(1 + random().Below(kWorkers), /*cancel=*/false);
    }
  } else if (kind == 2) {
    if (has_extra_) {
      Drop(fmt::format("extra-{}", extra_));
    } else {
      Create(fmt::format("extra-{}", ++extra_), 1);
    }
    has_extra_ = !has_extra_;
  } else if (kind == 3) {
    // An hour back, or on.
    placement_sites_[random().Below(kPlacementNodes)]->clock().JumpTo(
        Between(-3'600'000, 3'600'000));
  } else {
    CrashForLong();
  }
}

// Long enough for a worker to be taken for dead: what it held is elsewhere when it is back.
void FleetWorld::CrashForLong() {
  Node& victim = workers_[random().Below(kWorkers)]->node();
  if (long_crash_ || !victim.alive()) return;
  long_crash_ = true;
  victim.Crash();
  After(Between(5'000, 14'000), [this, &victim] {
    long_crash_ = false;
    if (!victim.alive()) victim.Start();
  });
}

void FleetWorld::FaultLoop() {
  if (now() >= begin_ms_ + options().fault_ms) return;
  if (OneIn(4) || !MakeFault()) OperatorActs();
  After(Between(100, 1'500), [this] { FaultLoop(); });
}

void FleetWorld::ClientLoop() {
  for (const auto& [group, clients] : groups_) {
    if (OneIn(2)) clients->Step();
  }
  if (now() < begin_ms_ + options().fault_ms + options().heal_ms / 2) {
    After(OneIn(100) ? Between(1'000, 3'000) : Between(1, 150), [this] { ClientLoop(); });
  }
}

// --- the run ---

void FleetWorld::SetUp() {
  faulty_ = false;
  for (const uint64_t id : Numbers(1, kPlacementNodes)) {
    placement_sites_.push_back(
        std::make_unique<PlacementSite>(AddNode(id, 1), Numbers(1, kPlacementNodes), Options()));
  }
  std::vector<PlacementSite*> sites;
  for (const auto& site : placement_sites_) {
    sites.push_back(site.get());
    site->node().Start();
  }
  for (const uint64_t id : Numbers(1, kWorkers)) {
    SimWorker& worker =
        *workers_.emplace_back(std::make_unique<SimWorker>(AddNode(id, kFirstWorkerSite), sites));
    worker.node().Start();
    worker.Register();
    if (!RunUntilTrue(kSetUpMs, [&worker] { return worker.registered(); })) {
      return Violation(fmt::format("worker {} could not register", id));
    }
  }
  RunUntil(now() + 1'000);  // all have sent heartbeats
  Create("docs", 2);
  Create("more", 1);
  const bool made = RunUntilTrue(kSetUpMs, [this] {
    PlacementSite* const site = LeadingPlacement();
    return site != nullptr && site->state().With([](const placement::ClusterState& state) {
      size_t visible = 0;
      for (const auto& [key, collection] : state.collections()) visible += collection.visible;
      return visible == 2;
    });
  });
  if (!made) return Violation("the collections were not made");
  faulty_ = true;
  begin_ms_ = now();
}

// What is not as placement wants it: every shard on as many workers as it should be, all of them
// voters, nothing that waits to be destroyed, and every worker holds just what it was told. Empty:
// settled.
std::string FleetWorld::Unsettled() {
  PlacementSite* const site = LeadingPlacement();
  if (site == nullptr) return "placement has no leader";
  std::string what = site->state().With([](const placement::ClusterState& state) {
    if (!state.doomed().empty()) {
      return fmt::format("{} replicas wait to be destroyed", state.doomed().size());
    }
    for (const auto& [key, collection] : state.collections()) {
      if (!collection.visible) return fmt::format("collection '{}' is not made yet", key.name);
    }
    for (const auto& [group, shard] : state.shards()) {
      if (shard.replicas.size() != kCopies) {
        return fmt::format("group {} has {} replicas", group.value, shard.replicas.size());
      }
      for (const placement::ReplicaRecord& replica : shard.replicas) {
        // The state says which worker is drained: the operator may have missed an answer.
        const bool drained = state.FindWorker(replica.worker)->draining;
        const bool voter = replica.role == placement::ReplicaRole::kVoter;
        if (!replica.leaving && voter && !drained) continue;
        return fmt::format("group {}: the replica on worker {} is {}", group.value,
                           replica.worker.value,
                           replica.leaving ? "leaving"
                           : drained       ? "to be moved away"
                                           : "no voter yet");
      }
    }
    return std::string();
  });
  for (size_t i = 0; what.empty() && i < workers_.size(); ++i) {
    if (!workers_[i]->HoldsWhatItShould()) what = fmt::format("worker {} is not done", i + 1);
  }
  return what;
}

void FleetWorld::CheckSettled() {
  // At rest: settled, and the state does not change any more.
  uint64_t version = 0;
  int64_t since_ms = now();
  const bool rests = RunUntilTrue(kSettleMs, [this, &version, &since_ms] {
    PlacementSite* const site = LeadingPlacement();
    const uint64_t seen =
        site == nullptr ? 0 : site->state().With([](const auto& state) { return state.version(); });
    if (!Unsettled().empty() || seen != version) {
      version = seen;
      since_ms = now();
    }
    return now() - since_ms >= kRestMs;
  });
  if (!report().violation.empty()) return;
  if (!rests) {
    const std::string what = Unsettled();
    return Violation(fmt::format("the cluster does not come to rest: {}{}",
                                 what.empty() ? "its state goes on changing" : what,
                                 placement_.Describe()));
  }
  const std::set<GroupId> groups =
      LeadingPlacement()->state().With([](const placement::ClusterState& state) {
        std::set<GroupId> all;
        for (const auto& [group, shard] : state.shards()) all.insert(group);
        return all;
      });
  // An election may be under way at any moment; what matters is that it ends.
  RunUntilTrue(kSettleMs, [this, &groups] {
    if (placement_.Leader() == nullptr) return false;
    for (const auto& [group, clients] : groups_) {
      if (groups.contains(group) && clients->Leader() == nullptr) return false;
    }
    return true;
  });
  placement_.CheckCaughtUp();
  for (const auto& [group, clients] : groups_) {
    if (groups.contains(group)) clients->CheckCaughtUp();
  }
}

SimulationReport FleetWorld::Run() {
  SetUp();
  ClientLoop();
  After(1'000, [this] { FaultLoop(); });
  RunUntil(begin_ms_ + options().fault_ms);
  Heal();
  const uint64_t before = report().acked;
  RunUntil(begin_ms_ + options().fault_ms + options().heal_ms);
  if (report().violation.empty() && report().acked == before) {
    Violation("no write was acknowledged after everything healed");
  }
  if (report().violation.empty()) CheckSettled();
  CrashAll();
  return report();
}

}  // namespace vectron::sim
