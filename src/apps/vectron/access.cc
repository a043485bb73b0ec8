#include "apps/vectron/access.h"

#include <cstdio>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "rpc/cluster_secret.h"
#include "rpc/forwarder.h"
#include "rpc/policy.h"
#include "rpc/tenancy.h"
#include "rpc/unary_client_call.h"
#include "services/auth/embedded_meta_store.h"
#include "services/auth/etcd_meta_store.h"
#include "vectron/auth.grpc.pb.h"

namespace vectron {
namespace {

constexpr int64_t kCheckPatienceNanos = 2'000'000'000;
constexpr char kAuthService[] = "vectron.auth.v1.AuthService";
constexpr char kGatewayProfile[] = "vectron.v1.VectronService.UpdateUserProfile";

// Calls `done` once, with the first error, when all parts have ended.
class Countdown {
 public:
  Countdown(size_t parts, std::function<void(absl::Status)> done)
      : left_(parts), done_(std::move(done)) {}
  void End(const absl::Status& status) {
    absl::Status first;
    {
      const absl::MutexLock lock(&mutex_);
      if (first_.ok()) first_ = status;
      if (--left_ > 0) return;
      first = first_;
    }
    done_(first);
  }

 private:
  absl::Mutex mutex_;
  size_t left_ ABSL_GUARDED_BY(mutex_);
  absl::Status first_ ABSL_GUARDED_BY(mutex_);
  const std::function<void(absl::Status)> done_;
};

void ShowBootstrapSecret(const std::string& secret, const std::string& path) {
  std::fprintf(stderr,
               "vectron: there is no administrator yet. Register the first one with the header\n"
               "  x-vectron-bootstrap: %s\n"
               "It is shown this once, works once, and is kept in %s until then.\n",
               secret.c_str(), path.c_str());
}

// The limit of an account follows that of an address: who lifts one lifts both.
double TriesPerAccountMinute(const rpc::RateLimits& limits) { return 4 * limits.login_per_minute; }

}  // namespace

Access::Access(AccessOptions options, const AccessDeps& deps)
    : options_(std::move(options)),
      deps_(deps),
      limiter_(options_.limits, *deps.clock, *deps.metrics),
      admission_({}, *deps.clock, *deps.metrics) {}

Access::~Access() = default;

absl::StatusOr<std::unique_ptr<Access>> Access::Open(AccessOptions options,
                                                     const AccessDeps& deps) {
  CHECK(deps.files != nullptr && deps.clock != nullptr && deps.metrics != nullptr);
  std::unique_ptr<Access> access(new Access(std::move(options), deps));
  ASSIGN_OR_RETURN(access->proxies_, rpc::TrustedProxies::Parse(access->options_.trusted_proxies));
  if (!access->options_.data_dir.empty()) {
    ASSIGN_OR_RETURN(access->audit_,
                     rpc::AuditLog::Open({.dir = access->options_.data_dir + "/audit"}, *deps.files,
                                         *deps.clock, *deps.metrics));
  }
  if (access->options_.auth_address.empty()) {
    RETURN_IF_ERROR(access->OpenAuth());
  } else {
    access->channels_ = std::make_unique<rpc::ChannelPool>(
        access->options_.auth_address, rpc::ClusterChannel(access->options_.cluster), *deps.clock);
    access->remote_ = std::make_unique<rpc::RemoteVerifier>(*access->channels_, *deps.clock);
  }
  rpc::CredentialVerifier& verifier =
      access->auth_ != nullptr ? access->auth_->verifier() : *access->remote_;
  access->verdicts_ = std::make_unique<rpc::VerdictCache>(
      verifier, *deps.clock, *deps.metrics, access->options_.limits.bad_credentials_per_minute);
  return access;
}

absl::Status Access::OpenAuth() {
  const std::string& dir = options_.data_dir;
  if (options_.etcd.empty()) {
    CHECK(deps_.resources != nullptr);
    ASSIGN_OR_RETURN(
        auto kv,
        storage::OpenRocksKv({.dir = dir + "/auth",
                              .columns = {{.name = "records", .use = storage::ColumnUse::kSmall}}},
                             *deps_.resources));
    ASSIGN_OR_RETURN(store_, auth::EmbeddedMetaStore::Open(std::move(kv), *deps_.clock));
  } else {
    ASSIGN_OR_RETURN(
        store_, auth::EtcdMetaStore::Make({.endpoints = options_.etcd, .tls = options_.etcd_tls}));
  }
  auth::AuthOptions options;
  options.secret_file = options_.secret_file.empty() ? dir + "/auth.secret" : options_.secret_file;
  const std::string bootstrap_file = dir + "/bootstrap.secret";
  options.bootstrap_file = bootstrap_file;
  options.tries_per_account_minute = TriesPerAccountMinute(options_.limits);
  ASSIGN_OR_RETURN(
      auth_, auth::Auth::Open(std::move(options),
                              {.store = store_.get(),
                               .clock = deps_.clock,
                               .metrics = deps_.metrics,
                               .remove_collections = [this](const std::string& owner, auto done) {
                                 RemoveCollections(owner, done);
                               }}));
  const auto& secret = auth_->new_bootstrap_secret();
  if (secret) {
    ShowBootstrapSecret(*secret, bootstrap_file);
  } else if (auth_->awaits_administrator()) {
    const absl::StatusOr<bool> here = deps_.files->Exists(bootstrap_file);
    LogWarning(
        "there is no administrator yet; the one-time secret is in {}",
        here.ok() && *here ? bootstrap_file : "the data folder of the instance that started first");
  }
  return absl::OkStatus();
}

void Access::RemoveCollections(const std::string& owner,
                               const std::function<void(absl::Status)>& done) {
  if (deps_.placement == nullptr) {
    return done(
        FailedPrecondition("this Auth service was not told where placement is, to delete the "
                           "user's collections: start it with --placement"));
  }
  if (!placement_ready_) return done(Unavailable("the server is starting"));
  if (!deps_.placement->HasMap())
    return done(Unavailable("the map of the cluster is not known yet"));
  // Placement may answer when this has gone.
  deps_.placement->CatchUp(
      [&placement = *deps_.placement, owner, done](const absl::Status& caught_up) {
        if (!caught_up.ok()) return done(caught_up);
        const auto records = placement.ListCollections(owner);
        if (records.empty()) return done(absl::OkStatus());
        // Shared by the callbacks of the deletions.
        const auto countdown = std::make_shared<Countdown>(records.size(), done);
        for (const auto& record : records) {
          placement.DeleteCollection(
              owner, record->schema.name, [countdown](const absl::Status& status) {
                countdown->End(absl::IsNotFound(status) ? absl::OkStatus() : status);
              });
        }
      });
}

absl::Status Access::Install(rpc::RpcRegistry& registry) {
  const bool gateway = registry.Find(kGatewayProfile) != nullptr;
  if (auth_ != nullptr) {
    RETURN_IF_ERROR(auth_->Register(registry));
    if (gateway) auth_->RegisterGatewayProfile(registry);
  } else {
    RETURN_IF_ERROR(rpc::ForwardService(kAuthService, *channels_, registry));
    if (gateway) {
      rpc::ForwardRpc(kGatewayProfile, fmt::format("/{}/UpdateUserProfile", kAuthService),
                      *channels_, registry);
    }
  }
  registry.AddMiddleware(rpc::PolicyMiddleware({.verdicts = verdicts_.get(),
                                                .cluster_secret = options_.cluster.secret,
                                                .trust_certificates = options_.trust_certificates,
                                                .proxies = proxies_}));
  registry.AddMiddleware(limiter_.AsMiddleware());
  registry.AddMiddleware(admission_.AsMiddleware());
  registry.AddMiddleware(rpc::TenantMustExist(registry));
  registry.AddObserver(admission_.AsObserver());
  if (audit_ != nullptr) registry.AddObserver(audit_->AsObserver());
  return absl::OkStatus();
}

void Access::SetLimits(const rpc::RateLimits& limits) {
  limiter_.SetLimits(limits);
  if (auth_ != nullptr) auth_->SetTriesPerAccountMinute(TriesPerAccountMinute(limits));
}

absl::Status Access::Health() const {
  return auth_ == nullptr ? absl::OkStatus() : auth_->Health();
}

std::string Access::service_address() const {
  return auth_ != nullptr ? "in-process" : options_.auth_address;
}

void Access::CheckService(std::function<void(absl::Status)> done) {
  if (auth_ != nullptr) return done(auth_->Health());
  using Call = rpc::UnaryClientCall<auth::v1::AuthService, auth::v1::GetAuthDetailsForSDKRequest,
                                    auth::v1::GetAuthDetailsForSDKResponse>;
  auto call = std::make_unique<Call>(*channels_);
  call->request.set_api_key_id("of nobody");  // answered from the same records as any other
  Call::Send(
      std::move(call), &Call::Async::GetAuthDetailsForSDK,
      deps_.clock->MonotonicNanos() + kCheckPatienceNanos,
      [done = std::move(done)](const absl::Status& status,
                               const auth::v1::GetAuthDetailsForSDKResponse&) { done(status); });
}

void Access::Stop() {
  if (auth_ != nullptr) auth_->Stop();
}

}  // namespace vectron
