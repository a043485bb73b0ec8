// TLS against a real server: authorities, names, and certificates of clients. VECTRON_CERTIFICATES
// names a folder of them.

#include <gtest/gtest.h>

#include "process_testing.h"
#include "vectron/client.h"

namespace vectron {
namespace {

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("VECTRON_CERTIFICATES") == nullptr) {
      GTEST_SKIP() << "NOT TESTED: VECTRON_CERTIFICATES is not set; tests/sdk/run.sh cpp sets it";
    }
  }
  static std::string Path(const std::string& name) {
    return std::string(std::getenv("VECTRON_CERTIFICATES")) + "/" + name;
  }
  std::unique_ptr<Server> Start(std::vector<std::string> flags = {}) {
    flags.insert(flags.end(), {"--tls-cert", Path("server.pem"), "--tls-key", Path("server.key")});
    return std::make_unique<Server>(folder_.At("data"), "127.0.0.1:0", "off", flags);
  }
  static ClientOptions Trusting(const std::string& authority = "ca.pem") {
    ClientOptions options;
    options.timeout = std::chrono::seconds(60);
    options.use_tls = true;
    options.tls_root_certificates = ReadFile(Path(authority));
    return options;
  }
  static ClientOptions Showing(const std::string& name) {
    ClientOptions options = Trusting();
    options.tls_client_certificate = ReadFile(Path(name + ".pem"));
    options.tls_client_key = ReadFile(Path(name + ".key"));
    return options;
  }
  static void ExpectRefused(const Server& server, const ClientOptions& options,
                            std::vector<std::string> words) {
    Client client(server.address(), options);
    words.push_back(server.address());
    ExpectSays(Caught<UnavailableError>([&] { client.ListCollections(); }), words);
  }

  TempFolder folder_;
};

TEST_F(TlsTest, TrustsTheRightAuthority) {
  const auto server = Start();
  EXPECT_TRUE(Client(server->address(), Trusting()).ListCollections().empty());
}

TEST_F(TlsTest, TellsAWrongAuthorityOrName) {
  const auto server = Start();
  ExpectRefused(*server, Trusting("other-ca.pem"), {"TLS with", "tls_root_certificates"});
  ClientOptions named = Trusting();
  named.tls_server_name = "other.example";
  ExpectRefused(*server, named, {"TLS with", "tls_server_name"});
  ClientOptions plain;
  plain.timeout = std::chrono::seconds(60);
  ExpectRefused(*server, plain, {"use_tls"});
  const Server without(folder_.At("plain"));
  ExpectRefused(without, Trusting(), {"does this port speak TLS"});
}

TEST_F(TlsTest, ShowsTheCertificateThatTheServerWants) {
  const auto server = Start({"--tls-client-ca", Path("ca.pem")});
  EXPECT_TRUE(Client(server->address(), Showing("client")).ListCollections().empty());
  ExpectRefused(*server, Trusting(), {"tls_client_certificate"});
  ExpectRefused(*server, Showing("other-client"), {"tls_client_certificate"});
}

}  // namespace
}  // namespace vectron
