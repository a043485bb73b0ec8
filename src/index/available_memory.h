#pragma once

#include <cstdint>
#include <string>

namespace vectron::index {

// Bytes this process can still take before the machine or its container (cgroup v1 or v2) runs
// short: what is free plus what the kernel can drop. UINT64_MAX where neither can be read. About 30
// us. Thread-safe.
uint64_t AvailableMemoryBytes();

// The most that this process may ever take by the limits of its container, whatever the machine
// has; UINT64_MAX without any. Thread-safe. root: in front of the paths of the kernel's files; for
// tests.
uint64_t MemoryLimitBytes(const std::string& root = "");

}  // namespace vectron::index
