#include "index/search_job.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/cosine.h"
#include "base/random.h"

namespace vectron::index {
namespace {

// A filter that passes at most this share of the rows is answered by scanning those.
constexpr double kScanShare = 0.01;
// Below this one, walks from match to match want twice the width.
constexpr double kThinShare = 0.05;
// From this share on a walk meets enough rows that pass by itself.
constexpr double kPlainShare = 0.4;
constexpr size_t kSeeds = 16;
constexpr size_t kSlotsAtOnce = 64;
constexpr size_t kBatchesPerCheck = WorkLimit::kRowsPerCheck / kSlotsAtOnce;
constexpr uint32_t kMinEf = 64;

// A filter hides part of what a walk meets, so that it needs a wider one.
uint32_t DefaultEf(const SearchOptions& options) {
  const uint32_t ef = std::max(kMinEf, 3 * options.k);
  return options.filter == nullptr ? ef : ef + ef / 2;
}

uint32_t RerankCount(uint32_t k) { return std::max(2 * k, k + 10); }

// The cosine distance of a row to a query of unit length.
float OfUnitQuery(float dot, float squared_length) {
  return static_cast<float>(
      CosineDistance(static_cast<double>(dot), static_cast<double>(squared_length)));
}

}  // namespace

SearchJob::SearchJob(const SearchInput& input, const SearchOptions& options,
                     std::span<const float> query, SearchContext& context)
    : input_(input),
      options_(options),
      context_(context),
      k_(options.k),
      rerank_(RerankCount(options.k)),
      ef_(std::max(options.ef != 0 ? options.ef : DefaultEf(options), options.k)),
      query_(query),
      scored_(context.scored) {
  context_.stats = {};
  context_.candidates.clear();
  context_.scanned.Reset(rerank_);
  context_.pool.Reset(1);
  scored_.clear();
  if (const Coder* coder = input.rows.coder()) {
    context_.query = coder->QueryOf(query, context.QueryValues(), context.code.data());
  }
}

// Of all rows, those that the filter passes.
double SearchJob::Share() const {
  return static_cast<double>(options_.filter->count) /
         static_cast<double>(std::max<uint64_t>(input_.live, 1));
}

Plan SearchJob::ChoosePlan() const {
  if (options_.exact || input_.rows.coder() == nullptr) return Plan::kFlat;
  if (options_.filter != nullptr) {
    const uint64_t matches = options_.filter->count;
    const double share = Share();
    if (matches * (input_.rows.layout.code_lines + 1) <= input_.scan_lines || share < kScanShare ||
        uint64_t{ef_} * input_.scan_one_in >= matches) {
      return Plan::kScanMatches;
    }
    return share >= kPlainShare ? Plan::kGraphFiltered : Plan::kGraphTwoHop;
  }
  return uint64_t{ef_} * input_.scan_one_in >= input_.live ? Plan::kScanMatches : Plan::kGraph;
}

bool SearchJob::IsBefore(const ScoredRow& a, const ScoredRow& b) const {
  if (a.distance != b.distance) return a.distance < b.distance;
  return a.slot != b.slot && input_.ids.Id(a.slot) < input_.ids.Id(b.slot);
}

float SearchJob::Exact(uint32_t slot) const {
  const size_t n = query_.size();
  const Kernels& kernels = input_.kernels;
  const Metric metric = input_.index.metric;
  if (input_.raw.storage() == VectorStorage::kF32) {
    const float* row = input_.raw.F32(slot);
    if (metric == Metric::kEuclidean) return kernels.squared_l2(query_.data(), row, n);
    const float dot = kernels.dot(query_.data(), row, n);
    return metric == Metric::kCosine ? OfUnitQuery(dot, 1.0F) : -dot;
  }
  const uint16_t* row = input_.raw.F16(slot);
  if (metric == Metric::kEuclidean) return kernels.squared_l2_f16(query_.data(), row, n);
  const float dot = kernels.dot_f16(query_.data(), row, n);
  if (metric == Metric::kDot) return -dot;
  // Rounding has changed the row's length.
  return OfUnitQuery(dot, kernels.squares_f16(row, n));
}

// Keeps the k best in a heap whose top is the worst of them.
void SearchJob::AddExact(uint32_t slot, uint32_t rank) {
  const ScoredRow row{Exact(slot), slot, rank};
  const auto before = [this](const ScoredRow& a, const ScoredRow& b) { return IsBefore(a, b); };
  if (scored_.size() == k_) {
    if (!IsBefore(row, scored_.front())) return;
    std::pop_heap(scored_.begin(), scored_.end(), before);
    scored_.back() = row;
  } else {
    scored_.push_back(row);
  }
  std::push_heap(scored_.begin(), scored_.end(), before);
}

bool SearchJob::MayGoOn() {
  if (options_.limit == nullptr || ++batches_ % kBatchesPerCheck != 0) return true;
  stopped_ = options_.limit->Check();
  return stopped_.ok();
}

template <typename Visit>
void SearchJob::ForEachSlot(const Visit& visit) {
  uint32_t slots[kSlotsAtOnce];
  size_t count = 0;
  if (options_.filter == nullptr) {
    for (uint32_t slot = 0; slot < input_.row_count; ++slot) {
      slots[count++] = slot;
      if (count < kSlotsAtOnce) continue;
      if (!MayGoOn()) return;
      visit(std::span<const uint32_t>(slots, count));
      count = 0;
    }
  } else {
    const std::vector<uint64_t>& words = options_.filter->words;
    const size_t word_count = std::min(words.size(), (size_t{input_.row_count} + 63) / 64);
    for (size_t i = 0; i < word_count; ++i) {
      for (uint64_t word = words[i]; word != 0; word &= word - 1) {
        const auto slot =
            static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word));
        if (slot >= input_.row_count) break;
        slots[count++] = slot;
        if (count < kSlotsAtOnce) continue;
        if (!MayGoOn()) return;
        visit(std::span<const uint32_t>(slots, count));
        count = 0;
      }
    }
  }
  visit(std::span<const uint32_t>(slots, count));
}

void SearchJob::ScanExact() {
  scored_.clear();
  uint64_t compared = 0;
  ForEachSlot([&](std::span<const uint32_t> slots) {
    uint32_t seen[kSlotsAtOnce];
    size_t count = 0;
    for (const uint32_t slot : slots) {
      if (!SeenAt(input_.rows.Tail(slot), input_.sequence)) continue;
      input_.raw.Prefetch(slot);
      seen[count++] = slot;
    }
    for (size_t i = 0; i < count; ++i) AddExact(seen[i], 0);
    compared += count;
  });
  stats_.reranked += compared;
}

// Compares the codes of at most kSlotsAtOnce slots. They pass the filter.
void SearchJob::OfferCodes(std::span<const uint32_t> slots) {
  SearchContext::Batch& batch = context_.batch;
  const RowTable& rows = input_.rows;
  for (const uint32_t slot : slots) {
    const char* record = rows.Record(slot);
    for (uint32_t line = 0; line <= rows.layout.code_lines; ++line) {
      __builtin_prefetch(record + size_t{line} * 64);
    }
  }
  batch.count = 0;
  for (const uint32_t slot : slots) {
    if (SeenAt(rows.Tail(slot), input_.sequence)) batch.Add(rows.Record(slot), slot);
  }
  input_.kernels.code_distances(context_.query, batch.codes.data(), batch.count,
                                batch.distances.data());
  context_.stats.distances += batch.count;
  BestOf& best = context_.scanned;
  for (uint32_t i = 0; i < batch.count; ++i) {
    if (batch.distances[i] < best.bound()) best.Add(batch.distances[i], batch.slots[i]);
  }
}

void SearchJob::ScanCodes() {
  ForEachSlot([this](std::span<const uint32_t> slots) { OfferCodes(slots); });
}

void SearchJob::FindAmong(std::span<const uint32_t> slots) {
  uint32_t passing[kSlotsAtOnce];
  size_t count = 0;
  for (const uint32_t slot : slots) {
    if (!Passes(slot)) continue;
    passing[count++] = slot;
    if (count < kSlotsAtOnce) continue;
    OfferCodes({passing, count});
    count = 0;
  }
  OfferCodes({passing, count});
  stats_.tail_scanned += slots.size();
}

// A few rows that pass, from all over the index.
void SearchJob::PickSeeds(std::vector<uint32_t>& seeds) const {
  seeds.clear();
  const std::vector<uint64_t>& words = options_.filter->words;
  const size_t word_count = std::min(words.size(), size_t{input_.row_count} / 64);
  if (word_count == 0) return;
  Random random(context_.query.offset);
  for (size_t i = 0; i < kSeeds; ++i) {
    const auto from = static_cast<size_t>(random.Below(word_count));
    for (size_t j = 0; j < word_count; ++j) {
      const size_t at = (from + j) % word_count;
      if (words[at] == 0) continue;
      const auto slot =
          static_cast<uint32_t>(at * 64) + static_cast<uint32_t>(std::countr_zero(words[at]));
      if (SeenAt(input_.rows.Tail(slot), input_.sequence)) seeds.push_back(slot);
      break;
    }
  }
}

void SearchJob::FindInGraph(Plan plan) {
  const bool thin = plan == Plan::kGraphTwoHop && Share() < kThinShare;
  const Graph::Request request{.table = &input_.rows,
                               .slots = input_.slot_count,
                               .sequence = input_.sequence,
                               .filter = options_.filter,
                               .ef = thin ? 2 * ef_ : ef_};
  walked_ = true;
  if (plan != Plan::kGraphTwoHop) input_.graph.Walk(request, context_);
  // A plain walk that filled up with rows that do not pass is far from those that do.
  if (plan == Plan::kGraphTwoHop ||
      (plan == Plan::kGraphFiltered && context_.pool.results() < ef_)) {
    PickSeeds(context_.seeds);
    input_.graph.WalkTwoHop(request, context_.seeds, context_);
  }
}

void SearchJob::MergeCandidates() {
  std::vector<Candidate>& merged = context_.candidates;
  const std::vector<Candidate>& scanned = context_.scanned.Sorted();
  merged.clear();
  const Pool& pool = context_.pool;
  const uint32_t walked = walked_ ? pool.size() : 0;
  if (walked_) context_.visited.Begin(input_.slot_count);
  uint32_t i = 0;
  size_t j = 0;
  while (merged.size() < rerank_ && (i < walked || j < scanned.size())) {
    const bool from_walk =
        j == scanned.size() || (i < walked && pool[i].distance <= scanned[j].distance);
    Candidate next;
    if (from_walk) {
      const Pool::Entry& entry = pool[i++];
      if (!entry.counts()) continue;
      next = {.distance = entry.distance, .slot = entry.slot()};
    } else {
      next = scanned[j++];
    }
    // A row linked while the search ran may come from both.
    if (walked_ && !scanned.empty() && !context_.visited.Insert(next.slot)) continue;
    merged.push_back(next);
  }
}

bool SearchJob::CodesSayAll() const {
  return context_.query.lossless && input_.index.metric == Metric::kEuclidean &&
         input_.rows.is_lossless();
}

void SearchJob::Rerank() {
  MergeCandidates();
  const std::vector<Candidate>& candidates = context_.candidates;
  if (CodesSayAll()) {
    const Coder::Linear to_metric = input_.rows.coder()->ToMetric(query_);
    for (uint32_t i = 0; i < candidates.size(); ++i) {
      const double distance = to_metric.offset + to_metric.factor * candidates[i].distance;
      scored_.push_back({static_cast<float>(distance), candidates[i].slot, i});
    }
  } else {
    for (const Candidate& candidate : candidates) input_.raw.Prefetch(candidate.slot, 64);
    for (uint32_t i = 0; i < candidates.size(); ++i) AddExact(candidates[i].slot, i);
    stats_.reranked += candidates.size();
  }
}

SearchResult SearchJob::Finish(Plan plan) {
  std::sort(scored_.begin(), scored_.end(),
            [this](const ScoredRow& a, const ScoredRow& b) { return IsBefore(a, b); });
  if (scored_.size() > k_) scored_.resize(k_);
  stats_.plan = plan;
  stats_.hops = context_.stats.hops;
  stats_.distances = context_.stats.distances;
  stats_.tombstones = context_.stats.tombstones;
  SearchResult result;
  result.hits.reserve(scored_.size());
  for (const ScoredRow& row : scored_) input_.ids.Prefetch(row.slot);
  for (const ScoredRow& row : scored_) {
    if (row.rank >= k_) stats_.rerank_changes += 1;
    result.hits.push_back(Hit{.id = std::string(input_.ids.Id(row.slot)),
                              .version = input_.ids.Version(row.slot),
                              .distance = row.distance,
                              .slot = row.slot,
                              .flags = input_.ids.Flags(row.slot)});
  }
  result.stats = stats_;
  return result;
}

}  // namespace vectron::index
