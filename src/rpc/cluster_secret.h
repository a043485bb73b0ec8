#pragma once

// The credential that the parts of a cluster show each other: one shared secret, sent with every
// internal call, or a certificate that the cluster's CA signed, or both.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "rpc/channel_pool.h"
#include "rpc/tls.h"

namespace vectron::rpc {

// Metadata key (and HTTP header) that carries it.
inline constexpr char kClusterSecretHeader[] = "x-vectron-cluster-secret";
inline constexpr size_t kMinClusterSecretBytes = 16;
inline constexpr size_t kMaxClusterSecretBytes = 512;

struct ClusterCredentials {
  std::string secret = {};  // "": none is shown, and none taken
  TlsFiles tls = {};        // certificate, key and CA, or none of them: then connections are plain
};

// How one part calls another. Each result watches the files: make it once and share it.
ChannelOptions ClusterChannel(const ClusterCredentials& credentials);

// Reads a secret from a file: its text without white space at both ends, 16 to 512 printable
// characters. InvalidArgument (what is wrong, never the text), NotFound and others of reading.
absl::StatusOr<std::string> ReadSecretFile(const std::string& path);

// Compares in a time that depends on the sizes only.
bool SecretsEqual(std::string_view a, std::string_view b);

}  // namespace vectron::rpc
