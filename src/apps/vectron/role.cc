#include "apps/vectron/role.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/status.h"

namespace vectron {

absl::StatusOr<std::vector<PlacementPeerAddress>> ParsePeers(const std::string& text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> parts, SplitAddresses(text));
  std::vector<PlacementPeerAddress> peers;
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    const size_t slash = part.find('/');
    PlacementPeerAddress peer;
    const char* const begin = part.data();
    const auto [stop, error] =
        std::from_chars(begin, begin + std::min(equals, part.size()), peer.node);
    if (equals == std::string::npos || slash == std::string::npos || slash < equals ||
        error != std::errc() || stop != begin + equals || peer.node == 0) {
      return InvalidArgument(
          "'{}' is no placement node: wanted NUMBER=GRPC/RAFT, such as "
          "1=10.0.0.1:6001/10.0.0.1:7001",
          part);
    }
    peer.grpc = part.substr(equals + 1, slash - equals - 1);
    peer.raft = part.substr(slash + 1);
    peers.push_back(std::move(peer));
  }
  return peers;
}

absl::Status CheckPeers(const std::vector<PlacementPeerAddress>& peers, uint64_t node) {
  std::set<uint64_t> nodes;
  for (const PlacementPeerAddress& peer : peers) {
    if (!nodes.insert(peer.node).second) {
      return InvalidArgument("--peers names node {} twice", peer.node);
    }
  }
  if (!nodes.contains(node)) {
    return InvalidArgument("--peers does not name node {}, which --node says this is", node);
  }
  if (nodes.size() != 1 && nodes.size() != 3 && nodes.size() != 5) {
    return InvalidArgument("--peers names {} nodes; placement runs on 1, 3 or 5", nodes.size());
  }
  return absl::OkStatus();
}

}  // namespace vectron
