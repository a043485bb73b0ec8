#include "rpc/forwarder.h"

#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"
#include "rpc/call_context_testing.h"
#include "rpc/cluster_secret.h"
#include "rpc/error_table.h"
#include "rpc/grpc_server.h"
#include "rpc/policy.h"
#include "rpc/remote_verifier.h"
#include "vectron/auth.pb.h"
#include "vectron/vectron.pb.h"

namespace vectron::rpc {
namespace {

namespace pb = auth::v1;
constexpr char kSecret[] = "0123456789abcdef";
constexpr int64_t kNanosPerMs = 1'000'000;

// An Auth service as far as a gateway sees it, behind the policy of an internal port.
class ForwarderTest : public testing::Test {
 protected:
  ForwarderTest() {
    EXPECT_TRUE(behind_.AddService("vectron.auth.v1.AuthService").ok());
    behind_.AddMiddleware(PolicyMiddleware({.cluster_secret = kSecret}));
    behind_.Unary<pb::LoginRequest, pb::LoginResponse>(
        "vectron.auth.v1.AuthService.Login",
        [this](CallContext& context, pb::LoginRequest& request, pb::LoginResponse& response,
               const RpcDone& done) {
          client_ = context.client;
          credential_ = std::string(context.Header("authorization").value_or(""));
          if (request.password() != "right")
            return done(WithRetryAfter(ResourceExhausted("slower"), 70));
          response.set_jwt_token("token of " + request.email());
          done(absl::OkStatus());
        });
    behind_.Unary<pb::VerifyCredentialRequest, pb::VerifyCredentialResponse>(
        "vectron.auth.v1.AuthService.VerifyCredential",
        [](CallContext&, pb::VerifyCredentialRequest& request,
           pb::VerifyCredentialResponse& response, const RpcDone& done) {
          if (request.credential() != "good") return done(Unauthenticated("unknown"));
          response.set_user_id("user-1");
          response.set_role(pb::ROLE_ADMIN);
          response.set_kind(pb::CREDENTIAL_KIND_API_KEY);
          response.set_scope(pb::KEY_SCOPE_READ);
          response.add_collections("a*");
          response.set_good_for_ms(1'000'000);
          done(absl::OkStatus());
        });
    server_ = *GrpcServer::Start({}, behind_);
    channels_ = std::make_unique<ChannelPool>(
        server_->bound_address(), ChannelOptions{.metadata = {{kClusterSecretHeader, kSecret}}},
        clock_);
    EXPECT_TRUE(ForwardService("vectron.auth.v1.AuthService", *channels_, front_).ok());
  }
  ~ForwarderTest() override { channels_.reset(); }

  absl::Status Login(FakeCallContext& context, const std::string& password,
                     pb::LoginResponse& response) {
    pb::LoginRequest request;
    request.set_email("a@b.org");
    request.set_password(password);
    context.method = front_.Find("vectron.auth.v1.AuthService.Login");
    absl::Status result;
    absl::Notification done;
    context.method->unary(context, request, response, [&](absl::Status status) {
      result = std::move(status);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }
  static Verdict Ask(RemoteVerifier& verifier, const std::string& credential) {
    Verdict result{.identity = absl::UnknownError("")};
    absl::Notification done;
    verifier.Verify(credential, [&](Verdict verdict) {
      result = std::move(verdict);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  Metrics metrics_;
  SystemClock clock_;
  RpcRegistry behind_{metrics_, clock_, {}};
  RpcRegistry front_{metrics_, clock_, {}};
  std::string client_, credential_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<ChannelPool> channels_;
};

TEST_F(ForwarderTest, TakesAlongCredentialAndAddressAndBringsTheAnswer) {
  FakeCallContext context;
  context.client = "203.0.113.7";
  context.headers["authorization"] = "Bearer x";
  pb::LoginResponse response;
  ASSERT_TRUE(Login(context, "right", response).ok());
  EXPECT_EQ(response.jwt_token(), "token of a@b.org");
  EXPECT_EQ(client_, "203.0.113.7") << "believed for the cluster's secret";
  EXPECT_EQ(credential_, "Bearer x");
}

TEST_F(ForwarderTest, BringsErrorsWithTheirHint) {
  FakeCallContext context;
  pb::LoginResponse response;
  const absl::Status status = Login(context, "wrong", response);
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(RetryAfterMillis(status), 70);
}

TEST_F(ForwarderTest, LeavesInternalRpcsOut) {
  EXPECT_EQ(front_.Find("vectron.auth.v1.AuthService.VerifyCredential")->unary, nullptr);
  EXPECT_NE(front_.Find("vectron.auth.v1.AuthService.ListUsers")->unary, nullptr);
}

TEST_F(ForwarderTest, VerifiesCredentialsFromAfarForABoundedTime) {
  RemoteVerifier verifier(*channels_, clock_);
  const int64_t before = clock_.MonotonicNanos();
  const Verdict good = Ask(verifier, "good");
  ASSERT_TRUE(good.identity.ok()) << good.identity.status();
  EXPECT_EQ((*good.identity)->user_id, "user-1");
  EXPECT_EQ((*good.identity)->role, Role::kAdmin);
  EXPECT_EQ((*good.identity)->kind, CredentialKind::kApiKey);
  EXPECT_EQ((*good.identity)->access, Access::kRead);
  EXPECT_EQ((*good.identity)->collections.size(), 1u);
  EXPECT_LE(good.good_until_nanos, clock_.MonotonicNanos() + kMaxRemoteVerdictMs * kNanosPerMs)
      << "whatever the other side says";
  EXPECT_GE(good.good_until_nanos, before + kMaxRemoteVerdictMs * kNanosPerMs);
  EXPECT_TRUE(absl::IsUnauthenticated(Ask(verifier, "bad").identity.status()));
}

TEST_F(ForwarderTest, CannotTellWhileTheServiceIsAway) {
  RemoteVerifier verifier(*channels_, clock_);
  server_->Stop(0);
  const Verdict verdict = Ask(verifier, "good");
  EXPECT_TRUE(absl::IsUnavailable(verdict.identity.status())) << verdict.identity.status();
  EXPECT_EQ(MessageOf(verdict.identity.status()),
            "credentials cannot be checked now: the Auth service cannot be reached");
  EXPECT_EQ(verdict.good_until_nanos, 0);
}

TEST_F(ForwarderTest, DoesNotTakeAConnectionThatWaitsWhileAnotherOneIsThere) {
  const std::string address = server_->bound_address();
  for (int round = 0; round < 3; ++round) {
    server_->Stop(0);
    FakeCallContext context;
    pb::LoginResponse response;
    for (int call = 0; call < 4; ++call)  // every connection finds out that nobody is there
      EXPECT_TRUE(absl::IsUnavailable(Login(context, "right", response)));
    server_.reset();
    auto again = GrpcServer::Start({.address = address}, behind_);
    ASSERT_TRUE(again.ok()) << again.status();
    server_ = *std::move(again);
    while (!Login(context, "right", response).ok()) continue;
    for (int call = 0; call < 4; ++call)
      EXPECT_TRUE(Login(context, "right", response).ok()) << "in round " << round;
  }
}

TEST_F(ForwarderTest, TellsUsersNoAddressOfTheCluster) {
  server_->Stop(0);
  FakeCallContext context;
  pb::LoginResponse response;
  const absl::Status status = Login(context, "right", response);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(MessageOf(status), "the Auth service cannot be reached");
}

TEST_F(ForwarderTest, IsTurnedAwayWithoutTheClustersSecret) {
  ChannelPool strangers(server_->bound_address(),
                        {.metadata = {{kClusterSecretHeader, "not-the-secret-at-all"}}}, clock_);
  RemoteVerifier verifier(strangers, clock_);
  EXPECT_FALSE(Ask(verifier, "good").identity.ok());
}

}  // namespace
}  // namespace vectron::rpc
