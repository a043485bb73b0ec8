#pragma once

// `vectron auth`: the users of a cluster.

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "apps/vectron/metrics_port.h"
#include "apps/vectron/role.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

struct AuthRoleOptions {
  HostPort http;
  HostPort grpc;
  AccessOptions access;                // its data_dir is made when missing
  std::vector<std::string> placement;  // none: users with collections cannot be deleted
  rpc::TlsFiles tls;
  MetricsOptions metrics;
  rpc::WebRules web;
  size_t threads = 0;
};
// Returns when it serves: when its store has answered. Errors: as Access::Open's,
// FailedPrecondition (folder in use), Unavailable (address taken, no answer from the store).
absl::StatusOr<std::unique_ptr<Role>> StartAuth(const AuthRoleOptions& options);

// The subcommand.
class AuthCommand {
 public:
  // Adds it to `app`.
  explicit AuthCommand(CLI::App& app);
  ~AuthCommand();
  AuthCommand(const AuthCommand&) = delete;
  AuthCommand& operator=(const AuthCommand&) = delete;

  bool chosen() const;
  // Checks the flags and gives what starts the role. InvalidArgument, and errors of reading the
  // secret.
  absl::StatusOr<RoleStarter> Check() const;

 private:
  struct Flags;
  std::unique_ptr<Flags> flags_;
};

}  // namespace vectron
