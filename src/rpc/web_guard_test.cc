#include "rpc/web_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/status.h"

namespace vectron::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

HttpRequest Request(std::string_view host, std::string_view origin = "",
                    HttpVerb verb = HttpVerb::kPost) {
  HttpRequest request;
  request.verb = verb;
  request.SetTarget("/v1/collections");
  request.AddHeader("host", host);
  if (!origin.empty()) request.AddHeader("origin", origin);
  return request;
}

WebGuard Guard(std::vector<std::string> origins, bool checks_credentials) {
  return *WebGuard::Make(
      {.allowed_origins = std::move(origins), .checks_credentials = checks_credentials});
}

std::map<std::string, std::string> HeadersOf(const WebGuard& guard, const HttpRequest& request) {
  std::map<std::string, std::string> headers;
  for (const auto& [name, value] : guard.AnswerHeaders(request)) headers[name] = value;
  return headers;
}

TEST(WebGuard, WithoutCredentialsOnlyThisMachineIsServed) {
  const WebGuard guard = Guard({}, false);
  for (const char* host :
       {"localhost", "LocalHost:8080", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8080"}) {
    EXPECT_TRUE(guard.Check(Request(host)).ok()) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8080", "", "10.0.0.1:8080", "[::2]:80",
                           "localhost.evil.example", "127.0.0.1.evil.example", "127.1",
                           "[::1].evil.example", "[::1].evil.example:80", "[::1"}) {
    const absl::Status refused = guard.Check(Request(host));
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << host;
    EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("127.0.0.1"));
  }
  HttpRequest old;
  old.SetTarget("/");
  EXPECT_TRUE(guard.Check(old).ok());
}

TEST(WebGuard, WithoutCredentialsNoPageOfAnotherSiteIsServed) {
  const WebGuard guard = Guard({"https://app.example.org"}, false);
  for (const char* origin : {"http://localhost:5173", "http://127.0.0.1:8080", "https://[::1]:8443",
                             "https://app.example.org"}) {
    EXPECT_TRUE(guard.Check(Request("localhost:8080", origin)).ok()) << origin;
  }
  for (const char* origin :
       {"null", "https://evil.example", "http://app.example.org", "https://app.example.org:444",
        "http://localhost.evil.example", "http://localhost@evil.example", "file://localhost"}) {
    const absl::Status refused = guard.Check(Request("localhost:8080", origin));
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << origin;
    EXPECT_THAT(std::string(MessageOf(refused)), HasSubstr("--allow-origin"));
  }
}

TEST(WebGuard, WithCredentialsAnyNameWillDo) {
  const WebGuard guard = Guard({}, true);
  EXPECT_TRUE(guard.Check(Request("db.example.org", "https://evil.example")).ok());
  EXPECT_THAT(HeadersOf(guard, Request("db.example.org", "https://evil.example")), IsEmpty());
}

TEST(WebGuard, AllowedOriginsMayReadAnswers) {
  const WebGuard guard = Guard({"https://App.example.org", "http://localhost:3000"}, true);
  auto headers = HeadersOf(guard, Request("db.example.org", "https://app.example.org"));
  EXPECT_EQ(headers["Access-Control-Allow-Origin"], "https://app.example.org");
  EXPECT_EQ(headers["Vary"], "Origin");
  EXPECT_THAT(headers["Access-Control-Expose-Headers"], HasSubstr("Retry-After"));
  EXPECT_EQ(headers.count("Access-Control-Allow-Methods"), 0u);
  for (const char* other : {"", "https://evil.example", "https://app.example.org.evil.example"}) {
    headers = HeadersOf(guard, Request("db.example.org", other));
    EXPECT_EQ(headers.size(), 1u) << other;
    EXPECT_EQ(headers["Vary"], "Origin");
  }
}

TEST(WebGuard, TheDefaultPortOfAnOriginMayBeNamed) {
  const WebGuard guard = Guard(
      {"https://a.example:443", "http://b.example:80", "https://c.example:80", "http://[::5]:80"},
      true);
  for (const char* origin :
       {"https://a.example", "http://b.example", "https://c.example:80", "http://[::5]"}) {
    EXPECT_EQ(HeadersOf(guard, Request("db.example.org", origin))["Access-Control-Allow-Origin"],
              origin);
  }
}

TEST(WebGuard, AnswersPreflights) {
  const WebGuard guard = Guard({"https://app.example.org"}, true);
  HttpRequest ask = Request("db.example.org", "https://app.example.org", HttpVerb::kOptions);
  ask.AddHeader("access-control-request-method", "PUT");
  auto headers = HeadersOf(guard, ask);
  EXPECT_EQ(headers["Access-Control-Allow-Origin"], "https://app.example.org");
  EXPECT_THAT(headers["Access-Control-Allow-Methods"], HasSubstr("PUT"));
  for (const char* name : {"authorization", "content-type", "x-api-key", "x-vectron-tenant"}) {
    EXPECT_THAT(headers["Access-Control-Allow-Headers"], HasSubstr(name));
  }
  EXPECT_EQ(headers["Access-Control-Max-Age"], "600");
}

TEST(WebGuard, RefusesWhatIsNoOrigin) {
  for (const char* origin : {"*", "", "null", "app.example.org", "https://", "https://a/b",
                             "https://a/", "https://u@a", "ftp://a", "https://a b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(WebGuard::Make({.allowed_origins = {origin}}).status()))
        << origin;
  }
}

}  // namespace
}  // namespace vectron::rpc
