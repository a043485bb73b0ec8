#pragma once

// What the RPCs of vectron.placementdriver.v1 do, free of any protocol, over the replicated state
// and what the leader hears. PlacementNode (placement_node.h) puts it together.
//
// Everything but GetLeader is the leader's, after a read barrier, so no answer is older than its
// request. Elsewhere, without a quorum, or before the cluster is founded: Unavailable, with a
// leader hint and the leader's address in the message where there is one. What was refused before
// anything was done is marked so (rpc::NothingWasDone).
//
// DeleteCollection answers when its replicas are gone: nobody reads or writes them from then on,
// whatever map he has. It does not wait for workers that are not heard of, nor longer than
// kDestroyWaitMs. Nor does a retry of it say any sooner that there is no such collection: not while
// the first one waits, and in a leadership that has just begun not while replicas of any dropped
// collection are held.
//
// Tick drives what the leader does by itself: founds the cluster, declares workers dead, finishes
// or takes back creations, schedules moves, feeds those who watch the map. A leader that did not
// run for a while itself (its machine was suspended, its process stopped) calls nobody dead for
// that.
//
// Thread-safe. Callbacks run once, on any thread.

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/random.h"
#include "model/ids.h"
#include "rpc/error_table.h"
#include "rpc/rpc_registry.h"
#include "services/placement/map_feed.h"
#include "services/placement/options.h"
#include "services/placement/replicated_state.h"
#include "services/placement/scheduler.h"
#include "services/placement/tracker.h"
#include "vectron/placement.pb.h"

namespace vectron::placement {

// Who leads placement, as this node sees it.
struct Leadership {
  bool is_leader = false;
  uint64_t term = 0;
  WorkerId node;        // 0: nobody is known to
  std::string address;  // of its service; "": unknown
};

struct ServiceDeps {
  ReplicatedState* state = nullptr;  // outlives the service
  Clock* clock = nullptr;
  std::function<Leadership()> leadership;
  std::string cluster_id;  // what to found the cluster as; empty: a random id
  uint64_t seed = 0;
};

class PlacementService {
 public:
  template <typename Response>
  using Done = std::function<void(absl::StatusOr<Response>)>;

  // Calls under way, and of one creation those that wait for it; past them RESOURCE_EXHAUSTED.
  static constexpr size_t kMaxWaitingCalls = 8'192;
  static constexpr size_t kMaxWaitersOfCreation = 256;

  PlacementService(const PlacementOptions& options, const ServiceDeps& deps);
  ~PlacementService();

  absl::Status Register(rpc::RpcRegistry& registry);
  // About every 50 ms, one call at a time.
  void Tick();
  // Ends all that waits; later calls are Unavailable. The state is unbound by then.
  void Stop();
  // The state changed: Tick has something to do.
  void OnStateChanged();
  // Groups whose replicas hold different points at one entry (Tracker::TakeDifferences): those
  // found while this node led, and those that differ now, as the leader knows.
  struct Differences {
    uint64_t found = 0;
    size_t standing = 0;
  };
  Differences differences() const;

  void GetLeader(const placementdriver::v1::GetLeaderRequest& request,
                 Done<placementdriver::v1::GetLeaderResponse> done);
  void RegisterWorker(const placementdriver::v1::RegisterWorkerRequest& request,
                      Done<placementdriver::v1::RegisterWorkerResponse> done);
  void Heartbeat(const placementdriver::v1::HeartbeatRequest& request,
                 Done<placementdriver::v1::HeartbeatResponse> done);
  void ListWorkers(const placementdriver::v1::ListWorkersRequest& request,
                   Done<placementdriver::v1::ListWorkersResponse> done);
  void DrainWorker(const placementdriver::v1::DrainWorkerRequest& request,
                   Done<placementdriver::v1::DrainWorkerResponse> done);
  void RemoveWorker(const placementdriver::v1::RemoveWorkerRequest& request,
                    Done<placementdriver::v1::RemoveWorkerResponse> done);
  void Rebalance(const placementdriver::v1::RebalanceRequest& request,
                 Done<placementdriver::v1::RebalanceResponse> done);
  void RegisterReranker(const placementdriver::v1::RegisterRerankerRequest& request,
                        Done<placementdriver::v1::RegisterRerankerResponse> done);
  void RerankerHeartbeat(const placementdriver::v1::RerankerHeartbeatRequest& request,
                         Done<placementdriver::v1::RerankerHeartbeatResponse> done);
  void ListRerankers(const placementdriver::v1::ListRerankersRequest& request,
                     Done<placementdriver::v1::ListRerankersResponse> done);
  void GetReranker(const placementdriver::v1::GetRerankerRequest& request,
                   Done<placementdriver::v1::GetRerankerResponse> done);
  void CreateCollection(const placementdriver::v1::CreateCollectionRequest& request,
                        Done<placementdriver::v1::CreateCollectionResponse> done);
  void DeleteCollection(const placementdriver::v1::DeleteCollectionRequest& request,
                        Done<placementdriver::v1::DeleteCollectionResponse> done);
  void ListCollections(const placementdriver::v1::ListCollectionsRequest& request,
                       Done<placementdriver::v1::ListCollectionsResponse> done);
  void GetCollectionStatus(const placementdriver::v1::GetCollectionStatusRequest& request,
                           Done<placementdriver::v1::GetCollectionStatusResponse> done);
  void GetWorker(const placementdriver::v1::GetWorkerRequest& request,
                 Done<placementdriver::v1::GetWorkerResponse> done);
  void ListWorkersForCollection(const placementdriver::v1::ListWorkersForCollectionRequest& request,
                                Done<placementdriver::v1::ListWorkersForCollectionResponse> done);
  void GetMap(const placementdriver::v1::GetMapRequest& request,
              Done<placementdriver::v1::ClusterMap> done);
  void WatchMap(const placementdriver::v1::WatchMapRequest& request,
                rpc::ServerStream<placementdriver::v1::ClusterMap> stream);

 private:
  struct Waiting {
    int64_t deadline_nanos = 0;
    std::atomic<bool> finished{false};
    std::function<void(absl::Status)> stop;
  };
  struct Creation {
    int64_t seen_nanos = 0;  // since this leader knows of it
    int64_t next_proposal_nanos = 0;
    std::vector<std::function<void(absl::Status)>> waiters = {};  // OK: visible
  };

  // A collection that is dropped and whose replicas may still be served somewhere.
  struct Deletion {
    CollectionKey key;
    std::vector<GroupId> groups;
    int64_t until_nanos = 0;  // then it is answered whatever its workers do
    absl::Status answer;      // OK, or of a retry that there is no such collection
    std::function<void(absl::Status)> done;
  };

  // A wish to rebalance. Planning may take long, and calls come on the raft thread: Tick does it.
  struct Plan {
    bool dry_run = false;
    Done<placementdriver::v1::RebalanceResponse> done;
  };

  void AddWaiting(const std::shared_ptr<Waiting>& waiting, int64_t timeout_ms);
  // The same callback, ended by its deadline or by Stop if by nothing else, and once only.
  template <typename Response>
  Done<Response> Tracked(int64_t timeout_ms, Done<Response> done) {
    auto waiting = std::make_shared<Waiting>();  // shared: the call may end here or there
    waiting->stop = [done](absl::Status status) { done(std::move(status)); };
    AddWaiting(waiting, timeout_ms);
    return [waiting, done = std::move(done)](absl::StatusOr<Response> response) {
      if (!waiting->finished.exchange(true)) done(std::move(response));
    };
  }
  // OK, or why no call can be added to those that wait.
  absl::Status CheckRoom();
  // OK, or why this node cannot answer.
  absl::Status CheckLeading() const;
  absl::Status CheckCluster(const std::string& cluster_id) const;
  // Calls `work` once the state is as new as this call, with a callback that ends in time.
  template <typename Response>
  void Lead(Done<Response> done, std::function<void(Done<Response>)> work) {
    if (absl::Status room = CheckRoom(); !room.ok()) return done(std::move(room));
    Done<Response> tracked = Tracked(kCallTimeoutMs, std::move(done));
    const absl::Status leading = CheckLeading();
    if (!leading.ok()) return tracked(leading);
    deps_.state->Barrier([this, tracked, work = std::move(work)](absl::Status status) {
      if (status.ok()) status = CheckCluster("");
      if (!status.ok()) return tracked(rpc::WithNothingDone(std::move(status)));
      work(tracked);
    });
  }
  // The same with a callback that may take `patience_ms` longer once `work` has begun.
  template <typename Response>
  void LeadLong(int64_t patience_ms, Done<Response> done,
                std::function<void(Done<Response>)> work) {
    if (absl::Status room = CheckRoom(); !room.ok()) return done(std::move(room));
    Done<Response> patient = Tracked(patience_ms + kCallTimeoutMs, std::move(done));
    auto begun = std::make_shared<std::atomic<bool>>(false);  // shared by the two ends
    Lead<Response>(
        [patient, begun](absl::StatusOr<Response> early) {
          if (!begun->load()) patient(std::move(early));
        },
        [patient, begun, work = std::move(work)](const Done<Response>&) {
          begun->store(true);
          work(patient);
        });
  }
  void ProposeQuietly(CommandBody body);
  // Whether the worker is one of the cluster; why not, for people.
  absl::StatusOr<WorkerId> KnownWorker(const std::string& id) const;

  ScheduleInput Input(const ClusterState& state, const ClusterLoad& load) const;
  ClusterLoad LoadNow(const ClusterState& state) const ABSL_LOCKS_EXCLUDED(mutex_);
  void AnswerHeartbeat(const placementdriver::v1::HeartbeatRequest& request,
                       const WorkerRecord& worker, const ClusterState& state,
                       const std::vector<std::string>& faults,
                       placementdriver::v1::HeartbeatResponse& response);
  void ProposeFromHeartbeat(const placementdriver::v1::HeartbeatRequest& request, WorkerId worker);
  void BeginCreation(const placementdriver::v1::CreateCollectionRequest& request,
                     Done<placementdriver::v1::CreateCollectionResponse> done);
  void AwaitCreation(const CollectionKey& key,
                     Done<placementdriver::v1::CreateCollectionResponse> done);
  // Answers once no worker that is heard of holds a replica of these groups; at once without any.
  void AwaitDestruction(const CollectionKey& key, std::vector<GroupId> groups, absl::Status answer,
                        Done<placementdriver::v1::DeleteCollectionResponse> done);
  // What may be left of a collection of this name that was dropped just before.
  std::vector<GroupId> JustDropped(const CollectionKey& key);
  std::vector<placementdriver::v1::PlannedMove> PlannedMoves();

  // Parts of Tick.
  void NoticePause();
  void NoticeLeadership();
  void ExpireCalls();
  void FoundCluster();
  void JudgeLiveness();
  void TendCreations();
  void TendDeletions();
  void TendPlans();
  void RunScheduler();

  static constexpr int64_t kCallTimeoutMs = 5'000;
  // How long a deletion waits for workers that are heard of and do not say that their replicas are
  // gone.
  static constexpr int64_t kDestroyWaitMs = 5'000;
  // Of a leadership: who asks it to delete may have asked the one before.
  static constexpr int64_t kYoungMs = 2 * kDestroyWaitMs;
  static constexpr size_t kMaxDeletions = 1'000;  // that wait
  static constexpr size_t kMaxPlans = 16;         // that wait

  const PlacementOptions options_;
  const ServiceDeps deps_;

  mutable absl::Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Tracker tracker_ ABSL_GUARDED_BY(mutex_);
  int64_t last_tick_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t led_term_ ABSL_GUARDED_BY(mutex_) = 0;  // of the leadership that is under way; 0: none
  uint64_t seed_ ABSL_GUARDED_BY(mutex_);
  uint64_t differences_found_ ABSL_GUARDED_BY(mutex_) = 0;
  std::list<std::shared_ptr<Waiting>> waiting_ ABSL_GUARDED_BY(mutex_);  // shared with their ends
  std::map<CollectionKey, Creation> creations_ ABSL_GUARDED_BY(mutex_);
  std::vector<Deletion> deletions_ ABSL_GUARDED_BY(mutex_);
  std::vector<Plan> plans_ ABSL_GUARDED_BY(mutex_);
  std::vector<LeaderWish> wishes_ ABSL_GUARDED_BY(mutex_);
  std::set<WorkerId> busy_ ABSL_GUARDED_BY(mutex_);  // workers with something under way
  int64_t eager_until_nanos_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t next_run_nanos_ ABSL_GUARDED_BY(mutex_) = 0;  // of the scheduler
  bool news_ ABSL_GUARDED_BY(mutex_) = false;           // since the last run
  bool proposing_ ABSL_GUARDED_BY(mutex_) = false;      // the last run's commands are under way
  int64_t next_judgement_nanos_ ABSL_GUARDED_BY(mutex_) = 0;  // of who is dead
  MapFeed feed_;
};

}  // namespace vectron::placement
