#pragma once

#include <cstdint>

namespace vectron::index {

// Bytes this process can still take before the machine or its container (cgroup v1 or v2) runs
// short: what is free plus what the kernel can drop. UINT64_MAX where neither can be read. About 30
// us. Thread-safe.
uint64_t AvailableMemoryBytes();

}  // namespace vectron::index
