#pragma once

// Named places after an irreversible step at which a test may end the process, as a kill -9 would.
//
//   CrashPoint("checkpoint.renamed");
//
// Does nothing unless the environment says VECTRON_CRASH_POINT=name[:n]: then the nth (default
// first) passage through that name ends the process at once with exit code 137, without destructors
// or flushes. Costs one relaxed load.

#include <string_view>

namespace vectron {

void CrashPoint(std::string_view name);

}  // namespace vectron
