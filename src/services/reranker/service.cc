#include "services/reranker/service.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/bytes.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/collection.h"
#include "services/reranker/explore.h"
#include "services/reranker/redis_cache.h"

namespace vectron::reranker {
namespace {

constexpr uint8_t kKeyFormat = 1;
constexpr int64_t kTtlMs = 60'000;
constexpr int64_t kLlmTtlMs = 3'600'000;
constexpr double kCanaryShare = 0.5;  // of searches interleaved
constexpr double kLearnedShare = 0.1;

using rpc::RerankCall;
using rpc::RerankReply;

absl::Status CheckCall(const RerankCall& call) {
  if (call.items.empty()) return InvalidArgument("candidates: there are none");
  if (call.items.size() > kMaxRerankCandidates) {
    return InvalidArgument("candidates: got {}, at most {} are allowed", call.items.size(),
                           kMaxRerankCandidates);
  }
  if (call.top_n == 0) return InvalidArgument("top_n: wanted 1 or more");
  for (size_t i = 0; i < call.items.size(); ++i) {
    if (call.items[i].id.find_first_not_of(" \t\r\n") == std::string::npos) {
      return InvalidArgument("candidates[{}].id: is blank", i);
    }
    if (!std::isfinite(call.items[i].distance)) {
      return InvalidArgument("candidates[{}].score: is not finite", i);
    }
  }
  return absl::OkStatus();
}

RankedList ListOf(const std::vector<size_t>& order, std::vector<float> scores) {
  RankedList list;
  for (const size_t index : order) list.order.push_back(static_cast<uint16_t>(index));
  list.scores = std::move(scores);
  return list;
}

std::vector<size_t> OrderOf(const RankedList& list) {
  return {list.order.begin(), list.order.end()};
}

// Candidates by distance, then id.
std::vector<size_t> VectorOrder(const std::vector<rpc::RerankItem>& items) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(items[a].distance, items[a].id) < std::tie(items[b].distance, items[b].id);
  });
  return order;
}

// Scores that fall evenly from 1 along an order; by candidate.
std::vector<float> EvenScores(const std::vector<size_t>& order) {
  std::vector<float> scores(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    scores[order[i]] =
        static_cast<float>(1 - static_cast<double>(i) / static_cast<double>(order.size()));
  }
  return scores;
}

}  // namespace

// One reranking under way.
struct Reranker::Job {
  RerankCall call;
  std::string strategy;
  int64_t now_s = 0;  // the minute
  uint64_t model_version = 0;
  CacheKey key;
  std::vector<Document> documents;  // once read
  RuleResult rule;
  Ranking ranking;
  bool from_cache = false;
  std::string reason;   // why another strategy answers; "": none does
  std::string failure;  // the same as a label
  int64_t start_nanos = 0;

  Question question() const { return {.query = call.query, .metric = call.metric, .now_s = now_s}; }
};

Reranker::Reranker(RankingConfig config, const RerankerDeps& deps, std::unique_ptr<Models> models,
                   std::unique_ptr<RankCache> cache, std::unique_ptr<LlmRanker> llm)
    : config_(std::move(config)),
      config_hash_(ConfigHash(config_)),
      deps_(deps),
      seconds_(deps.metrics->AddHistogram("vectron_rerank_seconds", "Time of a reranking.", {},
                                          LatencyBounds())),
      models_(std::move(models)),
      cache_(std::move(cache)),
      llm_(std::move(llm)) {}

absl::StatusOr<std::unique_ptr<Reranker>> Reranker::Make(RankingConfig config,
                                                         const std::string& model_dir,
                                                         const RerankerDeps& deps) {
  CHECK(deps.files != nullptr && deps.clock != nullptr && deps.metrics != nullptr);
  ASSIGN_OR_RETURN(std::unique_ptr<Models> models,
                   Models::Open(model_dir, config.learned, *deps.files, *deps.clock));
  std::unique_ptr<RankCache> cache = std::make_unique<MemoryCache>(config.cache.bytes, *deps.clock);
  if (!config.cache.redis.empty()) {
    ASSIGN_OR_RETURN(
        cache, RedisCache::Make(config.cache.redis, std::move(cache), *deps.clock, *deps.metrics));
  }
  std::unique_ptr<LlmRanker> llm;
  if (!config.llm.url.empty()) {
    if (deps.llm_executor == nullptr) return InvalidArgument("rerank.llm: is not available here");
    std::string key;
    if (!config.llm.key_file.empty()) {
      ASSIGN_OR_RETURN(key, deps.files->ReadAll(config.llm.key_file));
      key.erase(key.find_last_not_of(" \t\r\n") + 1);
    }
    llm = std::make_unique<LlmRanker>(config.llm, key, *deps.clock, *deps.llm_executor,
                                      *deps.metrics);
  }
  return std::unique_ptr<Reranker>(
      new Reranker(std::move(config), deps, std::move(models), std::move(cache), std::move(llm)));
}

absl::StatusOr<Reranker::JobPtr> Reranker::Prepare(RerankCall call) const {
  RETURN_IF_ERROR(CheckCall(call));
  auto job = std::make_shared<Job>();
  job->start_nanos = deps_.clock->MonotonicNanos();
  job->strategy = call.strategy.empty() ? config_.strategy : call.strategy;
  RETURN_IF_ERROR(CheckRerank({.strategy = job->strategy, .explore = {}}));
  if (call.now_s == 0) call.now_s = deps_.clock->UnixMillis() / 1000;
  job->now_s = call.now_s - call.now_s % 60;
  call.top_n = std::min(call.top_n, static_cast<uint32_t>(call.items.size()));
  job->call = std::move(call);
  if (job->strategy == "llm" && llm_ == nullptr) {
    job->strategy = "rule";
    job->reason = "no language model is configured";
    job->failure = "not_configured";
  }
  return job;
}

CacheKey Reranker::KeyFor(const Job& job) const {
  const RerankCall& call = job.call;
  std::string bytes;
  PutFixed(bytes, kKeyFormat);
  for (const std::string* part : {&call.tenant, &call.collection, &job.strategy, &call.query}) {
    PutLengthPrefixed(bytes, *part);
  }
  PutFixed(bytes, job.model_version);
  PutFixed(bytes, config_hash_);
  PutFixed(bytes, static_cast<uint8_t>(call.metric));
  PutFixed(bytes, call.top_n);
  PutFixed(bytes, static_cast<uint8_t>(call.explain ? 1 : 0));
  bool has_time = false;
  for (const rpc::RerankItem& item : call.items) {
    PutLengthPrefixed(bytes, item.id);
    PutFixed(bytes, item.distance);
    PutLengthPrefixed(bytes, item.payload);
    has_time |= item.payload.find(config_.rule.recency_field) != std::string::npos;
  }
  if (has_time && job.strategy != "llm") PutFixed(bytes, job.now_s);
  return KeyOf(bytes);
}

absl::Status Reranker::ReadDocuments(Job& job) const {
  job.documents.reserve(job.call.items.size());
  for (const rpc::RerankItem& item : job.call.items) {
    ASSIGN_OR_RETURN(Document document, DocumentFromPayload(item.id, item.distance, item.payload));
    job.documents.push_back(std::move(document));
  }
  return absl::OkStatus();
}

void Reranker::RankByRule(Job& job) const {
  job.rule = ScoreByRule(job.question(), job.documents, config_.rule);
  std::vector<float> scores;
  for (const RuleRow& row : job.rule.rows) scores.push_back(row.score);
  job.ranking.rule = ListOf(OrderByScore(scores, job.documents), scores);
  if (!job.call.explain) return;
  for (const RuleRow& row : job.rule.rows) job.ranking.explanations.push_back(DescribeRow(row));
}

void Reranker::RankByModel(Job& job) {
  std::vector<FeatureRow> rows = ExtractFeatures(job.documents, job.rule.rows);
  std::vector<float> scores(rows.size());
  models_->Read(job.call.tenant, job.call.collection, [&](const Learner& learner) {
    for (size_t i = 0; i < rows.size(); ++i) {
      learner.FillRatio(job.documents[i].id, rows[i]);
      scores[i] = ProbabilityOf(learner.Score(rows[i]));
    }
    job.ranking.state = learner.gate().state();
    job.ranking.epoch = learner.gate().epoch();
    job.model_version = learner.version();
  });
  if (job.call.explain) {
    for (size_t i = 0; i < rows.size(); ++i) {
      job.ranking.explanations[i] +=
          fmt::format(", rule {:.3f}, model {:.3f}, click ratio {:.3f}", job.rule.rows[i].score,
                      scores[i], rows[i].x[kClickRatio]);
    }
  }
  job.ranking.other = ListOf(OrderByScore(scores, job.documents), scores);
  std::vector<bool> taken(rows.size());
  for (const RankedList* list : {&job.ranking.rule, &job.ranking.other}) {
    for (size_t p = 0; p < std::min(kShown, rows.size()); ++p) {
      const uint16_t index = list->order[p];
      if (taken[index]) continue;
      taken[index] = true;
      job.ranking.rows.emplace_back(index, rows[index]);
    }
  }
}

void Reranker::Store(const Job& job, int64_t ttl_ms) {
  CacheEntry entry{.value = EncodeRanking(job.ranking), .query = job.call.query, .ids = {}};
  for (const rpc::RerankItem& item : job.call.items) entry.ids.push_back(Hash64(item.id));
  std::sort(entry.ids.begin(), entry.ids.end());
  cache_->Put(job.key, std::move(entry), ttl_ms);
}

void Reranker::Rerank(RerankCall call, std::function<void(absl::StatusOr<RerankReply>)> done) {
  absl::StatusOr<JobPtr> prepared = Prepare(std::move(call));
  if (!prepared.ok()) return done(prepared.status());
  Job& job = **prepared;
  if (job.strategy == "none") {
    const std::vector<size_t> order = VectorOrder(job.call.items);
    job.ranking.rule = ListOf(order, EvenScores(order));
    return done(Reply(job));
  }
  if (job.strategy == "learned") {
    models_->Read(job.call.tenant, job.call.collection,
                  [&](const Learner& learner) { job.model_version = learner.version(); });
  }
  job.key = KeyFor(job);
  if (const std::optional<std::string> value = cache_->Get(job.key);
      value.has_value() && DecodeRanking(*value, job.call.items.size(), job.ranking)) {
    job.from_cache = true;
    return done(Reply(job));
  }
  job.ranking = {};
  if (const absl::Status read = ReadDocuments(job); !read.ok()) return done(read);
  RankByRule(job);
  if (job.strategy == "llm") return AskModel(*std::move(prepared), std::move(done));
  const uint64_t wanted_version = job.model_version;
  if (job.strategy == "learned") RankByModel(job);
  if (job.model_version == wanted_version)
    Store(job, kTtlMs);  // else it would lie under a wrong key
  done(Reply(job));
}

void Reranker::AskModel(JobPtr job, std::function<void(absl::StatusOr<RerankReply>)> done) {
  const std::vector<size_t> near = VectorOrder(job->call.items);
  std::vector<Document> asked;
  for (size_t i = 0; i < std::min(near.size(), config_.llm.candidates); ++i) {
    asked.push_back(job->documents[near[i]]);
  }
  const int64_t deadline =
      job->call.deadline_nanos != 0
          ? job->call.deadline_nanos
          : deps_.clock->MonotonicNanos() + int64_t{config_.budget_ms} * 1'000'000;
  std::string query = job->call.query;
  const uint64_t seed = job->key.low;
  llm_->Rank(std::move(query), std::move(asked), deadline, seed,
             [this, job = std::move(job), near,
              done = std::move(done)](const absl::StatusOr<std::vector<size_t>>& ranked) {
               if (!ranked.ok()) {
                 job->strategy = "rule";
                 job->reason = MessageOf(ranked.status());
                 job->failure = LlmFailureOf(ranked.status());
                 return done(Reply(*job));
               }
               std::vector<size_t> order;
               for (const size_t place : *ranked) order.push_back(near[place]);
               order.insert(order.end(), near.begin() + static_cast<ptrdiff_t>(order.size()),
                            near.end());
               job->ranking.other = ListOf(order, EvenScores(order));
               Store(*job, kLlmTtlMs);
               done(Reply(*job));
             });
}

RerankReply Reranker::Reply(Job& job) const {
  RerankReply reply;
  const Ranking& ranking = job.ranking;
  const bool other =
      !ranking.other.empty() && (job.strategy == "llm" || ranking.state == GateState::kLearned);
  const RankedList& list = other ? ranking.other : ranking.rule;
  reply.strategy_used = job.strategy == "learned" && !other ? "rule" : job.strategy;
  reply.from_cache = job.from_cache;
  reply.reason = std::move(job.reason);
  for (const uint16_t index : list.order) {
    reply.items.push_back({.index = index, .score = list.scores[index], .explanation = {}});
  }
  if (job.strategy == "learned" && job.call.first_page) Mix(job, reply);
  reply.items.resize(job.call.top_n);
  for (rpc::RankedItem& item : reply.items) {
    if (!ranking.explanations.empty()) item.explanation = ranking.explanations[item.index];
  }
  seconds_.Observe(static_cast<double>(deps_.clock->MonotonicNanos() - job.start_nanos) * 1e-9);
  Count(job, reply);
  return reply;
}

// Mixes the list where that teaches something, and notes what is shown.
void Reranker::Mix(Job& job, RerankReply& reply) const {
  const RerankCall& call = job.call;
  std::string seed_bytes;
  for (const std::string* part : {&call.tenant, &call.collection, &call.end_user, &call.query}) {
    PutLengthPrefixed(seed_bytes, *part);
  }
  PutFixed(seed_bytes, call.vector_hash);
  PutFixed(seed_bytes, job.now_s / 3600);
  Random random(Hash64(seed_bytes));
  std::vector<size_t> order;
  for (const rpc::RankedItem& item : reply.items) order.push_back(item.index);
  std::vector<int8_t> team(kShown);
  Impression impression;
  impression.state = job.ranking.state;
  impression.epoch = job.ranking.epoch;
  const double interleave = job.ranking.state == GateState::kCanary    ? kCanaryShare
                            : job.ranking.state == GateState::kLearned ? kLearnedShare
                                                                       : 0;
  const bool may = call.explore.value_or(true) && config_.learned.explore > 0;
  if (may && random.Uniform() < interleave) {
    Interleaved mixed =
        TeamDraft(random, OrderOf(job.ranking.rule), OrderOf(job.ranking.other), order);
    impression.interleaved = true;
    order = std::move(mixed.order);
    team = std::move(mixed.team);
    reply.strategy_used = "interleaved";
  } else if (may && random.Uniform() < config_.learned.explore) {
    impression.explored = true;
    impression.parity = FlipPairs(random, order);
  }
  reply.explored = impression.explored || impression.interleaved;
  for (size_t p = 0; p < order.size(); ++p) {  // the scores stay with the places
    reply.items[p].index = static_cast<uint32_t>(order[p]);
    if (p >= std::min<size_t>(kShown, call.top_n)) continue;
    const auto row = std::find_if(job.ranking.rows.begin(), job.ranking.rows.end(),
                                  [&](const auto& entry) { return entry.first == order[p]; });
    if (row == job.ranking.rows.end()) continue;
    impression.shown.push_back(
        {.id = call.items[order[p]].id, .row = row->second, .team = team[p]});
  }
  if (!impression.shown.empty()) reply.impression = EncodeImpression(impression);
}

void Reranker::Count(const Job& job, const RerankReply& reply) const {
  deps_.metrics
      ->AddCounter(
          "vectron_rerank_total", "Rerankings answered.",
          {{"strategy", reply.strategy_used}, {"cache", reply.from_cache ? "hit" : "miss"}})
      .Increment();
  if (job.failure.empty()) return;
  deps_.metrics
      ->AddCounter("vectron_rerank_fallbacks_total",
                   "Rerankings answered by the rule in place of a language model, by why.",
                   {{"reason", job.failure}})
      .Increment();
}

void Reranker::Learn(v1::LearnFeedbackRequest request,
                     std::function<void(absl::StatusOr<v1::LearnFeedbackResponse>)> done) {
  if (request.source().empty()) return done(InvalidArgument("source: is missing"));
  if (static_cast<size_t>(request.records_size()) > kMaxLearnBatch) {
    return done(InvalidArgument("records: got {}, at most {} are allowed", request.records_size(),
                                kMaxLearnBatch));
  }
  if (deps_.learn_executor == nullptr) return done(models_->Learn(request));
  deps_.learn_executor->Schedule([this, request = std::move(request), done = std::move(done)] {
    done(models_->Learn(request));
  });
}

void Reranker::GetModel(v1::GetModelRequest request,
                        std::function<void(absl::StatusOr<v1::ModelStatus>)> done) {
  done(models_->Status(request.tenant(), request.collection()));
}

void Reranker::ControlModel(v1::ControlModelRequest request,
                            std::function<void(absl::StatusOr<v1::ModelStatus>)> done) {
  done(models_->Control(request));
}

absl::StatusOr<size_t> Reranker::InvalidateCache(const v1::InvalidateCacheRequest& request) {
  if (request.query().empty() && request.candidate_ids().empty()) {
    return InvalidArgument("query, candidate_ids: both are empty");
  }
  std::vector<uint64_t> ids;
  for (const std::string& id : request.candidate_ids()) ids.push_back(Hash64(id));
  return cache_->Invalidate(request.query(), ids);
}

std::vector<std::string> Reranker::Strategies() const {
  std::vector<std::string> strategies = {"rule", "learned"};
  if (llm_ != nullptr) strategies.emplace_back("llm");
  return strategies;
}

v1::GetStrategyResponse Reranker::GetStrategy() const {
  v1::GetStrategyResponse response;
  response.set_strategy_name(config_.strategy);
  response.set_version(fmt::format("{:016x}", config_hash_));
  auto& config = *response.mutable_config();
  config["budget_ms"] = fmt::format("{}", config_.budget_ms);
  config["weights.similarity"] = fmt::format("{}", config_.rule.similarity);
  config["weights.bm25"] = fmt::format("{}", config_.rule.bm25);
  config["weights.coverage"] = fmt::format("{}", config_.rule.coverage);
  config["weights.recency"] = fmt::format("{}", config_.rule.recency);
  config["learned.explore"] = fmt::format("{}", config_.learned.explore);
  config["learned.auto_promote"] = config_.learned.auto_promote ? "true" : "false";
  config["llm.model"] = config_.llm.model;
  config["cache.redis"] = config_.cache.redis.empty() ? "off" : "on";
  return response;
}

absl::StatusOr<RankingConfig> LoadRankingConfig(const std::string& path, FileSystem& files) {
  ASSIGN_OR_RETURN(const std::string text, files.ReadAll(path));
  absl::StatusOr<RankingConfig> config = ParseRankingConfig(text);
  if (!config.ok()) return Annotate(config.status(), path);
  return config;
}

}  // namespace vectron::reranker
