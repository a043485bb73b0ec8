// What a replica does about disks without room: its own, and those of the other voters.

#include <algorithm>

#include "shard/raft_replica.h"

namespace vectron::shard {

// A leader whose disk is full can take nothing; another voter that has everything and has room
// leads better. Not when most disks are full: a new leader could commit nothing and so not even
// serve reads.
void RaftReplica::GiveWayWhenFull(uint64_t host_tick) {
  if (!leads_ || hooks_.nodes->own_room() != DiskRoom::kFull) return;
  if (host_tick % options_.election_ticks != 0 || !MostVotersHave(DiskRoom::kNearlyFull)) return;
  const auto status = raft_->status();
  const auto progress = raft_->progress();
  if (!status.ok() || !progress.ok()) return;
  const std::vector<uint64_t>& voters = membership().voters;
  for (const consensus::PeerProgress& peer : *progress) {
    const WorkerId node = ReplicaId{peer.id}.node();
    const bool votes = std::find(voters.begin(), voters.end(), peer.id) != voters.end();
    if (node == options_.node || !votes || peer.match != status->last_index) continue;
    if (!hooks_.nodes->Lives(node) || hooks_.nodes->RoomOf(node) == DiskRoom::kFull) continue;
    raft_->TransferLeadership(peer.id).IgnoreError();
    return;
  }
}

void RaftReplica::RefreshRoom() {
  const bool plenty =
      hooks_.nodes->own_room() == DiskRoom::kPlenty && MostVotersHave(DiskRoom::kPlenty);
  counters_->nearly_full.store(!plenty, std::memory_order_relaxed);
}

// Whether the disks of a majority of the voters have so much room, or more.
bool RaftReplica::MostVotersHave(DiskRoom room) const {
  const std::vector<uint64_t>& voters = membership().voters;
  size_t with_room = 0;
  for (const uint64_t id : voters) {
    const WorkerId node = ReplicaId{id}.node();
    const bool own = node == options_.node;
    if ((own ? hooks_.nodes->own_room() : hooks_.nodes->RoomOf(node)) <= room) ++with_room;
  }
  return with_room * 2 > voters.size();
}

}  // namespace vectron::shard
