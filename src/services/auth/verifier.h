#pragma once

// Checks credentials against the directory: memory only, a few microseconds.

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "rpc/credential_verifier.h"
#include "services/auth/directory.h"

namespace vectron::auth {

inline constexpr char kApiKeyStart[] = "vkey-";
inline constexpr size_t kApiKeyBytes = 32;        // random ones
inline constexpr size_t kApiKeyPrefixBytes = 13;  // of the text: the key's id

// What is stored of a key instead of the key. `secret` is the server's.
Sha256 ApiKeyHash(std::string_view secret, std::string_view full_key);
// A new one: "vkey-" and 43 characters.
std::string NewApiKey();

// Thread-safe.
class LocalVerifier : public rpc::CredentialVerifier {
 public:
  // Both outlive it. `secret`: the server's.
  LocalVerifier(const Directory& directory, std::string secret, const Clock& clock)
      : directory_(directory), secret_(std::move(secret)), clock_(clock) {}

  // Answers before it returns.
  void Verify(std::string_view credential, std::function<void(rpc::Verdict)> done) override;
  uint64_t generation() const override { return directory_.generation(); }

  rpc::Verdict VerifyNow(std::string_view credential) const;
  // Unavailable when what is known is too old to judge by.
  absl::Status CheckFresh() const;

 private:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
  // Whose a credential is, and when it ends.
  struct Finding {
    rpc::Identity identity;
    int64_t end_unix_ms = kNever;
  };

  absl::StatusOr<Finding> FromToken(std::string_view token) const;
  absl::StatusOr<Finding> FromApiKey(std::string_view full_key) const;
  // Fills in what the user's record says. Unauthenticated when there is no such user any more.
  absl::Status SetUser(std::string_view user_id, rpc::Identity& identity) const;
  // The same for a key; the rights are the key's, and so is the end.
  absl::Status SetKey(const ApiKeyPtr& key, Finding& finding) const;

  const Directory& directory_;
  const std::string secret_;
  const Clock& clock_;
};

}  // namespace vectron::auth
