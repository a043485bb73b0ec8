#pragma once

// The subcommands of `vectron` that run one role of a cluster: worker, placement, gateway.

#include <memory>

#include "absl/status/statusor.h"
#include "apps/vectron/role.h"

namespace CLI {
class App;
}

namespace vectron {

// What the command line asked for.
class ClusterCommands {
 public:
  // Adds the subcommands to `app`.
  explicit ClusterCommands(CLI::App& app);
  ~ClusterCommands();
  ClusterCommands(const ClusterCommands&) = delete;
  ClusterCommands& operator=(const ClusterCommands&) = delete;

  // Whether one of them was named.
  bool chosen() const;
  // Checks the flags and gives what starts the role. InvalidArgument, FailedPrecondition, and
  // errors of reading the secret.
  absl::StatusOr<RoleStarter> Check(uint64_t max_open_files) const;

 private:
  struct Flags;
  std::unique_ptr<Flags> flags_;
};

}  // namespace vectron
