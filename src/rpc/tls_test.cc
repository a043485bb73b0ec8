#include "rpc/tls.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/synchronization/notification.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/temp_dir.h"
#include "rpc/channel_pool.h"
#include "rpc/cluster_secret.h"
#include "rpc/grpc_server.h"
#include "rpc/http_client_testing.h"
#include "rpc/http_server.h"
#include "rpc/policy.h"
#include "rpc/tls_testing.h"
#include "rpc/unary_client_call.h"
#include "vectron/placement.grpc.pb.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TlsTest : public testing::Test {
 protected:
  TlsFiles Files() { return {.certificate = dir_ / "cert", .key = dir_ / "key", .ca = {}}; }
  // Answers with the body it got, twice when asked for /twice.
  void Serve(const TlsFiles& files) {
    HttpServerOptions options;
    options.tls = files;
    options.io_threads = 1;
    auto server = HttpServer::Start(
        std::move(options),
        [](HttpRequest request, HttpResponder responder) {
          HttpResponse response;
          response.body = std::string(request.body.view());
          if (request.path() == "/twice") response.body += request.body.view();
          responder.Send(std::move(response));
        },
        clock_, metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  static std::string Post(const std::string& path, const std::string& body) {
    return "POST " + path +
           " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
  }

  TempDir dir_;
  SystemClock clock_;
  Metrics metrics_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(TlsTest, CarriesRequestsSmallAndLargeOverOneConnection) {
  const TestCertificate certificate("one");
  certificate.Write(dir_ / "cert", dir_ / "key");
  Serve(Files());
  TlsClient client(server_->port(), certificate);
  ASSERT_TRUE(client.connected());
  EXPECT_THAT(client.Ask(Post("/", "hello")), HasSubstr("\r\n\r\nhello"));
  std::string large(size_t{5} << 20, 'x');
  for (size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>('a' + i % 26);
  const std::string answer = client.Ask(Post("/twice", large));
  ASSERT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(answer.substr(answer.find("\r\n\r\n") + 4) == large + large);
  EXPECT_THAT(client.Ask(Post("/", "")), StartsWith("HTTP/1.1 200"));
}

TEST_F(TlsTest, TurnsPlainRequestsAndRubbishAway) {
  const TestCertificate certificate("one");
  certificate.Write(dir_ / "cert", dir_ / "key");
  Serve(Files());
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), std::string(5'000, '\x16')}) {
    RawClient client(server_->port());
    client.Send(bytes);
    EXPECT_EQ(client.Receive().status, 0);
  }
  TlsClient client(server_->port(), certificate);
  EXPECT_THAT(client.Ask(Post("/", "still there")), HasSubstr("still there"));
}

TEST_F(TlsTest, ReadsItsCertificateAgainWhenItHasChanged) {
  const TestCertificate first("first");
  const TestCertificate second("second");
  first.Write(dir_ / "cert", dir_ / "key");
  const auto context = TlsContext::Load(Files());
  ASSERT_TRUE(context.ok());
  const auto before = (*context)->Current();
  ASSERT_TRUE((*context)->ReloadIfChanged().ok());
  EXPECT_EQ((*context)->Current(), before);
  ASSERT_TRUE(NewPosixFileSystem()->Remove(dir_ / "cert").ok());
  second.Write(dir_ / "cert", "");
  EXPECT_FALSE((*context)->ReloadIfChanged().ok()) << "the key is still the first one's";
  EXPECT_EQ((*context)->Current(), before) << "what was goes on";
  ASSERT_TRUE(NewPosixFileSystem()->Remove(dir_ / "key").ok());
  second.Write(dir_ / "cert", dir_ / "key");
  ASSERT_TRUE((*context)->ReloadIfChanged().ok());
  EXPECT_NE((*context)->Current(), before);
  Serve(Files());
  EXPECT_FALSE(TlsClient(server_->port(), first).connected());
  EXPECT_TRUE(TlsClient(server_->port(), second).connected());
}

TEST_F(TlsTest, WantsAClientCertificateOfTheNamedIssuer) {
  const TestCertificate server("server");
  const TestCertificate authority("authority");
  const TestCertificate good("good", &authority);
  const TestCertificate stranger("stranger");
  server.Write(dir_ / "cert", dir_ / "key");
  authority.Write(dir_ / "ca", "");
  TlsFiles files = Files();
  files.ca = dir_ / "ca";
  Serve(files);
  TlsClient known(server_->port(), server, &good);
  EXPECT_THAT(known.Ask(Post("/", "x")), StartsWith("HTTP/1.1 200"));
  // With TLS 1.3 the refusal comes after the client's side of the handshake.
  TlsClient unknown(server_->port(), server, &stranger);
  EXPECT_EQ(unknown.Ask(Post("/", "x")), "");
  TlsClient none(server_->port(), server);
  EXPECT_EQ(none.Ask(Post("/", "x")), "");
}

TEST_F(TlsTest, RefusesFilesThatDoNotDo) {
  const TestCertificate certificate("one");
  certificate.Write(dir_ / "cert", dir_ / "key");
  TestCertificate("two").Write(dir_ / "other", dir_ / "other-key");
  const auto code = [](const TlsFiles& files) { return TlsContext::Load(files).status().code(); };
  EXPECT_EQ(code({dir_ / "cert", dir_ / "key", ""}), absl::StatusCode::kOk);
  EXPECT_EQ(code({dir_ / "cert", dir_ / "other-key", ""}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({dir_ / "none", dir_ / "key", ""}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({dir_ / "cert", dir_ / "none", ""}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({dir_ / "cert", dir_ / "key", dir_ / "none"}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({dir_ / "key", dir_ / "key", ""}), absl::StatusCode::kInvalidArgument);
}

TEST_F(TlsTest, ServesGrpc) {
  const TestCertificate certificate("localhost");
  certificate.Write(dir_ / "cert", dir_ / "key");
  RpcRegistry registry(metrics_, clock_, {});
  ASSERT_TRUE(registry.AddService("vectron.v1.VectronService").ok());
  registry.Unary<v1::ListCollectionsRequest, v1::ListCollectionsResponse>(
      "vectron.v1.VectronService.ListCollections",
      [](CallContext&, v1::ListCollectionsRequest&, v1::ListCollectionsResponse& response,
         const RpcDone& done) {
        response.add_collections("a");
        done(absl::OkStatus());
      });
  GrpcServerOptions options;
  options.tls = Files();
  const auto server = GrpcServer::Start(std::move(options), registry);
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string pem = *NewPosixFileSystem()->ReadAll(dir_ / "cert");
  const std::string address = "localhost:" + std::to_string((*server)->port());
  const auto call = [](const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    v1::ListCollectionsResponse response;
    const grpc::Status status = v1::VectronService::NewStub(channel)->ListCollections(
        &context, v1::ListCollectionsRequest(), &response);
    return status.ok() && response.collections_size() == 1;
  };
  EXPECT_TRUE(call(grpc::CreateChannel(address, grpc::SslCredentials({pem, "", ""}))));
  EXPECT_FALSE(call(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())));
}

// An internal port, and callers with different credentials of the cluster.
class ClusterTlsTest : public testing::Test {
 protected:
  ClusterTlsTest() {
    authority_.Write(dir_ / "ca", "");
    stranger_.Write(dir_ / "stranger-ca", "");
    own_.Write(dir_ / "cert", dir_ / "key");
    TestCertificate("other part", &authority_).Write(dir_ / "part", dir_ / "part-key");
    TestCertificate("a stranger", &stranger_).Write(dir_ / "stranger", dir_ / "stranger-key");
  }
  void Serve(bool client_optional) {
    ASSERT_TRUE(registry_.AddService("vectron.placementdriver.v1.PlacementService").ok());
    registry_.AddMiddleware(PolicyMiddleware({.trust_certificates = true}));
    registry_.Unary<placementdriver::v1::ListCollectionsRequest,
                    placementdriver::v1::ListCollectionsResponse>(
        "vectron.placementdriver.v1.PlacementService.ListCollections",
        [](CallContext&, placementdriver::v1::ListCollectionsRequest&,
           placementdriver::v1::ListCollectionsResponse&,
           const RpcDone& done) { done(absl::OkStatus()); });
    GrpcServerOptions options;
    options.tls = {dir_ / "cert", dir_ / "key", dir_ / "ca", client_optional};
    auto server = GrpcServer::Start(std::move(options), registry_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  absl::StatusCode Call(const TlsFiles& tls) {
    ChannelPool channels(server_->bound_address(), ClusterChannel({.tls = tls}), clock_);
    using Request = placementdriver::v1::ListCollectionsRequest;
    using Response = placementdriver::v1::ListCollectionsResponse;
    using Unary = UnaryClientCall<placementdriver::v1::PlacementService, Request, Response>;
    absl::StatusCode code = absl::StatusCode::kUnknown;
    absl::Notification done;
    Unary::Send(std::make_unique<Unary>(channels),
                static_cast<Unary::Method>(&Unary::Async::ListCollections),
                clock_.MonotonicNanos() + 20'000'000'000,
                [&](const absl::Status& status, const Response&) {
                  code = status.code();
                  done.Notify();
                });
    done.WaitForNotification();
    return code;
  }
  TlsFiles Part() { return {dir_ / "part", dir_ / "part-key", dir_ / "ca"}; }

  TempDir dir_;
  SystemClock clock_;
  Metrics metrics_;
  const TestCertificate authority_{"authority"};
  const TestCertificate stranger_{"stranger's authority"};
  const TestCertificate own_{"own", &authority_};
  RpcRegistry registry_{metrics_, clock_, {}};
  std::unique_ptr<GrpcServer> server_;
};

TEST_F(ClusterTlsTest, ServesWhoShowsACertificateOfItsAuthorityAlone) {
  Serve(/*client_optional=*/false);
  EXPECT_EQ(Call(Part()), absl::StatusCode::kOk);
  EXPECT_EQ(Call({}), absl::StatusCode::kUnavailable) << "plain";
  EXPECT_EQ(Call({.ca = dir_ / "ca"}), absl::StatusCode::kUnavailable) << "without a certificate";
  EXPECT_EQ(Call({dir_ / "stranger", dir_ / "stranger-key", dir_ / "ca"}),
            absl::StatusCode::kUnavailable)
      << "of another authority";
}

TEST_F(ClusterTlsTest, TakesAVisitorWithoutACertificateForNobody) {
  Serve(/*client_optional=*/true);
  EXPECT_EQ(Call(Part()), absl::StatusCode::kOk);
  EXPECT_EQ(Call({.ca = dir_ / "ca"}), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(Call({dir_ / "stranger", dir_ / "stranger-key", dir_ / "ca"}),
            absl::StatusCode::kUnavailable);
}

TEST_F(ClusterTlsTest, SpeaksToNoServerOfAnotherAuthority) {
  Serve(/*client_optional=*/true);
  EXPECT_EQ(Call({dir_ / "part", dir_ / "part-key", dir_ / "stranger-ca"}),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace vectron::rpc
