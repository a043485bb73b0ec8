#include "rpc/route_table.h"

#include <gtest/gtest.h>

namespace vectron::rpc {
namespace {

using Outcome = RouteTable::Outcome;

RouteTable SampleTable() {
  RouteTable table;
  const auto add = [&table](HttpVerb verb, const char* path, size_t target, bool plain = false) {
    EXPECT_TRUE(table.Add({verb, path, plain, target}).ok()) << path;
  };
  add(HttpVerb::kPost, "/v1/collections", 0);
  add(HttpVerb::kGet, "/v1/collections", 1);
  add(HttpVerb::kDelete, "/v1/collections/{name}", 2);
  add(HttpVerb::kPost, "/v1/collections/{collection}/points/search", 3);
  add(HttpVerb::kGet, "/v1/collections/{collection}/points/{id}", 4);
  add(HttpVerb::kGet, "/v1/collections/{name}/status", 5);
  add(HttpVerb::kGet, "/healthz", 6, true);
  add(HttpVerb::kGet, "/docs/**", 7, true);
  return table;
}

TEST(RouteTable, MatchesVerbsLiteralsAndNames) {
  const RouteTable table = SampleTable();
  struct Case {
    HttpVerb verb;
    const char* path;
    Outcome outcome;
    int target;
  };
  const Case cases[] = {
      {HttpVerb::kPost, "/v1/collections", Outcome::kMatch, 0},
      {HttpVerb::kGet, "/v1/collections", Outcome::kMatch, 1},
      {HttpVerb::kHead, "/v1/collections", Outcome::kMatch, 1},
      {HttpVerb::kPut, "/v1/collections", Outcome::kWrongVerb, -1},
      {HttpVerb::kGet, "/v1/collections/", Outcome::kNotFound, -1},
      {HttpVerb::kDelete, "/v1/collections/a", Outcome::kMatch, 2},
      {HttpVerb::kDelete, "/v1/%63ollections/a", Outcome::kMatch, 2},
      {HttpVerb::kPost, "/v1/collections/a/points/search", Outcome::kMatch, 3},
      {HttpVerb::kGet, "/v1/collections/a/points/search", Outcome::kMatch, 4},
      {HttpVerb::kGet, "/v1/collections/a/points/x%2Fy", Outcome::kMatch, 4},
      {HttpVerb::kGet, "/v1/collections/a/points/x/y", Outcome::kNotFound, -1},
      {HttpVerb::kGet, "/v1/collections/a/points/%zz", Outcome::kBadEscape, -1},
      {HttpVerb::kGet, "/v1/collections/a/points/%2", Outcome::kBadEscape, -1},
      {HttpVerb::kGet, "/v1/collections//status", Outcome::kNotFound, -1},
      {HttpVerb::kGet, "/docs", Outcome::kMatch, 7},
      {HttpVerb::kGet, "/docs/a/b", Outcome::kMatch, 7},
      {HttpVerb::kGet, "/doc", Outcome::kNotFound, -1},
      {HttpVerb::kGet, "", Outcome::kNotFound, -1},
      {HttpVerb::kOptions, "*", Outcome::kNotFound, -1},
      {HttpVerb::kGet, "/", Outcome::kNotFound, -1},
  };
  for (const Case& c : cases) {
    const auto result = table.Match(c.verb, c.path);
    EXPECT_EQ(static_cast<int>(result.outcome), static_cast<int>(c.outcome)) << c.path;
    if (c.outcome == Outcome::kMatch) {
      EXPECT_EQ(static_cast<int>(result.route->target), c.target) << c.path;
    }
  }
}

TEST(RouteTable, DecodesParametersOneSegmentAtATime) {
  const RouteTable table = SampleTable();
  const auto result = table.Match(HttpVerb::kGet, "/v1/collections/my%20docs/points/a%2Fb+c%00");
  ASSERT_EQ(result.outcome, Outcome::kMatch);
  ASSERT_EQ(result.params.size(), 2u);
  EXPECT_EQ(result.params[0].first, "collection");
  EXPECT_EQ(result.params[0].second, "my docs");
  EXPECT_EQ(result.params[1].first, "id");
  EXPECT_EQ(result.params[1].second, std::string("a/b+c\0", 6));
}

TEST(RouteTable, NamesTheVerbsOfAKnownPath) {
  const RouteTable table = SampleTable();
  const auto result = table.Match(HttpVerb::kPut, "/v1/collections");
  EXPECT_EQ(result.allowed, "GET, HEAD, POST");
  EXPECT_FALSE(result.route->plain);
  EXPECT_TRUE(table.Match(HttpVerb::kPost, "/healthz").route->plain);
}

TEST(RouteTable, RefusesClashesAndMalformedPatterns) {
  RouteTable table = SampleTable();
  EXPECT_EQ(table.Add({HttpVerb::kDelete, "/v1/collections/{other}", false, 9}).code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(table.Add({HttpVerb::kPut, "/v1/collections/{other}", false, 9}).ok());
  for (const char* bad : {"", "v1", "/a/**/b", "/{a}/{a}", "/a{b}", "/{}", "/a%20b", "/{a"}) {
    EXPECT_EQ(table.Add({HttpVerb::kGet, bad, false, 9}).code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(RouteTable, PrefersLiteralsFromLeftToRightWhateverTheOrderOfAdding) {
  RouteTable table;
  ASSERT_TRUE(table.Add({HttpVerb::kGet, "/**", true, 0}).ok());
  ASSERT_TRUE(table.Add({HttpVerb::kGet, "/{a}/b", true, 1}).ok());
  ASSERT_TRUE(table.Add({HttpVerb::kGet, "/a/{b}", true, 2}).ok());
  ASSERT_TRUE(table.Add({HttpVerb::kGet, "/a/b", true, 3}).ok());
  EXPECT_EQ(table.Match(HttpVerb::kGet, "/a/b").route->target, 3u);
  EXPECT_EQ(table.Match(HttpVerb::kGet, "/a/c").route->target, 2u);
  EXPECT_EQ(table.Match(HttpVerb::kGet, "/c/b").route->target, 1u);
  EXPECT_EQ(table.Match(HttpVerb::kGet, "/c/c").route->target, 0u);
}

}  // namespace
}  // namespace vectron::rpc
