#pragma once

// The face of one group for its shard: what it asks goes through the inbox of the group's host.
// Part of RaftHost; thread-safe. Outlives its replica.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "shard/log_store.h"
#include "shard/raft_replica.h"
#include "shard/replicator.h"

namespace vectron::shard {

// A call on its way to the raft thread. If it never gets there, because its group left meanwhile,
// the caller hears of it.
struct PendingCall {
  std::string command;
  ProposeCallback done;
  PendingCall(std::string c, ProposeCallback d) : command(std::move(c)), done(std::move(d)) {}
  PendingCall(const PendingCall&) = delete;
  PendingCall& operator=(const PendingCall&) = delete;
  ~PendingCall() {
    if (done) done(absl::UnavailableError("the group left this node"));
  }
  ProposeCallback Take() { return std::exchange(done, nullptr); }
};

class GroupReplicator : public Replicator {
 public:
  // Runs on the raft thread, unless the group is gone by then.
  using Input = std::function<void(RaftReplica&)>;
  // False: there is no room for input of so many bytes.
  using Post = std::function<bool(Input input, size_t bytes)>;

  GroupReplicator(Post post, GroupId group, std::shared_ptr<ReplicaCounters> counters,
                  LogStore& logs)
      : post_(std::move(post)), group_(group), counters_(std::move(counters)), logs_(logs) {}

  void Propose(std::string command, ProposeCallback done) override;
  bool needs_read_barrier() const override { return true; }
  void ReadBarrier(ProposeCallback done) override;
  void SetLogMarks(uint64_t needed, uint64_t wished) override;
  absl::StatusOr<std::vector<Entry>> ReadEntries(uint64_t first, uint64_t last) const override;

  bool nearly_full() const override {
    return counters_->nearly_full.load(std::memory_order_relaxed);
  }
  uint64_t quorum_tail_bytes() const override {
    return counters_->quorum_tail.load(std::memory_order_relaxed);
  }
  bool votes() const override { return !counters_->learner.load(std::memory_order_relaxed); }
  uint64_t committed_index() const override {
    return counters_->committed.load(std::memory_order_acquire);
  }
  uint64_t first_index() const override { return logs_.Extent(group_).first_index; }

 private:
  const Post post_;
  const GroupId group_;
  const std::shared_ptr<ReplicaCounters> counters_;  // shared with the replica, which may be gone
  LogStore& logs_;
};

}  // namespace vectron::shard
