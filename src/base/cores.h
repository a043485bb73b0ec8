#pragma once

#include <cstddef>
#include <string>

namespace vectron {

// How many processors this process can keep busy: those that the calling thread may run on, and no
// more than its container's share of time (cgroup v1 or v2) is worth, rounded up. At least 1. About
// 50 us. Thread-safe. root: in front of the paths of the kernel's files; for tests.
size_t UsableCores(const std::string& root = "");

// What that share is worth, rounded up; SIZE_MAX where there is no limit.
size_t CpuQuotaCores(const std::string& root = "");

}  // namespace vectron
