#pragma once

// `vectron recover`: the last resort for shards whose majority is lost for good (shard/recovery.h).
// Runs where a worker would, while that is stopped; tells what is on its disk, and with --yes makes
// the replica of one group its only voter.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file.h"

namespace vectron {

struct RecoverOptions {
  std::string data_dir;  // of the worker
  uint64_t group = 0;    // 0: all are told of
  bool apply = false;    // wants a group
};

// The workers that are not lost, as placement says: known to it and not dead.
using LivingWorkers = std::function<absl::StatusOr<std::set<uint64_t>>()>;

// What was found and done, a line for each group. Errors: FailedPrecondition (no worker's folder,
// or in use; a majority of the group's voters lives; the replica cannot go on alone), NotFound (no
// such group here), and those of `living`.
absl::StatusOr<std::string> Recover(const RecoverOptions& options, FileSystem& files,
                                    const LivingWorkers& living);

// The command; args without its name. Returns the exit code.
int RunRecover(const std::vector<std::string>& args);

}  // namespace vectron
