#pragma once

// How busy this process and its machine are, measured from one call to the next.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "services/worker/report.h"

namespace vectron {

// Thread-compatible.
class MachineMeter {
 public:
  // data_dir: whose disk is looked at. Both outlive it.
  MachineMeter(FileSystem& files, const Clock& clock, std::string data_dir);
  worker::MachineLoad Measure();

  // What this process may take at most: the machine's memory, or its container's limit.
  static uint64_t TotalMemoryBytes();

 private:
  FileSystem& files_;
  const Clock& clock_;
  const std::string data_dir_;
  int64_t at_nanos_ = 0;
  int64_t cpu_nanos_ = 0;  // used by then
};

}  // namespace vectron
