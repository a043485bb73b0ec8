// How a leader learns how far the others are behind with their indexes (DESIGN.md, section 3): each
// tells it now and then while that is worth a word.

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/limits.h"
#include "shard/raft_replica.h"

namespace vectron::shard {

void RaftReplica::TellTail(Outbox& out) {
  const auto status = raft_->status();
  if (!status.ok() || leads_ || installing_ || lacks_state_ || status->leader == 0) return;
  // What is not applied yet counts as well: a command has four bytes where a code has one.
  const uint64_t tail = start_.applier->tail_bytes() +
                        unapplied_bytes_.load(std::memory_order_relaxed) / sizeof(float);
  const uint64_t told = tail > kTailFreeBytes ? tail : 0;
  if (told == 0 && told_tail_ == 0) return;
  told_tail_ = told;
  PeerMessage message = OwnMessage({status->leader}, kTailMessage);
  PutFixed(message.bytes, told);
  out[ReplicaId{status->leader}.node()].push_back(std::move(message));
}

void RaftReplica::TakeTail(const PeerMessage& message) {
  ByteReader reader(message.bytes);
  uint64_t bytes = 0;
  if (reader.ReadFixed(bytes)) tails_[message.from] = {bytes, ticks_};
}

// The own tail counts as none here: who asks has it. A node that is silent is behind whoever tells.
uint64_t RaftReplica::QuorumTail() const {
  constexpr uint64_t kSilent = std::numeric_limits<uint64_t>::max();
  std::vector<uint64_t> tails;
  for (const uint64_t voter : membership().voters) {
    const auto told = tails_.find(voter);
    const bool lately = told != tails_.end() && ticks_ - told->second.tick <= kTailPatienceTicks;
    if (voter == start_.replica.value) {
      tails.push_back(0);
    } else if (!hooks_.nodes->Lives(ReplicaId{voter}.node())) {
      tails.push_back(kSilent);
    } else {
      tails.push_back(lately ? told->second.bytes : 0);
    }
  }
  if (tails.empty()) return 0;
  const auto middle = tails.begin() + static_cast<int64_t>(tails.size() / 2);
  std::nth_element(tails.begin(), middle, tails.end());
  return *middle == kSilent ? 0 : *middle;
}

}  // namespace vectron::shard
