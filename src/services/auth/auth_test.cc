#include "services/auth/auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "rpc/call_context_testing.h"
#include "rpc/cluster_secret.h"
#include "rpc/error_table.h"
#include "rpc/policy.h"
#include "services/auth/auth_testing.h"
#include "services/auth/embedded_meta_store.h"
#include "services/auth/secrets.h"
#include "storage/memory_kv.h"
#include "vectron/vectron.pb.h"

namespace vectron::auth {
namespace {

using absl::StatusCode;
using rpc::FakeCallContext;

TEST_F(AuthTest, MakesTheFirstAdministratorByTheBootstrapSecretOnce) {
  const std::string path = dir_ / "bootstrap.secret";
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string secret = *auth_->new_bootstrap_secret();
  EXPECT_EQ(*NewPosixFileSystem()->ReadAll(path), secret + "\n");
  EXPECT_EQ(Register("x@example.org", {{"x-vectron-bootstrap", "guess"}}).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(Register("plain@example.org")->role(), v1::ROLE_USER);
  EXPECT_EQ(RegisterAdmin().role(), v1::ROLE_ADMIN);
  EXPECT_EQ(Register("y@example.org", {{"x-vectron-bootstrap", secret}}).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_FALSE(*NewPosixFileSystem()->Exists(path));
  Close();
  OpenAuth();
  EXPECT_EQ(auth_->new_bootstrap_secret(), std::nullopt);
}

TEST_F(AuthTest, KeepsAnUnusedBootstrapSecretOverARestartAndMakesANewOneWhenItIsLost) {
  const std::string secret = *auth_->new_bootstrap_secret();
  Close();
  OpenAuth();
  EXPECT_EQ(auth_->new_bootstrap_secret(), std::nullopt);
  EXPECT_TRUE(auth_->awaits_administrator());
  ASSERT_TRUE(NewPosixFileSystem()->Remove(dir_ / "bootstrap.secret").ok());
  Close();
  OpenAuth();
  ASSERT_NE(auth_->new_bootstrap_secret(), std::nullopt);
  EXPECT_NE(*auth_->new_bootstrap_secret(), secret);
  EXPECT_EQ(Register("x@example.org", {{"x-vectron-bootstrap", secret}}).status().code(),
            StatusCode::kPermissionDenied);
  RegisterAdmin();
}

TEST_F(AuthTest, RegistersAndLogsIn) {
  const auto user = Register("Ada@Example.org");
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_TRUE(user->id().starts_with("user-"));
  EXPECT_EQ(user->id().size(), 5u + 36u);
  EXPECT_EQ(user->email(), "ada@example.org");
  EXPECT_EQ(user->plan(), v1::FREE);
  EXPECT_EQ(user->subscription_status(), v1::ACTIVE);
  EXPECT_EQ(user->created_at(), 1'700'000'000);
  const auto token = Login("ADA@example.org");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(Profile(*token)->id(), user->id());
  EXPECT_EQ(Register("ada@EXAMPLE.org").status().code(), StatusCode::kAlreadyExists);
}

TEST_F(AuthTest, RefusesBadRegistrations) {
  v1::RegisterUserRequest request;
  request.set_email("a@b.org");
  request.set_password("short");
  EXPECT_EQ(Call<v1::RegisterUserResponse>("RegisterUser", request).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Register("no address").status().code(), StatusCode::kInvalidArgument);
}

TEST_F(AuthTest, SaysTheSameOfAWrongPasswordAndAnUnknownUser) {
  NewUser("a@example.org");
  const absl::Status wrong = Login("a@example.org", "Wrong-Horse-1").status();
  const absl::Status unknown = Login("nobody@example.org").status();
  EXPECT_EQ(wrong.code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(wrong, unknown);
  EXPECT_EQ(wrong, Login("no address").status());
}

TEST_F(AuthTest, EndsSessionsAfterADay) {
  const std::string token = NewUser("a@example.org");
  clock_.AdvanceSeconds(kLoginTokenSeconds - 1);
  EXPECT_TRUE(Check(token).ok());
  const auto fresh =
      Call<v1::RefreshTokenResponse>("RefreshToken", v1::RefreshTokenRequest(), Bearer(token));
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ(fresh->expires_at(), clock_.UnixMillis() / 1000 + kLoginTokenSeconds);
  clock_.AdvanceSeconds(10);
  EXPECT_EQ(Check(token).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(Check(fresh->jwt_token()).ok());
}

TEST_F(AuthTest, EndsASessionAtLogoutAndOthersAtAChangeOfPassword) {
  const std::string first = NewUser("a@example.org");
  const std::string second = *Login("a@example.org");
  ASSERT_TRUE(Call<v1::LogoutResponse>("Logout", v1::LogoutRequest(), Bearer(first)).ok());
  EXPECT_EQ(Check(first).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(Check(second).ok());
  v1::ChangePasswordRequest request;
  request.set_old_password("Wrong-Horse-1");
  request.set_new_password("Better-Horse-2");
  EXPECT_EQ(
      Call<v1::ChangePasswordResponse>("ChangePassword", request, Bearer(second)).status().code(),
      StatusCode::kPermissionDenied);
  request.set_old_password(kPassword);
  const auto changed = Call<v1::ChangePasswordResponse>("ChangePassword", request, Bearer(second));
  ASSERT_TRUE(changed.ok()) << changed.status();
  EXPECT_EQ(Check(second).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(Check(changed->jwt_token()).ok());
  EXPECT_FALSE(Login("a@example.org").ok());
  EXPECT_TRUE(Login("a@example.org", "Better-Horse-2").ok());
}

TEST_F(AuthTest, GivesOutKeysThatWorkUntilDeleted) {
  const std::string token = NewUser("a@example.org");
  const std::string key = NewKey(token);
  EXPECT_TRUE(key.starts_with("vkey-"));
  EXPECT_EQ(key.size(), 5u + 43u);
  const std::string sdk = NewSdkToken(token, key);
  EXPECT_TRUE(Check(key).ok());
  EXPECT_TRUE(Check(sdk).ok());
  std::string other = key;
  other.back() = other.back() == 'A' ? 'E' : 'A';
  EXPECT_EQ(Check(other).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Check(key + "A").code(), StatusCode::kUnauthenticated);
  const auto list =
      Call<v1::ListAPIKeysResponse>("ListAPIKeys", v1::ListAPIKeysRequest(), Bearer(token));
  ASSERT_EQ(list->keys_size(), 1);
  EXPECT_EQ(list->keys(0).key_prefix(), key.substr(0, 13));
  EXPECT_EQ(list->keys(0).scope(), v1::KEY_SCOPE_WRITE);
  v1::DeleteAPIKeyRequest remove;
  remove.set_key_prefix(key.substr(0, 13));
  ASSERT_TRUE(Call<v1::DeleteAPIKeyResponse>("DeleteAPIKey", remove, Bearer(token)).ok());
  EXPECT_EQ(Check(key).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Check(sdk).code(), StatusCode::kUnauthenticated);
}

TEST_F(AuthTest, RefusesKeysOfOthersAndUnknownOnesAlike) {
  const std::string mine = NewUser("a@example.org");
  const std::string theirs = NewKey(NewUser("b@example.org"));
  v1::DeleteAPIKeyRequest remove;
  v1::CreateSDKJWTRequest sdk;
  for (const std::string& prefix : {theirs.substr(0, 13), std::string("vkey-unknown1")}) {
    remove.set_key_prefix(prefix);
    sdk.set_api_key_id(prefix);
    EXPECT_EQ(Call<v1::DeleteAPIKeyResponse>("DeleteAPIKey", remove, Bearer(mine)).status().code(),
              StatusCode::kPermissionDenied);
    EXPECT_EQ(Call<v1::CreateSDKJWTResponse>("CreateSDKJWT", sdk, Bearer(mine)).status().code(),
              StatusCode::kPermissionDenied);
  }
  EXPECT_TRUE(Check(theirs).ok());
}

TEST_F(AuthTest, ChecksWhatAKeyIsToBe) {
  const std::string token = NewUser("a@example.org");
  const auto code = [&](const std::function<void(v1::CreateAPIKeyRequest&)>& change) {
    v1::CreateAPIKeyRequest request;
    request.set_name("A good_name-1");
    change(request);
    return Call<v1::CreateAPIKeyResponse>("CreateAPIKey", request, Bearer(token)).status().code();
  };
  EXPECT_EQ(code([](auto&) {}), StatusCode::kOk);
  EXPECT_EQ(code([](auto& r) { r.set_name(""); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.set_name(std::string(51, 'a')); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.set_name("a/b"); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.add_collections("a/b"); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.set_expires_at(5); }), StatusCode::kInvalidArgument);
  EXPECT_EQ(code([](auto& r) { r.set_scope(v1::KEY_SCOPE_ADMIN); }), StatusCode::kPermissionDenied);
  EXPECT_EQ(code([](auto& r) { r.set_scope(static_cast<v1::KeyScope>(9)); }),
            StatusCode::kInvalidArgument);
}

TEST_F(AuthTest, LetsKeysExpire) {
  const std::string token = NewUser("a@example.org");
  v1::CreateAPIKeyRequest request;
  request.set_expires_at(clock_.UnixMillis() / 1000 + 60);
  const std::string key = NewKey(token, request);
  const std::string sdk = NewSdkToken(token, key);
  clock_.AdvanceSeconds(59);
  EXPECT_TRUE(Check(key).ok());
  EXPECT_TRUE(Check(sdk).ok());
  clock_.AdvanceSeconds(1);
  EXPECT_FALSE(Check(key).ok());
  EXPECT_FALSE(Check(sdk).ok());
  v1::CreateSDKJWTRequest late;
  late.set_api_key_id(key.substr(0, 13));
  EXPECT_EQ(Call<v1::CreateSDKJWTResponse>("CreateSDKJWT", late, Bearer(token)).status().code(),
            StatusCode::kFailedPrecondition);
}

TEST_F(AuthTest, NoVerdictOutlivesItsKey) {
  const std::string token = NewUser("a@example.org");
  v1::CreateAPIKeyRequest request;
  request.set_expires_at(clock_.UnixMillis() / 1000 + 60);
  const std::string key = NewKey(token, request);
  const std::string sdk = NewSdkToken(token, key);
  clock_.AdvanceSeconds(58);
  for (const std::string& credential : {key, sdk}) {
    rpc::Verdict verdict;
    auth_->verifier().Verify(credential, [&](rpc::Verdict got) { verdict = std::move(got); });
    ASSERT_TRUE(verdict.identity.ok()) << verdict.identity.status();
    EXPECT_EQ(verdict.good_until_nanos, clock_.MonotonicNanos() + 2'000'000'000);
  }
}

TEST_F(AuthTest, NoPatternsHoldAnAdministratorsKey) {
  RegisterAdmin();
  const std::string admin = *Login("admin@example.org");
  v1::CreateAPIKeyRequest request;
  request.set_name("key");
  request.set_scope(v1::KEY_SCOPE_ADMIN);
  request.add_collections("docs-*");
  const auto refused = Call<v1::CreateAPIKeyResponse>("CreateAPIKey", request, Bearer(admin));
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  request.set_scope(v1::KEY_SCOPE_WRITE);
  EXPECT_TRUE(Call<v1::CreateAPIKeyResponse>("CreateAPIKey", request, Bearer(admin)).ok());
}

TEST_F(AuthTest, ValidatesKeys) {
  const std::string key = NewKey(NewUser("a@example.org"));
  v1::ValidateAPIKeyRequest request;
  EXPECT_EQ(Call<v1::ValidateAPIKeyResponse>("ValidateAPIKey", request).status().code(),
            StatusCode::kInvalidArgument);
  request.set_full_key("vkey-nonsense");
  EXPECT_FALSE(Call<v1::ValidateAPIKeyResponse>("ValidateAPIKey", request)->valid());
  request.set_full_key(key);
  const auto good = Call<v1::ValidateAPIKeyResponse>("ValidateAPIKey", request);
  EXPECT_TRUE(good->valid());
  EXPECT_EQ(good->plan(), "FREE");
  EXPECT_EQ(good->api_key_id(), key.substr(0, 13));
}

TEST_F(AuthTest, NeverLetsAnSdkTokenOrAKeyManageAnything) {
  RegisterAdmin();
  const std::string admin = *Login("admin@example.org");
  v1::CreateAPIKeyRequest request;
  request.set_scope(v1::KEY_SCOPE_ADMIN);
  const std::string key = NewKey(admin, request);
  const std::string sdk = NewSdkToken(admin, key);
  for (const std::string& credential : {key, sdk}) {
    EXPECT_EQ(
        Call<v1::ListAPIKeysResponse>("ListAPIKeys", v1::ListAPIKeysRequest(), Bearer(credential))
            .status()
            .code(),
        StatusCode::kPermissionDenied);
  }
  const auto users = [&](const std::string& credential) {
    return Call<v1::ListUsersResponse>("ListUsers", v1::ListUsersRequest(), Bearer(credential))
        .status()
        .code();
  };
  EXPECT_EQ(users(sdk), StatusCode::kPermissionDenied);
  EXPECT_EQ(users(key), StatusCode::kOk);
  EXPECT_EQ(users(admin), StatusCode::kOk);
  EXPECT_EQ(users(NewUser("u@example.org")), StatusCode::kPermissionDenied);
}

TEST_F(AuthTest, ChangesPlansByAdministratorsAndBillingOnly) {
  RegisterAdmin();
  const std::string admin = *Login("admin@example.org");
  const std::string token = NewUser("u@example.org");
  const std::string id = Profile(token)->id();
  v1::UpdateUserProfileRequest own;
  own.set_plan(v1::PAID);
  EXPECT_EQ(
      Call<v1::UpdateUserProfileResponse>("UpdateUserProfile", own, Bearer(token)).status().code(),
      StatusCode::kPermissionDenied);
  own.set_plan(v1::FREE);
  const auto same = Call<v1::UpdateUserProfileResponse>("UpdateUserProfile", own, Bearer(token));
  ASSERT_TRUE(same.ok());
  EXPECT_TRUE(Check(same->jwt_token()).ok());
  v1::UpdateUserRequest update;
  update.set_user_id(id);
  update.set_plan(v1::PAID);
  EXPECT_EQ(Call<v1::UpdateUserResponse>("UpdateUser", update, Bearer(token)).status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_TRUE(Call<v1::UpdateUserResponse>("UpdateUser", update, Bearer(admin)).ok());
  EXPECT_EQ(Profile(token)->plan(), v1::PAID);
  v1::SetSubscriptionRequest billing;
  billing.set_user_id(id);
  billing.set_plan(v1::FREE);
  billing.set_subscription_status(v1::PAST_DUE);
  EXPECT_EQ(
      Call<v1::SetSubscriptionResponse>("SetSubscription", billing, Bearer(admin)).status().code(),
      StatusCode::kPermissionDenied);
  EXPECT_TRUE(Call<v1::SetSubscriptionResponse>("SetSubscription", billing,
                                                {{rpc::kClusterSecretHeader, kClusterSecret}})
                  .ok());
  EXPECT_EQ(Profile(token)->subscription_status(), v1::PAST_DUE);
  vectron::v1::UpdateUserProfileRequest gateway;
  gateway.set_plan(v1::FREE);
  const auto over = Call<vectron::v1::UpdateUserProfileResponse>(
      "vectron.v1.VectronService.UpdateUserProfile", gateway, Bearer(token));
  ASSERT_TRUE(over.ok());
  EXPECT_EQ(over->user().id(), id);
}

TEST_F(AuthTest, KeepsTheLastAdministrator) {
  const std::string id = RegisterAdmin().id();
  const std::string admin = *Login("admin@example.org");
  v1::UpdateUserRequest update;
  update.set_user_id(id);
  update.set_role(v1::ROLE_USER);
  EXPECT_EQ(Call<v1::UpdateUserResponse>("UpdateUser", update, Bearer(admin)).status().code(),
            StatusCode::kFailedPrecondition);
  v1::DeleteUserRequest remove;
  remove.set_password(kPassword);
  EXPECT_EQ(Call<v1::DeleteUserResponse>("DeleteUser", remove, Bearer(admin)).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Check(admin).ok());
}

TEST_F(AuthTest, DeletesAUserWithKeysSessionsAndCollections) {
  const std::string token = NewUser("u@example.org");
  const std::string id = Profile(token)->id();
  const std::string key = NewKey(token);
  v1::DeleteUserRequest request;
  request.set_password("Wrong-Horse-1");
  EXPECT_EQ(Call<v1::DeleteUserResponse>("DeleteUser", request, Bearer(token)).status().code(),
            StatusCode::kPermissionDenied);
  request.set_password(kPassword);
  ASSERT_TRUE(Call<v1::DeleteUserResponse>("DeleteUser", request, Bearer(token)).ok());
  EXPECT_TRUE(removed_.contains(id));
  EXPECT_FALSE(Check(token).ok());
  EXPECT_FALSE(Check(key).ok());
  EXPECT_FALSE(Login("u@example.org").ok());
  const auto left = store_->Read(kStorePrefix);
  for (const MetaEntry& entry : *left) {
    EXPECT_EQ(entry.key.find(id), std::string::npos) << entry.key;
    EXPECT_EQ(entry.value.find(id), std::string::npos) << entry.key;
  }
  EXPECT_TRUE(Register("u@example.org").ok()) << "the address is free again";
}

TEST_F(AuthTest, FinishesADeletionThatWasCutShort) {
  const std::string token = NewUser("u@example.org");
  const std::string id = Profile(token)->id();
  removal_ = Unavailable("placement is away");
  v1::DeleteUserRequest request;
  request.set_password(kPassword);
  EXPECT_EQ(Call<v1::DeleteUserResponse>("DeleteUser", request, Bearer(token)).status().code(),
            StatusCode::kUnavailable);
  EXPECT_FALSE(Check(token).ok()) << "locked out at once";
  Close();
  removal_ = absl::OkStatus();
  OpenAuth();  // goes on by itself
  const auto gone = [this, &id] {
    const auto entries = store_->Read(UserKey(id));
    return entries.ok() && entries->empty();
  };
  for (int i = 0; i < 1'000 && !gone(); ++i) {
    absl::Notification never;
    never.WaitForNotificationWithTimeout(absl::Milliseconds(10));
  }
  EXPECT_TRUE(gone());
}

TEST_F(AuthTest, RotatesSigningKeysWithoutEndingSessions) {
  RegisterAdmin();
  const std::string admin = *Login("admin@example.org");
  const auto key_id = [](const std::string& token) {
    return *Base64UrlDecode(token.substr(0, token.find('.')));
  };
  const auto rotated = Call<v1::RotateSigningKeyResponse>(
      "RotateSigningKey", v1::RotateSigningKeyRequest(), Bearer(admin));
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  clock_.AdvanceSeconds(20);
  const std::string later = *Login("admin@example.org");
  EXPECT_NE(key_id(later), key_id(admin));
  EXPECT_THAT(key_id(later), testing::HasSubstr(rotated->key_id()));
  EXPECT_TRUE(Check(admin).ok());
  EXPECT_TRUE(Check(later).ok());
}

TEST_F(AuthTest, LimitsTheTriesPerAccount) {
  NewUser("a@example.org");
  Close();
  OpenAuth(3);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(Login("a@example.org", "Wrong-Horse-1").status().code(),
              StatusCode::kUnauthenticated);
  const absl::Status refused = Login("a@example.org").status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(rpc::RetryAfterMillis(refused), 20'000);
  clock_.AdvanceSeconds(20);
  EXPECT_TRUE(Login("a@example.org").ok());
}

TEST_F(AuthTest, SurvivesARestart) {
  const std::string token = NewUser("a@example.org");
  const std::string key = NewKey(token);
  Close();
  OpenAuth();
  EXPECT_TRUE(Check(token).ok());
  EXPECT_TRUE(Check(key).ok());
  EXPECT_TRUE(Login("a@example.org").ok());
}

TEST_F(AuthTest, KeepsNoSecretInItsStore) {
  const std::string token = NewUser("a@example.org");
  const std::string key = NewKey(token);
  const std::string secret = *LoadOrMakeSecretFile(dir_ / "auth.secret");
  const auto entries = store_->Read("");
  ASSERT_TRUE(entries.ok());
  for (const MetaEntry& entry : *entries) {
    for (const std::string& planted : {std::string(kPassword), key, key.substr(13), token, secret,
                                       *auth_->new_bootstrap_secret()})
      EXPECT_EQ(entry.value.find(planted), std::string::npos) << entry.key;
  }
}

TEST_F(AuthTest, RefusesASecretFileThatOthersMayRead) {
  Close();
  ASSERT_EQ(::chmod((dir_ / "auth.secret").c_str(), 0644), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(LoadOrMakeSecretFile(dir_ / "auth.secret").status()));
  ASSERT_EQ(::chmod((dir_ / "auth.secret").c_str(), 0600), 0);
  ASSERT_TRUE(WriteSecretFile(dir_ / "auth.secret", "short").ok());
  EXPECT_TRUE(absl::IsDataLoss(LoadOrMakeSecretFile(dir_ / "auth.secret").status()));
}

}  // namespace
}  // namespace vectron::auth
