#pragma once

// Passwords and addresses of users: what is accepted, and slow hashes of passwords.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace vectron::auth {

inline constexpr size_t kMaxEmailBytes = 254;  // RFC 5321, 4.5.3.1.3
inline constexpr size_t kMinPasswordBytes = 8;
inline constexpr size_t kMaxPasswordBytes = 128;

// The address in lower case. InvalidArgument: empty, too long, no address (local part of RFC 5321's
// dot-atom form, a domain of at least two labels).
absl::StatusOr<std::string> NormalizeEmail(std::string_view email);

// InvalidArgument unless it has 8 to 128 bytes with three of: upper case, lower case, digit, other.
absl::Status CheckPassword(std::string_view password);

// What one hash costs.
struct HashCost {
  uint32_t memory_kib = 19 * 1024;  // with 2 passes and 1 lane what OWASP asks for, some 20 ms
  uint32_t passes = 2;
};

// argon2id (RFC 9106) with a random salt, in its own text form. Blocks for as long as that takes.
std::string HashPassword(std::string_view password, const HashCost& cost);
// Whether the password has this hash; takes as long as making it did. DataLoss: the hash is
// damaged.
absl::StatusOr<bool> PasswordMatches(std::string_view password, const std::string& hash);

}  // namespace vectron::auth
