#include "apps/vectron/host_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vectron {
namespace {

using ::testing::ElementsAre;

TEST(HostPort, TakesNumericAddressesAndLocalhost) {
  for (const auto& [text, host, port] :
       {std::tuple{"127.0.0.1:8080", "127.0.0.1", 8080}, std::tuple{"[::1]:0", "::1", 0},
        std::tuple{"localhost:65535", "127.0.0.1", 65535}, std::tuple{"0.0.0.0:1", "0.0.0.0", 1}}) {
    const auto parsed = ParseHostPort(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, host);
    EXPECT_EQ(parsed->port, port);
  }
}

TEST(HostPort, RefusesTheRest) {
  for (const char* text :
       {"", ":", "8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:80x", "::1:80", "[::1]", "[127.0.0.1]:80", "example.org:80"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

TEST(HostPort, KnowsLoopback) {
  EXPECT_TRUE(IsLoopback("127.0.0.1"));
  EXPECT_TRUE(IsLoopback("127.8.9.10"));
  EXPECT_TRUE(IsLoopback("::1"));
  EXPECT_FALSE(IsLoopback("0.0.0.0"));
  EXPECT_FALSE(IsLoopback("::"));
  EXPECT_FALSE(IsLoopback("10.127.0.1"));
}

TEST(HostPort, SplitsAddresses) {
  EXPECT_THAT(*SplitAddresses("a:1,b:2"), ElementsAre("a:1", "b:2"));
  EXPECT_FALSE(SplitAddresses("a:1,,b:2").ok());
  EXPECT_FALSE(SplitAddresses("a").ok());
}

TEST(HostPort, FindsAFreePortOnlyWhenNoneIsNamed) {
  const auto named = WithFreePort({.host = "127.0.0.1", .port = 9'999});
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->port, 9'999);
  const auto found = WithFreePort({.host = "127.0.0.1", .port = 0});
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_NE(found->port, 0);
  EXPECT_EQ(Printable({.host = "::1", .port = 7}), "[::1]:7");
}

}  // namespace
}  // namespace vectron
