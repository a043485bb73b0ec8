#include "index/available_memory.h"

#include <gtest/gtest.h>

#include "base/kernel_files_testing.h"

namespace vectron::index {
namespace {

constexpr uint64_t kNone = ~uint64_t{0};

class MemoryLimit : public KernelFilesTest {
 protected:
  uint64_t Read() { return MemoryLimitBytes(dir_.path()); }
};

TEST_F(MemoryLimit, IsTheLeastOfAGroupAndThoseItIsIn) {
  EXPECT_EQ(Read(), kNone) << "no groups";
  Write("/proc/self/cgroup", "0::/pod/container\n");
  EXPECT_EQ(Read(), kNone);
  Write("/sys/fs/cgroup/pod/container/memory.max", "max\n");
  Write("/sys/fs/cgroup/pod/memory.max", "8589934592\n");
  EXPECT_EQ(Read(), uint64_t{8} << 30);
  Write("/sys/fs/cgroup/pod/container/memory.max", "4294967296\n");
  EXPECT_EQ(Read(), uint64_t{4} << 30);
}

// A container sees its own group as the root.
TEST_F(MemoryLimit, IsSeenFromInsideAContainer) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "1073741824\n");
  EXPECT_EQ(Read(), uint64_t{1} << 30);
}

TEST_F(MemoryLimit, IsReadFromTheOldLayoutToo) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/a\n4:memory:/a\n");
  Write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "2147483648\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(Read(), uint64_t{2} << 30);
}

TEST(AvailableMemory, IsThere) { EXPECT_GT(AvailableMemoryBytes(), 0u); }

}  // namespace
}  // namespace vectron::index
