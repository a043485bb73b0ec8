#include "index/available_memory.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/control_groups.h"

namespace vectron::index {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

// The number after `key` at the start of a line.
std::optional<uint64_t> NumberAfter(std::string_view text, std::string_view key) {
  for (size_t at = 0; (at = text.find(key, at)) != std::string_view::npos; at += key.size()) {
    if (at == 0 || text[at - 1] == '\n') return FirstNumber(text.substr(at + key.size()));
  }
  return std::nullopt;
}

// How a group's files are named.
struct CgroupFiles {
  const char* limit;
  const char* usage;
  const char* reclaimable;  // a key of memory.stat
};

constexpr CgroupFiles kV2{"memory.max", "memory.current", "inactive_file "};
constexpr CgroupFiles kV1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "};

uint64_t LimitOfCgroup(const CgroupFiles& names, const std::string& dir) {
  return FirstNumber(ReadKernelFile(dir + names.limit)).value_or(kUnknown);
}

uint64_t AvailableInCgroup(const CgroupFiles& names, const std::string& dir) {
  const auto limit = FirstNumber(ReadKernelFile(dir + names.limit));
  const auto usage = FirstNumber(ReadKernelFile(dir + names.usage));
  if (!limit || !usage) return kUnknown;
  const uint64_t cache =
      NumberAfter(ReadKernelFile(dir + "memory.stat"), names.reclaimable).value_or(0);
  const uint64_t used = *usage - std::min(*usage, cache);
  return *limit - std::min(*limit, used);
}

// The least that `read` says of the process's groups.
uint64_t LeastOfCgroups(const std::string& root,
                        uint64_t (*read)(const CgroupFiles& names, const std::string& dir)) {
  uint64_t least = kUnknown;
  for (const ControlGroup& group : ControlGroups("memory", root)) {
    least = std::min(least, read(group.v2 ? kV2 : kV1, group.dir));
  }
  return least;
}

}  // namespace

uint64_t AvailableMemoryBytes() {
  const auto machine_kib = NumberAfter(ReadKernelFile("/proc/meminfo"), "MemAvailable:");
  return std::min(machine_kib ? *machine_kib * 1024 : kUnknown,
                  LeastOfCgroups("", AvailableInCgroup));
}

uint64_t MemoryLimitBytes(const std::string& root) { return LeastOfCgroups(root, LimitOfCgroup); }

}  // namespace vectron::index
