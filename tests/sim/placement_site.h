#pragma once

// A placement node: the real state machine and service over a simulated replica.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "services/placement/options.h"
#include "services/placement/replicated_state.h"
#include "services/placement/service.h"
#include "sim/machine.h"
#include "sim/memory_files.h"
#include "sim/node.h"
#include "sim/simulation.h"

namespace vectron::sim {

inline constexpr GroupId kPlacementGroup{1};

class PlacementMachine : public Machine {
 public:
  PlacementMachine(uint64_t seed, PlantedBug bug) : seed_(seed), bug_(bug) {}

  absl::Status Open() override;
  void Attached(shard::Replicator& replicator) override;
  void Crash() override;
  absl::Status Apply(std::span<const shard::Entry> entries) override;
  uint64_t applied() const override { return state_->applied_index(); }
  uint64_t stored() const override { return state_->saved_index(); }
  absl::StatusOr<uint64_t> Digest() const override;
  uint64_t digest_period() const override { return 8; }
  absl::Status Flush() override;
  Marks marks() const override { return {state_->saved_index(), state_->saved_index()}; }
  absl::StatusOr<Copy> MakeCopy() override;
  absl::Status Install(const Copy& copy) override;
  void Wipe() override;
  // Its clients are workers and operators, not these.
  std::string Encode(const Operation& operation) const override;
  absl::StatusOr<std::optional<uint64_t>> Read(uint64_t key) const override;

  placement::ReplicatedState& state() { return *state_; }
  std::function<void()> changed;  // entries were applied

 private:
  const uint64_t seed_;
  const PlantedBug bug_;
  MemoryFiles files_;
  MemoryFiles synced_;  // what a crash leaves of them, with kFileNotSynced
  uint64_t opens_ = 0;
  std::unique_ptr<placement::ReplicatedState> state_;
};

// The world's clock, with a date that jumps.
class JumpingClock : public Clock {
 public:
  explicit JumpingClock(const Clock& clock) : clock_(clock) {}
  int64_t MonotonicNanos() const override { return clock_.MonotonicNanos(); }
  int64_t UnixMillis() const override { return clock_.UnixMillis() + offset_ms_; }
  void JumpTo(int64_t offset_ms) { offset_ms_ = offset_ms; }

 private:
  const Clock& clock_;
  int64_t offset_ms_ = 0;
};

class PlacementSite {
 public:
  PlacementSite(Node& node, const std::vector<uint64_t>& nodes,
                const placement::PlacementOptions& options);

  Node& node() { return node_; }
  JumpingClock& clock() { return clock_; }
  // While the node lives.
  placement::PlacementService& service() { return *service_; }
  placement::ReplicatedState& state() { return machine_->state(); }
  bool leads() const;

 private:
  void StartService();
  void TickLoop();
  placement::Leadership Leads() const;

  Node& node_;
  const placement::PlacementOptions options_;
  JumpingClock clock_;
  PlacementMachine* machine_ = nullptr;
  std::unique_ptr<placement::PlacementService> service_;
};

}  // namespace vectron::sim
