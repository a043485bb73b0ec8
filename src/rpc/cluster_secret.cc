#include "rpc/cluster_secret.h"

#include <openssl/crypto.h>

#include <algorithm>

#include "base/file.h"
#include "base/status.h"
#include "rpc/tls_grpc.h"

namespace vectron::rpc {

ChannelOptions ClusterChannel(const ClusterCredentials& credentials) {
  ChannelOptions options;
  if (!credentials.secret.empty()) {
    options.metadata = {{kClusterSecretHeader, credentials.secret}};
  }
  if (credentials.tls.enabled()) options.credentials = GrpcChannelCredentials(credentials.tls);
  return options;
}

absl::StatusOr<std::string> ReadSecretFile(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, NewPosixFileSystem()->ReadAll(path));
  constexpr char kSpace[] = " \t\r\n";
  text.erase(text.find_last_not_of(kSpace) + 1);
  text.erase(0, std::min(text.find_first_not_of(kSpace), text.size()));
  if (text.size() < kMinClusterSecretBytes || text.size() > kMaxClusterSecretBytes) {
    return InvalidArgument("the secret in {} has {} characters, wanted {} to {}", path, text.size(),
                           kMinClusterSecretBytes, kMaxClusterSecretBytes);
  }
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; })) {
    return InvalidArgument("the secret in {} has characters that are not printable ASCII", path);
  }
  return text;
}

bool SecretsEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace vectron::rpc
