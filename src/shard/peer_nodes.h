#pragma once

// What a host knows of the other nodes: when each was last heard, in which life it is, how much
// room its disk has. Part of RaftHost; confined to the raft thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.h"
#include "shard/raft_host.h"

namespace vectron::shard {

class PeerNodes {
 public:
  // life: differs between two starts of this node.
  PeerNodes(uint64_t life, uint32_t silence_ticks) : life_(life), silence_ticks_(silence_ticks) {}

  DiskRoom own_room() const { return own_room_; }
  void set_own_room(DiskRoom room) { SetRoom(own_room_, room); }
  // kPlenty until it says otherwise.
  DiskRoom RoomOf(WorkerId node) const;
  // Differs when any node's room, or the own, has changed.
  uint64_t room_changes() const { return room_changes_; }
  // Heard within silence_ticks.
  bool Lives(WorkerId node) const;

  // Anything arrived from the node.
  void Heard(WorkerId node);
  // What an alive message says; true when the node lives another life than before.
  bool HeardAlive(WorkerId node, std::string_view body);
  std::string AliveBody() const;
  // Moves time on; returns the nodes that fell silent just now.
  std::vector<WorkerId> Tick();

 private:
  struct Node {
    uint64_t heard_tick = 0;
    bool silent = true;  // until first heard
    std::optional<uint64_t> life;
    DiskRoom room = DiskRoom::kPlenty;
  };

  void SetRoom(DiskRoom& known, DiskRoom room) {
    if (known != room) ++room_changes_;
    known = room;
  }

  const uint64_t life_;
  const uint32_t silence_ticks_;
  uint64_t tick_ = 0;
  DiskRoom own_room_ = DiskRoom::kPlenty;
  uint64_t room_changes_ = 0;
  std::map<WorkerId, Node> nodes_;
};

}  // namespace vectron::shard
