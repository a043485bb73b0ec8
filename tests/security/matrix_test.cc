// Every route of the policy table times every kind of caller, over HTTP and gRPC, against the real
// server: who gets in is exactly who should.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <memory>
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
#include "vectron/vectron.pb.h"

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

// What a row that names a collection needs beside it to be answered OK, as further JSON fields.
std::string FieldsFor(std::string_view rpc) {
  if (rpc.ends_with(".Upsert")) return R"(,"points":[{"id":"q","vector":[1,2]}])";
  if (rpc.ends_with(".Search") || rpc.ends_with(".SearchStream"))
    return R"(,"vector":[1,2],"topK":1)";
  if (rpc.ends_with(".Get") || rpc.ends_with(".Delete")) return R"(,"id":"p")";
  if (rpc.ends_with(".SubmitFeedback"))
    return R"(,"feedbackItems":[{"resultId":"p","clicked":true}])";
  return "";
}

// A call of one row about one collection.
class CollectionCall {
 public:
  explicit CollectionCall(const rpc::PolicyRow& row)
      : row_(row),
        method_(v1::SearchRequest::descriptor()->file()->pool()->FindMethodByName(
            std::string(row.rpc))) {
    CHECK(method_ != nullptr);
    for (const char* field : {"name", "collection"}) {
      if (method_->input_type()->FindFieldByName(field) != nullptr) field_ = field;
    }
  }
  bool is_about_one() const { return !field_.empty() && !row_.rpc.ends_with(".CreateCollection"); }
  bool streams() const { return method_->server_streaming(); }

  grpc::Status OverGrpc(const World& world, const Headers& who, const std::string& name) const {
    const std::unique_ptr<google::protobuf::Message> request(
        google::protobuf::MessageFactory::generated_factory()
            ->GetPrototype(method_->input_type())
            ->New());
    const auto read = google::protobuf::util::JsonStringToMessage(Json(name), request.get());
    EXPECT_TRUE(read.ok()) << read.ToString();
    std::string path = "/" + std::string(row_.rpc);
    path[path.rfind('.')] = '/';
    return Grpc(world.channel(), path, who, request->SerializeAsString()).status;
  }
  rpc::RawResponse OverHttp(const World& world, const Headers& who, const std::string& name) const {
    std::string path(row_.path);
    const bool in_path = path.find('{') != std::string::npos;
    const auto put = [&path](const std::string& field, const std::string& value) {
      const size_t at = path.find("{" + field + "}");
      if (at != std::string::npos) path.replace(at, field.size() + 2, value);
    };
    put(field_, name);
    put("id", "p");
    std::string body;
    if (row_.verb == "POST") {
      const std::string fields = FieldsFor(row_.rpc);
      body = in_path ? "{" + (fields.empty() ? "" : fields.substr(1)) + "}" : Json(name);
    } else if (!in_path) {
      path += "?" + field_ + "=" + name;
    }
    return world.Call(std::string(row_.verb), path, who, body);
  }

 private:
  std::string Json(const std::string& name) const {
    return "{\"" + field_ + "\":\"" + name + "\"" + FieldsFor(row_.rpc) + "}";
  }

  const rpc::PolicyRow& row_;
  const google::protobuf::MethodDescriptor* const method_;
  std::string field_;  // that names the collection
};

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

TEST(OtherTenant, CannotTellACollectionThatIsThereFromOneThatIsNot) {
  const World world;
  world.Register("a@example.org");
  world.Register("b@example.org");
  const Headers owner = Bearer(world.Login("a@example.org"));
  const Headers other = Bearer(world.Login("b@example.org"));
  size_t rows = 0;
  for (const rpc::PolicyRow& row : rpc::PolicyTable()) {
    if (row.scope != options::SCOPE_READ && row.scope != options::SCOPE_WRITE) continue;
    if (!row.rpc.starts_with("vectron.v1.VectronService.")) continue;
    SCOPED_TRACE(std::string(row.rpc));
    const CollectionCall call(row);
    if (!call.is_about_one()) continue;
    ++rows;
    const std::string theirs = "theirs-" + std::to_string(rows);
    const std::string unmade = "unmade-" + std::to_string(rows);
    ASSERT_EQ(
        world
            .Call("POST", "/v1/collections", owner, R"({"name":")" + theirs + R"(","dimension":2})")
            .status,
        200);
    ASSERT_EQ(world
                  .Call("POST", "/v1/collections/" + theirs + "/points", owner,
                        R"({"points":[{"id":"p","vector":[1,2]}]})")
                  .status,
              200);
    const grpc::Status refused = call.OverGrpc(world, other, theirs);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::NOT_FOUND) << refused.error_message();
    EXPECT_EQ(refused.error_message(),
              Replaced(call.OverGrpc(world, other, unmade).error_message(), unmade, theirs));
    if (!row.verb.empty()) {
      const rpc::RawResponse response = call.OverHttp(world, other, theirs);
      EXPECT_EQ(response.status, 404) << response.body;
      EXPECT_EQ(response.body, Replaced(call.OverHttp(world, other, unmade).body, unmade, theirs));
    }
    if (call.streams()) continue;  // OverGrpc takes one answer
    const grpc::Status allowed = call.OverGrpc(world, owner, theirs);
    EXPECT_TRUE(allowed.ok()) << "its owner's: " << allowed.error_message();
  }
  EXPECT_EQ(rows, 10u) << "who adds a row says here that it is tried";
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
