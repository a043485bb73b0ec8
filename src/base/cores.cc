#include "base/cores.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

#include "base/control_groups.h"

namespace vectron {
namespace {

constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();
constexpr size_t kMaxMaskBytes = size_t{1} << 17;  // a million processors

size_t ProcessorsOfThread() {
  // The kernel refuses a mask that is too small for the machine.
  for (size_t bytes = sizeof(cpu_set_t); bytes <= kMaxMaskBytes; bytes *= 2) {
    std::vector<uint64_t> mask(bytes / sizeof(uint64_t));
    if (::sched_getaffinity(0, bytes, reinterpret_cast<cpu_set_t*>(mask.data())) != 0) continue;
    size_t count = 0;
    for (const uint64_t word : mask) count += static_cast<size_t>(std::popcount(word));
    return count;
  }
  return std::thread::hardware_concurrency();
}

// Time per period, both in microseconds: "150000 100000" or "max 100000"; in files of their own
// before v2.
size_t QuotaOf(const ControlGroup& group) {
  const std::string both = group.v2 ? ReadKernelFile(group.dir + "cpu.max") : "";
  const auto quota = FirstNumber(group.v2 ? both : ReadKernelFile(group.dir + "cpu.cfs_quota_us"));
  const size_t space = std::min(both.find(' '), both.size());
  const auto period =
      FirstNumber(group.v2 ? both.substr(space) : ReadKernelFile(group.dir + "cpu.cfs_period_us"));
  if (!quota || !period || *period == 0) return kNoLimit;
  return std::max<size_t>(1, *quota / *period + (*quota % *period == 0 ? 0 : 1));
}

}  // namespace

size_t CpuQuotaCores(const std::string& root) {
  size_t least = kNoLimit;
  for (const ControlGroup& group : ControlGroups("cpu", root)) {
    least = std::min(least, QuotaOf(group));
  }
  return least;
}

size_t UsableCores(const std::string& root) {
  return std::max<size_t>(1, std::min(ProcessorsOfThread(), CpuQuotaCores(root)));
}

}  // namespace vectron
