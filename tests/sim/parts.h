#pragma once

// What a simulated node is made of: its disk and its executor.

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "shard/raft_host.h"
#include "storage/layout.h"
#include "storage/memory_kv.h"

namespace vectron::sim {

// Kv of a log that forgets to sync, for the planted bugs: every write, or those without an entry.
class UnsyncedKv : public storage::MemoryKv {
 public:
  explicit UnsyncedKv(bool but_entries)
      : MemoryKv(2, storage::WriteAheadLog::kOn), but_entries_(but_entries) {}
  absl::Status Write(const storage::WriteBatch& batch, Durability durability) override {
    const bool syncs = but_entries_ && HasEntries(batch);
    return MemoryKv::Write(batch, syncs ? durability : Durability::kBuffered);
  }

 private:
  static bool HasEntries(const storage::WriteBatch& batch) {
    return std::any_of(batch.operations().begin(), batch.operations().end(),
                       [](const auto& write) { return write.column == storage::kLogEntries; });
  }
  const bool but_entries_;
};

// Runs tasks when the world's clock says so, not when they are given; forgets nothing.
class LaterExecutor : public Executor {
 public:
  explicit LaterExecutor(std::function<void(std::function<void()>)> later)
      : later_(std::move(later)) {}
  void Schedule(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
    later_([this] { RunOne(); });
  }
  size_t parallelism() const override { return 1; }
  void RunAll() {
    while (!tasks_.empty()) RunOne();
  }

 private:
  void RunOne() {
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    task();
  }
  const std::function<void(std::function<void()>)> later_;
  std::deque<std::function<void()>> tasks_;
};

// Replicas 1 of nodes 1 to `nodes`.
inline consensus::Membership Founders(uint64_t nodes) {
  consensus::Membership members;
  for (uint64_t id = 1; id <= nodes; ++id) {
    members.voters.push_back(shard::ReplicaId::Make({id}, 1).value);
  }
  return members;
}

inline bool Has(const std::vector<uint64_t>& ids, shard::ReplicaId replica) {
  return std::find(ids.begin(), ids.end(), replica.value) != ids.end();
}

// What waits for log entries to be applied.
class Waiting {
 public:
  void Add(uint64_t index, std::function<void()> then) { waiting_.emplace(index, std::move(then)); }
  void Answer(uint64_t applied) {
    while (!waiting_.empty() && waiting_.begin()->first <= applied) {
      const std::function<void()> then = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      then();
    }
  }

 private:
  std::multimap<uint64_t, std::function<void()>> waiting_;
};

// For people: how the group looks from a node.
inline std::string DescribeView(uint64_t node, const shard::GroupView& view, uint64_t applied) {
  std::string text = fmt::format(
      "\n  node {}: replica {:x}, leader {:x}, term {}, commit {}, applied {}{}{}, members", node,
      view.replica.value, view.leader.value, view.term, view.committed_index, applied,
      view.quiet ? ", quiet" : "", view.lacks_state ? ", lacks its state" : "");
  for (const uint64_t id : view.membership.voters) text += fmt::format(" {:x}", id);
  for (const uint64_t id : view.membership.learners) text += fmt::format(" ({:x})", id);
  for (const consensus::PeerProgress& peer : view.progress) {
    text += fmt::format("\n    {:x}: has {}, snapshot under way {}{}", peer.id, peer.match,
                        peer.pending_snapshot, peer.recent_active ? "" : ", silent");
  }
  return text;
}

// What happens when, in simulated milliseconds; at one time in the order of asking.
class Events {
 public:
  void At(int64_t ms, std::function<void()> run) { events_.push({ms, ++order_, std::move(run)}); }
  // Takes what comes next up to `end` and says when; null when there is nothing.
  std::function<void()> TakeNext(int64_t end, int64_t& at) {
    if (events_.empty() || events_.top().at > end) return nullptr;
    // A heap gives out its top for reading only; it is popped right away.
    std::function<void()> run = std::move(const_cast<Event&>(events_.top()).run);
    at = events_.top().at;
    events_.pop();
    return run;
  }

 private:
  struct Event {
    int64_t at;
    uint64_t order;
    std::function<void()> run;
    bool operator>(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  uint64_t order_ = 0;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
};

}  // namespace vectron::sim
