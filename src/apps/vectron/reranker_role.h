#pragma once

// `vectron reranker`: orders results for the gateways of a cluster, and learns.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/role.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

struct RerankerRoleOptions {
  std::string data_dir;
  HostPort grpc;
  std::string advertise;               // as gateways reach it; "": as bound
  std::string config_path;             // TOML; "": the defaults
  std::vector<std::string> placement;  // that it makes itself known to
  rpc::ClusterCredentials cluster;
  MetricsOptions metrics;
};
// Returns when it serves. Errors: InvalidArgument (configuration), FailedPrecondition (folder in
// use), Unavailable (address taken).
absl::StatusOr<std::unique_ptr<Role>> StartReranker(const RerankerRoleOptions& options);

// The subcommand.
class RerankerCommand {
 public:
  // Adds it to `app`.
  explicit RerankerCommand(CLI::App& app);
  ~RerankerCommand();
  RerankerCommand(const RerankerCommand&) = delete;
  RerankerCommand& operator=(const RerankerCommand&) = delete;

  bool chosen() const;
  // Checks the flags and gives what starts the role. InvalidArgument, and errors of reading the
  // secret.
  absl::StatusOr<RoleStarter> Check() const;

 private:
  struct Flags;
  std::unique_ptr<Flags> flags_;
};

}  // namespace vectron
