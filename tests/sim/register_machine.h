#pragma once

// The simulated state machine: registers by key, an applied index, and a digest of everything
// applied. Volatile state is ahead of the flushed one; a crash falls back to the latter, and the
// log must bring the rest again.

#include <cstdint>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/random.h"
#include "shard/replicator.h"

namespace vectron::sim {

struct Registers {
  std::map<uint64_t, uint64_t> values;  // key -> log index of its last write
  uint64_t applied = 0;
  uint64_t digest = 0;

  void Apply(const shard::Entry& entry) {
    applied = entry.index;
    if (entry.command.empty()) return;
    digest = Mix64(digest ^ Hash64(entry.command)) + entry.index;
    values[LoadFixed<uint64_t>(entry.command.data())] = entry.index;
  }
};

// A write of `key`, told apart from all others by `number`.
inline std::string WriteCommand(uint64_t key, uint64_t number) {
  std::string command;
  PutFixed(command, key);
  PutFixed(command, number);
  return command;
}

}  // namespace vectron::sim
