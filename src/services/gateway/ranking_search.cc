// Searches that are reranked: more candidates asked for, their order changed, the page cut out.

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "model/payload.h"
#include "rpc/worker_codec.h"
#include "services/gateway/ranking.h"

namespace vectron::gateway {
namespace {

// What a search asks for, the collection's choice where it says nothing, else the server's.
RerankSpec Resolve(const SearchCall& call, const RerankSpec& collection,
                   const rpc::RerankerApi* reranker) {
  RerankSpec spec = call.rerank.value_or(RerankSpec());
  if (spec.strategy.empty()) spec.strategy = collection.strategy;
  if (spec.budget_ms == 0) spec.budget_ms = collection.budget_ms;
  if (spec.candidates == 0) spec.candidates = collection.candidates;
  if (!spec.explore.has_value()) spec.explore = collection.explore;
  if (spec.budget_ms == 0 && reranker != nullptr) spec.budget_ms = reranker->budget_ms();
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
  Plan(Ranking& ranking, const Searcher& searcher, const SearchCall& call, RerankSpec spec)
      : ranking_(ranking),
        spec_(std::move(spec)),
        tenant_(searcher.record.owner),
        caller_(searcher.context.tenant),
        collection_(searcher.record.schema.name),
        model_key_(ModelKeyOf(searcher.record)),
        metric_(searcher.record.schema.metric),
        asked_(call),
        plain_(searcher.plain),
        started_nanos_(ranking.deps_.clock->MonotonicNanos()),
        deadline_nanos_(searcher.context.deadline_nanos) {}

  // The call that brings the candidates, with no more of their payloads than ranking reads.
  void Widen(SearchCall& call) const {
    const uint32_t wanted = call.offset + call.top_k;
    const uint32_t candidates =
        spec_.candidates != 0 ? spec_.candidates : std::max(wanted, kDefaultRerankCandidates);
    call.offset = 0;
    call.top_k = std::max(wanted, candidates);
    call.query.k = call.top_k;
    call.query.include_payload = true;
    call.query.payload_fields.clear();
    call.query.payload_excerpts = true;
  }

  // What there is so far, in vector order; long payloads come with the last reply.
  SearchReply Interim(SearchReply reply) const {
    reply = Page(std::move(reply));
    for (SearchHit& hit : reply.hits) {
      if (std::exchange(hit.is_excerpt, false)) hit.payload.clear();
    }
    return reply;
  }

  // Takes the candidates of all shards.
  void Rerank(SearchReply reply, Done done) {
    begin_nanos_ = ranking_.deps_.clock->MonotonicNanos();
    if (reply.hits.empty()) {
      return Deliver(Unranked(std::move(reply), "there are no results"), done);
    }
    if (ranking_.deps_.reranker == nullptr) {
      return Deliver(Unranked(std::move(reply), "there is no reranker"), done);
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
  // The page of a list, payloads as they were asked for but for excerpts.
  SearchReply Page(SearchReply reply) const {
    const size_t begin = std::min<size_t>(asked_.offset, reply.hits.size());
    const size_t end = std::min<size_t>(begin + asked_.top_k, reply.hits.size());
    reply.hits.erase(reply.hits.begin() + static_cast<ptrdiff_t>(end), reply.hits.end());
    reply.hits.erase(reply.hits.begin(), reply.hits.begin() + static_cast<ptrdiff_t>(begin));
    const SearchQuery& query = asked_.query;
    for (SearchHit& hit : reply.hits) {
      if (!query.include_payload) {
        hit.payload.clear();
        hit.is_excerpt = false;
      } else if (!hit.is_excerpt && !query.payload_fields.empty()) {
        hit.payload = SelectPayloadFields(hit.payload, query.payload_fields);
      }
    }
    return reply;
  }

  // Hands a page over; what is only an excerpt is read first, as the caller asked for it.
  void Deliver(SearchReply reply, const Done& done) {
    std::vector<std::string> ids;
    for (const SearchHit& hit : reply.hits) {
      if (hit.is_excerpt) ids.push_back(hit.id);
    }
    if (ids.empty()) return Finish(std::move(reply), done);
    if (ranking_.stopped_) return done(Unavailable("the server is stopping"));
    absl::StatusOr<SearchCall> call = CallForIds(std::move(ids));
    if (!call.ok()) return done(call.status());
    plain_(*std::move(call), [self = shared_from_this(), reply = std::move(reply),
                              done](absl::StatusOr<SearchReply> read) mutable {
      if (!read.ok()) return done(read.status());
      Complete(*std::move(read), reply);
      self->Finish(std::move(reply), done);
    });
  }

  // The search that finds these of the candidates again: of each, payload, vector and score are of
  // one version, and it still passes the filter.
  absl::StatusOr<SearchCall> CallForIds(std::vector<std::string> ids) const {
    SearchCall call = asked_;
    call.offset = 0;
    call.top_k = static_cast<uint32_t>(ids.size());
    call.query.k = call.top_k;
    call.query.exact = true;  // few rows pass: each is compared
    call.query.explain = false;
    call.query.trace = false;
    Filter filter;
    if (asked_.query.filter != nullptr) {
      worker::v1::ShardFilter copy;
      rpc::ToWire(*asked_.query.filter, copy);
      ASSIGN_OR_RETURN(filter, rpc::FromWire(copy));
    }
    std::sort(ids.begin(), ids.end());
    filter.must.push_back({.path = {}, .test = HasIdTest{.ids = std::move(ids), .sorted = true}});
    call.query.filter =
        std::make_shared<const Filter>(std::move(filter));  // as model/search.h has it
    if (call.timeout_ms != 0) {
      const int64_t passed = (ranking_.deps_.clock->MonotonicNanos() - started_nanos_) / 1'000'000;
      // Where the time is up, enough is left to read what was found.
      const int64_t least = std::min<int64_t>(call.timeout_ms, kDefaultRerankBudgetMs);
      call.timeout_ms = static_cast<uint32_t>(std::max(call.timeout_ms - passed, least));
    }
    return call;
  }

  // Puts what was read in place of the excerpts; what is not there any more goes.
  static void Complete(SearchReply read, SearchReply& reply) {
    std::map<std::string, SearchHit> by_id;
    for (SearchHit& hit : read.hits) {
      std::string id = hit.id;
      by_id.emplace(std::move(id), std::move(hit));
    }
    std::vector<SearchHit> hits;
    for (SearchHit& hit : reply.hits) {
      if (hit.is_excerpt) {
        const auto found = by_id.find(hit.id);
        if (found == by_id.end()) continue;
        if (reply.reranked) found->second.score = hit.score;
        hit = std::move(found->second);
      }
      hits.push_back(std::move(hit));
    }
    reply.hits = std::move(hits);
    if (!reply.reranked) {  // a point that changed meanwhile is at another distance
      std::sort(reply.hits.begin(), reply.hits.end(), [](const SearchHit& a, const SearchHit& b) {
        return std::tie(a.score, a.id) < std::tie(b.score, b.id);
      });
    }
    reply.partial |= read.partial;
    std::vector<uint32_t> missing;
    std::set_union(reply.missing_shards.begin(), reply.missing_shards.end(),
                   read.missing_shards.begin(), read.missing_shards.end(),
                   std::back_inserter(missing));
    reply.missing_shards = std::move(missing);
  }

  void Finish(SearchReply reply, const Done& done) const {
    reply.rerank->time_us = Micros();
    if (reply.reranked) {
      ranking_.seconds_.Observe(static_cast<double>(reply.rerank->time_us) * 1e-6);
    }
    done(std::move(reply));
  }

  rpc::RerankCall CallFor(const SearchReply& reply) const {
    rpc::RerankCall call;
    call.tenant = tenant_;
    call.collection = model_key_;
    call.metric = metric_;
    call.query = asked_.text;
    call.strategy = spec_.strategy;
    call.query_id = reply.query_id;
    call.end_user = caller_;
    call.vector_hash = HashOf(asked_.query.vector);
    call.first_page = asked_.offset == 0;
    call.explore = spec_.explore;
    call.explain = asked_.query.explain;
    call.deadline_nanos = begin_nanos_ + int64_t{spec_.budget_ms} * 1'000'000;
    if (deadline_nanos_ != 0) call.deadline_nanos = std::min(call.deadline_nanos, deadline_nanos_);
    if (asked_.timeout_ms != 0) {
      call.deadline_nanos =
          std::min(call.deadline_nanos, started_nanos_ + int64_t{asked_.timeout_ms} * 1'000'000);
    }
    call.top_n = asked_.offset + asked_.top_k;
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
    Deliver(Unranked(std::move(reply), fmt::format("not done within {} ms", spec_.budget_ms)),
            done);
  }

  void OnRanked(absl::StatusOr<rpc::RerankReply> ranked) {
    SearchReply reply;
    Done done;
    if (!Claim(reply, done)) return;
    if (!ranked.ok()) {
      return Deliver(Unranked(std::move(reply), std::string(MessageOf(ranked.status()))), done);
    }
    Deliver(Ranked(std::move(reply), *std::move(ranked)), done);
  }

  SearchReply Unranked(SearchReply reply, std::string reason) const {
    reply = Page(std::move(reply));
    reply.rerank = {.strategy = "none", .reason = std::move(reason)};
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
    shown.query = asked_.text;
    for (rpc::RankedItem& item : ranked.items) {
      SearchHit& hit = reply.hits[item.index];
      if (asked_.query.explain) {
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
    if (asked_.query.explain) {
      const size_t skipped = std::min<size_t>(asked_.offset, traces.size());
      traces.erase(traces.begin(), traces.begin() + static_cast<ptrdiff_t>(skipped));
    }
    reply.reranked = true;
    reply.rerank_explain = std::move(traces);
    reply.rerank = {.strategy = std::move(ranked.strategy_used),
                    .reason = std::move(ranked.reason),
                    .from_cache = ranked.from_cache,
                    .explored = ranked.explored};
    if (!ranked.impression.empty()) {
      shown.learnable = std::min(shown.ids.size(), kLearnedPlaces);
      shown.impression = std::move(ranked.impression);
      ranking_.impressions_.Add(std::move(shown));
    }
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
  const SearchCall asked_;  // as the caller has it
  const Plain plain_;
  const int64_t started_nanos_;
  const int64_t deadline_nanos_;
  int64_t begin_nanos_ = 0;

  absl::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  SearchReply reply_ ABSL_GUARDED_BY(mutex_);
  Done done_ ABSL_GUARDED_BY(mutex_);
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
};

absl::Status Ranking::Watch(const Searcher& searcher, SearchCall& call, Progress& progress,
                            Done& done) {
  if (call.rerank.has_value()) RETURN_IF_ERROR(CheckRerank(*call.rerank));
  if (!IsWanted(call)) return absl::OkStatus();
  RerankSpec spec = Resolve(call, searcher.record.schema.rerank, deps_.reranker);
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
  const auto plan = std::make_shared<Plan>(*this, searcher, call, std::move(spec));
  plan->Widen(call);
  if (progress != nullptr) {
    progress = [plan, next = std::move(progress)](SearchReply reply) {
      return next(plan->Interim(std::move(reply)));
    };
  }
  done = [plan, next = std::move(done)](absl::StatusOr<SearchReply> reply) {
    if (!reply.ok()) return next(std::move(reply));
    plan->Rerank(*std::move(reply), next);
  };
  return absl::OkStatus();
}

}  // namespace vectron::gateway
