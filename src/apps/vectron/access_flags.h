#pragma once

// The flags about credentials, limits and TLS, the same for every command that has them.

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "apps/vectron/access.h"
#include "apps/vectron/host_port.h"
#include "rpc/tls.h"
#include "rpc/web_guard.h"

namespace CLI {
class App;
}  // namespace CLI

namespace vectron {

// How this part and the others of the cluster know each other.
struct ClusterFlags {
  std::string secret_file;
  rpc::TlsFiles tls;
};

// Adds --cluster-secret-file.
void AddClusterSecretFlag(CLI::App& command, ClusterFlags& flags);
// Adds --cluster-tls-cert, --cluster-tls-key, --cluster-tls-ca.
void AddClusterTlsFlags(CLI::App& command, ClusterFlags& flags);
// Reads the secret and tries the certificates. InvalidArgument: there is neither, or what is named
// does not do; errors of reading.
absl::StatusOr<rpc::ClusterCredentials> ToClusterCredentials(const ClusterFlags& flags);

// Tries the certificates of the ports of clients. InvalidArgument: a file that does not do.
absl::Status CheckTls(const rpc::TlsFiles& files);

// Adds --auth: whether callers show credentials, "on", or everyone is served, "off".
void AddAuthFlag(CLI::App& command, std::string& auth);
// For --auth off. FailedPrecondition: one of them is reached from other machines.
absl::Status CheckLoopbackOnly(const HostPort& http, const HostPort& grpc);

struct AccessFlags {
  rpc::RateLimits limits;
  std::vector<std::string> trusted_proxies;
  std::vector<std::string> allowed_origins;
  ClusterFlags cluster;
  rpc::TlsFiles tls;
};

// Adds --auth-*-per-minute, --rate-*-per-second, --trusted-proxy, --allow-origin,
// --cluster-secret-file.
void AddAccessFlags(CLI::App& command, AccessFlags& flags);
// Adds --tls-cert, --tls-key, --tls-client-ca.
void AddTlsFlags(CLI::App& command, rpc::TlsFiles& files);

// Without the credentials of the cluster. InvalidArgument.
absl::StatusOr<AccessOptions> ToAccessOptions(const AccessFlags& flags, std::string data_dir);

// InvalidArgument: an origin that is none.
absl::StatusOr<rpc::WebRules> ToWebRules(const AccessFlags& flags, bool checks_credentials);

}  // namespace vectron
