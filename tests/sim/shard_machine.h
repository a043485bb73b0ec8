#pragma once

// The state machine of shards (src/shard/apply.h) over a store in memory that loses what was not
// flushed, with index checkpoints that are behind the store.

#include <algorithm>
#include <memory>
#include <string>

#include "index/vector_index.h"
#include "shard/apply.h"
#include "sim/machine.h"
#include "sim/memory_files.h"
#include "sim/simulation.h"
#include "storage/memory_kv.h"

namespace vectron::sim {

class ShardMachine : public Machine {
 public:
  explicit ShardMachine(PlantedBug bug = PlantedBug::kNone);

  absl::Status Open() override;
  absl::Status OpenWithoutCheckpoint() override;
  void Crash() override;
  absl::Status Apply(std::span<const shard::Entry> entries) override;
  uint64_t applied() const override { return state_->published(); }
  uint64_t stored() const override {
    return std::max(state_->published(), state_->store_applied());
  }
  absl::StatusOr<uint64_t> Digest() const override;
  uint64_t digest_period() const override { return 16; }

  absl::Status Flush() override;
  Marks marks() const override { return marks_; }
  absl::StatusOr<Copy> MakeCopy() override;
  absl::Status Install(const Copy& copy) override;
  void Wipe() override;

  bool knows_requests() const override { return true; }
  std::string Encode(const Operation& operation) const override;
  absl::StatusOr<std::optional<uint64_t>> Read(uint64_t key) const override;

 private:
  index::IndexOptions index_options() const;
  absl::Status WriteCheckpoint();

  const PlantedBug bug_;
  // --- disk ---
  const CollectionSchema schema_;
  MemoryFiles files_;
  std::unique_ptr<storage::MemoryKv> kv_;
  bool has_checkpoint_ = false;
  shard::StateMachine::Image image_;  // of the checkpoint
  Marks marks_;
  uint64_t flushes_ = 0;
  // --- process ---
  std::unique_ptr<shard::StateMachine> state_;
};

}  // namespace vectron::sim
