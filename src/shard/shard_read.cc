#include <algorithm>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "base/work_limit.h"
#include "model/validate.h"
#include "shard/search.h"
#include "shard/selection.h"
#include "shard/shard_impl.h"
#include "storage/layout.h"

namespace vectron::shard {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
// How long a replica for reads alone goes without a barrier: while its shard is written to, and
// else, when a barrier wakes a quiet group for about two seconds.
constexpr int64_t kFreshEveryMs = 1'000;
constexpr int64_t kFreshEveryIdleMs = 30'000;

}  // namespace

absl::Status ShardImpl::ReadGate() const {
  if (closing_) return Unavailable("the shard is closing");
  if (!quarantined_) return absl::OkStatus();
  const absl::MutexLock lock(&mutex_);
  return problem_;
}

// The reads of what is whole go on; the caller has the error too.
void ShardImpl::NoteDamage(const absl::Status& read) {
  if (!absl::IsDataLoss(read) || quarantined_) return;
  {
    const absl::MutexLock lock(&mutex_);
    if (!damage_.ok()) return;
    damage_ = read;
  }
  LogError("collection '{}', shard {}: a read met damaged data: {}", options_.schema.name,
           options_.ordinal.value, MessageOf(read));
}

Consistency ShardImpl::ConsistencyOf(const Freshness& wanted) const {
  return wanted.consistency == Consistency::kUnspecified ? options_.schema.default_consistency
                                                         : wanted.consistency;
}

// With one copy in a local log a write is acknowledged only after it is published here, so a read
// needs no barrier to see it. Nor does a bounded read when an earlier barrier of any read was asked
// for within its bound: what is applied here has every write acknowledged before that moment, by
// this node's own clock, however long messages travel and whoever leads meanwhile.
bool ShardImpl::NeedsBarrier(const Freshness& wanted) const {
  const Consistency consistency = ConsistencyOf(wanted);
  if (consistency == Consistency::kEventual) return false;
  if (options_.schema.replication_factor == 1 && !replicator_->needs_read_barrier()) return false;
  if (consistency != Consistency::kBounded || wanted.max_staleness_ms == 0) return true;
  const int64_t fresh_as_of = fresh_as_of_nanos_.load(std::memory_order_acquire);
  if (fresh_as_of == kNever) return true;
  return deps_.clock->MonotonicNanos() - fresh_as_of > wanted.max_staleness_ms * kNanosPerMilli;
}

// Everything acknowledged before this moment is applied.
void ShardImpl::NoteFresh(int64_t as_of_nanos) {
  int64_t known = fresh_as_of_nanos_.load(std::memory_order_relaxed);
  while (known < as_of_nanos &&
         !fresh_as_of_nanos_.compare_exchange_weak(known, as_of_nanos, std::memory_order_acq_rel)) {
  }
}

// A refusal that says how fresh this replica is known to be and what it answers nevertheless.
absl::Status ShardImpl::WhyNotFresh(const Freshness& wanted, const absl::Status& status) const {
  if (status.ok() || closing_ || ConsistencyOf(wanted) != Consistency::kBounded) return status;
  const int64_t fresh_as_of = fresh_as_of_nanos_.load(std::memory_order_acquire);
  if (fresh_as_of == kNever) {
    return {status.code(),
            fmt::format("{}; this replica does not know how far behind it is: it answers EVENTUAL",
                        MessageOf(status))};
  }
  return {
      status.code(),
      fmt::format("{}; this replica may be {} ms behind and the bound is {} ms: it answers "
                  "EVENTUAL, or BOUNDED with a larger max_staleness_ms",
                  MessageOf(status), (deps_.clock->MonotonicNanos() - fresh_as_of) / kNanosPerMilli,
                  wanted.max_staleness_ms)};
}

// A replica for reads alone asks now and then how far behind it is, so that it can answer bounded
// reads when nobody is left to ask.
void ShardImpl::KeepFresh() {
  if (!attached_ || replicator_->votes()) return;
  const uint64_t applied = state_->published();
  const int64_t every_ms = applied == refreshed_index_ ? kFreshEveryIdleMs : kFreshEveryMs;
  const int64_t fresh_as_of = fresh_as_of_nanos_.load(std::memory_order_acquire);
  const int64_t due = fresh_as_of == kNever ? kNever : fresh_as_of + every_ms * kNanosPerMilli;
  if (deps_.clock->MonotonicNanos() < due || refreshing_.exchange(true)) return;
  WithBarrier({Consistency::kStrong}, [this, applied](const absl::Status& ready) {
    if (ready.ok()) refreshed_index_ = applied;
    refreshing_ = false;
  });
}

void ShardImpl::WithBarrier(const Freshness& wanted, Resume then) {
  if (!NeedsBarrier(wanted)) {
    then(absl::OkStatus());
    return;
  }
  const int64_t asked_nanos = deps_.clock->MonotonicNanos();
  const std::thread::id asker = std::this_thread::get_id();
  Resume resume = [this, wanted, asked_nanos, then = std::move(then)](const absl::Status& status) {
    if (status.ok()) NoteFresh(asked_nanos);
    then(WhyNotFresh(wanted, status));
  };
  {
    const absl::MutexLock lock(&mutex_);
    ++barriers_asked_;
  }
  replicator_->ReadBarrier(
      [this, asker, resume = std::move(resume)](absl::StatusOr<uint64_t> index) {
        absl::Status gate = index.ok() ? ReadGate() : index.status();
        bool waits = false;
        if (gate.ok()) {
          const absl::MutexLock lock(&mutex_);
          waits = state_->published() < *index;
          if (waits) barriers_.emplace(*index, resume);
        }
        if (!waits && std::this_thread::get_id() == asker) {
          resume(std::move(gate));
        } else if (!waits) {
          GoOn(resume, std::move(gate));
        }
        const absl::MutexLock lock(&mutex_);
        --barriers_asked_;
      });
}

// Continues a read that others waited for: not in their thread, which serves every group of the
// node and must not search meanwhile.
void ShardImpl::GoOn(Resume read, absl::Status status) {
  {
    const absl::MutexLock lock(&ready_reads_->mutex);
    ready_reads_->queue.emplace_back(
        [read = std::move(read), status = std::move(status)] { read(status); });
  }
  deps_.read_executor->Schedule([ready = ready_reads_] { ready->RunOne(); });
}

bool ShardImpl::ReadyReads::RunOne() {
  std::function<void()> read;
  {
    const absl::MutexLock lock(&mutex);
    if (queue.empty()) return false;
    read = std::move(queue.front());
    queue.pop_front();
    ++running;
  }
  read();
  read = nullptr;
  const absl::MutexLock lock(&mutex);
  --running;
  return true;
}

// Answers every read that waits; returns when none is under way.
void ShardImpl::CloseReads() {
  std::multimap<uint64_t, Resume> waiting;
  {
    const auto all_answered = [this]() {
      mutex_.AssertReaderHeld();
      return barriers_asked_ == 0;
    };
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&all_answered));
    waiting.swap(barriers_);
  }
  for (auto& [index, resume] : waiting) resume(Unavailable("the shard is closing"));
  while (ready_reads_->RunOne()) {
  }
  ReadyReads& reads = *ready_reads_;
  const auto none_running = [&reads]() {
    reads.mutex.AssertReaderHeld();
    return reads.running == 0;
  };
  {
    const absl::MutexLock lock(&reads.mutex);
    reads.mutex.Await(absl::Condition(&none_running));
  }
  const auto none_elsewhere = [this]() {
    mutex_.AssertReaderHeld();
    return searches_elsewhere_ == 0;
  };
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&none_elsewhere));
}

absl::StatusOr<std::optional<SearchAnswer>> ShardImpl::SearchNow(const SearchQuery& query,
                                                                 const ReadTerms& terms,
                                                                 Pace pace) {
  if (searches_refused_) return Unavailable("the index is damaged and being made again");
  const WorkLimit limit(*deps_.clock, terms.deadline_nanos, [this, &terms] {
    return closing_ || (terms.called_off && terms.called_off());
  });
  const SearchTerms how{.clock = *deps_.clock,
                        .limit = limit,
                        .load = {.has_graph = has_graph_, .tail_bytes = tail_bytes_},
                        .max_bytes = terms.max_bytes,
                        .quick = pace == Pace::kQuick,
                        .prepare_later = [this, &query] { PrepareLater(query); }};
  auto answer = SearchShard(*state_, options_.ordinal, query, how);
  NoteDamage(answer.status());
  if (absl::IsDeadlineExceeded(answer.status())) PrepareLater(query);
  if (absl::IsCancelled(answer.status()) && closing_) return Unavailable("the shard is closing");
  return answer;
}

// A closing shard hands nothing over: it may be waited for where that would run.
void ShardImpl::SearchHereOrThere(const SearchQuery& query, const ReadTerms& terms,
                                  int64_t begun_nanos,
                                  const std::function<void(absl::StatusOr<SearchAnswer>)>& done) {
  const bool may_move = terms.for_long != nullptr && !closing_;
  auto answer = SearchNow(query, terms, may_move ? Pace::kQuick : Pace::kAny);
  const bool ended = !answer.ok() || answer->has_value();
  if (ended) NoteSearchEnded(begun_nanos);
  if (!answer.ok()) return done(answer.status());
  if (ended) return done(**std::move(answer));
  {
    const absl::MutexLock lock(&mutex_);
    ++searches_elsewhere_;
  }
  terms.for_long->Schedule([this, query, terms, begun_nanos, done] {
    auto later = SearchNow(query, terms, Pace::kAny);
    NoteSearchEnded(begun_nanos);
    if (later.ok()) {
      done(**std::move(later));
    } else {
      done(later.status());
    }
    const absl::MutexLock lock(&mutex_);
    --searches_elsewhere_;
  });
}

void ShardImpl::NoteSearchEnded(int64_t begun_nanos) {
  const int64_t nanos = deps_.clock->MonotonicNanos() - begun_nanos;
  search_nanos_.fetch_add(static_cast<uint64_t>(nanos), std::memory_order_relaxed);
  searches_ended_.fetch_add(1, std::memory_order_relaxed);
}

void ShardImpl::PrepareLater(const SearchQuery& query) {
  if (query.filter == nullptr || query.filter->empty() || preparing_filter_.exchange(true)) return;
  filter_tasks_.Schedule([this, filter = query.filter] {
    const WorkLimit limit(*deps_.clock, 0, [this] { return closing_.load(); });
    const absl::Status prepared = PrepareFilter(*state_, state_->indexes(), *filter, limit);
    preparing_filter_ = false;
    NoteDamage(prepared);
    if (!prepared.ok() && !closing_) {
      LogWarning("shard {}: no bitmap was made for a filter: {}", options_.dir,
                 MessageOf(prepared));
    }
  });
}

void ShardImpl::Search(const SearchQuery& query, const ReadTerms& terms,
                       std::function<void(absl::StatusOr<SearchAnswer>)> done) {
  absl::Status status = ReadGate();
  if (status.ok()) status = CheckQuery(query, options_.schema);
  if (!status.ok()) {
    done(status);
    return;
  }
  searches_.fetch_add(1, std::memory_order_relaxed);
  const int64_t begun_nanos = deps_.clock->MonotonicNanos();
  const Freshness wanted{query.consistency, query.max_staleness_ms};
  if (!NeedsBarrier(wanted)) {
    SearchHereOrThere(query, terms, begun_nanos, done);  // without a copy of the query
    return;
  }
  WithBarrier(wanted,
              [this, query, terms, begun_nanos, done = std::move(done)](const absl::Status& ready) {
                if (ready.ok()) return SearchHereOrThere(query, terms, begun_nanos, done);
                NoteSearchEnded(begun_nanos);
                done(ready);
              });
}

void ShardImpl::Get(const std::string& id, const GetOptions& options,
                    std::function<void(absl::StatusOr<std::optional<PointRecord>>)> done) {
  const absl::Status status = ReadGate();
  if (!status.ok()) {
    done(status);
    return;
  }
  const auto run = [this, deadline_nanos = options.deadline_nanos](
                       const std::string& wanted,
                       bool with_vector) -> absl::StatusOr<std::optional<PointRecord>> {
    RETURN_IF_ERROR(WorkLimit(*deps_.clock, deadline_nanos).Check());
    ASSIGN_OR_RETURN(std::optional<PointRecord> record,
                     state_->store().ReadRecord(wanted, with_vector));
    RETURN_IF_ERROR(
        state_->WaitPublished(record.has_value() ? record->version : state_->writing()));
    return record;
  };
  const Freshness wanted{options.consistency, options.max_staleness_ms};
  WithBarrier(wanted, [this, run, id, with_vector = options.include_vector,
                       done = std::move(done)](const absl::Status& ready) {
    if (!ready.ok()) {
      done(ready);
      return;
    }
    absl::StatusOr<std::optional<PointRecord>> record = run(id, with_vector);
    NoteDamage(record.status());
    done(std::move(record));
  });
}

void ShardImpl::GetKey(const std::string& key,
                       std::function<void(absl::StatusOr<std::optional<std::string>>)> done) {
  const absl::Status status = ReadGate();
  if (!status.ok()) {
    done(status);
    return;
  }
  WithBarrier({Consistency::kStrong},
              [this, key, done = std::move(done)](const absl::Status& ready) {
                if (!ready.ok()) {
                  done(ready);
                  return;
                }
                absl::StatusOr<std::optional<std::string>> value =
                    kv_->Get(storage::kMeta, storage::RawKey(key));
                NoteDamage(value.status());
                done(std::move(value));
              });
}

absl::StatusOr<std::vector<PointRecord>> ShardImpl::ScanPoints(const std::string& after,
                                                               size_t limit, bool with_vectors) {
  RETURN_IF_ERROR(ReadGate());
  auto records = ScanNow(after, limit, with_vectors);
  NoteDamage(records.status());
  return records;
}

absl::StatusOr<std::vector<PointRecord>> ShardImpl::ScanNow(const std::string& after, size_t limit,
                                                            bool with_vectors) const {
  std::vector<PointRecord> records;
  if (limit == 0) return records;
  RETURN_IF_ERROR(state_->store().ScanPoints(
      after, [&](std::string_view id, uint64_t version, std::string_view payload) {
        records.push_back({std::string(id), {}, std::string(payload), version});
        return records.size() < limit;
      }));
  if (with_vectors) {
    std::vector<std::string_view> ids;
    for (const PointRecord& record : records) ids.push_back(record.id);
    ASSIGN_OR_RETURN(auto vectors, state_->store().ReadVectors(ids));
    for (size_t i = 0; i < records.size(); ++i) {
      PointRecord& record = records[i];
      if (vectors[i].has_value() && vectors[i]->version == record.version) {
        record.vector = std::move(vectors[i]->components);
        continue;
      }
      // Written in between: as it is now, or gone.
      ASSIGN_OR_RETURN(std::optional<PointRecord> newer,
                       state_->store().ReadRecord(record.id, true));
      record = newer.has_value() ? *std::move(newer) : PointRecord{};
    }
    std::erase_if(records, [](const PointRecord& record) { return record.id.empty(); });
  }
  RETURN_IF_ERROR(state_->WaitPublished(state_->writing()));
  return records;
}

ShardStats ShardImpl::stats() const {
  const std::shared_ptr<Indexes> indexes = state_->indexes();
  const index::IndexStats index = indexes->vectors->stats();
  ShardStats stats;
  stats.points = state_->points();
  stats.indexed = index.has_graph ? index.linked : index.live;
  stats.tail_bytes = index.tail_bytes;
  const StateMachine::Mark mark = state_->mark();
  stats.applied_index = state_->published();
  stats.digest = mark.index == stats.applied_index ? mark.digest : 0;
  stats.disk_bytes = kv_->disk_bytes() + index.disk_bytes;
  stats.memory_bytes = kv_->memory_bytes() + index.memory_bytes + indexes->filters.memory_bytes();
  stats.searches = searches_;
  stats.searches_ended = searches_ended_;
  stats.search_nanos = search_nanos_;
  stats.writes = writes_;
  stats.quarantined = quarantined_;
  const absl::MutexLock lock(&mutex_);
  stats.problem = MessageOf(problem_);
  stats.damage = MessageOf(damage_);
  return stats;
}

}  // namespace vectron::shard
