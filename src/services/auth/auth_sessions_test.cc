// Sessions and their tokens, guesses of passwords, and what the audit log is told.

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <utility>

#include "absl/synchronization/notification.h"
#include "rpc/error_table.h"
#include "services/auth/auth_testing.h"

namespace vectron::auth {
namespace {

using absl::StatusCode;

TEST_F(AuthTest, ATokenHasOneSuccessorInItsPlace) {
  const std::string first = NewUser("a@example.org");
  const std::string other_session = *Login("a@example.org");
  const auto second = Refresh(first);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(Check(first).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Refresh(first).status().code(), StatusCode::kUnauthenticated);
  const auto third = Refresh(second->jwt_token());
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(Check(second->jwt_token()).code(), StatusCode::kUnauthenticated);
  EXPECT_TRUE(Check(third->jwt_token()).ok());
  Close();
  OpenAuth();
  EXPECT_EQ(Check(first).code(), StatusCode::kUnauthenticated) << "it is in the store";
  EXPECT_TRUE(Check(third->jwt_token()).ok());
  EXPECT_TRUE(Check(other_session).ok());
}

TEST_F(AuthTest, LoggingOutEndsAllTokensOfTheSession) {
  const std::string token = NewUser("a@example.org");
  const std::string other_session = *Login("a@example.org");
  v1::UpdateUserProfileRequest same_plan;
  same_plan.set_plan(v1::FREE);
  const auto second =
      Call<v1::UpdateUserProfileResponse>("UpdateUserProfile", same_plan, Bearer(token));
  ASSERT_TRUE(second.ok()) << second.status();
  const auto third = Refresh(second->jwt_token());
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_TRUE(Check(token).ok()) << "that one was not refreshed";
  ASSERT_TRUE(
      Call<v1::LogoutResponse>("Logout", v1::LogoutRequest(), Bearer(third->jwt_token())).ok());
  for (const std::string& ended : {token, second->jwt_token(), third->jwt_token()}) {
    EXPECT_EQ(Check(ended).code(), StatusCode::kUnauthenticated);
    EXPECT_EQ(Refresh(ended).status().code(), StatusCode::kUnauthenticated);
  }
  EXPECT_TRUE(Check(other_session).ok());
}

TEST_F(AuthTest, RefreshingDoesNotMakeASessionLastForEver) {
  std::string token = NewUser("a@example.org");
  const int64_t began = clock_.UnixMillis() / 1000;
  int64_t expires = 0;
  for (int64_t days = 1; days < kSessionSeconds / kLoginTokenSeconds; ++days) {
    clock_.AdvanceSeconds(kLoginTokenSeconds);
    const auto next = Refresh(token);
    ASSERT_TRUE(next.ok()) << days << next.status();
    token = next->jwt_token();
    expires = next->expires_at();
  }
  clock_.AdvanceSeconds(kLoginTokenSeconds - 10);
  const auto last = Refresh(token);
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_EQ(last->expires_at(), began + kSessionSeconds);
  EXPECT_EQ(expires, began + kSessionSeconds);
  clock_.AdvanceSeconds(11);
  EXPECT_EQ(Refresh(last->jwt_token()).status().code(), StatusCode::kUnauthenticated)
      << "the leeway of the clocks does not prolong it";
  EXPECT_TRUE(Login("a@example.org").ok());
}

TEST_F(AuthTest, RefreshesNoTokenWhileTooManyHaveEnded) {
  const std::string first = NewUser("a@example.org");
  const std::string other = *Login("a@example.org");
  Close();
  max_ended_ = 2;
  OpenAuth();
  const auto second = Refresh(first);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto third = Refresh(second->jwt_token());
  ASSERT_TRUE(third.ok()) << third.status();
  const absl::Status refused = Refresh(third->jwt_token()).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted) << refused;
  EXPECT_GT(rpc::RetryAfterMillis(refused).value_or(0), 0);
  EXPECT_TRUE(Check(third->jwt_token()).ok()) << "it stays good";
  EXPECT_TRUE(Call<v1::LogoutResponse>("Logout", v1::LogoutRequest(), Bearer(other)).ok());
  EXPECT_EQ(Check(other).code(), StatusCode::kUnauthenticated) << "sessions end all the same";
  clock_.AdvanceSeconds(kLoginTokenSeconds + kTokenLeewaySeconds + 1);
  const absl::Status later = Refresh(*Login("a@example.org")).status();
  EXPECT_TRUE(later.ok()) << later << ": those have expired";
}

// A login that has begun.
struct PendingLogin {
  rpc::FakeCallContext context;
  v1::LoginRequest request;
  v1::LoginResponse response;
  absl::Status status;
  absl::Notification ended;
};

TEST_F(AuthTest, RefusesALoginWhenSoManyWaitForAHash) {
  ASSERT_TRUE(Register("a@example.org").ok());
  Close();
  max_waiting_hashes_ = 1;
  OpenAuth();
  const rpc::RpcMethod* method = registry_->Find("vectron.auth.v1.AuthService.Login");
  ASSERT_NE(method, nullptr);
  std::array<PendingLogin, 3> logins;
  // at_end runs where the login ends.
  const auto begin = [&](PendingLogin& login, std::function<void()> at_end) {
    login.request.set_email("a@example.org");
    login.request.set_password(kPassword);
    registry_->Begin(*method, login.context, [&login, method, at_end](const absl::Status& begun) {
      EXPECT_TRUE(begun.ok()) << begun;
      method->unary(login.context, login.request, login.response,
                    [&login, at_end](absl::Status status) {
                      login.status = std::move(status);
                      at_end();
                      login.ended.Notify();
                    });
    });
  };
  absl::Notification hashed;
  absl::Notification go_on;
  begin(logins[0], [&] {
    hashed.Notify();
    go_on.WaitForNotification();  // on the only thread that hashes
  });
  hashed.WaitForNotification();
  begin(logins[1], [] {});
  begin(logins[2], [] {});
  EXPECT_FALSE(logins[1].ended.HasBeenNotified()) << "it waits";
  EXPECT_TRUE(logins[2].ended.HasBeenNotified()) << "it is refused at once";
  go_on.Notify();
  for (PendingLogin& login : logins) {
    login.ended.WaitForNotification();
    registry_->End(login.context, login.status.code());
  }
  EXPECT_TRUE(logins[0].status.ok()) << logins[0].status;
  EXPECT_TRUE(logins[1].status.ok()) << logins[1].status;
  EXPECT_EQ(logins[2].status.code(), StatusCode::kResourceExhausted) << logins[2].status;
  EXPECT_GT(rpc::RetryAfterMillis(logins[2].status).value_or(0), 0);
}

// So that the time a login takes does not tell who has an account.
TEST_F(AuthTest, ChecksAHashWhateverIsWrongWithALogin) {
  NewUser("a@example.org");
  const Counter& checks =
      metrics_.AddCounter("vectron_password_checks_total", "Passwords checked against a hash.");
  for (const std::string& email : {std::string("a@example.org"), std::string("b@example.org"),
                                   std::string("no address"), std::string(300, 'x')}) {
    const uint64_t before = checks.value();
    const absl::Status refused = Login(email, "Wrong-Horse-1").status();
    EXPECT_EQ(refused.code(), StatusCode::kUnauthenticated) << email << refused;
    EXPECT_EQ(checks.value(), before + 1) << email;
  }
}

TEST_F(AuthTest, LimitsTheTriesWhateverTheCallThatChecksThePassword) {
  const std::string token = NewUser("a@example.org");
  Close();
  OpenAuth(3);
  v1::ChangePasswordRequest change;
  change.set_old_password("Wrong-Horse-1");
  change.set_new_password("Better-Horse-2");
  const auto delete_user = [&](const std::string& password) {
    v1::DeleteUserRequest request;
    request.set_password(password);
    return Call<v1::DeleteUserResponse>("DeleteUser", request, Bearer(token)).status();
  };
  const auto change_password = [&] {
    return Call<v1::ChangePasswordResponse>("ChangePassword", change, Bearer(token)).status();
  };
  EXPECT_EQ(delete_user("Wrong-Horse-1").code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(change_password().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(Login("a@example.org", "Wrong-Horse-1").status().code(), StatusCode::kUnauthenticated);
  change.set_old_password(kPassword);
  for (const absl::Status& refused :
       {delete_user(kPassword), change_password(), Login("a@example.org").status()}) {
    EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(rpc::RetryAfterMillis(refused), 20'000);
  }
  clock_.AdvanceSeconds(20);
  EXPECT_TRUE(delete_user(kPassword).ok());
}

TEST_F(AuthTest, TellsTheAuditLogWhatWasAskedFor) {
  std::string detail;  // of the last call
  registry_->AddObserver(
      [&detail](rpc::CallContext& context, StatusCode) { detail = context.audit_detail; });
  const std::string id = RegisterAdmin().id();
  EXPECT_EQ(detail, "role=ROLE_ADMIN by the bootstrap secret");
  const std::string admin = *Login("admin@example.org");
  const std::string user = Profile(NewUser("u@example.org"))->id();
  v1::UpdateUserRequest update;
  update.set_user_id(user);
  update.set_role(v1::ROLE_ADMIN);
  update.set_plan(v1::PAID);
  ASSERT_TRUE(Call<v1::UpdateUserResponse>("UpdateUser", update, Bearer(admin)).ok());
  EXPECT_EQ(detail, "role=ROLE_ADMIN plan=PAID");
  v1::SetSubscriptionRequest billing;
  billing.set_user_id(user);
  billing.set_plan(v1::FREE);
  billing.set_subscription_status(v1::PAST_DUE);
  ASSERT_TRUE(Call<v1::SetSubscriptionResponse>("SetSubscription", billing,
                                                {{rpc::kClusterSecretHeader, kClusterSecret}})
                  .ok());
  EXPECT_EQ(detail, "plan=FREE subscription_status=PAST_DUE");
  v1::CreateAPIKeyRequest key;
  key.set_name("k");
  key.set_scope(v1::KEY_SCOPE_READ);
  key.add_collections("docs-*");
  NewKey(admin, key);
  EXPECT_EQ(detail, "scope=KEY_SCOPE_READ collections=docs-*");
}

}  // namespace
}  // namespace vectron::auth
