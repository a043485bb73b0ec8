// Credentials, tenants, limits, TLS and leaks of the real server.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "rpc/tls_testing.h"
#include "security/world.h"
#include "services/auth/secrets.h"
#include "vectron/auth.pb.h"
#include "vectron/vectron.pb.h"

namespace vectron {
namespace {

using auth::Base64UrlDecode;
using auth::Base64UrlEncode;
using ::testing::HasSubstr;
using ::testing::Not;

const char kStatusPath[] = "/vectron.v1.VectronService/GetCollectionStatus";

class Server : public testing::Test {
 protected:
  void SetUp() override {
    admin_id_ = world_.RegisterAdmin();
    user_id_ = world_.Register("a@example.org");
    world_.Register("b@example.org");
    admin_ = world_.Login("admin@example.org");
    user_ = world_.Login("a@example.org");
    other_ = world_.Login("b@example.org");
  }
  rpc::RawResponse Make(const std::string& credential, const std::string& name) {
    return world_.Call("POST", "/v1/collections", Bearer(credential),
                       R"({"name":")" + name + R"(","dimension":2})");
  }
  rpc::RawResponse Put(const std::string& credential, const std::string& name) {
    return world_.Call(
        "POST", "/v1/collections/" + name + "/points", Bearer(credential),
        R"({"points":[{"id":"p","vector":[1,2],"payload":{"k":"planted-payload"}}]})");
  }
  int Status(const std::string& credential, const std::string& name) {
    return world_.Call("GET", "/v1/collections/" + name + "/status", Bearer(credential)).status;
  }
  grpc::StatusCode GrpcStatus(const std::string& credential, const std::string& name) {
    v1::GetCollectionStatusRequest request;
    request.set_name(name);
    return Grpc(world_.channel(), kStatusPath, Bearer(credential), request.SerializeAsString())
        .status.error_code();
  }

  World world_;
  std::string admin_id_, user_id_, admin_, user_, other_;
};

TEST_F(Server, DoesEverythingOfTheDataApiWithEachKindOfCredential) {
  const std::string key = world_.NewKey(user_);
  const std::vector<std::string> credentials = {user_, key, world_.NewSdkToken(user_, key)};
  for (size_t i = 0; i < credentials.size(); ++i) {
    const std::string& credential = credentials[i];
    const std::string name = "c" + std::to_string(i);
    EXPECT_EQ(Make(credential, name).status, 200);
    EXPECT_EQ(Put(credential, name).status, 200);
    const std::string base = "/v1/collections/" + name;
    EXPECT_THAT(world_
                    .Call("POST", base + "/points/search", Bearer(credential),
                          R"({"vector":[1,2],"topK":1})")
                    .body,
                HasSubstr("planted-payload"));
    EXPECT_EQ(world_.Call("GET", base + "/points/p", Bearer(credential)).status, 200);
    EXPECT_EQ(world_.Call("POST", base + "/points/scroll", Bearer(credential), "{}").status, 200);
    EXPECT_EQ(world_.Call("DELETE", base + "/points/p", Bearer(credential)).status, 200);
    EXPECT_EQ(Status(credential, name), 200);
    EXPECT_THAT(world_.Call("GET", "/v1/collections", Bearer(credential)).body, HasSubstr(name));
    EXPECT_EQ(world_.Call("DELETE", base, Bearer(credential)).status, 200);
  }
}

TEST_F(Server, KeepsTenantsApart) {
  ASSERT_EQ(Make(user_, "mine").status, 200);
  ASSERT_EQ(Put(user_, "mine").status, 200);
  const std::string base = "/v1/collections/mine";
  struct Try {
    std::string verb, path, body;
  };
  for (const Try& attempt :
       {Try{"GET", base + "/status", ""}, Try{"GET", base + "/points/p", ""},
        Try{"POST", base + "/points/search", R"({"vector":[1,2]})"},
        Try{"POST", base + "/points", R"({"points":[{"id":"q","vector":[1,2]}]})"},
        Try{"POST", base + "/points/scroll", "{}"}, Try{"DELETE", base + "/points/p", ""},
        Try{"DELETE", base, ""}}) {
    const auto theirs = world_.Call(attempt.verb, attempt.path, Bearer(other_), attempt.body);
    EXPECT_EQ(theirs.status, 404) << attempt.verb << " " << attempt.path << theirs.body;
    std::string unknown_path = attempt.path;
    unknown_path.replace(unknown_path.find("mine"), 4, "none");
    auto unknown = world_.Call(attempt.verb, unknown_path, Bearer(other_), attempt.body);
    for (size_t at; (at = unknown.body.find("'none'")) != std::string::npos;)
      unknown.body.replace(at, 6, "'mine'");
    EXPECT_EQ(theirs.body, unknown.body) << "who asks cannot tell that it exists";
  }
  EXPECT_EQ(GrpcStatus(other_, "mine"), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(world_.Call("GET", "/v1/collections", Bearer(other_)).body, Not(HasSubstr("mine")));
  EXPECT_EQ(Make(other_, "mine").status, 200) << "names are unique per tenant only";
  EXPECT_EQ(Make(user_, "mine").status, 409);
  EXPECT_EQ(world_.Call("GET", base + "/points/p", Bearer(user_)).status, 200) << "untouched";
  EXPECT_EQ(world_.Call("GET", base + "/points/p", Bearer(other_)).status, 404);
}

TEST_F(Server, ShowsAnAdministratorTheCollectionsOfAll) {
  ASSERT_EQ(Make(user_, "of-a").status, 200);
  EXPECT_EQ(Status(admin_, "of-a"), 200);
  EXPECT_EQ(GrpcStatus(admin_, "of-a"), grpc::StatusCode::OK);
  EXPECT_THAT(world_.Call("GET", "/v1/collections", Bearer(admin_)).body, HasSubstr("of-a"));
  EXPECT_EQ(world_.Call("DELETE", "/v1/collections/of-a", Bearer(admin_)).status, 404);
  EXPECT_EQ(Status(user_, "of-a"), 200) << "to delete it, its owner has to be named";
  ASSERT_EQ(Make(user_, "twice").status, 200);
  ASSERT_EQ(Make(other_, "twice").status, 200);
  EXPECT_EQ(Status(admin_, "twice"), 400) << "whose is not said";
  Headers named = Bearer(admin_);
  named.emplace_back("x-vectron-tenant", user_id_);
  EXPECT_EQ(world_.Call("GET", "/v1/collections/twice/status", named).status, 200);
  const std::string given = R"({"name":"given","dimension":2})";
  EXPECT_EQ(world_.Call("POST", "/v1/collections", named, given).status, 200);
  EXPECT_EQ(Status(user_, "given"), 200);
  Headers nobody = Bearer(admin_);
  nobody.emplace_back("x-vectron-tenant", "user-00000000-0000-4000-8000-000000000000");
  EXPECT_EQ(world_.Call("POST", "/v1/collections", nobody, given).status, 404) << "no such user";
  Headers stolen = Bearer(other_);
  stolen.emplace_back("x-vectron-tenant", user_id_);
  EXPECT_EQ(world_.Call("GET", "/v1/collections/of-a/status", stolen).status, 403);
}

TEST_F(Server, HoldsAKeyToItsCollections) {
  for (const char* name : {"docs-1", "docs-2", "news"}) ASSERT_EQ(Make(user_, name).status, 200);
  const std::string key = world_.NewKey(user_, R"(,"collections":["docs-*"])");
  const std::string sdk = world_.NewSdkToken(user_, key);
  for (const std::string& credential : {key, sdk}) {
    EXPECT_EQ(Status(credential, "docs-1"), 200);
    EXPECT_EQ(Status(credential, "news"), 403);
    EXPECT_EQ(GrpcStatus(credential, "docs-2"), grpc::StatusCode::OK);
    EXPECT_EQ(GrpcStatus(credential, "news"), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_EQ(Put(credential, "docs-1").status, 200);
    EXPECT_EQ(Put(credential, "news").status, 403);
    EXPECT_EQ(Make(credential, "other").status, 403);
    const std::string list = world_.Call("GET", "/v1/collections", Bearer(credential)).body;
    EXPECT_THAT(list, HasSubstr("docs-2"));
    EXPECT_THAT(list, Not(HasSubstr("news")));
  }
}

// The attacks of the unit test that can be made without the server's secret, over the wire.
TEST_F(Server, RefusesForgedTokens) {
  const size_t dot = user_.find('.');
  const size_t second = user_.rfind('.');
  const std::string header = *Base64UrlDecode(user_.substr(0, dot));
  const std::string payload = *Base64UrlDecode(user_.substr(dot + 1, second - dot - 1));
  const std::string signature = user_.substr(second + 1);
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const auto token = [](const std::string& h, const std::string& p, const std::string& s) {
    return Base64UrlEncode(h) + "." + Base64UrlEncode(p) + "." + s;
  };
  const auto signed_by = [](const std::string& h, const std::string& p, const std::string& key) {
    const std::string text = Base64UrlEncode(h) + "." + Base64UrlEncode(p);
    return text + "." + Base64UrlEncode(auth::AsText(auth::HmacSha256(key, text)));
  };
  ASSERT_EQ(world_.Call("GET", "/v1/collections", Bearer(token(header, payload, signature))).status,
            200)
      << "taking it apart and putting it together changes nothing";
  const std::string none = replaced(header, "HS256", "none");
  const std::vector<std::string> attacks = {
      token(none, payload, ""),
      token(none, payload, signature),
      token(replaced(header, "HS256", "HS512"), payload, signature),
      token(replaced(header, "HS256", "RS256"), payload, signature),
      token(replaced(header, "\"kid\":\"", "\"kid\":\"x"), payload, signature),
      token(replaced(header, "{", R"({"crit":["b64"],)"), payload, signature),
      token(header, replaced(payload, user_id_, admin_id_), signature),
      token(header, replaced(payload, "\"exp\":", "\"exp\":9"), signature),
      token(header, replaced(payload, "{", "{ "), signature),
      signed_by(header, payload, ""),
      signed_by(header, payload, "secret"),
      signed_by(replaced(header, "{", R"({"jwk":{"kty":"oct","k":"c2VjcmV0"},)"), payload,
                "secret"),
      user_.substr(0, second + 1),
      user_.substr(0, second),
      user_ + "A",
      user_ + "=",
      "." + user_,
      user_ + "." + signature,
      std::string(30'000, 'A'),
      user_.substr(0, dot + 1) + std::string(20'000, 'A') + user_.substr(second),
  };
  for (const std::string& attack : attacks) {
    const auto response = world_.Call("GET", "/v1/collections", Bearer(attack));
    EXPECT_EQ(response.status, 401) << attack.substr(0, 300) << " " << response.body;
    if (attack.size() > 8'000) continue;  // gRPC's own bound of a header
    EXPECT_EQ(Grpc(world_.channel(), "/vectron.v1.VectronService/ListCollections", Bearer(attack))
                  .status.error_code(),
              grpc::StatusCode::UNAUTHENTICATED)
        << attack.substr(0, 300);
  }
  EXPECT_EQ(world_.Call("GET", "/v1/collections", Bearer(std::string(1 << 20, 'A'))).status, 431);
  EXPECT_EQ(world_.Call("GET", "/v1/collections", Bearer(user_)).status, 200);
}

TEST_F(Server, ForgetsADeletedUserAltogether) {
  ASSERT_EQ(Make(user_, "left").status, 200);
  const std::string key = world_.NewKey(user_);
  ASSERT_EQ(Status(key, "left"), 200);
  ASSERT_EQ(world_
                .Call("POST", "/v1/user/delete", Bearer(user_),
                      std::string(R"({"password":")") + kUserPassword + "\"}")
                .status,
            200);
  EXPECT_EQ(Status(user_, "left"), 401);
  EXPECT_EQ(Status(key, "left"), 401);
  EXPECT_EQ(Status(admin_, "left"), 404);
}

TEST_F(Server, KeepsUsersAndKeysOverARestart) {
  const std::string key = world_.NewKey(user_);
  ASSERT_EQ(Make(key, "kept").status, 200);
  World& world = world_;
  world.server().Stop();
  const ServerProcess again(
      {"dev", "--data", world.data(), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"},
      world.log());
  for (const std::string& credential : {user_, key}) {
    EXPECT_EQ(
        Http(again.port("http"), "GET", "/v1/collections/kept/status", Bearer(credential)).status,
        200);
  }
  EXPECT_EQ(Http(again.port("http"), "GET", "/v1/collections", {}).status, 401);
}

TEST_F(Server, LeaksNoSecretIntoLogsErrorsAuditOrMetrics) {
  const std::string key = world_.NewKey(user_);
  const std::string sdk = world_.NewSdkToken(user_, key);
  ASSERT_EQ(Make(key, "c").status, 200);
  ASSERT_EQ(Put(key, "c").status, 200);
  std::string seen;
  for (const std::string& credential : {key, sdk, user_}) {
    const std::string broken = credential + "x";
    seen += world_.Call("GET", "/v1/collections", Bearer(broken)).body;
    seen += world_.Call("GET", "/v1/admin/users", Bearer(credential)).body;
    seen += Grpc(world_.channel(), "/vectron.v1.VectronService/ListCollections", Bearer(broken))
                .status.error_message();
  }
  seen +=
      world_
          .Call("POST", "/v1/users/login", {},
                std::string(R"({"email":"a@example.org","password":"x)") + kUserPassword + "\"}")
          .body;
  seen += world_.Call("GET", "/metrics", Bearer(admin_)).body;
  world_.server().Stop();  // writes out the audit log
  const std::string audit = world_.Read(world_.data() + "/audit/audit.log");
  const std::string users = world_.Read(world_.data() + "/audit/users.log");
  const std::string refused = world_.Read(world_.data() + "/audit/refused.log");
  const std::string log = world_.Read(world_.log());
  seen += audit + users + refused + log;
  for (const std::string& planted : {std::string(kUserPassword), key.substr(13), user_, admin_, sdk,
                                     sdk.substr(sdk.rfind('.')), std::string("planted-payload")}) {
    EXPECT_EQ(seen.find(planted), std::string::npos) << planted << " was seen";
  }
  EXPECT_THAT(log, HasSubstr("x-vectron-bootstrap: ")) << "shown once, at the first start";
  EXPECT_THAT(users,
              HasSubstr("\"what\":\"vectron.auth.v1.AuthService.CreateAPIKey\",\"code\":\"OK\""));
  EXPECT_THAT(refused, HasSubstr("\"code\":\"Unauthenticated\""));
  EXPECT_THAT(refused, HasSubstr("\"code\":\"PermissionDenied\""));
  EXPECT_THAT(audit + users, Not(HasSubstr("Unauthenticated")))
      << "refusals have a log of their own";
  EXPECT_THAT(audit, HasSubstr("\"detail\":\"role=ROLE_ADMIN by the bootstrap secret\""));
  EXPECT_THAT(users, HasSubstr("\"target\":\"" + key.substr(0, 13) + "\""));
  EXPECT_THAT(users, HasSubstr("VectronService.CreateCollection"));
  EXPECT_THAT(users, Not(HasSubstr("ROLE_ADMIN")));
  EXPECT_THAT(audit, HasSubstr("AuthService.Login\",\"code\":\"OK\",\"target\":"))
      << "an administrator's";
  EXPECT_THAT(audit, Not(HasSubstr("VectronService.CreateCollection"))) << "a user's";
}

TEST_F(Server, LetsNoOtherUserOfTheMachineLookIntoItsData) {
  ASSERT_EQ(Make(user_, "c").status, 200);
  ASSERT_EQ(Put(user_, "c").status, 200);
  world_.Call("POST", "/v1/feedback", Bearer(user_),
              R"({"collection":"c","feedbackItems":[{"resultId":"p","clicked":true}]})");
  namespace fs = std::filesystem;
  size_t files = 0;
  const auto check = [&](const fs::path& path) {
    const fs::perms open = fs::perms::group_all | fs::perms::others_all;
    std::error_code gone;  // the server is at work
    const fs::perms mode = fs::symlink_status(path, gone).permissions();
    if (gone || mode == fs::perms::unknown) return;
    EXPECT_EQ(mode & open, fs::perms::none) << path;
    ++files;
  };
  check(world_.data());
  for (const auto& entry : fs::recursive_directory_iterator(world_.data())) check(entry.path());
  EXPECT_GT(files, 20u);
  EXPECT_TRUE(fs::exists(world_.data() + "/feedback.db"));
  EXPECT_TRUE(fs::exists(world_.data() + "/auth"));
}

TEST_F(Server, ThrottlesWhoGuessesThePasswordOfASession) {
  World world({"--auth-login-per-minute", "1", "--auth-key-per-minute", "0"});
  world.Register("c@example.org");
  const std::string token = world.Login("c@example.org");
  const auto guess = [&](const std::string& path, const std::string& field) {
    return world.Call("POST", path, Bearer(token),
                      R"({")" + field + R"(":"Wrong-Password-1","newPassword":"Better-Pass-2"})");
  };
  // Four tries of an account and minute; the login was one.
  EXPECT_EQ(guess("/v1/user/delete", "password").status, 403);
  EXPECT_EQ(guess("/v1/user/password", "oldPassword").status, 403);
  EXPECT_EQ(guess("/v1/user/delete", "password").status, 403);
  for (const auto& [path, field] :
       {std::pair{"/v1/user/delete", "password"}, std::pair{"/v1/user/password", "oldPassword"}}) {
    auto refused = guess(path, field);
    EXPECT_EQ(refused.status, 429) << path << refused.body;
    EXPECT_GE(std::stoi(refused.headers["Retry-After"]), 1);
  }
}

TEST_F(Server, RefreshesATokenInItsPlaceAndEndsTheWholeSessionAtLogout) {
  const auto profile = [&](const std::string& token) {
    return world_.Call("GET", "/v1/user/profile", Bearer(token)).status;
  };
  const auto refresh = [&](const std::string& token) {
    return Field(world_.Call("POST", "/v1/auth/refresh", Bearer(token), "{}").body, "jwtToken");
  };
  const std::string second = refresh(user_);
  EXPECT_EQ(profile(user_), 401);
  EXPECT_EQ(profile(second), 200);
  const std::string third = refresh(second);
  EXPECT_EQ(world_.Call("POST", "/v1/auth/logout", Bearer(third), "{}").status, 200);
  EXPECT_EQ(profile(third), 401);
  world_.server().Stop();
  world_.Start();
  for (const std::string& token : {user_, second, third}) EXPECT_EQ(profile(token), 401);
}

TEST_F(Server, ForgetsTheFeedbackOnACollectionThatIsMadeAgain) {
  const auto records = [&] {
    return world_.Call("GET", "/v1/feedback?collection=c1", Bearer(user_)).body;
  };
  ASSERT_EQ(Make(user_, "c1").status, 200);
  const std::string body =
      R"({"collection":"c1","query":"planted-text","feedbackItems":[{"resultId":"p","clicked":true}]})";
  ASSERT_EQ(world_.Call("POST", "/v1/feedback", Bearer(user_), body).status, 200);
  EXPECT_THAT(records(), HasSubstr("planted-text"));
  ASSERT_EQ(world_.Call("DELETE", "/v1/collections/c1", Bearer(user_)).status, 200);
  ASSERT_EQ(Make(user_, "c1").status, 200);
  EXPECT_THAT(records(), Not(HasSubstr("planted-text")));
}

TEST_F(Server, AuditsWhatTheBillingHookDoes) {
  auth::v1::SetSubscriptionRequest request;
  request.set_user_id(user_id_);
  request.set_plan(auth::v1::PAID);
  EXPECT_TRUE(Grpc(world_.channel(), "/vectron.auth.v1.AuthService/SetSubscription",
                   {{"x-vectron-cluster-secret", kWorldClusterSecret}}, request.SerializeAsString())
                  .status.ok());
  world_.server().Stop();
  EXPECT_THAT(
      world_.Read(world_.data() + "/audit/audit.log"),
      HasSubstr(
          "AuthService.SetSubscription\",\"code\":\"OK\",\"credential\":\"cluster\",\"target\":\"" +
          user_id_ + "\",\"detail\":\"plan=PAID\""));
}

TEST(Limits, HoldForTheFeedbackThatIsKept) {
  World world({"--feedback-max-bytes", "131072", "--rate-free-per-second", "0"});
  world.Register("a@example.org");
  const Headers user = Bearer(world.Login("a@example.org"));
  ASSERT_EQ(world.Call("POST", "/v1/collections", user, R"({"name":"c","dimension":2})").status,
            200);
  const std::string body =
      R"({"collection":"c","feedbackItems":[{"resultId":"p","clicked":true,"comment":")" +
      std::string(4'000, 'x') + "\"}]}";
  auto last = world.Call("POST", "/v1/feedback", user, body);
  ASSERT_EQ(last.status, 200) << last.body;
  for (int i = 0; i < 100 && last.status == 200; ++i)
    last = world.Call("POST", "/v1/feedback", user, body);
  EXPECT_EQ(last.status, 429) << last.body;
  EXPECT_THAT(last.body, HasSubstr("the feedback store is full"));
  EXPECT_GE(std::stoi("0" + last.headers["Retry-After"]), 1);
  EXPECT_THAT(world.Call("GET", "/v1/feedback?collection=c", user).body, HasSubstr("xxx"));
}

TEST(Limits, HoldForRefreshingTokens) {
  World world({"--auth-key-per-minute", "2"});
  world.Register("a@example.org");
  std::string token = world.Login("a@example.org");
  for (int i = 0; i < 2; ++i) {
    const auto next = world.Call("POST", "/v1/auth/refresh", Bearer(token), "{}");
    ASSERT_EQ(next.status, 200) << next.body;
    token = Field(next.body, "jwtToken");
  }
  auto refused = world.Call("POST", "/v1/auth/refresh", Bearer(token), "{}");
  EXPECT_EQ(refused.status, 429) << refused.body;
  EXPECT_GE(std::stoi("0" + refused.headers["Retry-After"]), 1);
  EXPECT_EQ(world.Call("GET", "/v1/user/profile", Bearer(token)).status, 200) << "it stays good";
}

TEST(Limits, RefuseTooManyLoginsAndRequestsWithAHintWhenToTryAgain) {
  World world({"--auth-login-per-minute", "3", "--rate-free-per-second", "5"});
  world.RegisterAdmin();
  const std::string token = world.Login("admin@example.org");
  const std::string body = R"({"email":"admin@example.org","password":"Wrong-Password-1"})";
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(world.Call("POST", "/v1/users/login", {}, body).status, 401);
  auto refused = world.Call("POST", "/v1/users/login", {}, body);
  EXPECT_EQ(refused.status, 429);
  EXPECT_GE(std::stoi(refused.headers["Retry-After"]), 1);
  EXPECT_EQ(
      world.Call("POST", "/v1/users/login", {{"x-forwarded-for", "203.0.113.1"}}, body).status, 429)
      << "no proxy is trusted";
  int limited = 0;
  for (int i = 0; i < 50 && limited == 0; ++i) {
    refused = world.Call("GET", "/v1/collections", Bearer(token));
    if (refused.status == 429) ++limited;
  }
  EXPECT_EQ(limited, 1);
  EXPECT_GE(std::stoi(refused.headers["Retry-After"]), 1);
  grpc::StatusCode code = grpc::StatusCode::OK;
  for (int i = 0; i < 50 && code == grpc::StatusCode::OK; ++i) {
    code = Grpc(world.channel(), "/vectron.v1.VectronService/ListCollections", Bearer(token))
               .status.error_code();
  }
  EXPECT_EQ(code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(world.Call("GET", "/healthz", {}).status, 200);
}

TEST(Limits, HoldWhoTriesCredentialsAndNobodyElse) {
  World world({"--auth-failures-per-minute", "3"});
  world.RegisterAdmin();
  const std::string token = world.Login("admin@example.org");
  EXPECT_EQ(world.Call("GET", "/v1/collections", Bearer(token)).status, 200);
  const auto guess = [&](int number) {
    return world.Call("GET", "/v1/collections", Bearer(token + std::to_string(number)));
  };
  for (int i = 0; i < 3; ++i) EXPECT_EQ(guess(i).status, 401);
  int number = 3;
  while (number < 50 && guess(number).status == 401) ++number;  // one is earned in 20 s
  auto refused = guess(number + 1);
  EXPECT_EQ(refused.status, 429);
  EXPECT_GE(std::stoi(refused.headers["Retry-After"]), 1);
  EXPECT_EQ(world.Call("GET", "/v1/collections", Bearer(token)).status, 200);
}

TEST(Limits, GoByTheClientsAddressBehindATrustedProxy) {
  World world({"--auth-login-per-minute", "1", "--trusted-proxy", "127.0.0.0/8"});
  const std::string body = R"({"email":"nobody@example.org","password":"Wrong-Password-1"})";
  const auto login = [&](const std::string& client) {
    return world.Call("POST", "/v1/users/login", {{"x-forwarded-for", client}}, body).status;
  };
  EXPECT_EQ(login("203.0.113.1"), 401);
  EXPECT_EQ(login("203.0.113.1"), 429);
  EXPECT_EQ(login("203.0.113.2"), 401);
}

TEST(Tls, IsOnBothPorts) {
  const TempDir dir;
  const rpc::TestCertificate certificate("localhost");
  certificate.Write(dir / "cert", dir / "key");
  World world({"--tls-cert", dir / "cert", "--tls-key", dir / "key"});
  rpc::TlsClient client(world.http(), certificate);
  ASSERT_TRUE(client.connected());
  EXPECT_THAT(client.Ask("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"), HasSubstr("200 OK"));
  EXPECT_EQ(Http(world.http(), "GET", "/healthz", {}).status, 0) << "no plain HTTP beside it";
  const auto channel =
      grpc::CreateChannel("localhost:" + std::to_string(world.server().port("grpc")),
                          grpc::SslCredentials({world.Read(dir / "cert"), "", ""}));
  EXPECT_EQ(Grpc(channel, "/vectron.v1.VectronService/ListCollections", {}).status.error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(
      Grpc(world.channel(), "/vectron.v1.VectronService/ListCollections", {}).status.error_code(),
      grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace vectron
