#include "apps/vectron/local_reranker.h"

#include <utility>

#include "base/status.h"

namespace vectron {
namespace {

constexpr size_t kLlmThreads = 16;  // questions to a language model that wait at once

}  // namespace

absl::StatusOr<std::unique_ptr<LocalReranker>> LocalReranker::Open(
    const LocalRerankerOptions& options, const Deps& deps) {
  std::unique_ptr<LocalReranker> local(new LocalReranker());
  reranker::RankingConfig config;
  if (!options.config_path.empty()) {
    ASSIGN_OR_RETURN(config, reranker::LoadRankingConfig(options.config_path, *deps.files));
  }
  if (!config.llm.url.empty()) {
    local->llm_threads_ = std::make_unique<ThreadPool>("llm", kLlmThreads);
  }
  local->learn_thread_ = std::make_unique<ThreadPool>("learn", 1);
  ASSIGN_OR_RETURN(local->reranker_,
                   reranker::Reranker::Make(std::move(config), options.model_dir,
                                            {.files = deps.files,
                                             .clock = deps.clock,
                                             .metrics = deps.metrics,
                                             .llm_executor = local->llm_threads_.get(),
                                             .learn_executor = local->learn_thread_.get()}));
  return local;
}

LocalReranker::~LocalReranker() { Stop(); }

void LocalReranker::Stop() {
  llm_threads_.reset();
  learn_thread_.reset();
}

}  // namespace vectron
