#include "apps/vectronctl/load/process_stats.h"

#include <ctime>
#include <fstream>
#include <sstream>

#include "base/status.h"

namespace vectron::load {

absl::StatusOr<double> CpuSeconds(pid_t pid) {
  clockid_t clock = 0;
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) {
    return NotFound("process {} is gone", pid);
  }
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

absl::StatusOr<Memory> MemoryOf(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
  if (!file) return NotFound("process {} is gone, or its memory cannot be read", pid);
  Memory memory;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    uint64_t kilobytes = 0;
    words >> name >> kilobytes;
    if (name == "Pss:") memory.pss_bytes = kilobytes << 10;
    if (name == "Pss_Anon:") memory.anonymous_bytes = kilobytes << 10;
    if (name == "Rss:") memory.rss_bytes = kilobytes << 10;
  }
  return memory;
}

std::string CpuModel() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string LoadAverage() {
  std::ifstream file("/proc/loadavg");
  std::string one;
  std::string five;
  std::string fifteen;
  file >> one >> five >> fifteen;
  return one + " " + five + " " + fifteen;
}

}  // namespace vectron::load
