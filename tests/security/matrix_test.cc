// Every route of the policy table times every kind of caller, over HTTP and gRPC, against the real
// server: who gets in is exactly who should.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "rpc/policy.h"
#include "security/world.h"
#include "services/auth/directory.h"
#include "services/auth/embedded_meta_store.h"
#include "services/auth/secrets.h"
#include "services/auth/tokens.h"
#include "storage/rocks_kv.h"

namespace vectron {
namespace {

using options::Scope;

// What a caller may do, written down by hand and not taken from the code under test.
struct Caller {
  std::string name;
  Headers headers;
  bool known = false;  // else 401 everywhere
  bool read = false, write = false, account = false, administer = false;
  bool cluster = false;
};

bool May(const Caller& caller, Scope scope) {
  switch (scope) {
    case options::SCOPE_PUBLIC:
      return true;
    case options::SCOPE_READ:
      return caller.read;
    case options::SCOPE_WRITE:
      return caller.write;
    case options::SCOPE_USER:
      return caller.account;
    case options::SCOPE_ADMIN:
      return caller.administer;
    case options::SCOPE_INTERNAL:
      return caller.cluster;
    default:
      return false;
  }
}

// Services of `vectron dev`. The ports of the others are tested in internal_ports_test.cc.
bool IsServed(std::string_view rpc) {
  return rpc.starts_with("vectron.v1.VectronService.") ||
         rpc.starts_with("vectron.auth.v1.AuthService.") ||
         rpc.starts_with("vectron.management.v1.ManagementService.");
}

// Refusals of handlers that have the code of a policy's.
bool IsHandlersOwn(const std::string& message) {
  for (const char* text :
       {"no such key of yours", "the password is wrong", "password is wrong",
        "e-mail or the password", "not by its user", "the credential is malformed"}) {
    if (message.find(text) != std::string::npos) return true;
  }
  return false;
}

// Tokens as the server at rest in this folder signs them.
class Forger {
 public:
  explicit Forger(const std::string& data) {
    auto kv =
        storage::OpenRocksKv({.dir = data + "/auth",
                              .columns = {{.name = "records", .use = storage::ColumnUse::kSmall}}},
                             resources_);
    CHECK(kv.ok());
    const auto store = auth::EmbeddedMetaStore::Open(*std::move(kv), clock_);
    CHECK(store.ok());
    const auto secret = auth::LoadOrMakeSecretFile(data + "/auth.secret");
    CHECK(secret.ok());
    auth::Directory directory(*secret, clock_, true);
    const auto subscription = (*store)->Subscribe(auth::kStorePrefix, directory);
    CHECK(directory.WaitLoaded(20'000));
    keys_ = directory.key_ring();
  }
  // api_key: the prefix of the key an SDK token is made from; "": of a login.
  std::string Sign(const std::string& user_id, const std::string& api_key,
                   int64_t expires_in_s) const {
    const int64_t now = clock_.UnixMillis() / 1000;
    return keys_->Sign({.user_id = user_id,
                        .plan = "FREE",
                        .api_key = api_key,
                        .token_id = auth::RandomUuid(),
                        .issued_at = now - 3'600,
                        .expires_at = now + expires_in_s,
                        .session_id = api_key.empty() ? auth::RandomUuid() : "",
                        .session_began = now - 3'600},
                       now);
  }

 private:
  SystemClock clock_;
  storage::RocksResources resources_;
  std::shared_ptr<const auth::KeyRing> keys_;
};

class Matrix : public testing::Test {
 protected:
  void SetUp() override {
    world_.RegisterAdmin();
    const std::string early = world_.Register("early@example.org");
    const std::string early_key = world_.NewKey(world_.Login("early@example.org"));
    world_.server().Stop();
    const Forger forger(world_.data());
    world_.Start();
    for (const std::string& key : {std::string(), early_key.substr(0, 13)}) {
      EXPECT_EQ(
          world_.Call("GET", "/v1/collections", Bearer(forger.Sign(early, key, 3'600))).status, 200)
          << "but for its time a token of the forger is good";
    }
    world_.Register("a@example.org");
    world_.Register("b@example.org");
    const std::string admin = world_.Login("admin@example.org");
    const std::string user = world_.Login("a@example.org");
    const std::string write_key = world_.NewKey(user);
    const std::string expiring = world_.NewKey(
        user, ",\"expiresAt\":\"" + std::to_string(absl::ToUnixSeconds(absl::Now()) + 2) + "\"");
    const std::string dead_key = world_.NewKey(user);
    const std::string dead_sdk = world_.NewSdkToken(user, dead_key);
    EXPECT_EQ(world_.Call("DELETE", "/v1/keys/" + dead_key.substr(0, 13), Bearer(user)).status,
              200);
    const std::string ended = world_.Login("a@example.org");
    EXPECT_EQ(world_.Call("POST", "/v1/auth/logout", Bearer(ended), "{}").status, 200);
    world_.Register("gone@example.org");
    const std::string gone = world_.Login("gone@example.org");
    EXPECT_EQ(world_
                  .Call("POST", "/v1/user/delete", Bearer(gone),
                        std::string(R"({"password":")") + kUserPassword + "\"}")
                  .status,
              200);
    callers_ = {
        {"nobody", {}},
        {"malformed", {{"authorization", "Basic YTpi"}}},
        {"rubbish", Bearer("rubbish")},
        {"expired key", Bearer(expiring)},
        {"deleted key", Bearer(dead_key)},
        {"token of a deleted key", Bearer(dead_sdk)},
        {"ended session", Bearer(ended)},
        {"deleted user", Bearer(gone)},
        {"expired login", Bearer(forger.Sign(early, "", -10))},
        {"expired sdk token", Bearer(forger.Sign(early, early_key.substr(0, 13), -10))},
        {"wrong cluster secret", {{"x-vectron-cluster-secret", "0123456789abcdef"}}},
        {"empty cluster secret", {{"x-vectron-cluster-secret", ""}}},
        {"cluster", kCluster, false, false, false, false, false, true},
        {"cluster with a login",
         {kCluster[0], Bearer(user)[0]},
         true,
         true,
         true,
         true,
         false,
         true},
        {"login", Bearer(user), true, true, true, true, false},
        {"other tenant", Bearer(world_.Login("b@example.org")), true, true, true, true, false},
        {"read key", Bearer(world_.NewKey(user, ",\"scope\":\"KEY_SCOPE_READ\"")), true, true},
        {"write key", Bearer(write_key), true, true, true},
        {"write key as x-api-key", {{"x-api-key", write_key}}, true, true, true},
        {"sdk token", Bearer(world_.NewSdkToken(user, write_key)), true, true, true},
        {"administrator", Bearer(admin), true, true, true, true, true},
        {"administrator's key", Bearer(world_.NewKey(admin, ",\"scope\":\"KEY_SCOPE_ADMIN\"")),
         true, true, true, false, true},
        {"administrator's write key", Bearer(world_.NewKey(admin)), true, true, true},
    };
    while (absl::ToUnixSeconds(absl::Now()) < expiry_ + 1 &&
           world_.Call("GET", "/v1/collections", Bearer(expiring)).status == 200) {
    }
  }
  // The call would end the session of the column.
  Headers HeadersFor(const Caller& caller, std::string_view rpc) const {
    const bool ends = rpc.ends_with(".Logout") || rpc.ends_with(".RefreshToken");
    if (!ends || !caller.account) return caller.headers;
    return Bearer(world_.Login(caller.name == "administrator"  ? "admin@example.org"
                               : caller.name == "other tenant" ? "b@example.org"
                                                               : "a@example.org"));
  }

  const Headers kCluster = {{"x-vectron-cluster-secret", kWorldClusterSecret}};
  World world_;
  const int64_t expiry_ = absl::ToUnixSeconds(absl::Now()) + 30;
  std::vector<Caller> callers_;
};

std::string Fill(std::string_view pattern) {
  std::string path;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{') {
      path += "none";
      i = pattern.find('}', i);
    } else {
      path += pattern[i];
    }
  }
  return path;
}

TEST_F(Matrix, LetsInExactlyWhoMayOverBothProtocols) {
  size_t cells = 0;
  size_t refused = 0;
  for (const rpc::PolicyRow& row : rpc::PolicyTable()) {
    std::string grpc_path = "/" + std::string(row.rpc);
    grpc_path[grpc_path.rfind('.')] = '/';
    for (const Caller& caller : callers_) {
      SCOPED_TRACE(std::string(row.rpc) + " by " + caller.name);
      const bool may = May(caller, row.scope);
      const auto check = [&](int code, const std::string& message) {
        constexpr int kUnauthenticated = 16, kPermissionDenied = 7, kUnimplemented = 12;
        ++cells;
        if (!IsServed(row.rpc)) {
          EXPECT_EQ(code, kUnimplemented) << "no door of this server";
          return;
        }
        EXPECT_NE(code, kUnimplemented) << message;
        if (may) {
          EXPECT_TRUE((code != kUnauthenticated && code != kPermissionDenied) ||
                      IsHandlersOwn(message))
              << code << " " << message;
        } else {
          ++refused;
          EXPECT_EQ(code, caller.known ? kPermissionDenied : kUnauthenticated) << message;
          EXPECT_FALSE(IsHandlersOwn(message)) << message;
        }
      };
      const GrpcAnswer answer = Grpc(world_.channel(), grpc_path, HeadersFor(caller, row.rpc), "");
      check(answer.status.error_code(), answer.status.error_message());
      if (row.verb.empty()) continue;
      const rpc::RawResponse response =
          world_.Call(std::string(row.verb), Fill(row.path), HeadersFor(caller, row.rpc), "{}");
      ASSERT_NE(response.status, 0) << "the server closed the connection";
      const std::string code = response.body.substr(0, 8) == "{\"code\":"
                                   ? response.body.substr(8, response.body.find(',') - 8)
                                   : "0";
      EXPECT_EQ(response.body.find("no such path"), std::string::npos);
      check(std::stoi(code), response.body);
    }
  }
  std::printf("%zu cells, %zu refusals\n", cells, refused);
  EXPECT_GT(refused, 600u);
}

TEST_F(Matrix, GuardsPlainRoutes) {
  for (const Caller& caller : callers_) {
    SCOPED_TRACE(caller.name);
    EXPECT_EQ(world_.Call("GET", "/healthz", caller.headers).status, 200);
    EXPECT_EQ(world_.Call("GET", "/metrics", caller.headers).status, caller.administer ? 200
                                                                     : caller.known    ? 403
                                                                                       : 401);
  }
}

}  // namespace
}  // namespace vectron
