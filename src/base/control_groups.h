#pragma once

// The kernel's control groups (cgroup v1 and v2) that this process is in: they tell what its
// container may take. Thread-safe. root: in front of the paths of the kernel's files; for tests.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vectron {

// The text of one of the kernel's files; empty where there is none.
std::string ReadKernelFile(const std::string& path);

// The number that `text` begins with, after blanks; nullopt for "max", "-1" and no text.
std::optional<uint64_t> FirstNumber(std::string_view text);

struct ControlGroup {
  std::string dir;  // with a slash at its end
  bool v2 = true;   // which tells how its files are named
};
// Those that limit what `controller` ("cpu", "memory") counts, from the process's own up to the
// outermost that it can see. A limit of any of them holds.
std::vector<ControlGroup> ControlGroups(std::string_view controller, const std::string& root = "");

}  // namespace vectron
