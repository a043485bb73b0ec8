#include "shard/peer_nodes.h"

#include "base/bytes.h"

namespace vectron::shard {

DiskRoom PeerNodes::RoomOf(WorkerId node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? DiskRoom::kPlenty : found->second.room;
}

bool PeerNodes::Lives(WorkerId node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && !found->second.silent;
}

void PeerNodes::Heard(WorkerId node) {
  Node& known = nodes_[node];
  known.heard_tick = tick_;
  known.silent = false;
}

bool PeerNodes::HeardAlive(WorkerId node, std::string_view body) {
  ByteReader reader(body);
  uint64_t life = 0;
  uint8_t room = 0;
  if (!reader.ReadFixed(life) || !reader.ReadFixed(room) || room > 2) return false;
  Node& known = nodes_[node];
  const bool anew = known.life.has_value() && *known.life != life;
  known.life = life;
  SetRoom(known.room, static_cast<DiskRoom>(room));
  return anew;
}

std::string PeerNodes::AliveBody() const {
  std::string body;
  PutFixed(body, life_);
  PutFixed(body, static_cast<uint8_t>(own_room_));
  return body;
}

std::vector<WorkerId> PeerNodes::Tick() {
  ++tick_;
  std::vector<WorkerId> fell_silent;
  for (auto& [id, node] : nodes_) {
    if (node.silent || tick_ - node.heard_tick < silence_ticks_) continue;
    node.silent = true;
    SetRoom(node.room, DiskRoom::kPlenty);  // what it said has expired
    fell_silent.push_back(id);
  }
  return fell_silent;
}

}  // namespace vectron::shard
