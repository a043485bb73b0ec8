#pragma once

// The Auth service: users, sessions and API keys. The front door of this folder.
//
// Records are in a store (embedded or etcd), all of them mirrored in memory. Everything that reads
// is answered from the mirror; what changes something is a compare-and-set on the store, awaited by
// a small pool of threads. Passwords are hashed on a pool of their own, at low priority, so that a
// flood of logins takes neither the requests' threads nor much of the processor from them. When the
// store is away, verdicts end within seconds and everything is refused as Unavailable until it is
// back.
//
// Secrets: passwords are kept as argon2id hashes, API keys as HMAC-SHA-256 under the server's
// secret, signing keys are derived from it; the secret itself is in a file of mode 0600 and nowhere
// else.
//
// Thread-safe. `done` callbacks are called once, on any thread. The servers that call in stop
// before the service goes.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "rpc/call_context.h"
#include "rpc/rate_limit.h"
#include "rpc/rpc_registry.h"
#include "services/auth/directory.h"
#include "services/auth/meta_store.h"
#include "services/auth/passwords.h"
#include "services/auth/verifier.h"
#include "vectron/auth.pb.h"

namespace vectron::auth {

inline constexpr size_t kMaxUsers = 1'000'000;  // each takes about a kilobyte of memory
inline constexpr size_t kMaxKeysPerUser = 100;
inline constexpr size_t kMaxKeyPatterns = 64;
inline constexpr size_t kMaxKeyNameBytes = 50;
inline constexpr size_t kMaxListedUsers = 1'000;
inline constexpr size_t kDefaultListedUsers = 100;

struct AuthOptions {
  std::string secret_file;     // the server's secret; made when missing. All instances share one.
  std::string bootstrap_file;  // where the one-time secret for the first administrator is written
  HashCost hash_cost = {};
  size_t hash_threads = 1;
  size_t max_waiting_hashes = 64;  // logins and registrations that wait for a hash
  // Tries of a password per account and minute, right or wrong, whatever the call; 0: no limit.
  double tries_per_account_minute = 20;
  size_t max_ended = kMaxEnded;
  int64_t load_timeout_ms = 30'000;  // for the store to answer at the start
};

// What the service borrows; all outlive it.
struct AuthDeps {
  MetaStore* store = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  // Deletes every collection of a user; OK when there is none.
  std::function<void(const std::string& user_id, std::function<void(absl::Status)> done)>
      remove_collections;
};

class Auth {
 public:
  // Reads the store; makes the first signing key and, while there is no administrator, the
  // bootstrap secret. Errors: Unavailable (the store does not answer), those of the secret file.
  static absl::StatusOr<std::unique_ptr<Auth>> Open(AuthOptions options, const AuthDeps& deps);
  ~Auth();

  // Ends the work in the background, so that nothing here calls remove_collections any more; the
  // servers have stopped before. Deletions under way may still end. The second call does nothing.
  void Stop();

  // Adds AuthService and its handlers.
  absl::Status Register(rpc::RpcRegistry& registry);
  // The handler of VectronService.UpdateUserProfile, for a registry that has that service.
  void RegisterGatewayProfile(rpc::RpcRegistry& registry);

  // Holds for logins that begin afterwards. 0: no limit. Thread-safe.
  void SetTriesPerAccountMinute(double tries);

  rpc::CredentialVerifier& verifier() { return verifier_; }
  // The same without a callback.
  rpc::Verdict VerifyNow(std::string_view credential) const {
    return verifier_.VerifyNow(credential);
  }
  // Unavailable, with the reason, while nobody can be let in.
  absl::Status Health() const { return verifier_.CheckFresh(); }
  // The one-time secret if this start made one: to be shown once.
  const std::optional<std::string>& new_bootstrap_secret() const { return new_bootstrap_secret_; }
  // True while the first administrator has not registered.
  bool awaits_administrator() const { return directory_.bootstrap() != nullptr; }

 private:
  using Context = rpc::CallContext;
  using Done = rpc::RpcDone;

  Auth(AuthOptions options, const AuthDeps& deps, std::string secret);

  // --- Life (auth.cc) ---
  absl::Status Start();
  absl::Status EnsureSigningKey();
  absl::Status EnsureBootstrap();
  void BeatUntilStopped();
  // Makes a new signing key in time and drops those that no living token can be signed with.
  void TendSigningKeys();
  absl::StatusOr<std::string> AddSigningKey();
  // Goes on with deletions of users that were cut short.
  void FinishLeaving();

  // Commits and waits until the mirror has it. Aborted, Unavailable.
  absl::Status Commit(const MetaTxn& txn);
  using UserChange = std::function<absl::Status(store::v1::User&)>;
  // Changes a user's record whatever else happens to it meanwhile. NotFound, FailedPrecondition (it
  // would leave no administrator), and what `change` says.
  absl::StatusOr<UserPtr> ChangeUser(const std::string& user_id, const UserChange& change);

  // Runs `work` on a pool, or refuses: ResourceExhausted when `limit` calls wait, DeadlineExceeded.
  struct Lane {
    ThreadPool* pool;
    std::atomic<size_t>* waiting;
    size_t limit;
  };
  void Run(const Lane& lane, const Context& context, Done done, std::function<absl::Status()> work);
  Lane slow_lane() { return {hashes_.get(), &waiting_hashes_, options_.max_waiting_hashes}; }
  Lane lane();

  // --- Sessions and accounts (accounts.cc) ---
  absl::Status RegisterUser(Context& context, const v1::RegisterUserRequest& request,
                            v1::RegisterUserResponse& response);
  absl::Status Login(Context& context, const v1::LoginRequest& request,
                     v1::LoginResponse& response);
  absl::Status ChangePassword(Context& context, const v1::ChangePasswordRequest& request,
                              v1::ChangePasswordResponse& response);
  absl::Status Logout(Context& context);
  // Ends the token that the call carries and gives out its successor. ResourceExhausted when
  // options_.max_ended have ended.
  absl::Status Refresh(const Context& context, v1::RefreshTokenResponse& response);
  // The caller's own plan, which only an administrator may change.
  absl::StatusOr<UserPtr> ChangeOwnPlan(Context& context, v1::Plan plan);
  absl::Status UpdateUser(Context& context, const v1::UpdateUserRequest& request,
                          v1::UpdateUserResponse& response);
  absl::Status SetSubscription(Context& context, const v1::SetSubscriptionRequest& request,
                               v1::SetSubscriptionResponse& response);
  absl::Status ListUsers(const v1::ListUsersRequest& request,
                         v1::ListUsersResponse& response) const;
  // Checks the password, locks the user out, then deletes collections, keys and the record.
  void DeleteUser(Context& context, const std::string& password, Done done);
  void FinishDelete(const std::string& user_id, Done done);
  absl::Status RemoveRecords(const std::string& user_id);
  std::shared_ptr<rpc::TokenBuckets> Tries() const;
  absl::Status CheckPasswordOf(const UserPtr& user, const std::string& password) const;
  absl::StatusOr<UserPtr> CallerOf(const Context& context) const;
  // A session from its first token on.
  struct Session {
    std::string id;
    int64_t began_s = 0;
    // No token of it is good for longer.
    int64_t ends_s() const { return began_s + kSessionSeconds; }
  };
  Session NewSession() const;
  absl::Status CheckRoomForEnded() const;
  // Of the token that the call carries.
  static Session SessionOf(const Context& context);
  std::string NewLoginToken(const store::v1::User& user, const Session& session,
                            int64_t now_s) const;
  static int64_t LoginTokenEnd(const Session& session, int64_t now_s);
  // ResourceExhausted with the time to wait when the account's password has been tried too often.
  absl::Status TakeTry(const std::string& email);
  bool HoldsBootstrapSecret(std::string_view shown) const;

  // --- Keys (keys.cc) ---
  absl::Status CreateApiKey(Context& context, const v1::CreateAPIKeyRequest& request,
                            v1::CreateAPIKeyResponse& response);
  absl::Status DeleteApiKey(Context& context, const std::string& prefix);
  absl::Status ListApiKeys(const Context& context, v1::ListAPIKeysResponse& response) const;
  absl::Status ValidateApiKey(const v1::ValidateAPIKeyRequest& request,
                              v1::ValidateAPIKeyResponse& response) const;
  absl::Status CreateSdkJwt(Context& context, const v1::CreateSDKJWTRequest& request,
                            v1::CreateSDKJWTResponse& response) const;
  absl::Status GetAuthDetails(const v1::GetAuthDetailsForSDKRequest& request,
                              v1::GetAuthDetailsForSDKResponse& response) const;
  absl::Status VerifyCredential(const v1::VerifyCredentialRequest& request,
                                v1::VerifyCredentialResponse& response) const;

  // --- Handlers (bindings.cc) ---
  void RegisterSessions(rpc::RpcRegistry& registry);
  void RegisterKeys(rpc::RpcRegistry& registry);
  void RegisterAdministration(rpc::RpcRegistry& registry);

  int64_t NowSeconds() const { return deps_.clock->UnixMillis() / 1000; }

  const AuthOptions options_;
  const AuthDeps deps_;
  const std::string secret_;
  Directory directory_;
  LocalVerifier verifier_;
  std::string dummy_hash_;  // what the password of a user that does not exist is checked against
  mutable absl::Mutex tries_mutex_;
  double tries_per_minute_ ABSL_GUARDED_BY(tries_mutex_) = 0;
  // By account; null: no limit. Shared with logins under way.
  std::shared_ptr<rpc::TokenBuckets> tries_ ABSL_GUARDED_BY(tries_mutex_);
  std::optional<std::string> new_bootstrap_secret_;
  Counter& logins_;
  Counter& failed_logins_;
  Counter& password_checks_;

  std::atomic<size_t> waiting_{0};
  std::atomic<size_t> waiting_hashes_{0};
  std::unique_ptr<MetaSubscription> subscription_;
  absl::Notification stop_;
  std::unique_ptr<ThreadPool> hashes_;
  std::unique_ptr<ThreadPool> changes_;
  std::unique_ptr<ThreadPool> beat_;
};

// The wire form of a user.
void ToProfile(const store::v1::User& user, v1::UserProfile& profile);

}  // namespace vectron::auth
