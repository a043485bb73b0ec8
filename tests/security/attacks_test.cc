// Clients that mean harm: the server stays up, refuses, and answers everybody else meanwhile.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "security/world.h"

namespace vectron {
namespace {

// A server with an ordinary user, who must notice nothing.
class Attacks : public testing::Test {
 protected:
  void SetUp() override {
    world_.Register("a@example.org");
    token_ = world_.Login("a@example.org");
    ASSERT_EQ(Call("POST", "/v1/collections", R"({"name":"c","dimension":2})").status, 200);
    ASSERT_EQ(Call("POST", "/v1/collections/c/points", R"({"points":[{"id":"p","vector":[1,2]}]})")
                  .status,
              200);
  }
  void TearDown() override { ExpectServing(); }

  rpc::RawResponse Call(const std::string& verb, const std::string& path,
                        const std::string& body = "") const {
    return world_.Call(verb, path, Bearer(token_), body);
  }
  grpc::Status List() const {
    return Grpc(world_.channel(), "/vectron.v1.VectronService/ListCollections", Bearer(token_))
        .status;
  }
  void ExpectServing() const {
    EXPECT_EQ(world_.Call("GET", "/healthz", {}).status, 200);
    EXPECT_EQ(Call("POST", "/v1/collections/c/points/search", R"({"vector":[1,2]})").status, 200);
    EXPECT_TRUE(List().ok()) << List().error_message();
  }
  // A request as it is; what it is answered with, 0 when the connection was closed instead.
  int Raw(const std::string& bytes) const {
    rpc::RawClient client(world_.http());
    client.Send(bytes);
    return client.Receive().status;
  }
  std::string Head(const std::string& request_line, const std::string& headers) const {
    return request_line + " HTTP/1.1\r\nHost: h\r\nauthorization: Bearer " + token_ + "\r\n" +
           headers + "\r\n";
  }

  World world_;
  std::string token_;
};

// An answer that blames the client, or the end of the connection.
void ExpectRefused(int status, const std::string& what) {
  EXPECT_TRUE(status == 0 || (status >= 400 && status < 500)) << what << ": " << status;
}

TEST_F(Attacks, TenThousandHeadersAreRefused) {
  std::string headers;
  for (int i = 0; i < 10'000; ++i) headers += "x-h" + std::to_string(i) + ": v\r\n";
  EXPECT_EQ(Raw(Head("GET /v1/collections", headers)), 431);
  std::string same;
  for (int i = 0; i < 10'000; ++i) same += "x: \r\n";
  EXPECT_EQ(Raw(Head("GET /v1/collections", same)), 431);
}

TEST_F(Attacks, AThousandSlowConnectionsKeepNobodyOut) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  std::vector<std::unique_ptr<rpc::RawClient>> slow;
  for (int i = 0; i < 1'000; ++i) {
    slow.push_back(std::make_unique<rpc::RawClient>(world_.http()));
    ASSERT_TRUE(slow.back()->connected()) << i;
    ASSERT_TRUE(slow.back()->Send("POST /v1/collections HTTP/1.1\r\nHost: h\r\nX-A: b"));
    if (i % 100 == 0) ExpectServing();
  }
  ExpectServing();
  const int status = slow.back()->Receive().status;
  EXPECT_EQ(status, 408) << "a head that does not end is ended";
}

// HTTP/2 (RFC 9113) by hand: what no client library sends.
class RawHttp2 {
 public:
  enum Type : uint8_t { kHeaders = 1, kReset = 3, kSettings = 4, kPing = 6, kContinuation = 9 };
  static constexpr uint8_t kEndHeaders = 4;

  explicit RawHttp2(uint16_t port) : client_(port) {
    client_.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Frame(kSettings, 0, 0, ""));
  }
  static std::string Frame(Type type, uint8_t flags, uint32_t stream, const std::string& payload) {
    std::string frame;
    for (const int shift : {16, 8, 0}) frame += static_cast<char>(payload.size() >> shift);
    frame += static_cast<char>(type);
    frame += static_cast<char>(flags);
    for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(stream >> shift);
    return frame + payload;
  }
  // A header field without compression (RFC 7541, section 6.2.2).
  static std::string Field(const std::string& name, const std::string& value) {
    return std::string(1, '\0') + static_cast<char>(name.size()) + name +
           static_cast<char>(value.size()) + value;
  }
  static std::string CallFields() {
    return Field(":method", "POST") + Field(":scheme", "http") +
           Field(":path", "/vectron.v1.VectronService/Search") + Field(":authority", "h") +
           Field("content-type", "application/grpc") + Field("te", "trailers");
  }
  bool Send(const std::string& bytes) { return client_.Send(bytes); }

 private:
  rpc::RawClient client_;
};

class Http2Attacks : public Attacks {
 protected:
  // Attacks over some connections, each until the server ends it or `rounds` are done, while the
  // user goes on.
  template <typename Attack>
  void Under(uint32_t rounds, Attack attack) {
    const uint16_t port = world_.server().port("grpc");
    std::atomic<int> going = 3;
    std::vector<std::thread> attackers;
    for (int i = 0; i < 3; ++i) {
      attackers.emplace_back([&] {
        RawHttp2 connection(port);
        for (uint32_t round = 0; round < rounds; ++round) {
          if (!connection.Send(attack(round))) break;
        }
        --going;
      });
    }
    int calls = 0;
    while (going > 0 || calls < 20) {
      EXPECT_TRUE(List().ok()) << List().error_message();
      ++calls;
    }
    for (std::thread& attacker : attackers) attacker.join();
  }
};

TEST_F(Http2Attacks, RapidResetsKeepNobodyOut) {
  const std::string fields = RawHttp2::CallFields();
  Under(5'000, [&](uint32_t round) {
    const uint32_t stream = 2 * round + 1;
    return RawHttp2::Frame(RawHttp2::kHeaders, RawHttp2::kEndHeaders, stream, fields) +
           RawHttp2::Frame(RawHttp2::kReset, 0, stream, std::string("\0\0\0\x08", 4));
  });
}

TEST_F(Http2Attacks, FloodsOfSettingsAndPingsKeepNobodyOut) {
  Under(5'000, [](uint32_t) {
    return RawHttp2::Frame(RawHttp2::kSettings, 0, 0, "") +
           RawHttp2::Frame(RawHttp2::kPing, 0, 0, std::string(8, 'x'));
  });
}

TEST_F(Http2Attacks, HeadersWithoutAnEndKeepNobodyOut) {
  const std::string more = RawHttp2::Field("x", std::string(100, 'v'));
  Under(5'000, [&](uint32_t round) {
    if (round == 0) return RawHttp2::Frame(RawHttp2::kHeaders, 0, 1, RawHttp2::CallFields());
    return RawHttp2::Frame(RawHttp2::kContinuation, 0, 1, more);
  });
}

TEST_F(Http2Attacks, StreamsPastTheBoundKeepNobodyOut) {
  const std::string fields = RawHttp2::CallFields();
  Under(3'000, [&](uint32_t round) {
    return RawHttp2::Frame(RawHttp2::kHeaders, RawHttp2::kEndHeaders, 2 * round + 1, fields);
  });
}

TEST_F(Attacks, WhatIsTooLargeIsRefusedWhereverItStands) {
  const std::string mega(1 << 20, 'a');
  EXPECT_EQ(Raw(Head("GET /" + mega, "")), 431);
  EXPECT_EQ(Raw(Head("GET /v1/collections", "x: " + mega + "\r\n")), 431);
  EXPECT_EQ(Raw(Head("GET /v1/collections", mega + ": x\r\n")), 431);
  EXPECT_EQ(Raw(Head("POST /v1/collections", "Content-Length: 1000000000000\r\n")), 413);
  ExpectRefused(
      Raw(Head("POST /v1/collections", "Content-Length: 99999999999999999999999999999999\r\n")),
      "a length that is no number of this machine");
  ExpectRefused(
      Raw(Head("POST /v1/collections", "Transfer-Encoding: chunked\r\n") + "ffffffffffffffff\r\n"),
      "a chunk");
  const std::string points = "/v1/collections/c/points";
  struct Body {
    std::string what, path, json;
  };
  const std::string deep(200'000, '[');
  std::string wide = R"({"points":[{"id":"p","vector":[1)";
  for (int i = 0; i < 100'000; ++i) wide += ",1";
  for (const Body& body : std::vector<Body>{
           {"depth", points, R"({"points":)" + deep},
           {"depth of a payload", points,
            R"({"points":[{"id":"p","vector":[1,2],"payload":{"a":)" + deep},
           {"dimension", points, wide + "]}]}"},
           {"id", points, R"({"points":[{"id":")" + mega + R"(","vector":[1,2]}]})"},
           {"payload", points,
            R"({"points":[{"id":"p","vector":[1,2],"payload":{"t":")" + mega + mega + R"("}}]})"},
           {"number", points, R"({"points":[{"id":"p","vector":[1e999,2]}]})"},
           {"name", "/v1/collections", R"({"name":")" + mega + R"(","dimension":2})"},
           {"dimension of a collection", "/v1/collections",
            R"({"name":"d","dimension":2000000000})"},
           {"shards", "/v1/collections", R"({"name":"d","dimension":2,"shardCount":4000000000})"},
           {"topK", points + "/search", R"({"vector":[1,2],"topK":4000000000})"},
           {"offset", points + "/search", R"({"vector":[1,2],"topK":10,"offset":4000000000})"},
           {"limit", points + "/scroll", R"({"limit":4000000000})"},
           {"e-mail", "/v1/users/register",
            R"({"email":")" + mega + R"(@example.org","password":"Planted-Password-1"})"},
           {"password", "/v1/users/register",
            R"({"email":"b@example.org","password":"Aa1-)" + mega + "\"}"},
           {"password to log in", "/v1/users/login",
            R"({"email":"a@example.org","password":"Aa1-)" + mega + "\"}"},
           {"name of a key", "/v1/keys", R"({"name":")" + mega + "\"}"},
       }) {
    const int status = Call("POST", body.path, body.json).status;
    EXPECT_TRUE(status >= 400 && status < 500) << body.what << ": " << status;
  }
  EXPECT_EQ(Call("GET", "/v1/collections/c/points/" + std::string(10'000, 'x')).status, 400);
}

TEST_F(Attacks, WhatIsTooLargeForGrpcIsRefused) {
  const std::string search = "/vectron.v1.VectronService/Search";
  EXPECT_EQ(Grpc(world_.channel(), search, Bearer(token_), std::string(100 << 20, '\x08'))
                .status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(Grpc(world_.channel(), search, Bearer(std::string(1 << 20, 'a'))).status.ok());
  // The connection may have been closed on what came before: then it is made anew.
  grpc::StatusCode code = grpc::StatusCode::UNAVAILABLE;
  for (int i = 0; i < 100 && code == grpc::StatusCode::UNAVAILABLE; ++i) {
    code = Grpc(world_.channel(), search, Bearer(token_), std::string(1 << 20, '\xff'))
               .status.error_code();
  }
  EXPECT_EQ(code, grpc::StatusCode::INVALID_ARGUMENT) << "no message";
}

}  // namespace
}  // namespace vectron
