#pragma once

// A running `vectron dev`, and how its users come to be and to their credentials.

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "security/server_process.h"

namespace vectron {

inline constexpr char kUserPassword[] = "Planted-Password-1";
inline constexpr char kWorldClusterSecret[] = "planted-cluster-secret";

class World {
 public:
  explicit World(const std::vector<std::string>& flags = {
                     "--auth-login-per-minute", "0", "--auth-failures-per-minute", "0",
                     "--auth-register-per-minute", "0", "--auth-key-per-minute", "0",
                     "--rate-free-per-second", "0"}) {
    const std::string secret = dir_ / "cluster.secret";
    EXPECT_TRUE(NewPosixFileSystem()->WriteAtomically(secret, kWorldClusterSecret).ok());
    arguments_ = {"dev",         "--data", data(),        "--http",
                  "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--cluster-secret-file",
                  secret};
    arguments_.insert(arguments_.end(), flags.begin(), flags.end());
    Start();
  }
  // After server().Stop(): the same data, other ports.
  void Start() {
    server_ = std::make_unique<ServerProcess>(arguments_, log());
    channel_ = grpc::CreateChannel(server_->address("grpc"), grpc::InsecureChannelCredentials());
  }

  std::string data() const { return dir_.path() + "/data"; }
  std::string log() const { return dir_.path() + "/log"; }
  std::string Read(const std::string& path) const {
    return NewPosixFileSystem()->ReadAll(path).value_or("");
  }
  uint16_t http() const { return server_->port("http"); }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  ServerProcess& server() { return *server_; }

  rpc::RawResponse Call(const std::string& verb, const std::string& path, const Headers& headers,
                        const std::string& body = "") const {
    return Http(http(), verb, path, headers, body);
  }
  std::string Register(const std::string& email, const Headers& headers = {}) const {
    const auto response =
        Call("POST", "/v1/users/register", headers,
             R"({"email":")" + email + R"(","password":")" + kUserPassword + "\"}");
    EXPECT_EQ(response.status, 200) << response.body;
    return Field(response.body, "id");
  }
  std::string RegisterAdmin() const {
    std::string secret = Read(data() + "/bootstrap.secret");
    while (!secret.empty() && secret.back() == '\n') secret.pop_back();
    return Register("admin@example.org", {{"x-vectron-bootstrap", secret}});
  }
  std::string Login(const std::string& email) const {
    const auto response =
        Call("POST", "/v1/users/login", {},
             R"({"email":")" + email + R"(","password":")" + kUserPassword + "\"}");
    EXPECT_EQ(response.status, 200) << response.body;
    return Field(response.body, "jwtToken");
  }
  // fields: further ones of the request, such as `,"scope":"KEY_SCOPE_READ"`.
  std::string NewKey(const std::string& token, const std::string& fields = "") const {
    const auto response = Call("POST", "/v1/keys", Bearer(token), R"({"name":"k")" + fields + "}");
    EXPECT_EQ(response.status, 200) << response.body;
    return Field(response.body, "fullKey");
  }
  std::string NewSdkToken(const std::string& token, const std::string& key) const {
    const auto response =
        Call("POST", "/v1/sdk-jwt", Bearer(token), R"({"apiKeyId":")" + key.substr(0, 13) + "\"}");
    EXPECT_EQ(response.status, 200) << response.body;
    return Field(response.body, "sdkJwt");
  }

 private:
  TempDir dir_;
  std::vector<std::string> arguments_;
  std::unique_ptr<ServerProcess> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace vectron
