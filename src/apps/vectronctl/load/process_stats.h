#pragma once

// What the kernel says of another process.

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace vectron::load {

// CPU time of all threads of a process, those that ended included. NotFound.
absl::StatusOr<double> CpuSeconds(pid_t pid);

struct Memory {
  uint64_t pss_bytes = 0;        // proportional share of what is mapped and resident
  uint64_t anonymous_bytes = 0;  // of it, what no file backs
  uint64_t rss_bytes = 0;
};
// From /proc/PID/smaps_rollup. NotFound.
absl::StatusOr<Memory> MemoryOf(pid_t pid);

// The model of the processor, "unknown" when /proc/cpuinfo does not say.
std::string CpuModel();
// Load averages of 1, 5 and 15 minutes, as /proc/loadavg has them.
std::string LoadAverage();

}  // namespace vectron::load
