#pragma once

// What may change while the program runs. On SIGHUP a program that has a configuration file reads
// its options again; those of the table in reload.cc take effect at once, all others at the next
// start.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "rpc/rate_limit.h"
#include "services/gateway/alert_rules.h"

namespace CLI {
class App;
}

namespace vectron {

struct LiveSettings {
  LogLevel log_level = LogLevel::kInfo;
  rpc::RateLimits limits;
  double slow_query_ms = 500;
  gateway::AlertThresholds thresholds;
};

// Adds --log-level.
void AddLogLevelFlag(CLI::App& role);

// Whether an option of this name ("rate-free-per-second") may change while the program runs.
bool IsLive(std::string_view option);

// The settings of a role whose arguments have been parsed; of options that it does not have, the
// defaults.
LiveSettings LiveSettingsOf(const CLI::App& role);

// Names of options that have another value in `after`, a later reading of the same role.
struct ChangedOptions {
  std::vector<std::string> live;
  std::vector<std::string> at_restart;
};
ChangedOptions CompareOptions(const CLI::App& before, const CLI::App& after);

// Checksums of the files that the role's options name and that are read at the start alone, by
// option. (Certificates and their keys are read again by themselves.) A file that cannot be read is
// left out.
std::map<std::string, uint32_t> FilesReadAtStart(const CLI::App& role, FileSystem& files);
// Options whose file is another one in `after`.
std::vector<std::string> CompareFiles(const std::map<std::string, uint32_t>& before,
                                      const std::map<std::string, uint32_t>& after);

}  // namespace vectron
