#pragma once

// The placement nodes as one: each call goes to the node that leads, which is found by asking.
//
// A call that finds no leader is tried at the next node, after a round with a pause, until its
// deadline. So a call may be carried out twice when its first answer was lost: `sent_before` of the
// answer tells, and the caller knows what that means. A node that refuses as one that does not lead
// has done nothing, and says so (rpc::NothingWasDone); nor has one that was not reached at all.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/timer.h"
#include "rpc/channel_pool.h"
#include "vectron/placement.pb.h"

namespace vectron::rpc {

// Thread-safe.
class PlacementCaller {
 public:
  // addresses: "host:port" of all placement nodes, at least one. clock and timer outlive it.
  PlacementCaller(const std::vector<std::string>& addresses, const ChannelOptions& options,
                  const Clock& clock, Timer& timer);
  // Ends calls under way as Cancelled and waits for their callbacks. No timer of it runs
  // afterwards.
  ~PlacementCaller();
  PlacementCaller(const PlacementCaller&) = delete;
  PlacementCaller& operator=(const PlacementCaller&) = delete;

  template <typename Response>
  struct Answer {
    absl::StatusOr<Response> response;
    bool sent_before = false;  // an earlier try may have been carried out
  };
  template <typename Response>
  using Done = std::function<void(Answer<Response>)>;

  // deadline: monotonic, 0: kMaxCallMs from now. Errors: the node's own, Unavailable (no leader was
  // found in time), DeadlineExceeded.
  void RegisterWorker(placementdriver::v1::RegisterWorkerRequest request, int64_t deadline_nanos,
                      Done<placementdriver::v1::RegisterWorkerResponse> done);
  void Heartbeat(placementdriver::v1::HeartbeatRequest request, int64_t deadline_nanos,
                 Done<placementdriver::v1::HeartbeatResponse> done);
  // known_version: see GetMapRequest.
  void GetMap(uint64_t known_version, int64_t deadline_nanos,
              Done<placementdriver::v1::ClusterMap> done);
  void CreateCollection(placementdriver::v1::CreateCollectionRequest request,
                        int64_t deadline_nanos,
                        Done<placementdriver::v1::CreateCollectionResponse> done);
  void DeleteCollection(placementdriver::v1::DeleteCollectionRequest request,
                        int64_t deadline_nanos,
                        Done<placementdriver::v1::DeleteCollectionResponse> done);

  // What operators ask.
  void ListWorkers(int64_t deadline_nanos, Done<placementdriver::v1::ListWorkersResponse> done);
  void DrainWorker(placementdriver::v1::DrainWorkerRequest request, int64_t deadline_nanos,
                   Done<placementdriver::v1::DrainWorkerResponse> done);
  void RemoveWorker(placementdriver::v1::RemoveWorkerRequest request, int64_t deadline_nanos,
                    Done<placementdriver::v1::RemoveWorkerResponse> done);
  void Rebalance(placementdriver::v1::RebalanceRequest request, int64_t deadline_nanos,
                 Done<placementdriver::v1::RebalanceResponse> done);

  // Rerankers make themselves known, and are found.
  void RegisterReranker(placementdriver::v1::RegisterRerankerRequest request,
                        int64_t deadline_nanos,
                        Done<placementdriver::v1::RegisterRerankerResponse> done);
  void RerankerHeartbeat(placementdriver::v1::RerankerHeartbeatRequest request,
                         int64_t deadline_nanos,
                         Done<placementdriver::v1::RerankerHeartbeatResponse> done);
  void GetReranker(int64_t deadline_nanos, Done<placementdriver::v1::GetRerankerResponse> done);

  // For long calls beside these (the watch of the map). Which node is next.
  ChannelPool& node(size_t index) { return *nodes_[index % nodes_.size()]; }
  size_t node_count() const { return nodes_.size(); }
  size_t leader_index() const { return leader_.load(std::memory_order_relaxed); }

 private:
  template <typename Request, typename Response>
  class Call;
  template <typename Request, typename Response, typename Method>
  void Start(Request request, Method method, int64_t deadline_nanos, Done<Response> done);

  // Runs `task` after a pause, unless the caller goes before: then it runs at once.
  struct Pauses;

  const Clock& clock_;
  std::shared_ptr<Pauses> pauses_;  // shared with the timer's tasks
  std::atomic<size_t> leader_{0};   // where the last call was answered
  std::vector<std::unique_ptr<ChannelPool>> nodes_;
};

}  // namespace vectron::rpc
