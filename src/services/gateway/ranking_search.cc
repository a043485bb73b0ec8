// Searches that are reranked: more candidates asked for, their order changed, the page cut out.

#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/payload.h"
#include "services/gateway/ranking.h"

namespace vectron::gateway {
namespace {

// What a search asks for, the collection's choice where it says nothing.
RerankSpec Resolve(const SearchCall& call, const RerankSpec& collection) {
  RerankSpec spec = call.rerank.value_or(RerankSpec());
  if (spec.strategy.empty()) spec.strategy = collection.strategy;
  if (spec.budget_ms == 0) spec.budget_ms = collection.budget_ms;
  if (spec.candidates == 0) spec.candidates = collection.candidates;
  if (!spec.explore.has_value()) spec.explore = collection.explore;
  if (spec.budget_ms == 0) spec.budget_ms = kDefaultRerankBudgetMs;
  return spec;
}

bool IsWanted(const SearchCall& call) {
  const bool says = call.rerank.has_value() && !call.rerank->strategy.empty();
  return says ? call.rerank->strategy != "none" : !call.text.empty();
}

constexpr size_t kLearnedPlaces = 10;  // of an impression; the reranker checks what it is given

uint64_t HashOf(const std::vector<float>& vector) {
  return Hash64({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

}  // namespace

// One search to be reranked. Shared by its answers' callbacks and the timer; whoever is first,
// the reranker or the budget, finishes it.
class Ranking::Plan : public std::enable_shared_from_this<Plan> {
 public:
  Plan(Ranking& ranking, const rpc::CallContext& context, const rpc::CollectionRecord& record,
       const SearchCall& call, RerankSpec spec)
      : ranking_(ranking),
        spec_(std::move(spec)),
        tenant_(record.owner),
        caller_(context.tenant),
        collection_(record.schema.name),
        model_key_(ModelKeyOf(record)),
        metric_(record.schema.metric),
        text_(call.text),
        vector_hash_(HashOf(call.query.vector)),
        top_k_(call.top_k),
        offset_(call.offset),
        explain_(call.query.explain),
        include_payload_(call.query.include_payload),
        payload_fields_(call.query.payload_fields),
        deadline_nanos_(context.deadline_nanos) {}

  // The call that brings the candidates.
  void Widen(SearchCall& call) const {
    const uint32_t wanted = offset_ + top_k_;
    const uint32_t candidates =
        spec_.candidates != 0 ? spec_.candidates : std::max(wanted, kDefaultRerankCandidates);
    call.offset = 0;
    call.top_k = std::max(wanted, candidates);
    call.query.k = call.top_k;
    call.query.include_payload = true;
    call.query.payload_fields.clear();
  }

  // The page of a list in vector order.
  SearchReply Page(SearchReply reply) const {
    const size_t begin = std::min<size_t>(offset_, reply.hits.size());
    const size_t end = std::min<size_t>(begin + top_k_, reply.hits.size());
    reply.hits.erase(reply.hits.begin() + static_cast<ptrdiff_t>(end), reply.hits.end());
    reply.hits.erase(reply.hits.begin(), reply.hits.begin() + static_cast<ptrdiff_t>(begin));
    for (SearchHit& hit : reply.hits) {
      if (!include_payload_) {
        hit.payload.clear();
      } else if (!payload_fields_.empty()) {
        hit.payload = SelectPayloadFields(hit.payload, payload_fields_);
      }
    }
    return reply;
  }

  // Takes the candidates of all shards.
  void Rerank(SearchReply reply, Done done) {
    begin_nanos_ = ranking_.deps_.clock->MonotonicNanos();
    if (reply.hits.empty()) return done(Unranked(std::move(reply), "there are no results"));
    if (ranking_.deps_.reranker == nullptr) {
      return done(Unranked(std::move(reply), "there is no reranker"));
    }
    rpc::RerankCall call = CallFor(reply);
    {
      const absl::MutexLock lock(&mutex_);
      reply_ = std::move(reply);
      done_ = std::move(done);
    }
    const int64_t limit = call.deadline_nanos;
    ranking_.deps_.reranker->Rerank(
        std::move(call), [self = shared_from_this()](absl::StatusOr<rpc::RerankReply> ranked) {
          self->OnRanked(std::move(ranked));
        });
    const absl::MutexLock lock(&mutex_);
    if (finished_) return;  // the usual case: the answer came at once
    timer_ = ranking_.deps_.timer->At(limit, [self = shared_from_this()] { self->OnTime(); });
  }

 private:
  rpc::RerankCall CallFor(const SearchReply& reply) const {
    rpc::RerankCall call;
    call.tenant = tenant_;
    call.collection = model_key_;
    call.metric = metric_;
    call.query = text_;
    call.strategy = spec_.strategy;
    call.query_id = reply.query_id;
    call.end_user = caller_;
    call.vector_hash = vector_hash_;
    call.first_page = offset_ == 0;
    call.explore = spec_.explore;
    call.explain = explain_;
    call.deadline_nanos = begin_nanos_ + int64_t{spec_.budget_ms} * 1'000'000;
    if (deadline_nanos_ != 0) call.deadline_nanos = std::min(call.deadline_nanos, deadline_nanos_);
    call.top_n = offset_ + top_k_;
    for (const SearchHit& hit : reply.hits) {
      call.items.push_back({.id = hit.id, .distance = hit.score, .payload = hit.payload});
    }
    return call;
  }

  // The right to answer, once.
  bool Claim(SearchReply& reply, Done& done) {
    Timer::Id timer = 0;
    {
      const absl::MutexLock lock(&mutex_);
      if (finished_) return false;
      finished_ = true;
      std::swap(timer, timer_);
      reply = std::move(reply_);
      done = std::move(done_);
    }
    if (timer != 0) ranking_.deps_.timer->Cancel(timer);
    return true;
  }

  void OnTime() {
    SearchReply reply;
    Done done;
    if (!Claim(reply, done)) return;
    ranking_.late_.Increment();
    done(Unranked(std::move(reply), fmt::format("not done within {} ms", spec_.budget_ms)));
  }

  void OnRanked(absl::StatusOr<rpc::RerankReply> ranked) {
    SearchReply reply;
    Done done;
    if (!Claim(reply, done)) return;
    if (!ranked.ok())
      return done(Unranked(std::move(reply), std::string(MessageOf(ranked.status()))));
    done(Ranked(std::move(reply), *std::move(ranked)));
  }

  SearchReply Unranked(SearchReply reply, std::string reason) const {
    reply = Page(std::move(reply));
    reply.rerank = {.strategy = "none", .reason = std::move(reason), .time_us = Micros()};
    return reply;
  }

  SearchReply Ranked(SearchReply reply, rpc::RerankReply ranked) const {
    if (ranked.strategy_used == "none") return Unranked(std::move(reply), "");
    std::vector<SearchHit> hits;
    std::vector<RerankTrace> traces;
    ShownAnswer shown;
    shown.query_id = reply.query_id;
    shown.tenant = caller_;
    shown.collection = collection_;
    shown.model_key = model_key_;
    shown.query = text_;
    for (rpc::RankedItem& item : ranked.items) {
      SearchHit& hit = reply.hits[item.index];
      if (explain_) {
        traces.push_back({.id = hit.id,
                          .vector_rank = item.index + 1,
                          .distance = hit.score,
                          .explanation = std::move(item.explanation)});
      }
      shown.ids.push_back(hit.id);
      hit.score = item.score;
      hits.push_back(std::move(hit));
    }
    reply.hits = std::move(hits);
    reply = Page(std::move(reply));
    if (explain_) {
      traces.erase(traces.begin(), traces.begin() + static_cast<ptrdiff_t>(
                                                        std::min<size_t>(offset_, traces.size())));
    }
    reply.reranked = true;
    reply.rerank_explain = std::move(traces);
    reply.rerank = {.strategy = std::move(ranked.strategy_used),
                    .reason = std::move(ranked.reason),
                    .from_cache = ranked.from_cache,
                    .explored = ranked.explored,
                    .time_us = Micros()};
    if (!ranked.impression.empty()) {
      shown.learnable = std::min(shown.ids.size(), kLearnedPlaces);
      shown.impression = std::move(ranked.impression);
      ranking_.impressions_.Add(std::move(shown));
    }
    ranking_.seconds_.Observe(static_cast<double>(reply.rerank->time_us) * 1e-6);
    return reply;
  }

  uint64_t Micros() const {
    return static_cast<uint64_t>((ranking_.deps_.clock->MonotonicNanos() - begin_nanos_) / 1'000);
  }

  Ranking& ranking_;
  const RerankSpec spec_;
  const std::string tenant_;  // that owns the collection
  const std::string caller_;  // who searches
  const std::string collection_;
  const std::string model_key_;
  const Metric metric_;
  const std::string text_;
  const uint64_t vector_hash_;
  const uint32_t top_k_;
  const uint32_t offset_;
  const bool explain_;
  const bool include_payload_;
  const std::vector<std::string> payload_fields_;
  const int64_t deadline_nanos_;
  int64_t begin_nanos_ = 0;

  absl::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  SearchReply reply_ ABSL_GUARDED_BY(mutex_);
  Done done_ ABSL_GUARDED_BY(mutex_);
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

absl::Status Ranking::Watch(const rpc::CallContext& context, const rpc::CollectionRecord& record,
                            SearchCall& call, Progress& progress, Done& done) {
  if (call.rerank.has_value()) RETURN_IF_ERROR(CheckRerank(*call.rerank));
  if (!IsWanted(call)) return absl::OkStatus();
  RerankSpec spec = Resolve(call, record.schema.rerank);
  if (spec.strategy == "none") return absl::OkStatus();
  const uint32_t wanted = call.offset + call.top_k;
  if (wanted > kMaxRerankCandidates) {
    const bool says = call.rerank.has_value() && !call.rerank->strategy.empty();
    if (says) {
      return InvalidArgument("offset + top_k is {}, at most {} can be reranked", wanted,
                             kMaxRerankCandidates);
    }
    return absl::OkStatus();
  }
  const auto plan = std::make_shared<Plan>(*this, context, record, call, std::move(spec));
  plan->Widen(call);
  if (progress != nullptr) {
    progress = [plan, next = std::move(progress)](SearchReply reply) {
      return next(plan->Page(std::move(reply)));
    };
  }
  done = [plan, next = std::move(done)](absl::StatusOr<SearchReply> reply) {
    if (!reply.ok()) return next(std::move(reply));
    plan->Rerank(*std::move(reply), next);
  };
  return absl::OkStatus();
}

}  // namespace vectron::gateway
