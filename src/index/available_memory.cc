#include "index/available_memory.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

namespace vectron::index {
namespace {

constexpr uint64_t kUnknown = std::numeric_limits<uint64_t>::max();

std::string ReadSmallFile(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The first number of `text`; nullopt for "max" and for no file.
std::optional<uint64_t> FirstNumber(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc{}) return std::nullopt;
  return value;
}

// The number after `key` at the start of a line.
std::optional<uint64_t> NumberAfter(std::string_view text, std::string_view key) {
  for (size_t at = 0; (at = text.find(key, at)) != std::string_view::npos; at += key.size()) {
    if (at == 0 || text[at - 1] == '\n') return FirstNumber(text.substr(at + key.size()));
  }
  return std::nullopt;
}

struct CgroupFiles {
  const char* root;
  const char* limit;
  const char* usage;
  const char* reclaimable;  // a key of memory.stat
};

constexpr CgroupFiles kV2{"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file "};
constexpr CgroupFiles kV1{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                          "total_inactive_file "};

uint64_t LimitOfCgroup(const CgroupFiles& names, const std::string& dir) {
  return FirstNumber(ReadSmallFile(dir + names.limit)).value_or(kUnknown);
}

uint64_t AvailableInCgroup(const CgroupFiles& names, const std::string& dir) {
  const auto limit = FirstNumber(ReadSmallFile(dir + names.limit));
  const auto usage = FirstNumber(ReadSmallFile(dir + names.usage));
  if (!limit || !usage) return kUnknown;
  const uint64_t cache =
      NumberAfter(ReadSmallFile(dir + "memory.stat"), names.reclaimable).value_or(0);
  const uint64_t used = *usage - std::min(*usage, cache);
  return *limit - std::min(*limit, used);
}

// The least that `read` says of the process's groups, from its own up to the root.
uint64_t LeastOfCgroups(const std::string& root,
                        uint64_t (*read)(const CgroupFiles& names, const std::string& dir)) {
  uint64_t least = kUnknown;
  std::istringstream lines(ReadSmallFile(root + "/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("memory") == std::string::npos) continue;
    const CgroupFiles& names = v2 ? kV2 : kV1;
    for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
      if (path == "/") path.clear();
      least = std::min(least, read(names, root + names.root + path + "/"));
      if (path.empty() || path.rfind('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace

uint64_t AvailableMemoryBytes() {
  const auto machine_kib = NumberAfter(ReadSmallFile("/proc/meminfo"), "MemAvailable:");
  return std::min(machine_kib ? *machine_kib * 1024 : kUnknown,
                  LeastOfCgroups("", AvailableInCgroup));
}

uint64_t MemoryLimitBytes(const std::string& root) { return LeastOfCgroups(root, LimitOfCgroup); }

}  // namespace vectron::index
