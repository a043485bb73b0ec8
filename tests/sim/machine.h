#pragma once

// What a simulated group replicates. Its volatile state is ahead of what is on the simulated disk;
// a crash falls back to the latter, and the log must bring the rest again.

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "shard/replicator.h"

namespace vectron::sim {

// What a client asks for.
struct Operation {
  uint64_t key = 0;
  uint64_t number = 0;  // tells it apart from all others
  bool is_delete = false;
  std::string request_id = {};  // "" for none; the same operation may be asked for twice with one
};

class Machine {
 public:
  virtual ~Machine() = default;

  // --- the process ---
  // Begins from what is on disk.
  virtual absl::Status Open() = 0;
  // The log no longer has what follows applied(): begins from less than it might.
  virtual absl::Status OpenWithoutCheckpoint() { return Open(); }
  // The log is there.
  virtual void Attached(shard::Replicator& /*replicator*/) {}
  // The process is gone, and with it what was not durable.
  virtual void Crash() = 0;

  // In log order; at most up to the next multiple of digest_period().
  virtual absl::Status Apply(std::span<const shard::Entry> entries) = 0;
  virtual uint64_t applied() const = 0;
  virtual uint64_t stored() const { return applied(); }  // Applier::stored_index
  // Equal at equal applied indexes. Checks what must hold inside.
  virtual absl::StatusOr<uint64_t> Digest() const = 0;
  virtual uint64_t digest_period() const { return 1; }

  // --- the disk ---
  virtual absl::Status Flush() = 0;
  struct Marks {  // of the log, see Replicator::SetLogMarks
    uint64_t needed = 0;
    uint64_t wished = 0;
  };
  virtual Marks marks() const = 0;
  struct Copy {
    uint64_t index = 0;
    std::string bytes;
  };
  virtual absl::StatusOr<Copy> MakeCopy() = 0;
  // Durable when it returns.
  virtual absl::Status Install(const Copy& copy) = 0;
  virtual void Wipe() = 0;  // the disk; not while open

  // --- clients ---
  virtual bool knows_requests() const { return false; }  // and deletes
  virtual std::string Encode(const Operation& operation) const = 0;
  // Log index of the write that made what is there; nullopt: nothing is.
  virtual absl::StatusOr<std::optional<uint64_t>> Read(uint64_t key) const = 0;
};

}  // namespace vectron::sim
