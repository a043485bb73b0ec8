#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "apps/vectronctl/load/closed_loop.h"
#include "apps/vectronctl/load/process_stats.h"
#include "apps/vectronctl/load/requests.h"
#include "vectron/vectron.grpc.pb.h"

namespace vectron::load {
namespace {

// Answers a search with `top_k` results: the first has the sum of the vector as its id, and a long
// id when asked to.
class EchoService : public v1::VectronService::Service {
 public:
  grpc::Status Search(grpc::ServerContext* /*context*/, const v1::SearchRequest* request,
                      v1::SearchResponse* response) override {
    if (request->collection() == "none") {
      return {grpc::StatusCode::NOT_FOUND, "no collection of that name"};
    }
    float sum = 0;
    for (const float component : request->vector()) sum += component;
    response->add_results()->set_id(std::to_string(static_cast<int64_t>(sum)));
    for (uint32_t i = 1; i < request->top_k(); ++i)
      response->add_results()->set_id(std::string(200, 'x'));
    return grpc::Status::OK;
  }
};

struct GrpcServer {
  GrpcServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(64 << 20);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }
  EchoService service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
  std::string address;
};

LoopOptions GrpcOptions(const GrpcServer& server, const std::vector<std::string>& requests) {
  LoopOptions options;
  options.address = server.address;
  options.method = kSearchMethod;
  options.count = requests.size();
  options.request = [&requests](uint64_t i) { return std::string_view(requests[i]); };
  return options;
}

TEST(GrpcWire, AsksARealServerAndPairsAnswersWithRequests) {
  GrpcServer server;
  std::vector<std::string> requests;
  for (int i = 0; i < 500; ++i) {
    SearchSpec spec{.collection = "c", .k = 3};
    const std::vector<float> vector = {static_cast<float>(i), 1};
    requests.push_back(SearchRequestBytes(WireKind::kGrpc, "", spec, vector).value());
  }
  LoopOptions options = GrpcOptions(server, requests);
  options.clients = 5;
  std::vector<int> seen(500, 0);
  options.on_answer = [&](uint64_t i, const Answer& answer) {
    ASSERT_TRUE(answer.status.ok()) << answer.status;
    const auto ids = AnswerIds(WireKind::kGrpc, answer.body).value();
    ASSERT_EQ(ids.size(), 3U);
    EXPECT_EQ(ids[0], std::to_string(i + 1));
    ++seen[i];
  };
  const auto result = RunClosedLoop(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->answers, 500U);
  EXPECT_EQ(seen, std::vector<int>(500, 1));
  EXPECT_EQ(result->latencies_us.size(), 500U);
}

TEST(GrpcWire, KeepsToTheWindowsWithLargeRequestsAndAnswers) {
  GrpcServer server;
  std::vector<std::string> requests;
  for (int i = 0; i < 6; ++i) {
    SearchSpec spec{.collection = "c", .k = 16'000};  // an answer of 3 MB
    const std::vector<float> vector(500'000, 0.0F);   // a request of 2 MB
    requests.push_back(SearchRequestBytes(WireKind::kGrpc, "", spec, vector).value());
  }
  LoopOptions options = GrpcOptions(server, requests);
  options.clients = 2;
  options.on_answer = [&](uint64_t, const Answer& answer) {
    EXPECT_EQ(AnswerIds(WireKind::kGrpc, answer.body).value().size(), 16'000U);
  };
  const auto result = RunClosedLoop(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->answers, 6U);
}

TEST(GrpcWire, ReportsARefusalWithTheServersWords) {
  GrpcServer server;
  const std::vector<float> vector = {1};
  const std::vector<std::string> requests(
      3, SearchRequestBytes(WireKind::kGrpc, "", SearchSpec{.collection = "none"}, vector).value());
  const auto result = RunClosedLoop(GrpcOptions(server, requests));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->errors, 3U);
  EXPECT_NE(result->first_error.find("no collection of that name"), std::string::npos)
      << result->first_error;
}

// Answers each HTTP request with its body; closes the connection after every third.
struct HttpServer {
  HttpServer() {
    listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    EXPECT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), size), 0);
    EXPECT_EQ(::listen(listener, 10), 0);
    EXPECT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &size), 0);
    address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread = std::thread([this] { Serve(); });
  }
  ~HttpServer() {
    ::shutdown(listener, SHUT_RDWR);
    thread.join();
    ::close(listener);
  }
  void Serve() {
    for (;;) {
      const int fd = ::accept(listener, nullptr, nullptr);
      if (fd < 0) return;
      std::string in;
      char buffer[4096];
      for (int served = 0; served < 3;) {
        const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0) break;
        in.append(buffer, static_cast<size_t>(got));
        const size_t head = in.find("\r\n\r\n");
        const size_t length_at = in.find("Content-Length: ");
        if (head == std::string::npos) continue;
        const size_t length = std::stoul(in.substr(length_at + 16));
        if (in.size() < head + 4 + length) continue;
        const std::string body = in.substr(head + 4, length);
        ++served;
        const bool refuse = body == "bad";
        const std::string text = std::string("HTTP/1.1 ") + (refuse ? "400 No" : "200 OK") +
                                 "\r\ncontent-length: " + std::to_string(length) +
                                 (served == 3 ? "\r\nConnection: close" : "") + "\r\n\r\n" + body;
        in.erase(0, head + 4 + length);
        EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
      }
      ::close(fd);
    }
  }
  int listener = -1;
  std::string address;
  std::thread thread;
};

TEST(HttpWire, PairsAnswersAndReconnectsWhenAskedTo) {
  HttpServer server;
  std::vector<std::string> requests;
  for (int i = 0; i < 20; ++i) {
    requests.push_back(HttpPost("x", "/p", i == 7 ? "bad" : "body" + std::to_string(i)));
  }
  LoopOptions options;
  options.kind = WireKind::kHttp;
  options.address = server.address;
  options.count = 20;
  options.request = [&](uint64_t i) { return std::string_view(requests[i]); };
  options.on_answer = [&](uint64_t i, const Answer& answer) {
    EXPECT_EQ(answer.status.ok(), i != 7);
    EXPECT_EQ(answer.body, i == 7 ? "bad" : "body" + std::to_string(i));
  };
  const auto result = RunClosedLoop(options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->answers, 19U);
  EXPECT_EQ(result->errors, 1U);
}

TEST(ClosedLoop, SaysWhenNobodyListens) {
  LoopOptions options;
  options.address = "127.0.0.1:1";
  options.count = 1;
  EXPECT_EQ(RunClosedLoop(options).status().code(), absl::StatusCode::kUnavailable);
}

TEST(Requests, CountFoundStopsAtTheEndOfAShortTruth) {
  const std::vector<uint32_t> truth = {4, 5, 0xffffffff, 9};
  EXPECT_EQ(CountFound({"5", "9", "4"}, truth, 4), 2U);
  EXPECT_EQ(CountFound({"5", "9", "4"}, truth, 2), 1U);
}

TEST(ProcessStats, ReadsThisProcess) {
  EXPECT_GT(CpuSeconds(::getpid()).value(), 0);
  EXPECT_GT(MemoryOf(::getpid()).value().pss_bytes, 100'000U);
  EXPECT_EQ(CpuSeconds(5'000'000).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace vectron::load
