#pragma once

// The plainest state machine: registers by key, an applied index, and a digest of everything
// applied. Cheap, so that many seeds can be run.

#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "base/random.h"
#include "sim/machine.h"
#include "sim/simulation.h"

namespace vectron::sim {

class RegisterMachine : public Machine {
 public:
  explicit RegisterMachine(PlantedBug bug) : bug_(bug) {}

  absl::Status Open() override {
    now_ = durable_;
    if (bug_ == PlantedBug::kReplaySkipsAnEntry && now_.applied > 0) ++now_.applied;
    return absl::OkStatus();
  }
  void Crash() override { now_ = durable_; }
  absl::Status Apply(std::span<const shard::Entry> entries) override {
    for (const shard::Entry& entry : entries) {
      now_.applied = entry.index;
      if (entry.command.empty()) continue;
      now_.digest = Mix64(now_.digest ^ Hash64(entry.command)) + entry.index;
      now_.values[LoadFixed<uint64_t>(entry.command.data())] = entry.index;
    }
    return absl::OkStatus();
  }
  uint64_t applied() const override { return now_.applied; }
  absl::StatusOr<uint64_t> Digest() const override { return now_.digest; }

  absl::Status Flush() override {
    const uint64_t before = durable_.applied;
    if (bug_ != PlantedBug::kAppliedApartFromData) durable_ = now_;
    durable_.applied = bug_ == PlantedBug::kAppliedBehindData ? before : now_.applied;
    return absl::OkStatus();
  }
  Marks marks() const override { return {durable_.applied, durable_.applied}; }
  absl::StatusOr<Copy> MakeCopy() override {
    const State& source = bug_ == PlantedBug::kCopyBehindItsIndex ? durable_ : now_;
    Copy copy{.index = now_.applied, .bytes = {}};
    PutFixed(copy.bytes, source.digest);
    for (const auto& [key, index] : source.values) {
      if (bug_ == PlantedBug::kCopyLacksAKey && key == source.values.begin()->first) continue;
      PutFixed(copy.bytes, key);
      PutFixed(copy.bytes, index);
    }
    return copy;
  }
  absl::Status Install(const Copy& copy) override {
    now_ = {.values = {}, .applied = copy.index, .digest = LoadFixed<uint64_t>(copy.bytes.data())};
    for (size_t at = 8; at < copy.bytes.size(); at += 16) {
      now_.values[LoadFixed<uint64_t>(copy.bytes.data() + at)] =
          LoadFixed<uint64_t>(copy.bytes.data() + at + 8);
    }
    if (bug_ != PlantedBug::kCopyNotDurable) durable_ = now_;
    return absl::OkStatus();
  }
  void Wipe() override { durable_ = {}; }

  std::string Encode(const Operation& operation) const override {
    CHECK(!operation.is_delete && operation.request_id.empty());
    std::string command;
    PutFixed(command, operation.key);
    PutFixed(command, operation.number);
    return command;
  }
  absl::StatusOr<std::optional<uint64_t>> Read(uint64_t key) const override {
    const auto found = now_.values.find(key);
    if (found == now_.values.end()) return std::optional<uint64_t>();
    return std::optional<uint64_t>(found->second);
  }

 private:
  struct State {
    std::map<uint64_t, uint64_t> values;  // key -> log index of its last write
    uint64_t applied = 0;
    uint64_t digest = 0;
  };
  const PlantedBug bug_;
  State now_;
  State durable_;
};

}  // namespace vectron::sim
