#include "shard/search.h"

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>

#include "base/cosine.h"
#include "base/limits.h"
#include "base/status.h"
#include "model/payload.h"
#include "shard/selection.h"

namespace vectron::shard {
namespace {

// Searches on a fresh snapshot before stale rows are taken from the store.
constexpr int kFreshTries = 2;
// Hits asked for beyond k then, in place of those that turn out to be deleted.
constexpr uint32_t kSpareHits = 16;
// Hits whose payloads are read together.
constexpr size_t kPayloadsAtOnce = WorkLimit::kPayloadsPerCheck;

// One attempt at a search.
class Attempt {
 public:
  enum class Outcome {
    kAnswered,
    kStartOver,  // on a newer snapshot
    kNotQuick,   // and the terms ask for that
  };

  Attempt(StateMachine& state, const SearchQuery& query, const SearchTerms& terms, bool last)
      : state_(state), query_(query), terms_(terms), last_(last), indexes_(state.indexes()) {}

  absl::StatusOr<Outcome> Run();
  std::vector<SearchHit> TakeHits() { return std::move(hits_); }
  ShardTrace Trace() const;

 private:
  bool filtered() const { return query_.filter != nullptr && !query_.filter->empty(); }
  // False when it would not be quick enough.
  absl::StatusOr<bool> SearchIndex();
  bool IsAllowed(std::optional<uint64_t> matches) const;
  absl::Status AddPayloads();
  absl::Status ReadPayloads(std::span<const size_t> positions);
  absl::Status AddVectors();
  // Counts what the answer is to hold, up to its bound.
  absl::Status AddBytes(size_t bytes);
  absl::Status TakeStaleFromStore();
  void DropStale();
  void MarkStale(const std::string& id, uint64_t version);

  StateMachine& state_;
  const SearchQuery& query_;
  const SearchTerms& terms_;
  const bool last_;
  const std::shared_ptr<Indexes> indexes_;
  std::optional<Selection> selection_;
  std::optional<index::Snapshot> snapshot_;  // without a filter
  index::SearchResult result_;
  std::vector<SearchHit> hits_;
  std::vector<std::string> stale_;
  size_t bytes_ = 0;       // of payloads and vectors
  uint64_t wait_for_ = 0;  // the newest index whose effects were seen in the store
};

bool Attempt::IsAllowed(std::optional<uint64_t> matches) const {
  return terms_.Allow(
      IndexCostNanos(state_.schema(), query_, terms_.load, state_.points(), matches));
}

absl::StatusOr<bool> Attempt::SearchIndex() {
  index::SearchOptions options;
  options.k = last_ ? std::min(query_.k + kSpareHits, kMaxTopK) : query_.k;
  options.ef = query_.ef != 0 ? query_.ef : state_.schema().hnsw.ef_search;
  options.exact = query_.exact;
  options.limit = &terms_.limit;
  if (filtered()) {
    ASSIGN_OR_RETURN(std::optional<Selection> selection,
                     Select(state_, indexes_, *query_.filter, terms_));
    if (!selection.has_value() || !IsAllowed(selection->slots.count)) return false;
    selection_.emplace(*std::move(selection));
    for (const std::string& id : selection_->stale) MarkStale(id, 0);
    if (selection_->slots.count == 0) {
      result_.stats.plan = index::Plan::kScanMatches;
      return true;
    }
    options.filter = &selection_->slots;
    ASSIGN_OR_RETURN(result_,
                     indexes_->vectors->Search(selection_->snapshot, query_.vector, options));
  } else {
    if (!IsAllowed(std::nullopt)) return false;
    snapshot_.emplace(indexes_->vectors->TakeSnapshot());
    ASSIGN_OR_RETURN(result_, indexes_->vectors->Search(*snapshot_, query_.vector, options));
  }
  hits_.reserve(result_.hits.size());
  for (index::Hit& hit : result_.hits) {
    if (query_.score_threshold.has_value() && hit.distance > *query_.score_threshold) break;
    hits_.push_back({.id = std::move(hit.id),
                     .score = hit.distance,
                     .version = hit.version,
                     .payload = {},
                     .vector = {}});
  }
  return true;
}

void Attempt::MarkStale(const std::string& id, uint64_t version) {
  stale_.push_back(id);
  wait_for_ = std::max(wait_for_, version == 0 ? state_.writing() : version);
}

absl::Status Attempt::AddPayloads() {
  std::vector<size_t> positions;
  for (size_t i = 0; i < hits_.size(); ++i) {
    if ((result_.hits[i].flags & kHasPayload) != 0) positions.push_back(i);
  }
  for (size_t i = 0; i < positions.size(); i += kPayloadsAtOnce) {
    RETURN_IF_ERROR(terms_.limit.Check());
    const size_t count = std::min(kPayloadsAtOnce, positions.size() - i);
    RETURN_IF_ERROR(ReadPayloads(std::span(positions).subspan(i, count)));
  }
  return absl::OkStatus();
}

// Of the hits at these positions.
absl::Status Attempt::ReadPayloads(std::span<const size_t> positions) {
  std::vector<std::string_view> ids;
  for (const size_t position : positions) ids.push_back(hits_[position].id);
  ASSIGN_OR_RETURN(auto points, state_.store().ReadPoints(ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    SearchHit& hit = hits_[positions[i]];
    if (!points[i].has_value() || points[i]->version != hit.version) {
      MarkStale(hit.id, points[i].has_value() ? points[i]->version : 0);
      continue;
    }
    SetPayload(hit, std::move(points[i]->payload), query_);
    RETURN_IF_ERROR(AddBytes(hit.payload.size()));
  }
  return absl::OkStatus();
}

absl::Status Attempt::AddBytes(size_t bytes) {
  bytes_ += bytes;
  return bytes_ <= terms_.max_bytes ? absl::OkStatus() : AnswerTooLarge(terms_.max_bytes);
}

absl::Status Attempt::AddVectors() {
  RETURN_IF_ERROR(AddBytes(hits_.size() * state_.schema().dimension * sizeof(float)));
  std::vector<std::string_view> ids;
  for (const SearchHit& hit : hits_) ids.push_back(hit.id);
  if (ids.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(terms_.limit.Check());
  ASSIGN_OR_RETURN(auto vectors, state_.store().ReadVectors(ids));
  for (size_t i = 0; i < ids.size(); ++i) {
    if (!vectors[i].has_value() || vectors[i]->version != hits_[i].version) {
      MarkStale(hits_[i].id, vectors[i].has_value() ? vectors[i]->version : 0);
    } else {
      hits_[i].vector = std::move(vectors[i]->components);
    }
  }
  return absl::OkStatus();
}

void Attempt::DropStale() {
  std::sort(stale_.begin(), stale_.end());
  stale_.erase(std::unique(stale_.begin(), stale_.end()), stale_.end());
  std::erase_if(hits_, [this](const SearchHit& hit) {
    return std::binary_search(stale_.begin(), stale_.end(), hit.id);
  });
}

absl::Status Attempt::TakeStaleFromStore() {
  DropStale();
  for (const std::string& id : stale_) {
    RETURN_IF_ERROR(terms_.limit.Check());
    ASSIGN_OR_RETURN(std::optional<PointRecord> record, state_.store().ReadRecord(id, true));
    wait_for_ = std::max(wait_for_, record.has_value() ? record->version : state_.writing());
    if (!record.has_value()) continue;
    if (filtered() && !Matches(*query_.filter, id, PayloadTree(record->payload))) continue;
    const auto score =
        static_cast<float>(DistanceOf(state_.schema().metric, query_.vector, record->vector));
    if (query_.score_threshold.has_value() && score > *query_.score_threshold) continue;
    SearchHit hit{
        .id = id, .score = score, .version = record->version, .payload = {}, .vector = {}};
    SetPayload(hit, std::move(record->payload), query_);
    if (query_.include_vectors) hit.vector = std::move(record->vector);
    RETURN_IF_ERROR(AddBytes(hit.payload.size() + hit.vector.size() * sizeof(float)));
    hits_.push_back(std::move(hit));
  }
  std::sort(hits_.begin(), hits_.end(), [](const SearchHit& a, const SearchHit& b) {
    return std::tie(a.score, a.id) < std::tie(b.score, b.id);
  });
  return absl::OkStatus();
}

absl::StatusOr<Attempt::Outcome> Attempt::Run() {
  ASSIGN_OR_RETURN(const bool searched, SearchIndex());
  if (!searched) return Outcome::kNotQuick;
  if (query_.include_payload) RETURN_IF_ERROR(AddPayloads());
  if (query_.include_vectors) RETURN_IF_ERROR(AddVectors());
  if (!stale_.empty() && last_) RETURN_IF_ERROR(TakeStaleFromStore());
  if (!stale_.empty()) RETURN_IF_ERROR(state_.WaitPublished(wait_for_));
  if (!stale_.empty() && !last_) return Outcome::kStartOver;
  if (hits_.size() > query_.k) hits_.resize(query_.k);
  return Outcome::kAnswered;
}

std::string Reason(const index::SearchStats& stats, const Selection* selection, bool exact) {
  std::string reason;
  switch (stats.plan) {
    case index::Plan::kFlat:
      reason = exact ? "exact search was asked for" : "too few rows to need a graph";
      break;
    case index::Plan::kGraph:
      reason = "no filter";
      break;
    case index::Plan::kGraphFiltered:
      reason = "most rows pass the filter";
      break;
    case index::Plan::kGraphTwoHop:
      reason = "some rows pass the filter";
      break;
    case index::Plan::kScanMatches:
      reason = exact ? "exact search of the rows that pass the filter"
                     : "few rows pass the filter, each is compared";
      break;
  }
  if (selection == nullptr) return reason;
  if (selection->made_bitmap) return reason + "; a bitmap was made for the filter";
  if (selection->evaluated == 0) return reason + "; the filter was answered by bitmaps";
  return reason + fmt::format("; {} payloads were evaluated", selection->evaluated);
}

ShardTrace Attempt::Trace() const {
  ShardTrace trace;
  const Selection* selection = selection_.has_value() ? &*selection_ : nullptr;
  const index::Snapshot& snapshot = selection != nullptr ? selection->snapshot : *snapshot_;
  trace.plan = index::PlanName(result_.stats.plan);
  trace.reason = Reason(result_.stats, selection, query_.exact);
  trace.points = state_.points();
  trace.matches_estimated = selection != nullptr ? selection->slots.count : trace.points;
  trace.matches = selection == nullptr ? trace.points : 0;
  if (selection != nullptr && query_.explain) {  // looks at every row
    indexes_->vectors->ForEachRow(snapshot, [&](uint32_t slot, std::string_view, uint64_t) {
      if (selection->slots.Contains(slot)) trace.matches += 1;
    });
  }
  trace.hops = result_.stats.hops;
  // A flat scan compares no codes, and every row that it compares on full precision.
  const bool flat = result_.stats.plan == index::Plan::kFlat;
  trace.distances = flat ? result_.stats.reranked : result_.stats.distances;
  trace.tail_scanned = result_.stats.tail_scanned;
  trace.tombstones = result_.stats.tombstones;
  trace.reranked = result_.stats.reranked;
  trace.rerank_changes = result_.stats.rerank_changes;
  return trace;
}

double Dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

}  // namespace

double DistanceOf(Metric metric, std::span<const float> a, std::span<const float> b) {
  switch (metric) {
    case Metric::kCosine:
      return CosineDistance(Dot(a, b), Dot(a, a) * Dot(b, b));
    case Metric::kDot:
      return -Dot(a, b);
    case Metric::kEuclidean:
      break;
  }
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    sum += difference * difference;
  }
  return sum;
}

absl::StatusOr<std::optional<SearchAnswer>> SearchShard(StateMachine& state, ShardOrdinal ordinal,
                                                        const SearchQuery& query,
                                                        const SearchTerms& terms) {
  const bool traced = query.explain || query.trace;
  const int64_t start_us = traced ? terms.clock.MonotonicMicros() : 0;
  for (int tries = 0;; ++tries) {
    RETURN_IF_ERROR(terms.limit.Check());
    Attempt attempt(state, query, terms, tries >= kFreshTries);
    ASSIGN_OR_RETURN(const Attempt::Outcome outcome, attempt.Run());
    if (outcome == Attempt::Outcome::kNotQuick) return std::nullopt;
    if (outcome == Attempt::Outcome::kStartOver) continue;
    std::optional<SearchAnswer> answer(std::in_place);
    answer->hits = attempt.TakeHits();
    if (traced) {
      answer->traces.push_back(attempt.Trace());
      answer->traces.back().shard_id = ordinal.value;
      answer->traces.back().time_us =
          static_cast<uint64_t>(terms.clock.MonotonicMicros() - start_us);
    }
    return answer;
  }
}

}  // namespace vectron::shard
