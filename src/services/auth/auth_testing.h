#pragma once

// The Auth service behind its policy, in process, for tests.

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/temp_dir.h"
#include "rpc/call_context_testing.h"
#include "rpc/cluster_secret.h"
#include "rpc/policy.h"
#include "rpc/rpc_registry.h"
#include "rpc/verdict_cache.h"
#include "services/auth/auth.h"
#include "services/auth/embedded_meta_store.h"
#include "storage/memory_kv.h"

namespace vectron::auth {

using Headers = std::map<std::string, std::string, std::less<>>;

inline constexpr char kPassword[] = "Correct-Horse-1";
inline constexpr char kClusterSecret[] = "cluster-secret-0123";

// Moves when told to, from any thread.
class TestClock : public Clock {
 public:
  int64_t MonotonicNanos() const override { return millis_.load() * 1'000'000 + 1; }
  int64_t UnixMillis() const override { return 1'700'000'000'000 + millis_.load(); }
  void AdvanceSeconds(int64_t seconds) { millis_ += seconds * 1'000; }

 private:
  std::atomic<int64_t> millis_{0};
};

// The Auth service behind its policy, called in process.
class AuthTest : public testing::Test {
 protected:
  AuthTest() { Open(); }
  ~AuthTest() override { Close(); }

  void Open() {
    auto memory = std::make_unique<storage::MemoryKv>(1, storage::WriteAheadLog::kOn);
    store_ = *EmbeddedMetaStore::Open(std::move(memory), clock_);
    OpenAuth();
  }
  void OpenAuth(double tries_per_account_minute = 0) {
    auto auth = Auth::Open({.secret_file = dir_ / "auth.secret",
                            .bootstrap_file = dir_ / "bootstrap.secret",
                            .hash_cost = {.memory_kib = 64, .passes = 1},
                            .max_waiting_hashes = max_waiting_hashes_,
                            .tries_per_account_minute = tries_per_account_minute,
                            .max_ended = max_ended_},
                           {.store = store_.get(),
                            .clock = &clock_,
                            .metrics = &metrics_,
                            .remove_collections = [this](const std::string& user, auto done) {
                              removed_.insert(user);
                              done(removal_);
                            }});
    ASSERT_TRUE(auth.ok()) << auth.status();
    auth_ = *std::move(auth);
    verdicts_ = std::make_unique<rpc::VerdictCache>(auth_->verifier(), clock_, metrics_);
    registry_ = std::make_unique<rpc::RpcRegistry>(metrics_, clock_, rpc::RpcRegistryOptions{});
    ASSERT_TRUE(auth_->Register(*registry_).ok());
    ASSERT_TRUE(registry_->AddService("vectron.v1.VectronService").ok());
    auth_->RegisterGatewayProfile(*registry_);
    registry_->AddMiddleware(
        rpc::PolicyMiddleware({.verdicts = verdicts_.get(), .cluster_secret = kClusterSecret}));
  }
  void Close() {
    registry_.reset();
    verdicts_.reset();
    auth_.reset();
  }

  template <typename Response, typename Request>
  absl::StatusOr<Response> Call(const std::string& rpc, Request request, Headers headers = {},
                                rpc::RpcRegistry* instance = nullptr) {
    rpc::RpcRegistry& registry = instance == nullptr ? *registry_ : *instance;
    const rpc::RpcMethod* method = registry.Find(
        (rpc.find('.') == std::string::npos ? "vectron.auth.v1.AuthService." : "") + rpc);
    CHECK(method != nullptr);
    rpc::FakeCallContext context;
    context.headers = std::move(headers);
    Response response;
    absl::Status result;
    absl::Notification ended;
    const auto end = [&](absl::Status status) {
      result = std::move(status);
      ended.Notify();
    };
    registry.Begin(*method, context, [&](const absl::Status& status) {
      if (!status.ok()) return end(status);
      method->unary(context, request, response, end);
    });
    ended.WaitForNotification();
    registry.End(context, result.code());
    if (!result.ok()) return result;
    return response;
  }
  static Headers Bearer(const std::string& credential) {
    return {{"authorization", "Bearer " + credential}};
  }

  absl::StatusOr<v1::UserProfile> Register(const std::string& email, Headers headers = {}) {
    v1::RegisterUserRequest request;
    request.set_email(email);
    request.set_password(kPassword);
    auto response = Call<v1::RegisterUserResponse>("RegisterUser", request, std::move(headers));
    if (!response.ok()) return response.status();
    return response->user();
  }
  v1::UserProfile RegisterAdmin() {
    const auto user =
        Register("admin@example.org", {{"x-vectron-bootstrap", *auth_->new_bootstrap_secret()}});
    EXPECT_TRUE(user.ok()) << user.status();
    return *user;
  }
  absl::StatusOr<std::string> Login(const std::string& email,
                                    const std::string& password = kPassword) {
    v1::LoginRequest request;
    request.set_email(email);
    request.set_password(password);
    auto response = Call<v1::LoginResponse>("Login", request);
    if (!response.ok()) return response.status();
    return response->jwt_token();
  }
  std::string NewUser(const std::string& email) {
    EXPECT_TRUE(Register(email).ok());
    return *Login(email);
  }
  std::string NewKey(const std::string& token, v1::CreateAPIKeyRequest request = {}) {
    if (request.name().empty()) request.set_name("key");
    const auto response = Call<v1::CreateAPIKeyResponse>("CreateAPIKey", request, Bearer(token));
    EXPECT_TRUE(response.ok()) << response.status();
    return response->full_key();
  }
  std::string NewSdkToken(const std::string& token, const std::string& key) {
    v1::CreateSDKJWTRequest request;
    request.set_api_key_id(key.substr(0, 13));
    return Call<v1::CreateSDKJWTResponse>("CreateSDKJWT", request, Bearer(token))->sdk_jwt();
  }
  // OK while the credential is good.
  absl::Status Check(const std::string& credential) {
    v1::VerifyCredentialRequest request;
    request.set_credential(credential);
    return Call<v1::VerifyCredentialResponse>("VerifyCredential", request,
                                              {{rpc::kClusterSecretHeader, kClusterSecret}})
        .status();
  }
  absl::StatusOr<v1::RefreshTokenResponse> Refresh(const std::string& token) {
    return Call<v1::RefreshTokenResponse>("RefreshToken", v1::RefreshTokenRequest(), Bearer(token));
  }
  absl::StatusOr<v1::UserProfile> Profile(const std::string& token) {
    auto response = Call<v1::GetUserProfileResponse>("GetUserProfile", v1::GetUserProfileRequest(),
                                                     Bearer(token));
    if (!response.ok()) return response.status();
    return response->user();
  }

  // For OpenAuth.
  size_t max_waiting_hashes_ = AuthOptions().max_waiting_hashes;
  size_t max_ended_ = kMaxEnded;

  TempDir dir_;
  TestClock clock_;
  Metrics metrics_;
  absl::Status removal_;
  std::set<std::string> removed_;
  std::unique_ptr<MetaStore> store_;
  std::unique_ptr<Auth> auth_;
  std::unique_ptr<rpc::VerdictCache> verdicts_;
  std::unique_ptr<rpc::RpcRegistry> registry_;
};

}  // namespace vectron::auth
