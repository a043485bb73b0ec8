#pragma once

// Asks the Auth service of the cluster whose a credential is.

#include <functional>
#include <string_view>

#include "base/clock.h"
#include "rpc/channel_pool.h"
#include "rpc/credential_verifier.h"

namespace vectron::rpc {

// A verdict lives from the moment it was asked for, kMaxRemoteVerdictMs at most, so that what
// happens elsewhere is known here in time whatever becomes of the connection. Thread-safe.
class RemoteVerifier : public CredentialVerifier {
 public:
  // Both outlive it. The channels' metadata holds the cluster's credential.
  RemoteVerifier(ChannelPool& channels, const Clock& clock) : channels_(channels), clock_(clock) {}
  void Verify(std::string_view credential, std::function<void(Verdict)> done) override;

 private:
  ChannelPool& channels_;
  const Clock& clock_;
};

}  // namespace vectron::rpc
