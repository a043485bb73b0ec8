#include "rpc/http_dispatcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "base/executor_testing.h"
#include "base/status.h"
#include "model/json_check.h"
#include "rpc/error_table.h"
#include "rpc/http_client_testing.h"
#include "rpc/openapi.h"
#include "vectron/vectron.pb.h"

namespace vectron::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kService[] = "vectron.v1.VectronService";

// Tells when something is held.
class Signalling : public HeldExecutor {
 public:
  void Schedule(std::function<void()> task) override {
    HeldExecutor::Schedule(std::move(task));
    scheduled_.Notify();
  }
  void AwaitTask() { scheduled_.WaitForNotification(); }

 private:
  absl::Notification scheduled_;
};

class HttpDispatcherTest : public testing::Test {
 protected:
  HttpDispatcherTest() : registry_(metrics_, clock_, {.max_in_flight = 4}), dispatcher_(registry_) {
    EXPECT_TRUE(registry_.AddService(kService).ok());
    registry_.Unary<v1::CreateCollectionRequest, v1::CreateCollectionResponse>(
        "vectron.v1.VectronService.CreateCollection",
        [this](CallContext& context, v1::CreateCollectionRequest& request,
               v1::CreateCollectionResponse& response, RpcDone done) {
          created_ = request;
          deadline_nanos_ = context.deadline_nanos - context.start_nanos;
          peer_ = context.Peer();
          if (request.name() == "busy")
            return done(WithRetryAfter(ResourceExhausted("wait"), 2'500));
          response.set_success(true);
          done(absl::OkStatus());
        });
    registry_.Unary<v1::GetRequest, v1::GetResponse>(
        "vectron.v1.VectronService.Get",
        [](CallContext&, v1::GetRequest& request, v1::GetResponse& response, RpcDone done) {
          if (request.id() == "none")
            return done(NotFound("point \"{}\" does not exist", request.id()));
          response.mutable_point()->set_id(request.collection() + "|" + request.id() + "|" +
                                           v1::Consistency_Name(request.consistency()));
          done(absl::OkStatus());
        });
    registry_.Json("vectron.v1.VectronService.Search",
                   [](CallContext& context, HttpRequest& request, JsonDone done) {
                     if (request.body.view() == "bad") return done(InvalidArgument("bad"));
                     done("[\"" + std::string(request.Param("collection")) + "\"," +
                          std::string(request.body.view()) + ",\"" +
                          std::string(context.Header("x-a").value_or("")) + "\"]");
                   });
    registry_.Unary<v1::DeleteRequest, v1::DeleteResponse>(
        "vectron.v1.VectronService.Delete",
        [this](CallContext&, v1::DeleteRequest&, v1::DeleteResponse&, RpcDone done) {
          const absl::MutexLock lock(&mutex_);
          held_.push_back(std::move(done));
        });
  }

  void Serve(const std::set<std::string>& plain_services = {}) {
    ASSERT_TRUE(dispatcher_.AddRpcs(plain_services).ok());
    ASSERT_TRUE(dispatcher_
                    .AddPlain(HttpVerb::kGet, "/healthz", options::SCOPE_PUBLIC,
                              [](HttpRequest, HttpResponder responder) {
                                HttpResponse response;
                                response.body = "{}";
                                responder.Send(std::move(response));
                              })
                    .ok());
    dispatcher_.SetBodyLimit("vectron.v1.VectronService.Search", size_t{8} << 20);
    HttpServerOptions options;
    options.io_threads = 2;
    options.body_limit = [this](const HttpRequest& head) { return dispatcher_.BodyLimit(head); };
    auto server = HttpServer::Start(
        std::move(options),
        [this](HttpRequest request, HttpResponder responder) {
          dispatcher_.Handle(std::move(request), std::move(responder));
        },
        clock_, metrics_);
    ASSERT_TRUE(server.ok());
    server_ = std::move(*server);
  }

  RawResponse Ask(std::string_view line, std::string_view body = "",
                  std::string_view headers = "") {
    RawClient client(server_->port());
    client.Send(fmt::format("{} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n{}\r\n{}", line,
                            body.size(), headers, body));
    return client.Receive();
  }
  size_t held_count() {
    const absl::MutexLock lock(&mutex_);
    return held_.size();
  }

  SystemClock clock_;
  Metrics metrics_;
  RpcRegistry registry_;
  HttpDispatcher dispatcher_;
  v1::CreateCollectionRequest created_;
  int64_t deadline_nanos_ = 0;
  std::string peer_;
  absl::Mutex mutex_;
  std::vector<RpcDone> held_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpDispatcherTest, TranscodesBodyPathAndQuery) {
  Serve();
  const RawResponse created =
      Ask("POST /v1/collections", R"({"name":"a","dimension":3,"shard_count":2})");
  EXPECT_EQ(created.status, 200);
  EXPECT_EQ(created.body, R"({"success":true})");
  EXPECT_EQ(created.headers.at("Content-Type"), "application/json");
  EXPECT_EQ(created_.shard_count(), 2u);
  EXPECT_THAT(peer_, HasSubstr("127.0.0.1:"));
  const RawResponse got =
      Ask("GET /v1/collections/my%20docs/points/a%2Fb?consistency=EVENTUAL&collection=other");
  EXPECT_THAT(got.body,
              HasSubstr(R"({"point":{"id":"my docs|a/b|EVENTUAL","vector":[],"payload":{})"));
}

TEST_F(HttpDispatcherTest, AnswersErrorsByTheTable) {
  Serve();
  struct Case {
    const char* line;
    const char* body;
    int status;
    const char* wanted;
  };
  const Case cases[] = {
      {"GET /v1/collections/c/points/none", "", 404,
       R"({"code":5,"message":"point \"none\" does not exist","details":[]})"},
      {"GET /v1/collections/c/points/%zz", "", 400, R"("code":3)"},
      {"GET /v1/collections/c/points/%ff", "", 400, R"("code":3,"message":"id: no valid UTF-8")"},
      {"GET /v1/collections/c/points/a?consistency=SOMETIMES", "", 400, "wanted one of"},
      {"POST /v1/collections", "{\"name\":", 400, "malformed JSON at byte 8"},
      {"POST /v1/collections", "{\"dimension\":\"x\"}", 400, "dimension: got"},
      {"POST /v1/collections/c/points/search", "bad", 400, R"("code":3)"},
      {"GET /nowhere", "", 404, R"("code":5)"},
      {"PATCH /v1/collections", "", 501, R"("code":12)"},
      {"POST /healthz", "", 405, R"("code":12)"},
      {"GET /v1/collections/c/status", "", 501, "GetCollectionStatus is not served here"},
  };
  for (const Case& c : cases) {
    const RawResponse response = Ask(c.line, c.body);
    EXPECT_EQ(response.status, c.status) << c.line;
    EXPECT_THAT(response.body, HasSubstr(c.wanted)) << c.line;
  }
  const RawResponse busy = Ask("POST /v1/collections", R"({"name":"busy"})");
  EXPECT_EQ(busy.status, 429);
  EXPECT_EQ(busy.headers.at("Retry-After"), "3");
  EXPECT_EQ(Ask("POST /healthz").headers.at("Allow"), "GET, HEAD");
  const RawResponse options = Ask("OPTIONS /v1/collections");
  EXPECT_EQ(options.status, 204);
  EXPECT_EQ(options.headers.at("Allow"), "GET, HEAD, POST");
}

TEST_F(HttpDispatcherTest, UsesTheHandMadeFormWhereThereIsOne) {
  Serve();
  EXPECT_EQ(Ask("POST /v1/collections/c/points/search", "{}", "X-A: b\r\n").body,
            R"(["c",{},"b"])");
  EXPECT_EQ(Ask("POST /v1/collections/c/points/search", std::string(6'000'000, ' ')).status, 200);
  EXPECT_EQ(Ask("POST /v1/collections", std::string(6'000'000, ' ')).status, 413);
}

// Whoever shares the I/O threads with large requests is answered while they are parsed.
TEST_F(HttpDispatcherTest, RunsLargeRequestsElsewhere) {
  Signalling elsewhere;
  dispatcher_.RunLargeOn(elsewhere);
  Serve();
  RawClient large(server_->port());
  const std::string body(kLargeBodyBytes + 1, ' ');
  large.Send(
      fmt::format("POST /v1/collections/c/points/search HTTP/1.1\r\nHost: h\r\n"
                  "Content-Length: {}\r\n\r\n{}",
                  body.size(), body));
  elsewhere.AwaitTask();
  EXPECT_EQ(Ask("POST /v1/collections/c/points/search", "{}").status, 200);
  EXPECT_EQ(Ask("GET /healthz").status, 200);
  EXPECT_EQ(elsewhere.held(), 1U) << "small ones stay";
  elsewhere.RunHeld();
  EXPECT_EQ(large.Receive().status, 200);
}

TEST_F(HttpDispatcherTest, ReadsTheTimeoutAndEchoesTheRequestId) {
  Serve();
  const RawResponse response =
      Ask("POST /v1/collections", "{}", "X-Request-Timeout-Ms: 1500\r\nX-Request-Id: abc-1\r\n");
  EXPECT_EQ(deadline_nanos_, 1'500'000'000);
  EXPECT_EQ(response.headers.at("X-Request-Id"), "abc-1");
  EXPECT_EQ(Ask("POST /v1/collections", "{}", "X-Request-Timeout-Ms: soon\r\n").status, 400);
  EXPECT_EQ(
      Ask("POST /v1/collections", "{}", "X-Request-Id: a b\r\n").headers.count("X-Request-Id"), 0u);
}

TEST_F(HttpDispatcherTest, RunsMiddlewaresInOrderAndStopsAtTheFirstRefusal) {
  std::vector<std::string> seen;
  registry_.AddMiddleware([&seen](CallContext& context, RpcDone next) {
    seen.push_back("1 " + context.method->name().substr(26));
    context.tenant = "t";
    next(absl::OkStatus());
  });
  registry_.AddMiddleware([&seen](CallContext& context, RpcDone next) {
    seen.push_back("2 " + context.tenant);
    next(context.Header("authorization") ? absl::OkStatus() : Unauthenticated("who is it?"));
  });
  Serve();
  EXPECT_EQ(Ask("POST /v1/collections", "{}").status, 401);
  EXPECT_EQ(created_.ByteSizeLong(), 0u);
  EXPECT_EQ(Ask("POST /v1/collections", R"({"name":"n"})", "Authorization: Bearer x\r\n").status,
            200);
  EXPECT_THAT(seen, ElementsAre("1 CreateCollection", "2 t", "1 CreateCollection", "2 t"));
}

TEST_F(HttpDispatcherTest, BoundsTheCallsInFlight) {
  Serve();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send("DELETE /v1/collections/c/points/p HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  {
    const auto all = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return held_.size() == 4; };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&all));
  }
  const RawResponse refused = Ask("GET /v1/collections/c/points/p");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("Retry-After"), "1");
  EXPECT_EQ(registry_.in_flight(), 4u);
  EXPECT_EQ(Ask("GET /healthz").status, 200);
  std::vector<RpcDone> held;
  {
    const absl::MutexLock lock(&mutex_);
    held.swap(held_);
  }
  for (RpcDone& done : held)
    std::thread([done = std::move(done)] { done(absl::OkStatus()); }).join();
  held.clear();
  for (auto& client : clients) EXPECT_EQ(client->Receive().body, R"({"version":"0"})");
  EXPECT_EQ(registry_.in_flight(), 0u);
}

TEST_F(HttpDispatcherTest, AnswersForAHandlerThatDropsItsDone) {
  Serve();
  RawClient client(server_->port());
  client.Send("DELETE /v1/collections/c/points/p HTTP/1.1\r\nHost: h\r\n\r\n");
  {
    const auto one = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return held_.size() == 1; };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&one));
    held_.clear();
  }
  EXPECT_EQ(client.Receive().status, 500);
  EXPECT_EQ(registry_.in_flight(), 0u);
}

TEST_F(HttpDispatcherTest, CountsCallsByCode) {
  Serve();
  Ask("GET /v1/collections/c/points/p");
  Ask("GET /v1/collections/c/points/none");
  const std::string text = metrics_.Expose();
  EXPECT_THAT(
      text,
      HasSubstr(
          R"(vectron_rpc_calls_total{method="vectron.v1.VectronService.Get",protocol="http",code="NotFound"} 1)"));
  EXPECT_THAT(
      text,
      HasSubstr(
          R"(vectron_rpc_seconds_count{method="vectron.v1.VectronService.Get",protocol="http"} 2)"));
  const auto stats = registry_.Find("vectron.v1.VectronService.Get")->stats();
  EXPECT_EQ(stats.count, 2u);
  EXPECT_EQ(stats.errors, 1u);
  EXPECT_GT(stats.total_seconds, 0);
}

TEST_F(HttpDispatcherTest, AsksTheFallbackOnlyForPathsNoRouteKnows) {
  dispatcher_.SetFallback([](const HttpRequest& request, const HttpResponder& responder) {
    HttpResponse response;
    response.body = "fell to " + std::string(request.path());
    responder.Send(std::move(response));
  });
  Serve();
  EXPECT_EQ(Ask("GET /console/page").body, "fell to /console/page");
  EXPECT_EQ(Ask("GET /healthz").body, "{}");
  EXPECT_EQ(Ask("PATCH /v1/collections").status, 501);
}

TEST_F(HttpDispatcherTest, AnswersAWrongVerbOnAPlainServiceWith405) {
  Serve({"vectron.v1.VectronService"});
  const RawResponse refused = Ask("PATCH /v1/collections");
  EXPECT_EQ(refused.status, 405);
  EXPECT_EQ(refused.headers.at("Allow"), "GET, HEAD, POST");
}

TEST_F(HttpDispatcherTest, RefusesRoutesThatClash) {
  ASSERT_TRUE(dispatcher_.AddRpcs().ok());
  const auto handler = [](HttpRequest, HttpResponder) {};
  EXPECT_EQ(dispatcher_.AddPlain(HttpVerb::kGet, "/v1/collections", options::SCOPE_PUBLIC, handler)
                .code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(dispatcher_.AddPlain(HttpVerb::kGet, "no-slash", options::SCOPE_PUBLIC, handler).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(
      dispatcher_.AddPlain(HttpVerb::kGet, "/v1/alerts", options::SCOPE_PUBLIC, handler).ok());
}

TEST(RpcRegistry, FindsAScopeForEveryRpcOfEveryPublicService) {
  SystemClock clock;
  Metrics metrics;
  RpcRegistry registry(metrics, clock, {});
  EXPECT_TRUE(registry.AddService(kService).ok());
  EXPECT_TRUE(registry.AddService("vectron.auth.v1.AuthService").ok());
  HttpDispatcher dispatcher(registry);
  const absl::Status routes = dispatcher.AddRpcs();
  EXPECT_TRUE(routes.ok()) << routes;
}

TEST(OpenApi, DescribesRoutesParametersAndSchemas) {
  SystemClock clock;
  Metrics metrics;
  RpcRegistry registry(metrics, clock, {});
  ASSERT_TRUE(registry.AddService(kService).ok());
  const std::string json = OpenApiJson(registry, {.title = "Vectron", .version = "1.2.3"});
  EXPECT_TRUE(CheckJson(json, 32).ok()) << CheckJson(json, 32);
  EXPECT_THAT(json, HasSubstr(R"("openapi":"3.1.0","info":{"title":"Vectron","version":"1.2.3"})"));
  EXPECT_THAT(json, HasSubstr(R"("/v1/collections/{collection}/points/{id}":{"get":{)"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"({"name":"id","in":"path","schema":{"type":"string"},"required":true,"description":"of the point"})"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"({"name":"consistency","in":"query","schema":{"type":"string","enum":["CONSISTENCY_UNSPECIFIED")"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"("vectron.v1.Point":{"type":"object","properties":{"id":{"type":"string","description":"1-256 bytes of UTF-8 without control characters"},)"
          R"("vector":{"type":"array","items":{"type":"number","format":"float"},"description":"as many finite components as the collection's dimension"},)"
          R"("payload":{"type":"object","additionalProperties":true,"description":"one JSON object of any values"},)"
          R"("version":{"type":"string","format":"uint64","description":)"));
  EXPECT_THAT(json, HasSubstr(R"("vectron.v1.Filter":{)"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"("filter":{"anyOf":[{"$ref":"#/components/schemas/vectron.v1.Filter"},{"type":"null"}],"description":"only points that pass; unset: all"})"));
  EXPECT_THAT(
      json,
      HasSubstr(
          R"("summary":"Returns the nearest points, best first","description":"Returns the nearest points, best first.")"));
  EXPECT_THAT(json, HasSubstr("STRONG: sees every write acknowledged before the request began"));
  EXPECT_THAT(json, HasSubstr(R"("$ref":"#/components/schemas/Error")"));
}

}  // namespace
}  // namespace vectron::rpc
