#pragma once

// The flags about credentials, limits and TLS, the same for every command that serves users.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "rpc/tls.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

struct AccessFlags {
  rpc::RateLimits limits;
  std::vector<std::string> trusted_proxies;
  std::string cluster_secret_file;
  rpc::TlsFiles tls;
};

// Adds --auth-*-per-minute, --rate-*-per-second, --trusted-proxy, --cluster-secret-file.
void AddAccessFlags(CLI::App& command, AccessFlags& flags);
// Adds --tls-cert, --tls-key, --tls-client-ca.
void AddTlsFlags(CLI::App& command, rpc::TlsFiles& files);

// Reads the cluster's secret, too. InvalidArgument and errors of reading it.
absl::StatusOr<AccessOptions> ToAccessOptions(const AccessFlags& flags, std::string data_dir);

}  // namespace vectron
