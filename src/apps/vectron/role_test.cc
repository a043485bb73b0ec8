#include "apps/vectron/role.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vectron {
namespace {

using ::testing::HasSubstr;

TEST(Role, ReadsPlacementNodes) {
  const auto peers = ParsePeers("1=127.0.0.1:6001/127.0.0.1:7001,22=[::1]:2/[::1]:3");
  ASSERT_TRUE(peers.ok()) << peers.status();
  ASSERT_EQ(peers->size(), 2U);
  EXPECT_EQ((*peers)[0].node, 1U);
  EXPECT_EQ((*peers)[0].grpc, "127.0.0.1:6001");
  EXPECT_EQ((*peers)[0].raft, "127.0.0.1:7001");
  EXPECT_EQ((*peers)[1].node, 22U);
  EXPECT_EQ((*peers)[1].raft, "[::1]:3");
  for (const char* wrong : {"", "127.0.0.1:1/127.0.0.1:2", "0=a:1/b:2", "x=a:1/b:2", "1=a:1",
                            "1a=a:1/b:2", "1=a:1/b:2,"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParsePeers(wrong).status())) << wrong;
  }
}

TEST(Role, PlacementNodesAreNamedOnceAndThisOneAmongThem) {
  const std::vector<PlacementPeerAddress> peers = {
      {1, "a:1", "a:2"}, {2, "b:1", "b:2"}, {4, "c:1", "c:2"}};
  EXPECT_TRUE(CheckPeers(peers, 2).ok());
  EXPECT_THAT(std::string(CheckPeers(peers, 3).message()), HasSubstr("does not name node 3"));
  EXPECT_THAT(std::string(CheckPeers({peers[0], peers[0]}, 1).message()),
              HasSubstr("names node 1 twice"));
  EXPECT_TRUE(CheckPeers({peers[1]}, 2).ok());
  EXPECT_THAT(std::string(CheckPeers({peers[0], peers[1]}, 2).message()), HasSubstr("1, 3 or 5"));
}

}  // namespace
}  // namespace vectron
