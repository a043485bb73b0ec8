#pragma once

// Who makes a call, and what that caller may do.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vectron::rpc {

enum class Role : uint8_t { kUser, kAdmin };
enum class Plan : uint8_t { kFree, kPaid };
// How the caller has shown who it is.
enum class CredentialKind : uint8_t { kLogin, kSdk, kApiKey };
// What a credential may be used for; each includes those before it.
enum class Access : uint8_t { kRead, kWrite, kAdmin };

// A caller whose credential has been checked. Immutable; shared by the calls that use the same
// credential.
struct Identity {
  std::string user_id;
  Role role = Role::kUser;
  Plan plan = Plan::kFree;
  CredentialKind kind = CredentialKind::kLogin;
  Access access = Access::kWrite;
  // Collections the credential is for, as names or patterns with '*' for any bytes; empty: all of
  // the user's.
  std::vector<std::string> collections;
  std::string key_prefix;  // of an API key and of SDK tokens made from it
  std::string token_id;    // of tokens: the claim `jti`
  // Of login tokens, where they are checked: `sid` and `auth_time`.
  std::string session_id;
  int64_t session_began_unix_s = 0;
  int64_t issued_unix_s = 0;   // of tokens
  int64_t expires_unix_s = 0;  // 0: never
};
using IdentityPtr = std::shared_ptr<const Identity>;

// An administrator who has not restricted the credential at hand.
inline bool ActsAsAdmin(const Identity* identity) {
  return identity != nullptr && identity->role == Role::kAdmin &&
         identity->access == Access::kAdmin && identity->collections.empty();
}
// Whether the credential is for this collection. Null (credentials are off): yes.
bool MayUseCollection(const Identity* identity, std::string_view collection);
// "a*c" matches "abc" and "ac"; without a star the texts must be equal. Linear in both for each
// star.
bool MatchesPattern(std::string_view pattern, std::string_view text);

}  // namespace vectron::rpc
