#pragma once

// A test that is run again in a process of its own, which ends at a crash point (crash_point.h).
// Only for tests.
//
//   TEST(Thing, ChildOfTheCrashTest) {
//     const char* dir = CrashTestDir();
//     if (dir == nullptr) GTEST_SKIP() << "runs as the child of another test";
//     ... works in dir and passes crash points ...
//   }
//   TEST(Thing, IsWholeAfterACrash) {
//     ASSERT_EQ(RunToCrashPoint("Thing.ChildOfTheCrashTest", dir.path(), "thing.renamed"),
//               kCrashed);
//     ... looks at what is in dir ...
//   }

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/check.h"

namespace vectron {

inline constexpr int kCrashed = 137;

// The folder the child works in; null in any other process.
inline const char* CrashTestDir() { return std::getenv("VECTRON_CRASH_TEST_DIR"); }

// Runs one test of this program until it ends by itself or at the crash point; its exit status.
inline int RunToCrashPoint(const std::string& test, const std::string& dir,
                           const std::string& crash_point) {
  const std::string filter = "--gtest_filter=" + test;
  const pid_t child = ::fork();
  if (child == 0) {
    ::setenv("VECTRON_CRASH_TEST_DIR", dir.c_str(), 1);
    ::setenv("VECTRON_CRASH_POINT", crash_point.c_str(), 1);
    ::execl("/proc/self/exe", "child", filter.c_str(), "--gtest_brief=1",
            static_cast<char*>(nullptr));
    ::_exit(99);
  }
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace vectron
