// Reads, from their queue to the answer: how a replica learns which index one must wait for.

#include <algorithm>
#include <utility>

#include "base/bytes.h"
#include "base/status.h"
#include "shard/raft_replica.h"

namespace vectron::shard {
namespace {

// Hint in refusals of reads: a round without an answer is asked for again by then.
constexpr int64_t kRetryReadAfterMs = 500;

bool Among(const std::vector<uint64_t>& ids, uint64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

size_t RaftReplica::WaitingReads() const {
  size_t count = queued_reads_.size() + late_reads_.size();
  for (const auto& [context, round] : reads_) count += round.reads.size();
  return count;
}

void RaftReplica::QueueRead(ProposeCallback done) {
  if (WaitingReads() >= options_.max_waiting_reads) {
    done(ResourceExhausted("group {}: {} reads wait for an answer; retry after {} ms",
                           start_.group.value, options_.max_waiting_reads, kRetryReadAfterMs));
    return;
  }
  Wake();
  queued_reads_.push_back({std::move(done), ticks_});
}

// One round for all reads that wait, and one at a time: reads that come while it is under way share
// the next one. Its context names replica, start and number, so it never repeats: a late answer to
// a question of an earlier life must not answer one of this life.
void RaftReplica::AskForReads(Outbox& out) {
  if (queued_reads_.empty()) return;
  if (installing_ || lacks_state_) {
    const absl::Status none =
        Unavailable("group {}: this replica waits for a copy", start_.group.value);
    for (WaitingRead& read : std::exchange(queued_reads_, {})) read.done(none);
    return;
  }
  if (!reads_.empty()) {
    if (ticks_ - read_asked_tick_ < kReadRoundTicks) return;
    ask_all_until_ = ticks_ + kAskAllTicks;
  }
  const auto status = raft_->status();
  if (!status.ok() || status->leader == 0) {
    if (ticks_ == 0) return;  // a group that just started hears of its leader soon
    const absl::Status none = Unavailable("group {}: no leader is known", start_.group.value);
    for (WaitingRead& read : std::exchange(queued_reads_, {})) read.done(none);
    return;
  }
  // A leader knows what was committed before it once it has committed something itself.
  if (status->role == consensus::Role::kLeader && handed_term_ != status->term) return;
  const std::string context =
      fmt::format("{}/{}/{}", start_.replica.value, log_->state().starts, ++read_counter_);
  const std::vector<uint64_t> asked = WhomToAsk(*status, out);
  for (const uint64_t id : asked) {
    PeerMessage question = OwnMessage({id}, kReadQuestionMessage);
    PutFixed(question.bytes, status->term);
    question.bytes += context;
    out[ReplicaId{id}.node()].push_back(std::move(question));
  }
  if (asked.empty() && !raft_->ReadIndex(context).ok()) return;
  reads_[context] = {.reads = std::exchange(queued_reads_, {}),
                     .asked_tick = ticks_,
                     .term = asked.empty() ? 0 : status->term};
  read_asked_tick_ = ticks_;
}

// The replicas whose answers decide a round. Empty: the engine has to ask, with heartbeats to all.
//
// Why it is enough that a majority, the leader among it, says that its term is the leader's
// (docs/adr/0017): each says so of a moment after the read began, so before that none of them had
// given a vote in a later term, and nobody could lead in one. What was acknowledged before the read
// began is therefore committed at this leader, which has committed an entry of its own term.
std::vector<uint64_t> RaftReplica::WhomToAsk(const consensus::Status& status,
                                             const Outbox& out) const {
  const consensus::Membership& members = membership();
  const std::vector<uint64_t>& voters = members.voters;
  if (ticks_ < ask_all_until_ || !members.outgoing_voters.empty() ||
      !Among(voters, start_.replica.value))
    return {};
  const size_t wanted = voters.size() / 2;
  if (status.role != consensus::Role::kLeader) {
    const bool enough = wanted <= 1 && Among(voters, status.leader);
    return enough ? std::vector<uint64_t>{status.leader} : std::vector<uint64_t>();
  }
  std::vector<uint64_t> asked;
  const auto take = [&](const std::vector<uint64_t>& ids, auto fits) {
    for (const uint64_t id : ids) {
      if (asked.size() == wanted) return;
      if (id == start_.replica.value || !Among(voters, id) || Among(asked, id)) continue;
      const WorkerId node = ReplicaId{id}.node();
      if (hooks_.nodes->Lives(node) && fits(node)) asked.push_back(id);
    }
  };
  // Best to ask are those to whom something goes anyway, then those who answer fast.
  take(voters, [&](WorkerId node) { return out.contains(node); });
  const auto any = [](WorkerId) { return true; };
  take(fastest_, any);
  take(answering_, any);
  take(voters, any);
  if (asked.size() < wanted) asked.clear();
  return asked;
}

// Of a leader or a follower that is asked whether this is still its term. No answer: it is not, or
// this leader cannot tell from one question; who asks will ask again, by the engine.
void RaftReplica::AnswerQuestion(const PeerMessage& question, Outbox& out) const {
  ByteReader reader(question.bytes);
  uint64_t term = 0;
  const auto status = raft_->status();
  if (!reader.ReadFixed(term) || !status.ok() || status->term != term) return;
  const bool leads = status->role == consensus::Role::kLeader;
  if (leads && (handed_term_ != term || !IsMajority({question.from}))) return;
  PeerMessage answer = OwnMessage({question.from}, kReadAnswerMessage);
  PutFixed(answer.bytes, leads ? status->commit : uint64_t{0});
  answer.bytes += std::string_view(question.bytes).substr(sizeof term);
  out[ReplicaId{question.from}.node()].push_back(std::move(answer));
}

// What came of a question: a leader's index, or a follower's word for its leader.
void RaftReplica::TakeAnswer(const PeerMessage& answer, Outbox& out) {
  ByteReader reader(answer.bytes);
  uint64_t index = 0;
  if (installing_ || !reader.ReadFixed(index)) return;
  const std::string context = answer.bytes.substr(sizeof index);
  const auto found = reads_.find(context);
  if (found == reads_.end() || found->second.term == 0) return;
  if (index == 0) {
    const auto status = raft_->status();
    if (!status.ok() || status->role != consensus::Role::kLeader ||
        status->term != found->second.term)
      return;
    std::vector<uint64_t>& agreed = found->second.agreed;
    if (!Among(agreed, answer.from)) agreed.push_back(answer.from);
    if (!IsMajority(agreed)) return;
    index = status->commit;
  }
  AnswerReads({{index, context}}, out);
}

// Whether these and this replica are most of the voters.
bool RaftReplica::IsMajority(const std::vector<uint64_t>& others) const {
  const consensus::Membership& members = membership();
  if (!members.outgoing_voters.empty() || !Among(members.voters, start_.replica.value))
    return false;
  const auto voting = std::count_if(others.begin(), others.end(), [&](uint64_t id) {
    return id != start_.replica.value && Among(members.voters, id);
  });
  return static_cast<size_t>(voting) + 1 > members.voters.size() / 2;
}

// What a turn sends: with heartbeats the race among the answers begins anew.
void RaftReplica::NoteHeartbeats(const std::vector<consensus::OutMessage>& sent) {
  const bool beats = std::any_of(sent.begin(), sent.end(), [](const auto& message) {
    return message.type == consensus::kHeartbeatMessage;
  });
  if (!beats) return;
  if (!answering_.empty()) fastest_ = std::move(answering_);
  answering_.clear();
}

// A round that got no answer is asked for again; soon when only some were asked. A learner never
// learns that its leader is gone, and a leader may commit nothing in its term, so this has an end.
void RaftReplica::RepeatReads() {
  for (auto it = reads_.begin(); it != reads_.end();) {
    const bool few_asked = it->second.term != 0;
    const uint64_t patience = few_asked
                                  ? std::min<uint64_t>(kReadRoundTicks, options_.read_retry_ticks)
                                  : options_.read_retry_ticks;
    if (ticks_ - it->second.asked_tick < patience) {
      ++it;
      continue;
    }
    for (WaitingRead& read : it->second.reads) queued_reads_.push_back(std::move(read));
    it = reads_.erase(it);
    if (few_asked) ask_all_until_ = ticks_ + kAskAllTicks;
  }
  std::erase_if(queued_reads_, [this](WaitingRead& read) {
    if (ticks_ - read.since_tick < kReadPatienceTicks) return false;
    read.done(Unavailable("group {}: its leader does not answer", start_.group.value));
    return true;
  });
}

void RaftReplica::AnswerReads(const std::vector<PendingReady::Read>& reads, Outbox& out) {
  for (const PendingReady::Read& read : reads) {
    const auto found = reads_.find(read.context);
    if (found == reads_.end()) continue;  // asked again meanwhile
    for (WaitingRead& waiting : found->second.reads) {
      late_reads_.emplace(read.index, WaitingRead{std::move(waiting.done), ticks_});
    }
    reads_.erase(found);
  }
  while (!late_reads_.empty() && late_reads_.begin()->first <= handed_) {
    ProposeCallback done = std::move(late_reads_.begin()->second.done);
    const uint64_t index = late_reads_.begin()->first;
    late_reads_.erase(late_reads_.begin());
    done(index);
  }
  if (reads_.empty()) AskForReads(out);
}

void RaftReplica::FailLateReads() {
  std::erase_if(late_reads_, [this](auto& waiting) {
    auto& [index, read] = waiting;
    if (ticks_ - read.since_tick < kReadPatienceTicks) return false;
    read.done(Unavailable("group {}: this replica is at {}, the read wants {}; ask another one",
                          start_.group.value, handed_, index));
    return true;
  });
}

}  // namespace vectron::shard
