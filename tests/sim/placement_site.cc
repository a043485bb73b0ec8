#include "sim/placement_site.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace vectron::sim {
namespace {

constexpr int64_t kTickMs = 50;
constexpr char kFile[] = "placement-state";

}  // namespace

absl::Status PlacementMachine::Open() {
  ASSIGN_OR_RETURN(state_,
                   placement::ReplicatedState::Open(files_, kFile, Mix64(seed_ + ++opens_)));
  return absl::OkStatus();
}

void PlacementMachine::Attached(shard::Replicator& replicator) {
  state_->Bind(replicator, [this] {
    if (changed) changed();
  });
}

void PlacementMachine::Crash() {
  if (state_ != nullptr) state_->Unbind();
  state_.reset();
  if (bug_ == PlantedBug::kFileNotSynced) files_ = synced_;
}

absl::Status PlacementMachine::Flush() {
  if (bug_ == PlantedBug::kFileNotSynced) synced_ = files_;
  return state_->Save();
}

absl::Status PlacementMachine::Apply(std::span<const shard::Entry> entries) {
  state_->Apply({entries.begin(), entries.end()});
  if (applied() == entries.back().index) return absl::OkStatus();
  return Internal("placement stopped applying at {}", applied());
}

absl::StatusOr<uint64_t> PlacementMachine::Digest() const {
  return state_->With([](const placement::ClusterState& state) {
    state.CheckInvariants();
    return Hash64(state.Encode());
  });
}

absl::StatusOr<Machine::Copy> PlacementMachine::MakeCopy() {
  ASSIGN_OR_RETURN(const uint64_t index, state_->WriteFiles("copy"));
  ASSIGN_OR_RETURN(std::string bytes, files_.ReadAll("copy/state"));
  return Copy{.index = index, .bytes = std::move(bytes)};
}

absl::Status PlacementMachine::Install(const Copy& copy) {
  RETURN_IF_ERROR(files_.WriteAtomically("incoming/state", copy.bytes));
  return state_->InstallFiles("incoming", copy.index);
}

void PlacementMachine::Wipe() { CHECK_OK(files_.Remove(kFile)); }

std::string PlacementMachine::Encode(const Operation& /*operation*/) const { return {}; }

absl::StatusOr<std::optional<uint64_t>> PlacementMachine::Read(uint64_t /*key*/) const {
  return std::optional<uint64_t>();
}

PlacementSite::PlacementSite(Node& node, const std::vector<uint64_t>& nodes,
                             const placement::PlacementOptions& options)
    : node_(node), options_(options), clock_(node.stage().clock()) {
  consensus::Membership founders;
  for (const uint64_t id : nodes) {
    founders.voters.push_back(shard::ReplicaId::Make({id}, 1).value);
  }
  auto machine = std::make_unique<PlacementMachine>(
      Mix64(node.stage().options().seed + node.site()), node.stage().options().bug);
  machine_ = machine.get();
  node.Add(kPlacementGroup, shard::ReplicaId::Make(node.id(), 1), founders, std::move(machine));
  node.on_start = [this] { StartService(); };
  node.on_crash = [this] {
    machine_->state().Unbind();
    service_.reset();
  };
}

void PlacementSite::StartService() {
  service_ = std::make_unique<placement::PlacementService>(
      options_, placement::ServiceDeps{.state = &machine_->state(),
                                       .clock = &clock_,
                                       .leadership = [this] { return Leads(); },
                                       .cluster_id = {},
                                       .seed = Mix64(node_.stage().options().seed * 17 +
                                                     node_.site() + node_.life())});
  machine_->changed = [this] {
    if (service_ != nullptr) service_->OnStateChanged();
  };
  TickLoop();
}

void PlacementSite::TickLoop() {
  node_.Later(kTickMs, [this] {
    service_->Tick();
    TickLoop();
  });
}

placement::Leadership PlacementSite::Leads() const {
  const shard::GroupView view = node_.host().View(kPlacementGroup);
  return {.is_leader = view.is_leader,
          .term = view.term,
          .node = view.leader.node(),
          .address = fmt::format("placement-{}", view.leader.node().value)};
}

bool PlacementSite::leads() const { return node_.alive() && Leads().is_leader; }

}  // namespace vectron::sim
