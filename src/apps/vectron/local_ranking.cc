#include "apps/vectron/local_ranking.h"

#include "base/status.h"
#include "services/gateway/ranking.h"
#include "services/reranker/service.h"

namespace vectron {
namespace {

constexpr size_t kLlmThreads = 16;  // questions to a language model that wait at once

}  // namespace

LocalRanking::LocalRanking() = default;

absl::StatusOr<std::unique_ptr<LocalRanking>> LocalRanking::Open(const LocalRankingOptions& options,
                                                                 const Deps& deps) {
  std::unique_ptr<LocalRanking> local(new LocalRanking());
  if (deps.reranker == nullptr) RETURN_IF_ERROR(local->MakeReranker(options, deps));
  local->feedback_thread_ = std::make_unique<ThreadPool>("feedback", 1);
  gateway::FeedbackStoreOptions feedback;
  feedback.path = options.data_dir + "/feedback.db";
  feedback.retention_days = options.feedback_retention_days;
  feedback.max_bytes = options.feedback_max_bytes;
  gateway::RankingDeps ranking;
  ranking.reranker = deps.reranker != nullptr ? deps.reranker : local->reranker_.get();
  ranking.placement = deps.placement;
  ranking.clock = deps.clock;
  ranking.timer = deps.timer;
  ranking.metrics = deps.metrics;
  ranking.executor = local->feedback_thread_.get();
  ranking.seed = deps.seed;
  ASSIGN_OR_RETURN(local->ranking_, gateway::Ranking::Open(feedback, ranking));
  return local;
}

absl::Status LocalRanking::MakeReranker(const LocalRankingOptions& options, const Deps& deps) {
  reranker::RankingConfig config;
  if (!options.config_path.empty()) {
    ASSIGN_OR_RETURN(config, reranker::LoadRankingConfig(options.config_path, *deps.files));
  }
  if (!config.llm.url.empty()) llm_threads_ = std::make_unique<ThreadPool>("llm", kLlmThreads);
  learn_thread_ = std::make_unique<ThreadPool>("learn", 1);
  ASSIGN_OR_RETURN(reranker_,
                   reranker::Reranker::Make(std::move(config), options.data_dir + "/ranking",
                                            {.files = deps.files,
                                             .clock = deps.clock,
                                             .metrics = deps.metrics,
                                             .llm_executor = llm_threads_.get(),
                                             .learn_executor = learn_thread_.get()}));
  return absl::OkStatus();
}

LocalRanking::~LocalRanking() { Stop(); }

void LocalRanking::Install(rpc::RpcRegistry& registry) { ranking_->Register(registry); }

void LocalRanking::Start() { ranking_->Start(); }

void LocalRanking::Stop() {
  if (ranking_ != nullptr) ranking_->Stop();
  // What is under way ends, and answers through the others.
  llm_threads_.reset();
  learn_thread_.reset();
}

}  // namespace vectron
