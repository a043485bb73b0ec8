#include "shard/selection.h"

#include <algorithm>
#include <functional>
#include <unordered_map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "model/payload.h"
#include "shard/bounds.h"

namespace vectron::shard {
namespace {

// Rows whose payloads are read together.
constexpr size_t kReadRows = 256;
// Tries to meet the appender at rest before ids are looked for row by row instead.
constexpr int kAppenderTries = 16;
// Bitmaps made for one search.
constexpr size_t kMaxMadeBitmaps = 8;
// Below this many evaluations a bitmap is not worth its upkeep.
constexpr uint64_t kMinEvaluations = 256;
// A search for which a bitmap costs more than so many times what it would save goes on without.
constexpr int64_t kWorthWaiting = 8;

using IdSets = std::unordered_map<const HasIdTest*, Roaring>;

void CollectIdTests(const Filter& filter, IdSets& into) {
  for (const auto* group : {&filter.must, &filter.should, &filter.must_not}) {
    for (const Condition& condition : *group) {
      if (const auto* ids = std::get_if<HasIdTest>(&condition.test)) into[ids];
      if (const auto* nested = std::get_if<std::unique_ptr<Filter>>(&condition.test)) {
        CollectIdTests(**nested, into);
      }
    }
  }
}

void FindIdsByRow(const index::VectorIndex& vectors, const index::Snapshot& snapshot,
                  IdSets& sets) {
  std::unordered_map<std::string_view, std::vector<Roaring*>> wanted;
  for (auto& [test, slots] : sets) {
    slots = Roaring();
    for (const std::string& id : test->ids) wanted[id].push_back(&slots);
  }
  vectors.ForEachRow(snapshot, [&](uint32_t slot, std::string_view id, uint64_t) {
    const auto found = wanted.find(id);
    if (found == wanted.end()) return;
    for (Roaring* slots : found->second) slots->add(slot);
  });
}

// A snapshot, and the slots that the ids of has_id tests have in it. The table of ids is the
// appender's, so it is asked while the appender rests and nothing is uncommitted; a snapshot taken
// then shows the same state.
absl::StatusOr<index::Snapshot> SnapshotWithIds(StateMachine& state, Indexes& indexes,
                                                IdSets& sets) {
  for (int tries = 0; !sets.empty() && tries < kAppenderTries; ++tries) {
    std::optional<index::Snapshot> snapshot;
    uint64_t prepared = 0;
    state.WithAppender([&](const StateMachine::AppenderView& appender) {
      prepared = appender.prepared;
      if (!appender.committed || &appender.indexes != &indexes) return;
      snapshot.emplace(indexes.vectors->TakeSnapshot());
      for (auto& [test, slots] : sets) {
        for (const std::string& id : test->ids) {
          if (const auto located = indexes.vectors->Find(id)) slots.add(located->slot);
        }
      }
    });
    if (snapshot.has_value()) return *std::move(snapshot);
    if (!state.WaitPublished(prepared).ok()) break;
  }
  index::Snapshot snapshot = indexes.vectors->TakeSnapshot();
  if (!sets.empty()) FindIdsByRow(*indexes.vectors, snapshot, sets);
  return snapshot;
}

using RowTest = std::function<bool(std::string_view id, const Value& payload)>;

struct Evaluated {
  Roaring passed;
  std::vector<std::string> stale;
  uint64_t rows = 0;
};

class Evaluator {
 public:
  Evaluator(StateMachine& state, const RowTest& test, const WorkLimit& limit)
      : state_(state), test_(test), limit_(limit) {}

  absl::Status Add(uint32_t slot, const index::VectorIndex::RowView& row) {
    if (result_.rows++ % WorkLimit::kRowsPerCheck == 0) RETURN_IF_ERROR(limit_.Check());
    if ((row.flags & kHasPayload) == 0) {
      if (test_(row.id, no_payload_)) result_.passed.add(slot);
      return absl::OkStatus();
    }
    slots_.push_back(slot);
    ids_.push_back(row.id);
    versions_.push_back(row.version);
    return ids_.size() < kReadRows ? absl::OkStatus() : Flush();
  }

  absl::Status Flush() {
    if (ids_.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const auto points, state_.store().ReadPoints(ids_));
    for (size_t i = 0; i < ids_.size(); ++i) {
      if (i % WorkLimit::kPayloadsPerCheck == 0) RETURN_IF_ERROR(limit_.Check());
      if (points[i].has_value() && points[i]->version == versions_[i]) {
        if (test_(ids_[i], PayloadTree(points[i]->payload))) result_.passed.add(slots_[i]);
        continue;
      }
      result_.stale.emplace_back(ids_[i]);
    }
    slots_.clear();
    ids_.clear();
    versions_.clear();
    return absl::OkStatus();
  }

  Evaluated Take() { return std::move(result_); }

 private:
  StateMachine& state_;
  const RowTest& test_;
  const WorkLimit& limit_;
  const Value no_payload_{Object{}};
  std::vector<uint32_t> slots_;
  std::vector<std::string_view> ids_;
  std::vector<uint64_t> versions_;
  Evaluated result_;
};

// Applies `test` to each row of the snapshot whose slot is in `candidates`.
absl::StatusOr<Evaluated> EvaluateRows(StateMachine& state, const index::VectorIndex& vectors,
                                       const index::Snapshot& snapshot, const Roaring& candidates,
                                       const RowTest& test, const WorkLimit& limit) {
  Evaluator evaluator(state, test, limit);
  for (const uint32_t slot : candidates) {
    const auto row = vectors.RowAt(snapshot, slot);
    if (row.has_value()) RETURN_IF_ERROR(evaluator.Add(slot, *row));
  }
  RETURN_IF_ERROR(evaluator.Flush());
  return evaluator.Take();
}

// The slots of the snapshot's rows that pass a leaf in the version the store has now.
absl::StatusOr<Roaring> ScanForLeaf(StateMachine& state, const index::VectorIndex& vectors,
                                    const index::Snapshot& snapshot, const Condition& leaf,
                                    const WorkLimit& limit) {
  absl::flat_hash_map<std::string, uint64_t> passed;  // id -> version
  absl::Status stopped;
  size_t rows = 0;
  RETURN_IF_ERROR(state.store().ScanPoints(
      "", [&](std::string_view id, uint64_t version, std::string_view payload) {
        if (rows++ % WorkLimit::kPayloadsPerCheck == 0) {
          stopped = limit.Check();
          if (!stopped.ok()) return false;
        }
        if (MatchesCondition(leaf, id, PayloadTree(payload))) passed.emplace(id, version);
        return true;
      }));
  RETURN_IF_ERROR(stopped);
  Roaring slots;
  if (passed.empty()) return slots;
  vectors.ForEachRow(snapshot, [&](uint32_t slot, std::string_view id, uint64_t version) {
    const auto found = passed.find(absl::string_view(id.data(), id.size()));
    if (found != passed.end() && found->second == version) slots.add(slot);
  });
  return slots;
}

// Gives a condition a bitmap. False when another search is at it, it is too long to keep, or
// nothing is applied at the moment.
//
// From Register on every new row is looked at by the appender. Those before it are in the snapshot,
// once what was prepared is published; they are scanned in the store. A row that was written again
// or removed before the scan's end may be judged by another version, but it is dead for searches
// from then on, and only those may use the bitmap.
absl::StatusOr<bool> MakeBitmap(StateMachine& state, Indexes& indexes, const Condition& leaf,
                                const WorkLimit& limit) {
  std::shared_ptr<FilterIndex::Kept> kept;
  uint64_t prepared = 0;
  state.WithAppender([&](const StateMachine::AppenderView& appender) {
    prepared = appender.prepared;
    if (&appender.indexes == &indexes) kept = indexes.filters.Register(leaf);
  });
  if (kept == nullptr) return false;
  if (!state.WaitPublished(prepared).ok()) {
    indexes.filters.Abandon(kept);
    return false;
  }
  const index::Snapshot snapshot = indexes.vectors->TakeSnapshot();
  const absl::StatusOr<Roaring> slots = ScanForLeaf(state, *indexes.vectors, snapshot, leaf, limit);
  const uint64_t usable_from = std::max(snapshot.applied_index(), state.writing());
  if (!slots.ok() || !state.WaitPublished(usable_from).ok()) {
    indexes.filters.Abandon(kept);
    if (!slots.ok()) return slots.status();
    return false;
  }
  indexes.filters.Publish(kept, *slots, usable_from);
  return true;
}

// The leaves whose bitmaps are due, now that they left `rows` rows in doubt.
std::vector<const Condition*> CountDue(StateMachine& state, Indexes& indexes,
                                       const std::vector<const Condition*>& unsure, uint64_t rows) {
  const uint64_t enough = std::max(kMinEvaluations, state.points());
  std::vector<const Condition*> due;
  for (const Condition* leaf : unsure) {
    if (due.size() == kMaxMadeBitmaps) break;
    if (indexes.filters.CountEvaluations(*leaf, rows) >= enough) due.push_back(leaf);
  }
  return due;
}

// True when there is a new one.
absl::StatusOr<bool> MakeBitmaps(StateMachine& state, Indexes& indexes,
                                 const std::vector<const Condition*>& due, const WorkLimit& limit) {
  bool made = false;
  for (const Condition* leaf : due) {
    ASSIGN_OR_RETURN(const bool is_new, MakeBitmap(state, indexes, *leaf, limit));
    made = made || is_new;
  }
  return made;
}

// Whether a search with so many rows in doubt should leave the making of bitmaps to others: its own
// deadline is for its own rows.
bool LeavesBitmaps(const StateMachine& state, uint64_t in_doubt, const SearchTerms& terms) {
  return terms.prepare_later != nullptr &&
         PayloadCostNanos(in_doubt) * kWorthWaiting < PayloadCostNanos(state.points());
}

// What bitmaps tell of a filter as of a snapshot, and the leaves of which they do not tell all.
struct Known {
  index::Snapshot snapshot;
  Bounds bounds;
  std::vector<const Condition*> unsure;
};

absl::StatusOr<Known> AskBitmaps(StateMachine& state, Indexes& indexes, const Filter& filter) {
  IdSets ids;
  CollectIdTests(filter, ids);
  ASSIGN_OR_RETURN(index::Snapshot snapshot, SnapshotWithIds(state, indexes, ids));
  const FilterIndex::IdResolver resolve = [&ids](const HasIdTest& test) { return ids.at(&test); };
  std::vector<const Condition*> unsure;
  const FilterIndex::Query query{snapshot.applied_index(), snapshot.row_count(), resolve};
  Bounds bounds = indexes.filters.Evaluate(filter, query, &unsure);
  return Known{std::move(snapshot), std::move(bounds), std::move(unsure)};
}

}  // namespace

absl::StatusOr<std::optional<Selection>> Select(StateMachine& state,
                                                const std::shared_ptr<Indexes>& indexes,
                                                const Filter& filter, const SearchTerms& terms) {
  bool made_bitmap = false;
  while (true) {
    ASSIGN_OR_RETURN(Known known, AskBitmaps(state, *indexes, filter));
    const Bounds& bounds = known.bounds;
    if (bounds.exact) {
      return Selection{std::move(known.snapshot), ToSlotSet(bounds.lower), {}, 0, made_bitmap};
    }
    const Roaring in_doubt = bounds.upper - bounds.lower;
    if (!terms.Allow(PayloadCostNanos(in_doubt.cardinality()))) return std::nullopt;
    if (!made_bitmap) {
      const std::vector<const Condition*> due =
          CountDue(state, *indexes, known.unsure, in_doubt.cardinality());
      if (!due.empty() && LeavesBitmaps(state, in_doubt.cardinality(), terms)) {
        terms.prepare_later();
      } else {
        if (!due.empty() && !terms.Allow(PayloadCostNanos(state.points()))) return std::nullopt;
        ASSIGN_OR_RETURN(made_bitmap, MakeBitmaps(state, *indexes, due, terms.limit));
        if (made_bitmap) continue;
      }
    }
    const RowTest test = [&filter](std::string_view id, const Value& payload) {
      return Matches(filter, id, payload);
    };
    ASSIGN_OR_RETURN(Evaluated rows, EvaluateRows(state, *indexes->vectors, known.snapshot,
                                                  in_doubt, test, terms.limit));
    return Selection{std::move(known.snapshot), ToSlotSet(bounds.lower | rows.passed),
                     std::move(rows.stale), rows.rows, made_bitmap};
  }
}

absl::Status PrepareFilter(StateMachine& state, const std::shared_ptr<Indexes>& indexes,
                           const Filter& filter, const WorkLimit& limit) {
  ASSIGN_OR_RETURN(const Known known, AskBitmaps(state, *indexes, filter));
  const std::vector<const Condition*> due = CountDue(state, *indexes, known.unsure, /*rows=*/0);
  return MakeBitmaps(state, *indexes, due, limit).status();
}

}  // namespace vectron::shard
