#include "apps/vectron/machine_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "absl/status/statusor.h"
#include "base/cores.h"
#include "index/available_memory.h"

namespace vectron {
namespace {

int64_t CpuNanos() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  const auto nanos = [](const timeval& time) {
    return int64_t{time.tv_sec} * 1'000'000'000 + int64_t{time.tv_usec} * 1'000;
  };
  return nanos(usage.ru_utime) + nanos(usage.ru_stime);
}

uint64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  uint64_t pages = 0;
  file >> pages >> pages;  // the second number
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

MachineMeter::MachineMeter(FileSystem& files, const Clock& clock, std::string data_dir)
    : files_(files),
      clock_(clock),
      data_dir_(std::move(data_dir)),
      at_nanos_(clock.MonotonicNanos()),
      cpu_nanos_(CpuNanos()) {}

uint64_t MachineMeter::TotalMemoryBytes() {
  const uint64_t machine = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                           static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(machine, index::MemoryLimitBytes());
}

worker::MachineLoad MachineMeter::Measure() {
  worker::MachineLoad load;
  const int64_t now = clock_.MonotonicNanos();
  const int64_t cpu = CpuNanos();
  if (now > at_nanos_) {
    const auto cores = static_cast<double>(UsableCores());
    load.cpu_percent = 100.0 * static_cast<double>(cpu - cpu_nanos_) /
                       static_cast<double>(now - at_nanos_) / cores;
  }
  at_nanos_ = now;
  cpu_nanos_ = cpu;
  load.memory_bytes = ResidentBytes();
  load.memory_total_bytes = TotalMemoryBytes();
  const absl::StatusOr<FileSystem::Space> space = files_.FreeSpace(data_dir_);
  if (space.ok()) {
    load.disk_free_bytes = space->free_bytes;
    load.disk_total_bytes = space->total_bytes;
  }
  return load;
}

}  // namespace vectron
