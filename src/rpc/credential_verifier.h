#pragma once

// From a credential to who it belongs to. Two implementations: the Auth service itself where it
// runs in this process, and a client of it.

#include <cstdint>
#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "rpc/identity.h"

namespace vectron::rpc {

// A credential deleted or ended anywhere must be refused everywhere within 5 s. So a verdict lives
// for kMaxVerdictMs, counted from the moment since which the Auth service has heard nothing of its
// store; it gives none when that moment is kMaxAuthStalenessMs ago. Elsewhere it lives for
// kMaxRemoteVerdictMs at most: the usual time until a change is known there.
inline constexpr int64_t kMaxAuthStalenessMs = 4'000;
inline constexpr int64_t kMaxVerdictMs = 4'500;
inline constexpr int64_t kMaxRemoteVerdictMs = 2'500;

// Longest credential that is looked at; our tokens have some 500 bytes.
inline constexpr size_t kMaxCredentialBytes = 4'096;

struct Verdict {
  // Unauthenticated (not a good credential), Unavailable (cannot be known now).
  absl::StatusOr<IdentityPtr> identity;
  int64_t good_until_nanos = 0;  // monotonic; the verdict must not be used after it
  uint64_t generation = 0;       // nor when the verifier's generation has changed
};

// Thread-safe.
class CredentialVerifier {
 public:
  virtual ~CredentialVerifier() = default;
  // `done` is called once, on any thread, maybe before the call returns. `credential` is not kept.
  virtual void Verify(std::string_view credential, std::function<void(Verdict)> done) = 0;
  // Changes whenever some verdict may no longer hold, where that is known at once.
  virtual uint64_t generation() const { return 0; }
};

}  // namespace vectron::rpc
