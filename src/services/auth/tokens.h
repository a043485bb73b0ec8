#pragma once

// Tokens: JSON Web Tokens signed by HMAC-SHA-256 (RFC 7519, RFC 7515; followed for what RFC 8725
// warns of). Pure: no clock, no I/O.
//
// A verifier never lets a token choose how it is checked: the key is found by its id, the algorithm
// belongs to the key, and nothing else in the header is looked at. A token with `crit` is refused.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "services/auth/secrets.h"

namespace vectron::auth {

inline constexpr char kTokenIssuer[] = "vectron";
inline constexpr int64_t kLoginTokenSeconds = int64_t{24} * 3600;
// A session goes on by refreshing its token; past this its user logs in again.
inline constexpr int64_t kSessionSeconds = int64_t{30} * 24 * 3600;
inline constexpr int64_t kSdkTokenSeconds = int64_t{7} * 24 * 3600;
inline constexpr int64_t kTokenLeewaySeconds = 5;  // clocks differ
inline constexpr size_t kMaxTokenBytes = 4'096;    // ours have some 500

struct Claims {
  std::string user_id;    // `user_id` and `sub`
  std::string plan;       // name; empty: left out
  std::string api_key;    // prefix of the key an SDK token was made from; "" of a login
  std::string token_id;   // `jti`
  int64_t issued_at = 0;  // seconds since the Unix epoch, as the next; `nbf` is the same
  int64_t expires_at = 0;
  uint64_t session_epoch = 0;   // `ses`, of a login
  std::string session_id = {};  // `sid`, of a login: the same for all tokens of the session
  int64_t session_began = 0;    // `auth_time`, of a login
};

enum class Algorithm : uint8_t { kHs256 };
struct SigningKeyBytes {
  Algorithm algorithm = Algorithm::kHs256;
  std::string bytes;
  int64_t created_at = 0;
};

// The keys by id. Immutable once shared.
class KeyRing {
 public:
  void Add(std::string id, SigningKeyBytes key) { keys_[std::move(id)] = std::move(key); }
  bool empty() const { return keys_.empty(); }
  size_t size() const { return keys_.size(); }
  // The key to sign with: the newest one that every server has had time to hear of, else the
  // oldest. Its id. CHECKs that there is one.
  const std::string& IdToSignWith(int64_t now_unix_s) const;
  // Signs with that key; "header.payload.signature".
  std::string Sign(const Claims& claims, int64_t now_unix_s) const;
  // Unauthenticated with the reason: malformed, unknown key, wrong algorithm, bad signature, not
  // ours, expired, not yet valid.
  absl::StatusOr<Claims> Verify(std::string_view token, int64_t now_unix_s) const;

 private:
  absl::flat_hash_map<std::string, SigningKeyBytes> keys_;
};

}  // namespace vectron::auth
