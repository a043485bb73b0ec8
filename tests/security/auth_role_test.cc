// `vectron auth` over a real etcd: several instances, and what happens when etcd is away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "rpc/cluster_secret.h"
#include "security/server_process.h"
#include "services/auth/directory.h"
#include "services/auth/etcd_meta_store.h"
#include "services/auth/etcd_testing.h"
#include "services/auth/secrets.h"
#include "vectron/auth.pb.h"

namespace vectron {
namespace {

constexpr char kSecret[] = "cluster-secret-0123456789";
constexpr char kPassword[] = "Planted-Password-1";
constexpr absl::Duration kRevocationBar = absl::Seconds(5);

// Two instances of the Auth service that share one etcd and one secret.
class AuthRoleTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(auth::Etcd::Installed());
    etcd_ = std::make_unique<auth::Etcd>();
    ASSERT_TRUE(auth::WriteSecretFile(dir_ / "cluster.secret", kSecret).ok());
    one_ = Start("one");
    two_ = Start("two");
  }
  std::unique_ptr<ServerProcess> Start(const std::string& name) {
    return std::make_unique<ServerProcess>(
        std::vector<std::string>{"auth", "--data", dir_ / name, "--http", "127.0.0.1:0", "--grpc",
                                 "127.0.0.1:0", "--etcd", etcd_->endpoint(),
                                 "--cluster-secret-file", dir_ / "cluster.secret",
                                 "--auth-secret-file", dir_ / "auth.secret",
                                 "--auth-login-per-minute", "0", "--auth-failures-per-minute", "0"},
        dir_ / (name + ".log"));
  }
  std::string Login(const ServerProcess& server) {
    const auto response =
        Http(server.port("http"), "POST", "/v1/users/login", {},
             std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}");
    EXPECT_EQ(response.status, 200) << response.body;
    return Field(response.body, "jwtToken");
  }
  void Register(const ServerProcess& server) {
    EXPECT_EQ(Http(server.port("http"), "POST", "/v1/users/register", {},
                   std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}")
                  .status,
              200);
  }
  // As a gateway asks.
  static grpc::StatusCode Verify(const ServerProcess& server, const std::string& credential,
                                 const std::string& secret = kSecret) {
    auth::v1::VerifyCredentialRequest request;
    request.set_credential(credential);
    const auto channel =
        grpc::CreateChannel(server.address("grpc"), grpc::InsecureChannelCredentials());
    return Grpc(channel, "/vectron.auth.v1.AuthService/VerifyCredential",
                {{rpc::kClusterSecretHeader, secret}}, request.SerializeAsString())
        .status.error_code();
  }
  static absl::Duration TimeUntil(const std::function<bool()>& good) {
    const absl::Time begin = absl::Now();
    while (!good() && absl::Now() - begin < absl::Seconds(20))
      absl::SleepFor(absl::Milliseconds(20));
    return absl::Now() - begin;
  }

  TempDir dir_;
  std::unique_ptr<auth::Etcd> etcd_;
  std::unique_ptr<ServerProcess> one_;
  std::unique_ptr<ServerProcess> two_;
};

TEST_F(AuthRoleTest, SharesUsersKeysAndRevocationsBetweenInstances) {
  Register(*one_);
  TimeUntil([&] {
    return Http(two_->port("http"), "POST", "/v1/users/login", {},
                std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}")
               .status == 200;
  });
  const std::string token = Login(*two_);
  EXPECT_EQ(Verify(*one_, token), grpc::StatusCode::OK);
  EXPECT_EQ(Verify(*one_, token, "not-the-cluster-secret"), grpc::StatusCode::UNAUTHENTICATED);
  const auto made = Http(one_->port("http"), "POST", "/v1/keys", Bearer(token), R"({"name":"k"})");
  const std::string key = Field(made.body, "fullKey");
  EXPECT_LT(TimeUntil([&] { return Verify(*two_, key) == grpc::StatusCode::OK; }), kRevocationBar);
  ASSERT_EQ(
      Http(one_->port("http"), "DELETE", "/v1/keys/" + key.substr(0, 13), Bearer(token)).status,
      200);
  EXPECT_LT(TimeUntil([&] { return Verify(*two_, key) == grpc::StatusCode::UNAUTHENTICATED; }),
            kRevocationBar);
  const auto refreshed = Http(two_->port("http"), "POST", "/v1/auth/refresh", Bearer(token), "{}");
  ASSERT_EQ(refreshed.status, 200) << refreshed.body;
  const std::string next = Field(refreshed.body, "jwtToken");
  EXPECT_LT(TimeUntil([&] { return Verify(*one_, token) == grpc::StatusCode::UNAUTHENTICATED; }),
            kRevocationBar)
      << "a token that was refreshed is over";
  EXPECT_EQ(Verify(*one_, next), grpc::StatusCode::OK);
  ASSERT_EQ(Http(two_->port("http"), "POST", "/v1/auth/logout", Bearer(next), "{}").status, 200);
  EXPECT_LT(TimeUntil([&] { return Verify(*one_, next) == grpc::StatusCode::UNAUTHENTICATED; }),
            kRevocationBar);
  EXPECT_EQ(Http(two_->port("http"), "POST", "/v1/users/register", {},
                 std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}")
                .status,
            409);
}

// The recovery that docs/security.md describes.
TEST_F(AuthRoleTest, MakesAnotherBootstrapSecretOnceTheRecordOfALostOneIsDeleted) {
  const auto files = NewPosixFileSystem();
  const std::string file = dir_ / "one/bootstrap.secret";
  ASSERT_TRUE(files->Exists(file).value_or(false)) << "of the first instance";
  one_->Stop();
  ASSERT_TRUE(files->Remove(file).ok());
  one_ = Start("one");
  EXPECT_FALSE(files->Exists(file).value_or(true)) << "another instance may have the secret";
  one_->Stop();
  const auto store = auth::EtcdMetaStore::Make({.endpoints = {etcd_->endpoint()}});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(auth::BootstrapKey(), "vectron/auth/bootstrap/");
  const auto deleted =
      (*store)->Commit({.writes = {{.key = auth::BootstrapKey(), .value = std::nullopt}}});
  ASSERT_TRUE(deleted.ok()) << deleted.status();
  one_ = Start("one");
  std::string secret = files->ReadAll(file).value_or("");
  while (!secret.empty() && secret.back() == '\n') secret.pop_back();
  const auto made =
      Http(one_->port("http"), "POST", "/v1/users/register", {{"x-vectron-bootstrap", secret}},
           std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}");
  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_THAT(made.body, testing::HasSubstr("ROLE_ADMIN"));
}

TEST_F(AuthRoleTest, GoesOnForSecondsWithoutEtcdThenRefusesAndComesBack) {
  Register(*one_);
  const std::string token = Login(*one_);
  ASSERT_EQ(Verify(*one_, token), grpc::StatusCode::OK);
  etcd_->Freeze();  // it keeps its connections and answers nothing
  EXPECT_EQ(Verify(*one_, token), grpc::StatusCode::OK) << "sessions go on for a while";
  const absl::Duration until_refused =
      TimeUntil([&] { return Verify(*one_, token) == grpc::StatusCode::UNAVAILABLE; });
  EXPECT_LT(until_refused, kRevocationBar) << "then nobody can know any more";
  EXPECT_EQ(Http(one_->port("http"), "GET", "/readyz", {}).status, 503);
  EXPECT_EQ(Http(one_->port("http"), "GET", "/v1/user/profile", Bearer(token)).status, 503);
  EXPECT_EQ(Http(one_->port("http"), "POST", "/v1/users/login", {},
                 std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}")
                .status,
            503);
  etcd_->Thaw();
  TimeUntil([&] { return Verify(*one_, token) == grpc::StatusCode::OK; });
  EXPECT_EQ(Verify(*one_, token), grpc::StatusCode::OK);
  etcd_->Stop();
  EXPECT_LT(TimeUntil([&] { return Verify(*one_, token) == grpc::StatusCode::UNAVAILABLE; }),
            kRevocationBar);
  etcd_->Start();
  TimeUntil([&] { return Verify(*one_, token) == grpc::StatusCode::OK; });
  EXPECT_EQ(Verify(*one_, token), grpc::StatusCode::OK) << "all is as it was";
}

}  // namespace
}  // namespace vectron
