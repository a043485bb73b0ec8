#include "rpc/placement_caller.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/status.h"
#include "rpc/error_table.h"
#include "rpc/unary_client_call.h"
#include "vectron/placement.grpc.pb.h"

namespace vectron::rpc {
namespace {

namespace pb = placementdriver::v1;
using Async = pb::PlacementService::StubInterface::async_interface;

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kPauseMs = 100;  // after a round over all nodes: elections take longer

}  // namespace

struct PlacementCaller::Pauses : std::enable_shared_from_this<Pauses> {
  explicit Pauses(Timer& t) : timer(t) {}

  void After(int64_t at_nanos, std::function<void(bool closed)> task) {
    uint64_t number = 0;
    {
      const absl::MutexLock lock(&mutex);
      if (!closed) {
        number = ++last;
        waiting.emplace(number, std::move(task));
      }
    }
    if (number == 0) return task(true);
    timer.At(at_nanos, [self = shared_from_this(), number] {
      const std::function<void(bool)> due = self->Take(number);
      if (due != nullptr) due(false);
    });
  }
  std::function<void(bool)> Take(uint64_t number) {
    const absl::MutexLock lock(&mutex);
    const auto found = waiting.find(number);
    if (found == waiting.end()) return nullptr;
    std::function<void(bool)> task = std::move(found->second);
    waiting.erase(found);
    return task;
  }
  void Close() {
    std::map<uint64_t, std::function<void(bool)>> rest;
    {
      const absl::MutexLock lock(&mutex);
      closed = true;
      rest.swap(waiting);
    }
    for (auto& [number, task] : rest) task(true);
  }

  Timer& timer;
  absl::Mutex mutex;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  uint64_t last ABSL_GUARDED_BY(mutex) = 0;
  std::map<uint64_t, std::function<void(bool)>> waiting ABSL_GUARDED_BY(mutex);
};

// Shared by its tries, one at a time.
template <typename Request, typename Response>
class PlacementCaller::Call : public std::enable_shared_from_this<Call<Request, Response>> {
 public:
  using Unary = UnaryClientCall<pb::PlacementService, Request, Response>;
  using Method = typename Unary::Method;

  Call(PlacementCaller& caller, Request request, Method method, int64_t deadline_nanos,
       Done<Response> done)
      : caller_(caller),
        request_(std::move(request)),
        method_(method),
        deadline_nanos_(deadline_nanos),
        done_(std::move(done)),
        at_(caller.leader_index()) {}

  void Try() {
    auto call = std::make_unique<Unary>(caller_.node(at_));
    call->request = request_;
    Unary::Send(std::move(call), method_, deadline_nanos_,
                [self = this->shared_from_this()](const absl::Status& status, Response& response) {
                  self->OnAnswer(status, response);
                });
  }

 private:
  void OnAnswer(const absl::Status& status, Response& response) {
    if (status.ok()) {
      caller_.leader_.store(at_, std::memory_order_relaxed);
      return done_({.response = std::move(response), .sent_before = sent_before_});
    }
    if (!absl::IsUnavailable(status)) return End(status);
    sent_before_ = sent_before_ || !NothingWasDone(status);
    ++at_;
    if (++tried_ < caller_.node_count()) return Try();
    tried_ = 0;
    const int64_t next = caller_.clock_.MonotonicNanos() + kPauseMs * kNanosPerMilli;
    if (next >= deadline_nanos_) return End(status);
    caller_.pauses_->After(next, [self = this->shared_from_this(), status](bool closed) {
      closed ? self->End(status) : self->Try();
    });
  }
  void End(const absl::Status& status) {
    done_({.response = sent_before_ ? WithoutNothingDone(status) : status,
           .sent_before = sent_before_});
  }

  PlacementCaller& caller_;
  const Request request_;
  const Method method_;
  const int64_t deadline_nanos_;
  const Done<Response> done_;
  size_t at_;
  size_t tried_ = 0;  // nodes of this round
  bool sent_before_ = false;
};

PlacementCaller::PlacementCaller(const std::vector<std::string>& addresses,
                                 const ChannelOptions& options, const Clock& clock, Timer& timer)
    : clock_(clock), pauses_(std::make_shared<Pauses>(timer)) {
  CHECK(!addresses.empty());
  for (const std::string& address : addresses) {
    nodes_.push_back(std::make_unique<ChannelPool>(address, options, clock));
  }
}

PlacementCaller::~PlacementCaller() {
  pauses_->Close();
  // A call that fails meanwhile may go on to a node that is closed already: it ends there at once,
  // and the second round waits for it.
  for (int round = 0; round < 2; ++round) {
    for (const auto& node : nodes_) node->Close();
  }
}

template <typename Request, typename Response, typename Method>
void PlacementCaller::Start(Request request, Method method, int64_t deadline_nanos,
                            Done<Response> done) {
  if (deadline_nanos == 0) deadline_nanos = clock_.MonotonicNanos() + kMaxCallMs * kNanosPerMilli;
  std::make_shared<Call<Request, Response>>(*this, std::move(request), method, deadline_nanos,
                                            std::move(done))
      ->Try();
}

void PlacementCaller::RegisterWorker(pb::RegisterWorkerRequest request, int64_t deadline_nanos,
                                     Done<pb::RegisterWorkerResponse> done) {
  Start<pb::RegisterWorkerRequest, pb::RegisterWorkerResponse,
        Call<pb::RegisterWorkerRequest, pb::RegisterWorkerResponse>::Method>(
      std::move(request), &Async::RegisterWorker, deadline_nanos, std::move(done));
}

void PlacementCaller::Heartbeat(pb::HeartbeatRequest request, int64_t deadline_nanos,
                                Done<pb::HeartbeatResponse> done) {
  Start<pb::HeartbeatRequest, pb::HeartbeatResponse,
        Call<pb::HeartbeatRequest, pb::HeartbeatResponse>::Method>(
      std::move(request), &Async::Heartbeat, deadline_nanos, std::move(done));
}

void PlacementCaller::GetMap(uint64_t known_version, int64_t deadline_nanos,
                             Done<pb::ClusterMap> done) {
  pb::GetMapRequest request;
  request.set_known_version(known_version);
  Start<pb::GetMapRequest, pb::ClusterMap, Call<pb::GetMapRequest, pb::ClusterMap>::Method>(
      std::move(request), &Async::GetMap, deadline_nanos, std::move(done));
}

void PlacementCaller::CreateCollection(pb::CreateCollectionRequest request, int64_t deadline_nanos,
                                       Done<pb::CreateCollectionResponse> done) {
  Start<pb::CreateCollectionRequest, pb::CreateCollectionResponse,
        Call<pb::CreateCollectionRequest, pb::CreateCollectionResponse>::Method>(
      std::move(request), &Async::CreateCollection, deadline_nanos, std::move(done));
}

void PlacementCaller::DeleteCollection(pb::DeleteCollectionRequest request, int64_t deadline_nanos,
                                       Done<pb::DeleteCollectionResponse> done) {
  Start<pb::DeleteCollectionRequest, pb::DeleteCollectionResponse,
        Call<pb::DeleteCollectionRequest, pb::DeleteCollectionResponse>::Method>(
      std::move(request), &Async::DeleteCollection, deadline_nanos, std::move(done));
}

void PlacementCaller::ListWorkers(int64_t deadline_nanos, Done<pb::ListWorkersResponse> done) {
  Start<pb::ListWorkersRequest, pb::ListWorkersResponse,
        Call<pb::ListWorkersRequest, pb::ListWorkersResponse>::Method>(
      pb::ListWorkersRequest(), &Async::ListWorkers, deadline_nanos, std::move(done));
}

void PlacementCaller::DrainWorker(pb::DrainWorkerRequest request, int64_t deadline_nanos,
                                  Done<pb::DrainWorkerResponse> done) {
  Start<pb::DrainWorkerRequest, pb::DrainWorkerResponse,
        Call<pb::DrainWorkerRequest, pb::DrainWorkerResponse>::Method>(
      std::move(request), &Async::DrainWorker, deadline_nanos, std::move(done));
}

void PlacementCaller::RemoveWorker(pb::RemoveWorkerRequest request, int64_t deadline_nanos,
                                   Done<pb::RemoveWorkerResponse> done) {
  Start<pb::RemoveWorkerRequest, pb::RemoveWorkerResponse,
        Call<pb::RemoveWorkerRequest, pb::RemoveWorkerResponse>::Method>(
      std::move(request), &Async::RemoveWorker, deadline_nanos, std::move(done));
}

void PlacementCaller::Rebalance(pb::RebalanceRequest request, int64_t deadline_nanos,
                                Done<pb::RebalanceResponse> done) {
  Start<pb::RebalanceRequest, pb::RebalanceResponse,
        Call<pb::RebalanceRequest, pb::RebalanceResponse>::Method>(
      std::move(request), &Async::Rebalance, deadline_nanos, std::move(done));
}

void PlacementCaller::RegisterReranker(pb::RegisterRerankerRequest request, int64_t deadline_nanos,
                                       Done<pb::RegisterRerankerResponse> done) {
  Start<pb::RegisterRerankerRequest, pb::RegisterRerankerResponse,
        Call<pb::RegisterRerankerRequest, pb::RegisterRerankerResponse>::Method>(
      std::move(request), &Async::RegisterReranker, deadline_nanos, std::move(done));
}

void PlacementCaller::RerankerHeartbeat(pb::RerankerHeartbeatRequest request,
                                        int64_t deadline_nanos,
                                        Done<pb::RerankerHeartbeatResponse> done) {
  Start<pb::RerankerHeartbeatRequest, pb::RerankerHeartbeatResponse,
        Call<pb::RerankerHeartbeatRequest, pb::RerankerHeartbeatResponse>::Method>(
      std::move(request), &Async::RerankerHeartbeat, deadline_nanos, std::move(done));
}

void PlacementCaller::GetReranker(int64_t deadline_nanos, Done<pb::GetRerankerResponse> done) {
  Start<pb::GetRerankerRequest, pb::GetRerankerResponse,
        Call<pb::GetRerankerRequest, pb::GetRerankerResponse>::Method>(
      pb::GetRerankerRequest(), &Async::GetReranker, deadline_nanos, std::move(done));
}

}  // namespace vectron::rpc
