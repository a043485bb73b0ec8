#pragma once

// What is known of one group from all its replicas and clients together, and who contradicts it.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shard/replicator.h"
#include "sim/machine.h"

namespace vectron::sim {

class Judge {
 public:
  explicit Judge(std::function<void(const std::string&)> violation)
      : violation_(std::move(violation)) {}

  // A client proposes what `command` says.
  void Proposed(const Operation& operation, const std::string& command);
  // It was told that its command is entry `index`.
  void Acknowledged(const std::string& command, uint64_t index);
  // A replica has applied an entry, for the first time or again.
  void Applied(uint64_t node, const shard::Entry& entry);
  void Digest(uint64_t node, uint64_t index, uint64_t digest);
  // True: nobody was known to lead in that term.
  bool Leads(uint64_t node, uint64_t term);

  // The entry that a read which begins now must have seen.
  uint64_t Floor(uint64_t key) const;
  // A read was answered by a node that had applied everything up to `applied`.
  void Read(uint64_t node, const Machine& machine, uint64_t key, uint64_t floor) const;
  // A replica holds all that was acknowledged.
  void CheckHolds(uint64_t node, const Machine& machine) const;

  uint64_t acknowledged() const { return acknowledged_; }  // the highest entry
  uint64_t applied() const { return applied_; }            // by any replica

 private:
  struct Write {
    uint64_t index = 0;
    bool is_delete = false;
  };
  // Log index of the write whose result is there at `applied`.
  std::optional<uint64_t> Expected(uint64_t key, uint64_t applied) const;

  const std::function<void(const std::string&)> violation_;
  std::map<uint64_t, Operation> operations_;       // by hash of the command
  std::map<uint64_t, uint64_t> command_at_;        // log index -> hash of its entry
  std::map<uint64_t, uint64_t> digest_at_;         // applied index -> digest of the state
  std::map<uint64_t, uint64_t> leader_of_term_;    // term -> node
  std::map<uint64_t, uint64_t> acked_of_key_;      // highest acknowledged index, by key
  std::map<uint64_t, std::vector<Write>> writes_;  // by key, in log order
  std::map<std::string, uint64_t> requests_;       // request id -> entry that did it
  uint64_t acknowledged_ = 0;
  uint64_t applied_ = 0;
};

}  // namespace vectron::sim
