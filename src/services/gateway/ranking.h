#pragma once

// What a gateway does about ranking: reranks searches, takes feedback, streams it to the reranker,
// and lets administrators steer what was learned.
//
// A search is reranked when it says how, or when it has a query text: by its own strategy, else the
// collection's, else the server's, and within a budget of time chosen the same way. Past it the
// vector order is returned, marked.
// Thread-safe. What is borrowed outlives it.

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/metrics.h"
#include "base/timer.h"
#include "model/convert.h"
#include "rpc/call_context.h"
#include "rpc/placement_api.h"
#include "rpc/reranker_api.h"
#include "rpc/rpc_registry.h"
#include "services/gateway/feedback_store.h"
#include "services/gateway/feedback_stream.h"
#include "services/gateway/impressions.h"

namespace vectron::gateway {

struct RankingDeps {
  rpc::RerankerApi* reranker = nullptr;  // null: searches keep the vector order, feedback is stored
  rpc::PlacementApi* placement = nullptr;
  const Clock* clock = nullptr;
  Timer* timer = nullptr;
  Metrics* metrics = nullptr;
  Executor* executor = nullptr;  // of the feedback store
  uint64_t seed = 0;             // of feedback ids
};

class Ranking {
 public:
  using Progress = std::function<bool(SearchReply)>;
  using Done = std::function<void(absl::StatusOr<SearchReply>)>;

  // Errors: those of the feedback store.
  static absl::StatusOr<std::unique_ptr<Ranking>> Open(const FeedbackStoreOptions& feedback,
                                                       const RankingDeps& deps);
  ~Ranking();  // Stop

  // Adds the handlers of SubmitFeedback, ListFeedback, GetRanking and ControlRanking;
  // VectronService is known to the registry.
  void Register(rpc::RpcRegistry& registry);
  void Start();
  void Stop();

  // A search of the same caller and collection that is not reranked.
  using Plain = std::function<void(SearchCall, Done)>;
  struct Searcher {
    const rpc::CallContext& context;
    const rpc::CollectionRecord& record;
    Plain plain;
  };
  // Lets a search be reranked if it is to be: changes the call so that it brings enough candidates
  // with as much of their payloads as ranking reads, and what its answers pass through: payloads of
  // the page that are longer are read once its order is known, in the time told as the reranking's.
  // `progress` may be null. InvalidArgument.
  absl::Status Watch(const Searcher& searcher, SearchCall& call, Progress& progress, Done& done);

  // NotFound (collection), InvalidArgument, and those of the feedback store.
  void Submit(const rpc::CallContext& context, v1::SubmitFeedbackRequest request,
              std::function<void(absl::StatusOr<v1::SubmitFeedbackResponse>)> done);
  void List(const rpc::CallContext& context, const v1::ListFeedbackRequest& request,
            std::function<void(absl::StatusOr<v1::ListFeedbackResponse>)> done);

 private:
  class Plan;
  using ModelDone = std::function<void(absl::StatusOr<reranker::v1::ModelStatus>)>;

  explicit Ranking(const RankingDeps& deps);
  absl::StatusOr<std::shared_ptr<const rpc::CollectionRecord>> Find(const std::string& tenant,
                                                                    const std::string& name) const;
  void GetRanking(const rpc::CallContext& context, const v1::GetRankingRequest& request,
                  ModelDone done);
  void ControlRanking(const rpc::CallContext& context, const v1::ControlRankingRequest& request,
                      ModelDone done);
  std::string NextFeedbackId();
  // Forgets the feedback on collections that are no more, a piece of one at a time: those that are
  // missing at two looks a minute apart, so that a map that is not complete yet costs nothing.
  // Called once a second on the store's executor.
  void ForgetTheGone();
  absl::Status LookForTheGone();
  bool IsGone(const FeedbackSubject& subject) const;

  const RankingDeps deps_;
  Histogram& seconds_;
  Counter& late_;
  Counter& feedback_;
  Counter& joined_;
  std::atomic<uint64_t> next_feedback_{0};
  std::atomic<bool> stopped_{false};  // no more searches are begun
  Impressions impressions_;
  std::unique_ptr<FeedbackStore> store_;
  // Of the store's executor:
  uint64_t rounds_ = 0;
  std::set<FeedbackSubject> missing_;       // at the last look
  std::set<FeedbackSubject> gone_;          // still to be forgotten
  std::unique_ptr<FeedbackStream> stream_;  // null without a reranker
};

std::string ModelKeyOf(const rpc::CollectionRecord& record);

}  // namespace vectron::gateway
