#include "base/cores.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdint>
#include <thread>

#include "base/kernel_files_testing.h"

namespace vectron {
namespace {

class CpuQuota : public KernelFilesTest {
 protected:
  size_t Read() { return CpuQuotaCores(dir_.path()); }
};

TEST_F(CpuQuota, IsRoundedUp) {
  Write("/proc/self/cgroup", "0::/pod\n");
  Write("/sys/fs/cgroup/pod/cpu.max", "150000 100000\n");
  EXPECT_EQ(Read(), 2u);
  Write("/sys/fs/cgroup/pod/cpu.max", "200000 100000\n");
  EXPECT_EQ(Read(), 2u);
  Write("/sys/fs/cgroup/pod/cpu.max", "20000 100000\n");
  EXPECT_EQ(Read(), 1u);
}

TEST_F(CpuQuota, IsNoneWhereNoGroupHasOne) {
  EXPECT_EQ(Read(), SIZE_MAX) << "no groups";
  Write("/proc/self/cgroup", "0::/pod\n");
  EXPECT_EQ(Read(), SIZE_MAX) << "no files";
  Write("/sys/fs/cgroup/pod/cpu.max", "max 100000\n");
  EXPECT_EQ(Read(), SIZE_MAX);
  for (const char* text : {"", "200000", "200000 0\n", "much 100000\n"}) {
    Write("/sys/fs/cgroup/pod/cpu.max", text);
    EXPECT_EQ(Read(), SIZE_MAX) << text;
  }
}

TEST_F(CpuQuota, IsTheLeastOfAGroupAndThoseItIsIn) {
  Write("/proc/self/cgroup", "0::/pod/container\n");
  Write("/sys/fs/cgroup/pod/container/cpu.max", "800000 100000\n");
  Write("/sys/fs/cgroup/pod/cpu.max", "300000 100000\n");
  EXPECT_EQ(Read(), 3u);
  Write("/sys/fs/cgroup/pod/container/cpu.max", "max 100000\n");
  EXPECT_EQ(Read(), 3u);
  Write("/sys/fs/cgroup/cpu.max", "100000 50000\n");  // of the outermost that is seen
  EXPECT_EQ(Read(), 2u);
}

TEST_F(CpuQuota, IsReadFromTheOldLayoutToo) {
  Write("/proc/self/cgroup", "7:cpuset:/b\n5:cpu,cpuacct:/a\n4:memory:/a\n");
  Write("/sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "100000\n");  // of another controller's group
  Write("/sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  Write("/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Read(), SIZE_MAX);
  Write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "250000\n");
  Write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(Read(), 3u);
}

TEST_F(CpuQuota, BoundsTheUsableCores) {
  EXPECT_GE(UsableCores(dir_.path()), 1u);
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(UsableCores(dir_.path()), 1u);
}

TEST(UsableCores, AreThoseThatTheThreadMayRunOn) {
  size_t pinned = 0;
  std::thread([&pinned] {
    cpu_set_t allowed;
    CHECK_EQ(::sched_getaffinity(0, sizeof allowed, &allowed), 0);
    size_t first = 0;
    while (!CPU_ISSET(first, &allowed)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    CHECK_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    pinned = UsableCores();
  }).join();
  EXPECT_EQ(pinned, 1u);
}

}  // namespace
}  // namespace vectron
