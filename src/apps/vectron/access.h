#pragma once

// Who may use this server, put together: credentials, policy, limits and the audit log of one
// process.
//
// Users are kept in this process (in the data folder or in etcd), or by an Auth service elsewhere
// that is asked about each credential and answers the routes of AuthService.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/admission.h"
#include "rpc/audit_log.h"
#include "rpc/channel_pool.h"
#include "rpc/client_address.h"
#include "rpc/cluster_secret.h"
#include "rpc/placement_api.h"
#include "rpc/rate_limit.h"
#include "rpc/remote_verifier.h"
#include "rpc/rpc_registry.h"
#include "rpc/verdict_cache.h"
#include "services/auth/auth.h"
#include "storage/rocks_kv.h"

namespace vectron {

struct AccessOptions {
  // Holds audit/ and, where the Auth service is in this process, auth/, auth.secret and
  // bootstrap.secret. "" (only with auth_address): no audit log is kept.
  std::string data_dir;
  std::string secret_file;          // of the Auth service; "": data_dir/auth.secret
  std::vector<std::string> etcd;    // endpoints of the users' store; none: data_dir/auth
  rpc::TlsFiles etcd_tls;           // none: plain
  std::string auth_address;         // HOST:PORT of the Auth service; "": it is in this process
  rpc::ClusterCredentials cluster;  // shown to the Auth service, and taken for internal RPCs
  // Certificates that callers show are of the cluster's CA: they do for internal RPCs.
  bool trust_certificates = false;
  std::vector<std::string> trusted_proxies;  // addresses and networks
  rpc::RateLimits limits;
};

// What is borrowed; all outlive it.
struct AccessDeps {
  FileSystem* files = nullptr;
  storage::RocksResources* resources = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  rpc::PlacementApi* placement = nullptr;  // null: this process knows no collections
};

// Thread-safe once installed.
class Access {
 public:
  // Opens the store and the audit log. On the first start of an empty system it prints the
  // bootstrap secret on standard error. Errors: InvalidArgument (proxies), those of the store and
  // of files.
  static absl::StatusOr<std::unique_ptr<Access>> Open(AccessOptions options,
                                                      const AccessDeps& deps);
  ~Access();

  // Adds AuthService, the middlewares in their order (policy, rates, admission, tenants) and the
  // observers. The registry has VectronService or not. Before the servers start.
  absl::Status Install(rpc::RpcRegistry& registry);

  // Collections can be deleted from now on; until then deletions of users wait.
  void PlacementReady() { placement_ready_ = true; }
  // Unavailable, with the reason, while nobody can be let in. Always OK where the Auth service is
  // elsewhere: that is known call by call, and CheckService asks it.
  absl::Status Health() const;
  // Asks the Auth service, here or elsewhere, whether it can tell whose a credential is.
  void CheckService(std::function<void(absl::Status)> done);
  // Where it is: an address, or "in-process".
  std::string service_address() const;
  const rpc::RateLimiter& limiter() const { return limiter_; }
  void SetLimits(const rpc::RateLimits& limits);
  // Before what it borrows stops: nothing here calls placement any more. The servers have stopped.
  void Stop();

 private:
  Access(AccessOptions options, const AccessDeps& deps);
  absl::Status OpenAuth();
  void RemoveCollections(const std::string& owner, const std::function<void(absl::Status)>& done);

  const AccessOptions options_;
  const AccessDeps deps_;
  std::atomic<bool> placement_ready_{false};
  rpc::TrustedProxies proxies_;
  rpc::RateLimiter limiter_;
  rpc::Admission admission_;
  std::unique_ptr<rpc::AuditLog> audit_;  // may be null
  // Here, or elsewhere.
  std::unique_ptr<auth::MetaStore> store_;
  std::unique_ptr<auth::Auth> auth_;
  std::unique_ptr<rpc::ChannelPool> channels_;
  std::unique_ptr<rpc::RemoteVerifier> remote_;
  std::unique_ptr<rpc::VerdictCache> verdicts_;
};

}  // namespace vectron
