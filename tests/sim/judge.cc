#include "sim/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "base/status.h"

namespace vectron::sim {

void Judge::Proposed(const Operation& operation, const std::string& command) {
  operations_.emplace(Hash64(command), operation);
}

void Judge::Acknowledged(const std::string& command, uint64_t index) {
  const uint64_t hash = Hash64(command);
  const auto [known, fresh] = command_at_.emplace(index, hash);
  if (!fresh && known->second != hash) {
    violation_(fmt::format("entry {} was acknowledged and is another", index));
  }
  uint64_t& of_key = acked_of_key_[operations_.at(hash).key];
  of_key = std::max(of_key, index);
  acknowledged_ = std::max(acknowledged_, index);
}

void Judge::Applied(uint64_t node, const shard::Entry& entry) {
  const uint64_t hash = Hash64(entry.command);
  const auto [known, fresh] = command_at_.emplace(entry.index, hash);
  if (!fresh && known->second != hash) {
    violation_(fmt::format("node {} applies another entry at {}", node, entry.index));
    return;
  }
  if (entry.index <= applied_) return;
  applied_ = entry.index;
  const auto operation = operations_.find(hash);
  if (operation == operations_.end()) return;  // the engine's own, or nothing clients see
  const std::string& request = operation->second.request_id;
  if (!request.empty() && !requests_.emplace(request, entry.index).second) return;  // a repetition
  writes_[operation->second.key].push_back({entry.index, operation->second.is_delete});
}

void Judge::Digest(uint64_t node, uint64_t index, uint64_t digest) {
  const auto [known, fresh] = digest_at_.emplace(index, digest);
  if (!fresh && known->second != digest) {
    violation_(fmt::format("node {} has another state at {}", node, index));
  }
}

bool Judge::Leads(uint64_t node, uint64_t term) {
  const auto [known, fresh] = leader_of_term_.emplace(term, node);
  if (known->second != node) {
    violation_(fmt::format("two leaders of term {}: {} and {}", term, known->second, node));
  }
  return fresh;
}

uint64_t Judge::Floor(uint64_t key) const {
  const auto found = acked_of_key_.find(key);
  return found == acked_of_key_.end() ? 0 : found->second;
}

std::optional<uint64_t> Judge::Expected(uint64_t key, uint64_t applied) const {
  const auto found = writes_.find(key);
  if (found == writes_.end()) return std::nullopt;
  const std::vector<Write>& writes = found->second;
  const auto after =
      std::upper_bound(writes.begin(), writes.end(), applied,
                       [](uint64_t index, const Write& write) { return index < write.index; });
  if (after == writes.begin() || (after - 1)->is_delete) return std::nullopt;
  return (after - 1)->index;
}

void Judge::Read(uint64_t node, const Machine& machine, uint64_t key, uint64_t floor) const {
  const uint64_t applied = machine.applied();
  if (applied < floor) {
    violation_(fmt::format("stale read on node {}: key {} as of {}, acknowledged at {}", node, key,
                           applied, floor));
    return;
  }
  const auto seen = machine.Read(key);
  if (!seen.ok()) {
    violation_(fmt::format("node {}: {}", node, MessageOf(seen.status())));
    return;
  }
  const std::optional<uint64_t> expected = Expected(key, applied);
  if (*seen != expected) {
    violation_(fmt::format("node {} at {} has key {} of entry {}, and not of {}", node, applied,
                           key, seen->value_or(0), expected.value_or(0)));
  }
}

void Judge::CheckHolds(uint64_t node, const Machine& machine) const {
  if (machine.applied() < acknowledged_) {
    violation_(fmt::format("node {} is at {}, acknowledged at {}", node, machine.applied(),
                           acknowledged_));
    return;
  }
  for (const auto& [key, index] : acked_of_key_) Read(node, machine, key, index);
}

}  // namespace vectron::sim
