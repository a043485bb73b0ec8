#include "apps/vectron/local_ranking.h"

#include "apps/vectron/local_reranker.h"
#include "base/status.h"
#include "services/gateway/ranking.h"

namespace vectron {

LocalRanking::LocalRanking() = default;

absl::StatusOr<std::unique_ptr<LocalRanking>> LocalRanking::Open(const LocalRankingOptions& options,
                                                                 const Deps& deps) {
  std::unique_ptr<LocalRanking> local(new LocalRanking());
  if (deps.reranker == nullptr) {
    ASSIGN_OR_RETURN(
        local->reranker_,
        LocalReranker::Open(
            {.config_path = options.config_path, .model_dir = options.data_dir + "/ranking"},
            {.files = deps.files, .clock = deps.clock, .metrics = deps.metrics}));
  }
  local->feedback_thread_ = std::make_unique<ThreadPool>("feedback", 1);
  gateway::FeedbackStoreOptions feedback;
  feedback.path = options.data_dir + "/feedback.db";
  feedback.retention_days = options.feedback_retention_days;
  feedback.max_bytes = options.feedback_max_bytes;
  gateway::RankingDeps ranking;
  ranking.reranker = deps.reranker != nullptr ? deps.reranker : &local->reranker_->reranker();
  ranking.placement = deps.placement;
  ranking.clock = deps.clock;
  ranking.timer = deps.timer;
  ranking.metrics = deps.metrics;
  ranking.executor = local->feedback_thread_.get();
  ranking.seed = deps.seed;
  ASSIGN_OR_RETURN(local->ranking_, gateway::Ranking::Open(feedback, ranking));
  return local;
}

LocalRanking::~LocalRanking() { Stop(); }

void LocalRanking::Install(rpc::RpcRegistry& registry) { ranking_->Register(registry); }

void LocalRanking::Start() { ranking_->Start(); }

void LocalRanking::Stop() {
  if (ranking_ != nullptr) ranking_->Stop();
  if (reranker_ != nullptr) reranker_->Stop();
}

}  // namespace vectron
