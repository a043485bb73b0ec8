#include "rpc/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "absl/synchronization/notification.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/http_client_testing.h"

namespace vectron::rpc {
namespace {

using ::testing::HasSubstr;

// Answers with what it understood: "POST /path?query [host] body".
void Echo(HttpRequest request, HttpResponder responder) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = fmt::format("{} {} [{}] {}", VerbName(request.verb), request.target(),
                              request.Header("host").value_or("-"), request.body.view());
  responder.Send(std::move(response));
}

class HttpServerTest : public testing::Test {
 protected:
  void Serve(HttpServerOptions options = {}, HttpHandler handler = Echo) {
    options.io_threads = 2;
    auto server = HttpServer::Start(
        std::move(options),
        [this, handler = std::move(handler)](HttpRequest request, HttpResponder responder) {
          calls_.fetch_add(1);
          handler(std::move(request), std::move(responder));
        },
        clock_, metrics_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
  }
  uint16_t port() const { return server_->port(); }
  // The answer to `bytes`, sent at once and alone.
  RawResponse Ask(std::string_view bytes) {
    RawClient client(port());
    client.Send(bytes);
    return client.Receive();
  }

  SystemClock clock_;
  Metrics metrics_;
  std::atomic<int> calls_{0};
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnection) {
  Serve();
  EXPECT_THAT(server_->bound_address(), HasSubstr("127.0.0.1:"));
  RawClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /a?b=c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz");
    const RawResponse response = client.Receive();
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.headers.at("Content-Type"), "text/plain");
    EXPECT_EQ(response.headers.count("Connection"), 0u);
    EXPECT_EQ(response.body, "POST /a?b=c [h] xyz");
  }
  EXPECT_THAT(metrics_.Expose(), HasSubstr("vectron_http_responses_total{status=\"200\"} 3"));
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrder) {
  Serve();
  std::string all;
  for (int i = 0; i < 200; ++i) {
    const std::string body(static_cast<size_t>(i * 7 % 50), 'b');
    all += fmt::format("POST /{} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{}", i,
                       body.size(), body);
  }
  RawClient client(port());
  ASSERT_TRUE(client.Send(all));
  for (int i = 0; i < 200; ++i) {
    EXPECT_THAT(client.Receive().body, testing::StartsWith(fmt::format("POST /{} [h]", i)));
  }
}

TEST_F(HttpServerTest, AnswersPipelinedRequestsInOrderWhenAnswersComeLate) {
  std::vector<std::thread> threads;
  Serve({}, [&threads](HttpRequest request, HttpResponder responder) {
    threads.emplace_back([target = std::string(request.target()), responder] {
      HttpResponse response;
      response.body = target;
      responder.Send(std::move(response));
    });
  });
  RawClient client(port());
  std::string all;
  for (int i = 0; i < 30; ++i) all += fmt::format("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", i);
  client.Send(all);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(client.Receive().body, fmt::format("/{}", i));
  server_->Stop(1'000);
  for (auto& thread : threads) thread.join();
}

TEST_F(HttpServerTest, TakesARequestByteByByte) {
  Serve();
  RawClient client(port());
  const std::string_view request =
      "\r\nPOST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\nT: u\r\n\r\n";
  for (int round = 0; round < 2; ++round) {
    for (const char c : request) ASSERT_TRUE(client.Send({&c, 1}));
    EXPECT_EQ(client.Receive().body, "POST /a [h] abcd");
  }
}

TEST_F(HttpServerTest, RunsNoHandlerForARequestCutShortAtAnyByte) {
  Serve();
  for (const std::string_view request :
       {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
        "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}) {
    for (size_t size = 0; size < request.size(); ++size) {
      RawClient client(port());
      client.Send(request.substr(0, size));
      client.ShutdownSend();
      const RawResponse response = client.Receive();
      EXPECT_TRUE(response.status == 0 || response.status == 400)
          << size << ": " << response.status;
      EXPECT_EQ(response.status == 0, size == 0) << size;
      EXPECT_TRUE(client.AtEnd());
    }
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, RefusesWhatCouldBeUnderstoodInTwoWays) {
  Serve();
  struct Case {
    const char* bytes;
    int status;
  };
  const Case cases[] = {
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: "
       "3\r\n\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\nabc", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", 501},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\n\tX: a\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\nX: a\r\n\r\n", 400},
      {"GET / HTTP/1.1\nHost: h\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\nX\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n", 400},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"GET /\r\nHost: h\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"G@T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"\x16\x03\x01\x02\n\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\n\r\n", 417},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
       "chunked\r\n\r\n10000000000000003\r\nabc\r\n0\r\n\r\n",
       400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 400},
      {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: "
       "3\r\n\r\n",
       400},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.bytes);
    RawClient client(port());
    client.Send(c.bytes);
    client.Send("GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    client.ShutdownSend();
    const RawResponse response = client.Receive();
    EXPECT_EQ(response.status, c.status);
    EXPECT_THAT(response.body, HasSubstr("\"details\":[]"));
    if (response.status != 0) {
      EXPECT_EQ(response.headers.at("Connection"), "close");
    }
    EXPECT_TRUE(client.AtEnd());
  }
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, ReadsChunkedBodiesHoweverTheyArrive) {
  Serve();
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body =
      "A\r\n0123456789\r\n0b;ext=\"q\"\r\n0123456789X\r\n000\r\nTrailer: x\r\n\r\n";
  for (size_t split = 1; split < body.size(); ++split) {
    RawClient client(port());
    client.Send(head + body.substr(0, split));
    client.Send(body.substr(split) + "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client.Receive().body, "POST / [h] 01234567890123456789X") << split;
    EXPECT_EQ(client.Receive().body, "GET /next [h] ") << split;
  }
}

TEST_F(HttpServerTest, BoundsTheHead) {
  HttpServerOptions options;
  options.max_head_bytes = 1'000;
  options.max_headers = 5;
  Serve(options);
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(Ask(start + "X: " + std::string(2'000, 'x') + "\r\n\r\n").status, 431);
  EXPECT_EQ(Ask(start + "X: " + std::string(100'000, 'x')).status, 431);  // never ends
  EXPECT_EQ(Ask("GET /" + std::string(5'000, 'x')).status, 431);
  EXPECT_EQ(Ask(start + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n").status, 431);
  EXPECT_EQ(Ask(start + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n").status, 200);
}

TEST_F(HttpServerTest, RefusesContentCodings) {
  Serve();
  const auto ask = [&](const std::string& coding) {
    return Ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: " + coding +
               "\r\nContent-Length: 2\r\n\r\n{}");
  };
  EXPECT_EQ(ask("identity").status, 200);
  const RawResponse refused = ask("gzip");
  EXPECT_EQ(refused.status, 415);
  EXPECT_THAT(refused.body, HasSubstr("{\"code\":3,\"message\":\"Content-Encoding 'gzip'"));
}

TEST_F(HttpServerTest, BoundsTheBodyByRoute) {
  HttpServerOptions options;
  options.body_limit = [](const HttpRequest& head) {
    return head.path() == "/big" ? size_t{100'000} : size_t{10};
  };
  Serve(options);
  const std::string large(50'000, 'x');
  EXPECT_EQ(Ask("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + large).status,
            200);
  EXPECT_EQ(Ask("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n").status, 413);
  const RawResponse response =
      Ask("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + large);
  EXPECT_EQ(response.status, 413);
  EXPECT_THAT(response.body, HasSubstr("{\"code\":8,\"message\":\"the body has 50000 bytes"));
  EXPECT_EQ(Ask("POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                "chunked\r\n\r\nB\r\n01234567890\r\n0\r\n\r\n")
                .status,
            413);
  EXPECT_EQ(Ask("POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
                "chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n")
                .status,
            413);
}

TEST_F(HttpServerTest, LetsAClientFinishSendingWhatIsTooLarge) {
  HttpServerOptions options;
  options.body_limit = [](const HttpRequest&) { return size_t{10}; };
  Serve(options);
  RawClient client(port());
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
  ASSERT_TRUE(client.Send(std::string(3'000'000, 'x')));  // dropped, but taken
  client.ShutdownSend();
  EXPECT_EQ(client.Receive().status, 413);
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(HttpServerTest, GivesSimdjsonReadableBytesBehindTheBody) {
  Serve({}, [](HttpRequest request, HttpResponder responder) {
    const PaddedJson json = request.body.padded();
    EXPECT_GE(json.capacity, json.size + HttpBody::kPadding);
    // Read, so that the address sanitizer sees whether it may be.
    const std::string copy(json.data, json.size + HttpBody::kPadding);
    HttpResponse response;
    response.body = fmt::format("{} {}", json.size, copy.size() - json.size);
    responder.Send(std::move(response));
  });
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4'096}, size_t{3'000'000}}) {
    EXPECT_EQ(Ask(fmt::format("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", size) +
                  std::string(size, 'x'))
                  .body,
              fmt::format("{} {}", size, HttpBody::kPadding));
  }
}

TEST_F(HttpServerTest, EndsSlowHeadsBodiesAndIdleConnections) {
  HttpServerOptions options;
  options.head_timeout_ms = 40;
  options.body_idle_timeout_ms = 40;
  options.keep_alive_timeout_ms = 40;
  Serve(options);
  const RawResponse head = Ask("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(head.status, 408);
  EXPECT_THAT(head.body, HasSubstr("\"code\":4"));
  EXPECT_EQ(Ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc").status, 408);
  EXPECT_EQ(Ask("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc").status,
            408);
  EXPECT_EQ(calls_, 0);
  RawClient silent(port());
  EXPECT_TRUE(silent.AtEnd());
  RawClient idle(port());
  idle.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(idle.Receive().status, 200);
  EXPECT_TRUE(idle.AtEnd());
}

TEST_F(HttpServerTest, EndsAHeadThatTricklesPastItsTime) {
  HttpServerOptions options;
  options.head_timeout_ms = 60;
  Serve(options);
  RawClient client(port());
  client.Send("GET / HTTP/1.1\r\nHost: h\r\n");
  std::thread trickle([&client] {
    while (client.Send("X: y\r\n")) std::this_thread::yield();
  });
  const RawResponse response = client.Receive();
  EXPECT_TRUE(response.status == 408 || response.status == 431) << response.status;
  client.ShutdownSend();
  trickle.join();
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, EndsABodyThatTricklesPastItsTime) {
  HttpServerOptions options;
  options.body_timeout_ms = 60;
  Serve(options);
  RawClient client(port());
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000000\r\n\r\n");
  std::thread trickle([&client] {
    while (client.Send("x")) std::this_thread::yield();
  });
  EXPECT_EQ(client.Receive().status, 408);
  client.ShutdownSend();
  trickle.join();
  EXPECT_EQ(calls_, 0);
}

TEST_F(HttpServerTest, AsksForTheBodyWhenTheClientWaits) {
  Serve();
  RawClient client(port());
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.Receive(true).status, 100);
  client.Send("ok");
  EXPECT_EQ(client.Receive().body, "POST / [h] ok");
  // One that does not wait is not told.
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok");
  EXPECT_EQ(client.Receive().status, 200);
}

TEST_F(HttpServerTest, SendsNoBodyToHead) {
  Serve();
  RawClient client(port());
  client.Send("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  const RawResponse head = client.Receive(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("Content-Length"), std::to_string(std::string("HEAD /a [h] ").size()));
  EXPECT_EQ(client.Receive().body, "GET /b [h] ");
}

TEST_F(HttpServerTest, ClosesWhenAskedToAndSpeaksHttp10) {
  Serve();
  RawClient close(port());
  close.Send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(close.Receive().headers.at("Connection"), "close");
  EXPECT_TRUE(close.AtEnd());
  RawClient old(port());
  old.Send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(old.Receive().body, "GET / [-] ");
  EXPECT_TRUE(old.AtEnd());
  RawClient kept(port());
  kept.Send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(kept.Receive().headers.at("Connection"), "keep-alive");
  kept.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(kept.Receive().status, 200);
}

TEST_F(HttpServerTest, UnderstandsTheAbsoluteFormOfATarget) {
  Serve();
  EXPECT_EQ(Ask("GET http://x:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n").body, "GET /a?b [h] ");
  EXPECT_EQ(Ask("GET HTTP://x HTTP/1.1\r\nHost: h\r\n\r\n").body, "GET / [h] ");
}

TEST_F(HttpServerTest, AnswersForAHandlerThatDoesNot) {
  Serve({}, [](HttpRequest, HttpResponder) {});
  RawClient client(port());
  for (int i = 0; i < 2; ++i) {
    client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    const RawResponse response = client.Receive();
    EXPECT_EQ(response.status, 500);
    EXPECT_THAT(response.body, HasSubstr("\"code\":13"));
  }
}

TEST_F(HttpServerTest, SendsLargeAnswersToSlowReaders) {
  Serve({}, [](HttpRequest request, HttpResponder responder) {
    HttpResponse response;
    response.body = std::string(8'000'000, request.path()[1]);
    responder.Send(std::move(response));
  });
  RawClient client(port());
  client.Send("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(client.Receive().body, std::string(8'000'000, 'a'));
  EXPECT_EQ(client.Receive().body, std::string(8'000'000, 'b'));
}

TEST_F(HttpServerTest, TurnsAwayConnectionsPastTheBound) {
  HttpServerOptions options;
  options.max_connections = 2;
  Serve(options);
  std::optional<RawClient> first(port());
  RawClient second(port());
  for (RawClient* client : {&*first, &second}) {
    client->Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client->Receive().status, 200);
  }
  RawClient third(port());
  const RawResponse response = third.Receive();
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.headers.at("Retry-After"), "1");
}

TEST_F(HttpServerTest, LetsRequestsUnderWayFinishWhenItStops) {
  absl::Notification arrived;
  std::optional<HttpResponder> held;
  Serve({}, [&](HttpRequest, HttpResponder responder) {
    held = std::move(responder);
    arrived.Notify();
  });
  RawClient idle(port());
  RawClient busy(port());
  busy.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  arrived.WaitForNotification();
  auto stopped = std::async(std::launch::async, [this] { server_->Stop(20'000); });
  EXPECT_TRUE(idle.AtEnd());  // so the stop has begun
  held->Send(HttpResponse());
  EXPECT_EQ(busy.Receive().status, 200);
  EXPECT_TRUE(busy.AtEnd());
  stopped.get();
  EXPECT_FALSE(RawClient(port()).connected());
  EXPECT_EQ(server_->connection_count(), 0u);
}

TEST_F(HttpServerTest, ClosesWhatIsNotDoneWithinTheGrace) {
  absl::Notification arrived;
  std::optional<HttpResponder> held;
  Serve({}, [&](HttpRequest, HttpResponder responder) {
    held = std::move(responder);
    arrived.Notify();
  });
  RawClient busy(port());
  busy.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  arrived.WaitForNotification();
  server_->Stop(10);
  EXPECT_EQ(busy.Receive().status, 0);
  server_.reset();
  held->Send(HttpResponse());  // goes nowhere, harms nothing
}

TEST_F(HttpServerTest, SaysWhyItCannotListen) {
  Serve();
  HttpServerOptions taken;
  taken.port = port();
  const auto second = HttpServer::Start(taken, Echo, clock_, metrics_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(MessageOf(second.status())), HasSubstr("in use"));
  HttpServerOptions bad;
  bad.address = "localhost:1";
  EXPECT_EQ(HttpServer::Start(bad, Echo, clock_, metrics_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(HttpServerTest, ServesManyConnectionsAtOnceWhileSomeBreakOff) {
  Serve();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 50; ++i) {
        RawClient client(port());
        client.Send(fmt::format("POST /{} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n", t));
        if (i % 5 == 0) continue;
        client.Send("ab");
        if (i % 7 == 0) continue;
        EXPECT_EQ(client.Receive().body, fmt::format("POST /{} [h] ab", t));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  server_->Stop(20'000);
  EXPECT_EQ(server_->connection_count(), 0u);
}

}  // namespace
}  // namespace vectron::rpc
