// How an idle group goes quiet and wakes. Only ticks stop: a quiet replica takes every input, and
// the first one wakes it.

#include "base/bytes.h"
#include "shard/raft_replica.h"

namespace vectron::shard {

PeerMessage RaftReplica::OwnMessage(ReplicaId to, uint32_t type) const {
  return {.group = start_.group.value,
          .from = start_.replica.value,
          .to = to.value,
          .type = type,
          .bytes = {},
          .snapshot_token = {},
          .snapshot_index = 0};
}

void RaftReplica::Wake() {
  quiet_ = false;
  idle_ticks_ = 0;
}

// Whether no replica of the group misses anything, and every node it is on lives.
bool RaftReplica::EveryoneHasEverything(const consensus::Status& status) const {
  const uint64_t last = status.last_index;
  if (status.commit != last || handed_ != last || applied_ != last || status.transferee != 0)
    return false;
  const consensus::Membership& members = membership();
  if (!members.outgoing_voters.empty() || !members.next_learners.empty()) return false;
  const auto progress = raft_->progress();
  if (!progress.ok()) return false;
  for (const consensus::PeerProgress& peer : *progress) {
    if (peer.id == start_.replica.value) continue;
    if (peer.match != last || peer.pending_snapshot != 0) return false;
    if (!hooks_.nodes->Lives(ReplicaId{peer.id}.node())) return false;
  }
  return true;
}

void RaftReplica::GoQuietIfIdle(Outbox& out) {
  if (options_.quiet_after_ticks == 0 || idle_ticks_ < options_.quiet_after_ticks) return;
  // A read that got no answer waits in its queue again, with no round under way.
  if (installing_ || lacks_state_ || !problem_.ok() || change_ || !proposals_.empty() ||
      !queued_reads_.empty() || !reads_.empty())
    return;
  const auto status = raft_->status();
  if (!status.ok() || status->role != consensus::Role::kLeader) return;
  if (!EveryoneHasEverything(*status)) {
    idle_ticks_ = options_.quiet_after_ticks / 2;  // looked at again soon, not every tick
    return;
  }
  std::string body;
  PutFixed(body, status->term);
  PutFixed(body, status->commit);
  for (const auto* ids : {&membership().voters, &membership().learners}) {
    for (const uint64_t id : *ids) {
      if (id == start_.replica.value) continue;
      PeerMessage message = OwnMessage({id}, kQuietMessage);
      message.bytes = body;
      out[ReplicaId{id}.node()].push_back(std::move(message));
    }
  }
  quiet_ = true;
  RefreshView(/*with_progress=*/true);
}

// A follower goes quiet with its leader if it has everything; else the leader must stay awake to
// bring it.
void RaftReplica::TakeQuiet(const PeerMessage& message, Outbox& out) {
  ByteReader reader(message.bytes);
  uint64_t term = 0;
  uint64_t commit = 0;
  const auto status = raft_->status();
  if (!reader.ReadFixed(term) || !reader.ReadFixed(commit) || !status.ok()) return;
  if (status->term > term) return;  // said by a leader of the past
  const bool agrees = status->term == term && status->leader == message.from &&
                      status->commit == commit && status->last_index == commit && handed_ == commit;
  const bool busy = installing_ || lacks_state_ || fetching_ || !queued_.empty() ||
                    !queued_reads_.empty() || !reads_.empty();
  if (agrees && !busy) {
    quiet_ = true;
    RefreshView(/*with_progress=*/false);
    return;
  }
  Wake();
  out[ReplicaId{message.from}.node()].push_back(OwnMessage({message.from}, kWakeMessage));
}

void RaftReplica::WakeFor(WorkerId node, uint32_t silent_ticks) {
  if (!quiet_) return;
  bool shared = false;
  for (const auto* ids : {&membership().voters, &membership().learners}) {
    for (const uint64_t id : *ids) shared = shared || ReplicaId{id}.node() == node;
  }
  if (!shared) return;
  Wake();
  const auto status = raft_->status();
  const bool led_from_there = status.ok() && ReplicaId{status->leader}.node() == node;
  // The silence of the leader's node counts as if the group had been awake.
  for (uint32_t i = 0; led_from_there && !lacks_state_ && i < silent_ticks; ++i) {
    raft_->Tick().IgnoreError();
  }
}

void RaftReplica::WakeOthers(Outbox& out) const {
  for (const auto* ids : {&membership().voters, &membership().learners}) {
    for (const uint64_t id : *ids) {
      if (id != start_.replica.value)
        out[ReplicaId{id}.node()].push_back(OwnMessage({id}, kWakeMessage));
    }
  }
}

}  // namespace vectron::shard
