#include "services/gateway/static_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "base/temp_dir.h"

namespace vectron::gateway {
namespace {

using rpc::HttpRequest;
using rpc::HttpResponse;
using rpc::HttpVerb;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kPage =
    "<html><head><base href=\"./\"><meta name=\"csp-nonce\" "
    "content=\"__CSP_NONCE__\"></head></html>";

struct Asked {
  std::string path = "/";
  std::string accept = "*/*";
  std::string encoding = {};
  std::string prefix = {};
  std::string etag = {};
  HttpVerb verb = HttpVerb::kGet;
};

HttpRequest Request(const Asked& asked) {
  HttpRequest request;
  request.verb = asked.verb;
  request.SetTarget(asked.path);
  request.AddHeader("Accept", asked.accept);
  if (!asked.encoding.empty()) request.AddHeader("Accept-Encoding", asked.encoding);
  if (!asked.prefix.empty()) request.AddHeader("X-Forwarded-Prefix", asked.prefix);
  if (!asked.etag.empty()) request.AddHeader("If-None-Match", asked.etag);
  return request;
}

std::string HeaderOf(const HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return {};
}

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    Write("index.html", kPage);
    Write("favicon.svg", "<svg/>");
    Write("assets/index-3fJk2mQ9.js", "plain script");
    Write("assets/index-3fJk2mQ9.js.gz", "GZ");
    Write("assets/index-3fJk2mQ9.js.br", "BR");
    Write("assets/plain.css", "css");
    Write("assets/uPlot.esm-BScb58at.js", "dots");
    Write("assets/index-3fJk2mQ9.js.map", "dots");
    Write("assets/inter-latin.woff2", "no hash");
    Write("../secret", "secret");
  }
  void Write(const std::string& name, std::string_view bytes) {
    const std::string path = dir_ / ("console/" + name);
    ASSERT_TRUE(files_->MakeDirs(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(files_->WriteAtomically(path, bytes).ok());
  }
  HttpResponse Ask(const Asked& asked, const std::string& prefix = "") {
    if (loaded_ == nullptr || prefix != prefix_) {
      auto loaded = StaticFiles::Load(
          {.dir = dir_ / "console", .path_prefix = prefix, .random = [this] { return ++random_; }},
          *files_);
      EXPECT_TRUE(loaded.ok()) << loaded.status();
      loaded_ = *std::move(loaded);
      prefix_ = prefix;
    }
    return loaded_->Answer(Request(asked));
  }

  TempDir dir_;
  std::unique_ptr<FileSystem> files_ = NewPosixFileSystem();
  uint64_t random_ = 0;
  std::string prefix_;
  std::unique_ptr<StaticFiles> loaded_;
};

constexpr char kScript[] = "/assets/index-3fJk2mQ9.js";
constexpr char kBrowser[] = "text/html,application/xhtml+xml,*/*;q=0.8";

TEST_F(StaticFilesTest, SendsTheCompressedFormThatIsAcceptedBest) {
  for (const auto& [accepted, body, coding] :
       {std::tuple{"", "plain script", ""}, std::tuple{"gzip", "GZ", "gzip"},
        std::tuple{"gzip, deflate, br", "BR", "br"},
        std::tuple{"br;q=0.2, gzip;q=0.9", "GZ", "gzip"},
        std::tuple{"br;q=0, gzip;q=0", "plain script", ""},
        std::tuple{"gzip;q=x", "plain script", ""}, std::tuple{"zstd", "plain script", ""}}) {
    const HttpResponse response = Ask({.path = kScript, .encoding = accepted});
    EXPECT_EQ(response.body, body) << accepted;
    EXPECT_EQ(HeaderOf(response, "Content-Encoding"), coding) << accepted;
    EXPECT_EQ(HeaderOf(response, "Vary"), "Accept-Encoding");
    EXPECT_EQ(response.content_type, "text/javascript; charset=utf-8");
  }
  EXPECT_EQ(Ask({.path = std::string(kScript) + ".gz"}).status, 404);
}

TEST_F(StaticFilesTest, CachesHashedNamesForGoodAndAsksForOthersAgain) {
  EXPECT_EQ(HeaderOf(Ask({.path = kScript}), "Cache-Control"),
            "public, max-age=31536000, immutable");
  for (const char* path : {"/assets/uPlot.esm-BScb58at.js", "/assets/index-3fJk2mQ9.js.map"}) {
    EXPECT_THAT(HeaderOf(Ask({.path = path}), "Cache-Control"), HasSubstr("immutable")) << path;
  }
  const HttpResponse named = Ask({.path = "/assets/inter-latin.woff2"});
  EXPECT_EQ(HeaderOf(named, "Cache-Control"), "no-cache");
  const HttpResponse plain = Ask({.path = "/assets/plain.css"});
  EXPECT_EQ(HeaderOf(plain, "Cache-Control"), "no-cache");
  const std::string etag = HeaderOf(plain, "ETag");
  const HttpResponse fresh = Ask({.path = "/assets/plain.css", .etag = "W/" + etag + ", \"x\""});
  EXPECT_EQ(fresh.status, 304);
  EXPECT_TRUE(fresh.body.empty());
  EXPECT_EQ(Ask({.path = "/assets/plain.css", .etag = "\"other\""}).status, 200);
  EXPECT_NE(HeaderOf(Ask({.path = kScript}), "ETag"),
            HeaderOf(Ask({.path = kScript, .encoding = "br"}), "ETag"));
}

TEST_F(StaticFilesTest, ABrowserGetsThePageForPathsTheConsoleKnows) {
  EXPECT_THAT(Ask({.path = "/collections/docs?x=1", .accept = kBrowser}).body, HasSubstr("<html>"));
  EXPECT_THAT(Ask({.path = "/"}).body, HasSubstr("<html>"));
  EXPECT_EQ(Ask({.path = "/collections/docs", .accept = "application/json"}).status, 404);
  EXPECT_EQ(Ask({.path = "/v1/nothing", .accept = kBrowser}).status, 404);
  EXPECT_EQ(Ask({.path = "/assets/gone-3fJk2mQ9.js", .accept = kBrowser}).status, 404);
  EXPECT_EQ(Ask({.path = "/collections", .accept = kBrowser, .verb = HttpVerb::kPost}).status, 404);
  EXPECT_THAT(Ask({.path = "/v1/nothing"}).body, HasSubstr("\"code\":5"));
}

TEST_F(StaticFilesTest, NothingOutsideOfTheFolderIsReached) {
  for (const char* path : {"/../secret", "/assets/../../secret", "/%2e%2e/secret", "/..%2fsecret",
                           "//secret", "/assets/%2e%2e/%2e%2e/secret", "/%00", "/%zz"}) {
    const HttpResponse response = Ask({.path = path});
    EXPECT_EQ(response.status, 404) << path;
    EXPECT_THAT(response.body, Not(HasSubstr("secret"))) << path;
  }
}

TEST_F(StaticFilesTest, EveryAnswerForbidsWhatTheConsoleDoesNotNeed) {
  for (const char* path : {"/", kScript, "/favicon.svg"}) {
    const HttpResponse response = Ask({.path = path});
    const std::string policy = HeaderOf(response, "Content-Security-Policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'"));
    EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
    EXPECT_EQ(HeaderOf(response, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(HeaderOf(response, "Referrer-Policy"), "no-referrer");
  }
}

TEST_F(StaticFilesTest, EveryPageHasANonceOfItsOwn) {
  const HttpResponse one = Ask({.path = "/"});
  const HttpResponse two = Ask({.path = "/"});
  EXPECT_THAT(one.body, Not(HasSubstr("__CSP_NONCE__")));
  EXPECT_THAT(one.body, HasSubstr("00000000000000010000000000000002"));
  EXPECT_THAT(HeaderOf(one, "Content-Security-Policy"),
              HasSubstr("style-src 'self' 'nonce-00000000000000010000000000000002'"));
  EXPECT_NE(one.body, two.body);
  EXPECT_EQ(HeaderOf(one, "Cache-Control"), "no-store");
}

TEST_F(StaticFilesTest, ThePageKnowsTheProxysPrefixAndBelievesNoBadOne) {
  EXPECT_THAT(Ask({.path = "/", .prefix = "/tools/vectron/"}).body,
              HasSubstr("<base href=\"/tools/vectron/\">"));
  for (const char* bad :
       {"//evil.example", "/a//b", "/\"><script>", "/../x", "https://evil", "/."}) {
    EXPECT_THAT(Ask({.path = "/", .prefix = bad}).body, HasSubstr("<base href=\"./\">")) << bad;
  }
  EXPECT_THAT(Ask({.path = "/"}, "/fixed").body, HasSubstr("<base href=\"/fixed/\">"));
}

TEST_F(StaticFilesTest, ADeepPathFindsItsFilesBelowAnyPrefix) {
  for (const auto& [path, base] : {std::pair{"/", "./"},
                                   {"/index.html", "./"},
                                   {"/collections", "./"},
                                   {"/collections/docs?a=/b/c", "../"},
                                   {"/a/b/c", "../../"},
                                   {"/a%2Fb/", "../"}}) {
    const HttpResponse page = Ask({.path = path, .accept = kBrowser});
    EXPECT_THAT(page.body, HasSubstr("<base href=\"" + std::string(base) + "\">")) << path;
  }
  EXPECT_THAT(Ask({.path = "/a/b", .accept = kBrowser, .prefix = "/vectron"}).body,
              HasSubstr("<base href=\"/vectron/\">"));
}

TEST_F(StaticFilesTest, APageWithABaseAloneIsCachedWhereItStaysAsItIs) {
  Write("index.html", "<base href=\"./\">");
  EXPECT_EQ(HeaderOf(Ask({.path = "/"}), "Cache-Control"), "no-cache");
  EXPECT_EQ(HeaderOf(Ask({.path = "/a/b", .accept = kBrowser}), "Cache-Control"), "no-store");
  EXPECT_EQ(HeaderOf(Ask({.path = "/", .prefix = "/vectron"}), "Cache-Control"), "no-store");
}

TEST_F(StaticFilesTest, APageWithoutANonceIsCachedByItsTag) {
  Write("index.html", "<html></html>");
  const HttpResponse page = Ask({.path = "/", .prefix = "/vectron"});
  EXPECT_EQ(HeaderOf(page, "Cache-Control"), "no-cache");
  EXPECT_EQ(Ask({.path = "/some/where", .accept = kBrowser, .etag = HeaderOf(page, "ETag")}).status,
            304);
}

TEST_F(StaticFilesTest, AFolderThatIsNoConsoleIsRefused) {
  const StaticFilesOptions options{
      .dir = dir_ / "console/assets", .path_prefix = "", .random = [] { return uint64_t{1}; }};
  EXPECT_TRUE(absl::IsNotFound(StaticFiles::Load(options, *files_).status()));
  StaticFilesOptions bad = options;
  bad.path_prefix = "//x";
  EXPECT_TRUE(absl::IsInvalidArgument(StaticFiles::Load(bad, *files_).status()));
  std::string deep = "d";
  for (size_t i = 0; i <= kMaxStaticDepth; ++i) deep += "/d";
  Write(deep + "/file", "x");
  StaticFilesOptions whole = options;
  whole.dir = dir_ / "console";
  EXPECT_TRUE(absl::IsResourceExhausted(StaticFiles::Load(whole, *files_).status()));
}

}  // namespace
}  // namespace vectron::gateway
