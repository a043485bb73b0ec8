#pragma once

// Options of a role from three places: the command line wins over the environment, the environment
// over a file.
//
// The file is TOML, one for each role, with the long names of the role's options as keys:
//
//   http = "0.0.0.0:8080"
//   heartbeat-ms = 5000
//
// It is named by `--config FILE` or by VECTRON_CONFIG. In the environment an option is VECTRON_ and
// its name in capitals:
// `--cluster-secret-file` is VECTRON_CLUSTER_SECRET_FILE. All is read when the program starts, and
// again on SIGHUP (reload.h).

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace vectron {

// Gives every subcommand of `app` the option --config, and lets the last of several values of an
// option count. After all options have been added, before WithConfiguration.
void AddConfiguration(CLI::App& app);

// The arguments (without the program's name) with what the file and the environment say put before
// what the command line says. InvalidArgument: an unknown key (with the nearest known one), a value
// that is neither text, number nor bool, malformed TOML; the message begins with file and line.
// NotFound: no such file.
absl::StatusOr<std::vector<std::string>> WithConfiguration(const CLI::App& app,
                                                           const std::vector<std::string>& args);

// Variables of the environment that seem to be misspelt options, each in a sentence that names the
// option. Whatever is farther from every option of every role is somebody else's, and passed over.
std::vector<std::string> MisspeltEnvironment(const CLI::App& app);

// The file that `args` or the environment name; "" for none.
std::string ConfigurationFile(const std::vector<std::string>& args);

// After parsing: what each option of a role is in the end, in the order in which they were added.
struct EffectiveOption {
  std::string name;
  std::vector<std::string> values;  // none: it is unset
};
std::vector<EffectiveOption> EffectiveOptions(const CLI::App& role);

// After parsing: the effective options of a role as TOML, those that are unset as comments. Values
// of options whose name ends in secret, password or key are masked.
std::string PrintConfiguration(const CLI::App& role);

// docs/configuration.md: every option of every role.
std::string ConfigurationReference(const CLI::App& app);

}  // namespace vectron
