// The ports by which the parts of a cluster talk: every internal RPC of the policy table, on the
// real port of the service that has it, refuses whoever is not part of the cluster.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rpc/cluster_secret.h"
#include "rpc/policy.h"
#include "security/server_process.h"
#include "services/auth/etcd_testing.h"
#include "services/auth/secrets.h"

namespace vectron {
namespace {

constexpr char kSecret[] = "planted-cluster-secret";
constexpr char kPassword[] = "Planted-Password-1";

struct Stranger {
  std::string name;
  Headers headers;
  bool is_user = false;  // whom the Auth service knows
};

// One node of each part of a cluster.
class InternalPorts : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(auth::WriteSecretFile(dir_ / "cluster.secret", kSecret).ok());
    const std::string grpc = Free();
    const std::string raft = Free();
    Start("placement", {"--node", "1", "--peers", "1=" + grpc + "/" + raft});
    Start("worker", {"--grpc", "127.0.0.1:0", "--raft", "127.0.0.1:0", "--placement", grpc});
    Start("reranker", {"--grpc", "127.0.0.1:0", "--placement", grpc});
    Start("auth", {"--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--placement", grpc});
    doors_ = {{"vectron.placementdriver.", {Channel("placement", "grpc")}},
              {"vectron.worker.", {Channel("worker", "grpc")}},
              {"vectron.reranker.", {Channel("reranker", "grpc")}},
              {"vectron.auth.", {Channel("auth", "grpc")}},
              {"vectron.peer.", {Channel("placement", "raft"), Channel("worker", "raft")}}};
    MakeStrangers();
  }
  void TearDown() override {
    for (const char* part : {"auth", "reranker", "worker", "placement"}) parts_.erase(part);
  }

  static std::string Free() { return "127.0.0.1:" + std::to_string(auth::FreePort()); }
  void Start(const std::string& part, const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {part, "--data", dir_ / part, "--cluster-secret-file",
                                          dir_ / "cluster.secret"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    parts_[part] = std::make_unique<ServerProcess>(arguments, dir_ / (part + ".log"));
  }
  std::shared_ptr<grpc::Channel> Channel(const std::string& part, const std::string& port) {
    return grpc::CreateChannel(parts_.at(part)->address(port), grpc::InsecureChannelCredentials());
  }
  void MakeStrangers() {
    const uint16_t http = parts_.at("auth")->port("http");
    const std::string account =
        std::string(R"({"email":"a@example.org","password":")") + kPassword + "\"}";
    ASSERT_EQ(Http(http, "POST", "/v1/users/register", {}, account).status, 200);
    const std::string login =
        Field(Http(http, "POST", "/v1/users/login", {}, account).body, "jwtToken");
    const std::string key =
        Field(Http(http, "POST", "/v1/keys", Bearer(login), R"({"name":"k"})").body, "fullKey");
    ASSERT_FALSE(login.empty() || key.empty());
    const std::string secret = kSecret;
    strangers_ = {
        {"nobody", {}},
        {"wrong secret", {{rpc::kClusterSecretHeader, "another-cluster-secret"}}},
        {"empty secret", {{rpc::kClusterSecretHeader, ""}}},
        {"half a secret", {{rpc::kClusterSecretHeader, secret.substr(0, secret.size() / 2)}}},
        {"more than the secret", {{rpc::kClusterSecretHeader, secret + "x"}}},
        {"the secret as a token", Bearer(secret)},
        {"a user's login", Bearer(login), true},
        {"a user's key", Bearer(key), true},
    };
  }
  const std::vector<std::shared_ptr<grpc::Channel>>& DoorsOf(std::string_view rpc) const {
    for (const auto& [package, channels] : doors_) {
      if (rpc.starts_with(package)) return channels;
    }
    ADD_FAILURE() << rpc << " is of no part that is tested";
    return doors_.begin()->second;
  }

  TempDir dir_;
  std::map<std::string, std::unique_ptr<ServerProcess>> parts_;
  std::map<std::string, std::vector<std::shared_ptr<grpc::Channel>>> doors_;  // by package
  std::vector<Stranger> strangers_;
};

std::string PathOf(std::string_view rpc) {
  std::string path = "/" + std::string(rpc);
  path[path.rfind('.')] = '/';
  return path;
}

TEST_F(InternalPorts, RefuseEveryInternalRpcToStrangersAndTakeItFromTheCluster) {
  size_t rpcs = 0;
  for (const rpc::PolicyRow& row : rpc::PolicyTable()) {
    if (row.scope != options::SCOPE_INTERNAL) continue;
    ++rpcs;
    for (const std::shared_ptr<grpc::Channel>& door : DoorsOf(row.rpc)) {
      for (const Stranger& stranger : strangers_) {
        SCOPED_TRACE(std::string(row.rpc) + " by " + stranger.name);
        const grpc::Status refused = Grpc(door, PathOf(row.rpc), stranger.headers).status;
        const bool known = stranger.is_user && row.rpc.starts_with("vectron.auth.");
        EXPECT_EQ(refused.error_code(),
                  known ? grpc::StatusCode::PERMISSION_DENIED : grpc::StatusCode::UNAUTHENTICATED)
            << refused.error_message();
      }
      SCOPED_TRACE(std::string(row.rpc) + " by the cluster");
      // A stream goes on until the deadline: it was not refused.
      const grpc::Status taken = Grpc(door, PathOf(row.rpc), {{rpc::kClusterSecretHeader, kSecret}},
                                      "", std::chrono::seconds(2))
                                     .status;
      EXPECT_NE(taken.error_code(), grpc::StatusCode::PERMISSION_DENIED);
      EXPECT_NE(taken.error_code(), grpc::StatusCode::UNIMPLEMENTED);
      EXPECT_TRUE(taken.error_code() != grpc::StatusCode::UNAUTHENTICATED ||
                  taken.error_message() == "the credential is malformed")
          << taken.error_message();
    }
  }
  EXPECT_GT(rpcs, 40u);
}

// What was done with the cluster's credential is in the audit log of whoever did it.
TEST_F(InternalPorts, AuditWhatIsDoneOnAnOperatorsBehalf) {
  const Headers cluster = {{rpc::kClusterSecretHeader, kSecret}};
  const auto call = [&](const std::string& rpc) { Grpc(DoorsOf(rpc)[0], PathOf(rpc), cluster); };
  call("vectron.placementdriver.v1.PlacementService.Rebalance");
  call("vectron.placementdriver.v1.PlacementService.GetMap");
  call("vectron.auth.v1.AuthService.SetSubscription");
  call("vectron.reranker.v1.RerankService.InvalidateCache");
  Grpc(DoorsOf("vectron.worker.")[0], "/vectron.worker.v1.WorkerService/Status", {});
  TearDown();  // writes out the logs
  const auto log = [&](const std::string& part, const std::string& name) {
    return NewPosixFileSystem()->ReadAll(dir_ / (part + "/audit/" + name)).value_or("(none)");
  };
  const auto has = [](const std::string& text, const std::string& what) {
    return text.find(what) != std::string::npos;
  };
  const std::string placement = log("placement", "audit.log");
  EXPECT_TRUE(has(placement, "PlacementService.Rebalance\",\"code\":\"OK\"")) << placement;
  EXPECT_TRUE(has(placement, "\"credential\":\"cluster\"")) << placement;
  EXPECT_FALSE(has(placement, "GetMap") || has(placement, "Heartbeat")) << placement;
  EXPECT_TRUE(has(log("auth", "audit.log"), "AuthService.SetSubscription"));
  EXPECT_TRUE(has(log("reranker", "audit.log"), "RerankService.InvalidateCache"));
  EXPECT_TRUE(has(log("worker", "refused.log"), "WorkerService.Status"));
}

}  // namespace
}  // namespace vectron
