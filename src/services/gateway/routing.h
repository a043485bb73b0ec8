#pragma once

// How a shard's part of a request finds its way: to which replica it is sent, and what happens when
// that one does not answer for it.
//
// Writes and strong reads go to the shard's leader: the one last heard of, else the map's. A strong
// search of several shards goes to one worker instead, if one has votes in all of them: it asks the
// other leaders for their index, which costs less than calls to each of them (docs/adr/0017). What
// it has not answered after kGatherPatienceMs is asked of the leaders too, out of the budget, and
// it is not chosen for a while. Other reads go to the less busy of two replicas that the map knows
// to be in sync. What comes back decides:
//   FailedPrecondition  the map is old (the epoch, or the shard has moved): it is refreshed, and
//                       the part is sent once more if the map has changed
//   Unavailable         no leader, not the leader, not reached: the next replica is tried, or who
//                       is said to lead; after a round a pause that grows; until the deadline
//   anything else       is the answer
// A part sent again carries the same request id, so a write whose first answer was lost applies
// once. Every sending but a part's first is out of one budget, at most kMaxRetriesPerSecond over
// all requests of a gateway, so that a cluster in trouble is not asked more than one that is well;
// what finds the budget spent pauses. (In a single process, without patience, the one sending after
// a refresh is free.)
//
// Reads may be hedged (hedging.h): one that has no answer after a while is sent to another replica
// too, once, out of the same budget. The first answer counts, the other call is called off. An
// error of the second try alone means nothing.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/timer.h"
#include "model/collection.h"
#include "rpc/cancellation.h"
#include "rpc/placement_api.h"
#include "rpc/worker_api.h"
#include "services/gateway/hedging.h"

namespace vectron::gateway {

// Shared with other requests of the collection.
using RecordPtr = std::shared_ptr<const rpc::CollectionRecord>;

// A strong search of more shards than this is asked of their leaders, who share its work.
inline constexpr size_t kMaxGatheredShards = 4;
// Where a shard has at most so many replicas, one of them and its leader are a majority: a read
// through the one costs no more than one through the other. Past it the leader must ask others too.
inline constexpr size_t kMaxGatheredReplicas = 3;
// How long the one worker may take before the leaders are asked too, and for how long it is not
// chosen after it failed or was late: about as long as the map takes to tell of a dead one.
inline constexpr int64_t kGatherPatienceMs = 1'000;
inline constexpr int64_t kGatherAvoidMs = 5'000;

enum class RouteTo { kLeader, kAnyReplica };

// Another replica, or the same one later, may answer better. A replica whose data is lost speaks
// only for itself.
bool WorthAnotherTry(const absl::Status& status);

// Where reads of a consistency go.
RouteTo RouteOf(Consistency wanted, const CollectionSchema& schema);

// What the router borrows; all outlive it.
struct RouterDeps {
  rpc::PlacementApi* placement = nullptr;
  std::function<rpc::WorkerApi*(WorkerId)> worker_of;  // null when there is none of that id
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  // How long a part that found nobody is tried when its caller set no deadline; 0: a part that
  // found nobody is not tried again at all, as in a single process.
  int64_t patience_ms = 0;
  uint64_t seed = 0;  // of choices between replicas and of pauses
  HedgeOptions hedge = {};
};

// Lets through so many retries per second, with as many saved up. Thread-safe.
class RetryBudget {
 public:
  RetryBudget(const Clock& clock, int64_t per_second) : clock_(clock), per_second_(per_second) {}
  bool Take();

 private:
  const Clock& clock_;
  const int64_t per_second_;
  absl::Mutex mutex_;
  int64_t second_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
};

// One sending of a part to a worker.
struct PartCall {
  rpc::WorkerApi& worker;
  rpc::ShardTarget target;
  int64_t deadline_nanos = 0;
  std::shared_ptr<rpc::Cancellation> cancellation;  // null: it is not called off
  // Ends it, once. `keep` stores the answer: it is called in between if this answer counts, which
  // is true of one sending at most.
  std::function<void(const absl::Status& status, absl::FunctionRef<void()> keep)> ended;
};

// One shard's part of a request. It may be sent several times, one after the other; of a read two
// sendings may be under way. The status that counts is the part's.
struct RoutedPart {
  RecordPtr record;
  ShardOrdinal ordinal;
  RouteTo to = RouteTo::kLeader;
  bool write = false;                           // only the leader can answer
  std::optional<ReadKind> read = std::nullopt;  // set: may be hedged
  int64_t deadline_nanos = 0;                   // monotonic, 0: none
  std::function<void(PartCall call)> send;
  // With the map as it was last used: newer than `record` when that had become old.
  std::function<void(const absl::Status& status, const RecordPtr& record)> done;
};

// Thread-safe.
class Router {
 public:
  explicit Router(const RouterDeps& deps);
  // Parts under way are not sent again; returns when the last one has ended.
  ~Router();
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  void Send(RoutedPart part);
  // Goes on with a part that has been sent to `tried` (0: to nobody) and got this error.
  void SendAgain(RoutedPart part, WorkerId tried, const absl::Status& error);

  // Whom a part would be sent to first. Unavailable: no such worker is known.
  struct Choice {
    WorkerId id;
    rpc::WorkerApi* worker = nullptr;
  };
  absl::StatusOr<Choice> Choose(const rpc::ShardPlacement& shard, RouteTo to);
  // One worker for a strong search of all these shards, which has a vote in each of them and is in
  // sync: of those that are not much busier than another, who leads most. Nullopt: there is none,
  // or the shards are one or more than kMaxGatheredShards, or have one replica or more than
  // kMaxGatheredReplicas.
  std::optional<Choice> ChooseForAll(const std::vector<rpc::ShardPlacement>& shards);
  // It failed or was late: ChooseForAll leaves it alone for a while.
  void AvoidForAll(WorkerId id);
  // A shard's leader, when the budget allows. Nullopt: it is `asked`, or not known.
  std::optional<Choice> ChooseLeaderInstead(const rpc::ShardPlacement& shard, WorkerId asked);
  // Whom else a read could be sent to, when the budget allows: the less busy of the replicas in
  // sync but for `asked`. Nullopt: nobody.
  std::optional<Choice> ChooseSecond(const rpc::ShardPlacement& shard, WorkerId asked);
  Hedging& hedging() { return hedging_; }

 private:
  friend class RoutedCall;

  WorkerId LeaderOf(const rpc::ShardPlacement& shard) const;
  bool IsAvoided(WorkerId id) const;
  // What an answer has told of who leads; 0: forget what was known.
  void Learn(GroupId group, WorkerId leader);
  uint64_t Draw();

  const RouterDeps deps_;
  RetryBudget retries_;
  Hedging hedging_;
  std::atomic<uint64_t> draws_{0};
  std::atomic<size_t> known_{0};  // entries of leaders_
  std::atomic<bool> closing_{false};
  std::atomic<int64_t> avoid_until_{0};  // when the last of avoided_ ends
  mutable absl::Mutex mutex_;
  int64_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  // Leaders that are not the map's, by group; bounded by kMaxLearnedLeaders.
  absl::flat_hash_map<uint64_t, WorkerId> leaders_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<uint64_t, int64_t> avoided_ ABSL_GUARDED_BY(mutex_);  // until when, by worker
};

}  // namespace vectron::gateway
