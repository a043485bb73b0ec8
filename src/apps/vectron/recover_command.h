#pragma once

// `vectron recover`: the last resort for shards, or for placement, whose majority is lost for good
// (shard/recovery.h, placement/recovery.h). Runs where a worker or a placement node would, while
// that is stopped; tells what is on its disk, and with --yes makes the replica of one group, or the
// placement node, its group's only voter.

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file.h"

namespace vectron {

struct RecoverOptions {
  std::string data_dir;  // of the worker or placement node
  uint64_t group = 0;    // of a worker; 0: all are told of
  bool apply = false;    // of a worker: wants a group
};

// The workers that are not lost, as placement says: known to it and not dead.
using LivingWorkers = std::function<absl::StatusOr<std::set<uint64_t>>()>;

// What was found and done, a line for each group. `living` is asked for a worker alone, and may be
// null for a placement node. Errors: FailedPrecondition (another folder, or in use; a majority of
// the group's voters lives; the replica cannot go on alone), NotFound (no such group here),
// InvalidArgument (options that do not go with the folder), and those of `living`.
absl::StatusOr<std::string> Recover(const RecoverOptions& options, FileSystem& files,
                                    const LivingWorkers& living);

// The command; args without its name. Returns the exit code.
int RunRecover(const std::vector<std::string>& args);

}  // namespace vectron
