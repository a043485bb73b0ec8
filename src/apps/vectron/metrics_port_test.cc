#include "apps/vectron/metrics_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/status.h"
#include "base/temp_dir.h"
#include "rpc/http_client_testing.h"
#include "rpc/tls_testing.h"

namespace vectron {
namespace {

using testing::HasSubstr;
using testing::Not;

class MetricsPortTest : public testing::Test {
 protected:
  absl::Status Start() {
    return port_.Start({.address = HostPort{.host = "127.0.0.1", .port = 0}});
  }
  rpc::RawResponse Get(const std::string& path, const std::string& host = "localhost") {
    const absl::StatusOr<HostPort> address = ParseHostPort(port_.address());
    EXPECT_TRUE(address.ok()) << address.status();
    rpc::RawClient client(address->port);
    EXPECT_TRUE(client.Send(fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", path, host)));
    return client.Receive();
  }

  Metrics metrics_;
  SystemClock clock_;
  MetricsPort port_{metrics_, clock_};
};

TEST_F(MetricsPortTest, ShowsTheMetricsOfTheProcessToWhoeverReachesIt) {
  metrics_.AddCounter("vectron_things_total", "Things.").Increment(3);
  ASSERT_TRUE(Start().ok());
  const rpc::RawResponse metrics = Get("/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.body, HasSubstr("vectron_things_total 3\n"));
  EXPECT_THAT(metrics.body, HasSubstr("process_open_fds "));
  EXPECT_THAT(metrics.body, Not(HasSubstr("vectron_http_"))) << "its own requests are not counted";
  EXPECT_EQ(Get("/openapi.json").status, 404);
}

TEST_F(MetricsPortTest, IsAliveFromTheBeginningAndReadyWhileItServes) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Get("/healthz").status, 200);
  EXPECT_EQ(Get("/readyz").status, 503);
  std::vector<std::string> problems;
  port_.Serve([&problems] { return problems; });
  EXPECT_EQ(Get("/readyz").status, 200);
  problems = {"shard 3: DataLoss"};
  const rpc::RawResponse not_ready = Get("/readyz");
  EXPECT_EQ(not_ready.status, 503);
  EXPECT_EQ(not_ready.body, R"({"ready":false,"problems":["shard 3: DataLoss"]})");
  problems.clear();
  port_.Leave();
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/healthz").status, 200);
}

TEST_F(MetricsPortTest, AtALoopbackAddressAnswersToNamesOfThisMachineOnly) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(Get("/metrics", "evil.example").status, 403);
  EXPECT_EQ(Get("/metrics", "[::1]:9640").status, 200);
}

TEST_F(MetricsPortTest, AtAnotherAddressAnswersToAnyName) {
  ASSERT_TRUE(port_.Start({.address = HostPort{.host = "0.0.0.0", .port = 0}}).ok());
  EXPECT_EQ(Get("/metrics", "vectron.example").status, 200);
}

TEST_F(MetricsPortTest, IsNotThereUnlessAnAddressIsNamed) {
  EXPECT_EQ(port_.ReadyField(), "");
  ASSERT_TRUE(port_.Start({}).ok());
  EXPECT_EQ(port_.address(), "");
  EXPECT_EQ(port_.ReadyField(), "");
}

TEST_F(MetricsPortTest, SaysInTheReadyLineWhereItIs) {
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(port_.ReadyField(), fmt::format(R"(,"metrics":"{}")", port_.address()));
}

TEST_F(MetricsPortTest, SpeaksTlsWhenItHasACertificate) {
  const TempDir dir;
  const rpc::TestCertificate ca("ca");
  rpc::TestCertificate("server", &ca).Write(dir / "cert.pem", dir / "key.pem");
  ASSERT_TRUE(port_
                  .Start({.address = HostPort{.host = "127.0.0.1", .port = 0},
                          .tls = {.certificate = dir / "cert.pem", .key = dir / "key.pem"}})
                  .ok());
  rpc::TlsClient client(ParseHostPort(port_.address())->port, ca);
  ASSERT_TRUE(client.connected());
  EXPECT_THAT(client.Ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
              HasSubstr("HTTP/1.1 200"));
  EXPECT_NE(Get("/healthz").status, 200) << "nobody is answered in the clear";
}

TEST(MetricsFlags, NameANumericAddressAndFilesThatCanBeRead) {
  EXPECT_FALSE(ToMetricsOptions({})->address.has_value());
  EXPECT_EQ(ToMetricsOptions({.address = "127.0.0.1:9640", .tls = {}})->address->port, 9'640);
  const absl::Status wrong = ToMetricsOptions({.address = "9640", .tls = {}}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong));
  EXPECT_THAT(MessageOf(wrong), HasSubstr("--metrics"));
  const absl::Status missing =
      ToMetricsOptions({.address = "127.0.0.1:9640",
                        .tls = {.certificate = "/no/such.pem", .key = "/no/such.key"}})
          .status();
  EXPECT_THAT(MessageOf(missing), HasSubstr("/no/such"));
}

}  // namespace
}  // namespace vectron
