#pragma once

// The reranker: orders candidates anew by rule, by what feedback taught, or by a language model.
// The front door of this folder.
//
// A call first looks into the cache, which holds what the candidates, the configuration and the
// model decide. Exploration comes after it: for the learned strategy some first pages are mixed at
// random, seeded by (collection, end user, query, vector, hour), and every first page carries an
// impression that feedback must bring back. Whatever fails, the rule answers, with the reason.
//
// Thread-safe. What is borrowed outlives it; Stop() or the end waits for calls under way.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "base/file.h"
#include "base/metrics.h"
#include "rpc/reranker_api.h"
#include "rpc/rpc_registry.h"
#include "services/reranker/cache.h"
#include "services/reranker/config.h"
#include "services/reranker/llm.h"
#include "services/reranker/models.h"
#include "services/reranker/ranking.h"

namespace vectron::reranker {

struct RerankerDeps {
  FileSystem* files = nullptr;
  const Clock* clock = nullptr;
  Metrics* metrics = nullptr;
  // Waits for language models; null when there is none. Its threads are as many as questions wait
  // at once.
  Executor* llm_executor = nullptr;
  // Learns and saves; null: whoever brings the feedback does.
  Executor* learn_executor = nullptr;
};

class Reranker : public rpc::RerankerApi {
 public:
  // model_dir: where models are kept; "": nowhere. Errors: those of the configuration
  // (InvalidArgument), of its key file and of the folder.
  static absl::StatusOr<std::unique_ptr<Reranker>> Make(RankingConfig config,
                                                        const std::string& model_dir,
                                                        const RerankerDeps& deps);

  uint32_t budget_ms() const override { return config_.budget_ms; }
  void Rerank(rpc::RerankCall call,
              std::function<void(absl::StatusOr<rpc::RerankReply>)> done) override;
  void Learn(v1::LearnFeedbackRequest request,
             std::function<void(absl::StatusOr<v1::LearnFeedbackResponse>)> done) override;
  void GetModel(v1::GetModelRequest request,
                std::function<void(absl::StatusOr<v1::ModelStatus>)> done) override;
  void ControlModel(v1::ControlModelRequest request,
                    std::function<void(absl::StatusOr<v1::ModelStatus>)> done) override;

  v1::GetStrategyResponse GetStrategy() const;
  // Those it can order by: "llm" where a language model is configured.
  std::vector<std::string> Strategies() const;
  // InvalidArgument without a query and ids.
  absl::StatusOr<size_t> InvalidateCache(const v1::InvalidateCacheRequest& request);
  const RankingConfig& config() const { return config_; }

  // Adds RerankService and its handlers.
  absl::Status Register(rpc::RpcRegistry& registry);

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // shared with the language model's callback

  Reranker(RankingConfig config, const RerankerDeps& deps, std::unique_ptr<Models> models,
           std::unique_ptr<RankCache> cache, std::unique_ptr<LlmRanker> llm);
  absl::StatusOr<JobPtr> Prepare(rpc::RerankCall call) const;
  CacheKey KeyFor(const Job& job) const;
  absl::Status ReadDocuments(Job& job) const;
  void RankByRule(Job& job) const;
  void RankByModel(Job& job);
  void AskModel(JobPtr job, std::function<void(absl::StatusOr<rpc::RerankReply>)> done);
  void Store(const Job& job, int64_t ttl_ms);
  rpc::RerankReply Reply(Job& job) const;
  void Mix(Job& job, rpc::RerankReply& reply) const;
  void Count(const Job& job, const rpc::RerankReply& reply) const;

  const RankingConfig config_;
  const uint64_t config_hash_;
  const RerankerDeps deps_;
  Histogram& seconds_;
  std::unique_ptr<Models> models_;
  std::unique_ptr<RankCache> cache_;
  std::unique_ptr<LlmRanker> llm_;  // null: not configured
};

// A text that may be read as an error of this service: the configuration of a file. InvalidArgument
// names the file and the key.
absl::StatusOr<RankingConfig> LoadRankingConfig(const std::string& path, FileSystem& files);

}  // namespace vectron::reranker
