#pragma once

// Random bytes, keyed hashes and their text forms.

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::auth {

// From the operating system's generator by way of OpenSSL; never predictable, so not from
// base/random.h.
std::string RandomBytes(size_t size);
// "user-" and the like: a random UUID, version 4 (RFC 9562).
std::string RandomUuid();

using Sha256 = std::array<uint8_t, 32>;
// RFC 2104 with SHA-256.
Sha256 HmacSha256(std::string_view key, std::string_view message);
inline std::string_view AsText(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// base64url without padding (RFC 4648, section 5).
std::string Base64UrlEncode(std::string_view bytes);
// Strict: nullopt for other characters, padding, an impossible length or bits that are not zero
// behind the last byte, so that each byte string has one text only.
std::optional<std::string> Base64UrlDecode(std::string_view text);

// Whether `user` can rely on nobody else reading a file of this mode and owner: it is closed to all
// but its owner, or it is root's and open to a group alone, as secrets are mounted into containers.
bool IsKept(mode_t mode, uid_t owner, uid_t user);
// The text of a file that is kept so, made with 32 random bytes in base64url when there is none.
// FailedPrecondition when others may read it; DataLoss when it holds something else.
absl::StatusOr<std::string> LoadOrMakeSecretFile(const std::string& path);
// Writes such a file, mode 0600 from its first byte on; a crash leaves the old one or the new one.
absl::Status WriteSecretFile(const std::string& path, std::string_view text);

}  // namespace vectron::auth
