// Searches: sent to every shard, merged by (score, id).

#include "model/search.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "base/status.h"
#include "model/validate.h"
#include "services/gateway/gateway.h"
#include "services/gateway/ranking.h"
#include "services/gateway/slow_queries.h"

namespace vectron::gateway {
namespace {

absl::Status RefuseUnsupported(const SearchCall& call, bool can_rerank) {
  if (call.target_recall != 0) {
    return Unimplemented("params.target_recall: is not available; set params.ef instead");
  }
  if (!can_rerank && call.rerank.has_value() && !call.rerank->strategy.empty() &&
      call.rerank->strategy != "none") {
    return Unimplemented("rerank.strategy: '{}' is not available here, only 'none' is",
                         call.rerank->strategy);
  }
  return absl::OkStatus();
}

constexpr int64_t kGatherPatienceNanos = kGatherPatienceMs * 1'000'000;

// A shard that failed like this is as one that did not answer: with a timeout the caller takes what
// there is.
bool CountsAsMissing(const absl::Status& error) {
  if (IsAnswerTooLarge(error)) return false;  // it lies in what was asked for
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error) ||
         absl::IsResourceExhausted(error) || absl::IsDataLoss(error) || absl::IsInternal(error);
}

}  // namespace

// The answers of one search's shards. Shared by their callbacks and the timer; the first to find it
// complete, or late, finishes it.
class SearchGather : public std::enable_shared_from_this<SearchGather> {
 public:
  SearchGather(Gateway& gateway, RecordPtr record, SearchCall call,
               std::function<bool(SearchReply)> progress, SearchDone done)
      : gateway_(gateway),
        record_(std::move(record)),
        call_(std::move(call)),
        progress_(std::move(progress)),
        done_(std::move(done)),
        answers_(record_->shards.size(), absl::UnknownError("")),
        shards_(record_->shards.size()) {}

  void Start(int64_t deadline_nanos) {
    int64_t limit_nanos = deadline_nanos;
    if (call_.timeout_ms != 0) {
      const int64_t timeout =
          gateway_.deps_.clock->MonotonicNanos() + int64_t{call_.timeout_ms} * 1'000'000;
      limit_nanos = limit_nanos == 0 ? timeout : std::min(limit_nanos, timeout);
    }
    Send(limit_nanos);
    Timer& timer = *gateway_.deps_.timer;
    const int64_t hedge_delay = SecondTryDelay();
    const absl::MutexLock lock(&mutex_);
    if (finished_) return;  // the usual case in one process: the answers came within Send
    if (limit_nanos != 0) {
      timer_ = timer.At(limit_nanos, [self = shared_from_this()] { self->OnTime(); });
    }
    if (hedge_delay != 0) {
      hedge_timer_ =
          timer.At(began_nanos_ + hedge_delay, [self = shared_from_this()] { self->Hedge(); });
    }
  }

 private:
  using Answers = std::vector<absl::StatusOr<SearchAnswer>>;
  // What has been asked of one worker at once.
  struct WorkerPart {
    rpc::WorkerApi* worker = nullptr;
    std::vector<rpc::ShardTarget> targets = {};
  };
  using WorkerParts = std::map<WorkerId, WorkerPart>;
  // How one shard is getting on.
  struct ShardState {
    bool settled = false;
    WorkerId asked;                                          // at first; 0: nobody could be
    bool second_try = false;                                 // is under way
    std::optional<absl::Status> first_error = std::nullopt;  // while the second try goes on
  };

  // Strong, of a few shards, and of use only whole: may be asked of one worker.
  bool MayGather() const {
    return to_ == RouteTo::kLeader && call_.timeout_ms == 0 && progress_ == nullptr;
  }
  // How long first tries may take before others are asked too; 0: for ever.
  int64_t SecondTryDelay() const {
    const int64_t hedge_delay = gateway_.router_.hedging().DelayNanos(ReadKind::kSearch);
    if (!gathered_) return hedge_delay;
    return hedge_delay == 0 ? kGatherPatienceNanos : std::min(hedge_delay, kGatherPatienceNanos);
  }

  // One call per worker, for all shards it is asked for; a shard that it cannot answer for is then
  // on its own.
  void Send(int64_t deadline_nanos) {
    deadline_nanos_ = deadline_nanos;
    WorkerParts parts;
    const std::optional<Router::Choice> one =
        MayGather() ? gateway_.router_.ChooseForAll(record_->shards) : std::nullopt;
    gathered_ = one.has_value();
    for (size_t i = 0; i < record_->shards.size(); ++i) {
      const rpc::ShardPlacement& shard = record_->shards[i];
      const absl::StatusOr<Router::Choice> choice =
          one.has_value() ? *one : gateway_.router_.Choose(shard, to_);
      if (!choice.ok()) {
        SendAgain(i, WorkerId{}, choice.status());
        continue;
      }
      parts[choice->id].worker = choice->worker;
      parts[choice->id].targets.push_back({.group = shard.group, .epoch = shard.epoch});
      if (!MayAskTwice()) continue;
      const absl::MutexLock lock(&mutex_);
      shards_[i].asked = choice->id;
    }
    for (auto& [id, part] : parts) {
      part.worker->Search({.targets = std::move(part.targets),
                           .query = call_.query,
                           .cancellation = NewCancellation()},
                          deadline_nanos,
                          [self = shared_from_this(), worker = id](rpc::ShardAnswer answer) {
                            const size_t position = self->PositionOf(answer.group);
                            if (answer.answer.ok())
                              return self->OnAnswer(position, std::move(answer.answer));
                            if (self->gathered_ && WorthAnotherTry(answer.answer.status()))
                              self->gateway_.router_.AvoidForAll(worker);
                            self->SendAgain(position, worker, answer.answer.status());
                          });
    }
  }

  bool MayAskTwice() const { return gathered_ || gateway_.router_.hedging().on(); }

  // Of a call that is called off when the search ends without its answer; null when all are
  // awaited.
  std::shared_ptr<rpc::Cancellation> NewCancellation() {
    if (!MayAskTwice()) return nullptr;
    auto cancellation = std::make_shared<rpc::Cancellation>();
    const absl::MutexLock lock(&mutex_);
    calls_.push_back(cancellation);
    return cancellation;
  }

  // Of a gathered search the leader, which depends on fewer others than whom it was asked of.
  std::optional<Router::Choice> SecondChoice(const rpc::ShardPlacement& shard, WorkerId asked) {
    Router& router = gateway_.router_;
    if (!gathered_) return router.ChooseSecond(shard, asked);
    const auto leader = router.ChooseLeaderInstead(shard, asked);
    return leader.has_value() || !router.hedging().on() ? leader
                                                        : router.ChooseSecond(shard, asked);
  }

  // All shards were asked of the one; hedging alone may have been sooner.
  void AvoidWhoIsLate() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const int64_t taken = gateway_.deps_.clock->MonotonicNanos() - began_nanos_;
    if (!gathered_ || taken < kGatherPatienceNanos) return;
    gateway_.router_.AvoidForAll(shards_[0].asked);
  }

  // Shards that have not answered are asked of another replica too.
  void Hedge() {
    WorkerParts parts;
    {
      const absl::MutexLock lock(&mutex_);
      hedge_timer_ = 0;
      if (finished_) return;
      AvoidWhoIsLate();
      for (size_t i = 0; i < shards_.size(); ++i) {
        ShardState& state = shards_[i];
        if (state.settled || state.asked.value == 0) continue;
        const rpc::ShardPlacement& shard = record_->shards[i];
        const auto choice = SecondChoice(shard, state.asked);
        if (!choice.has_value()) continue;
        state.second_try = true;
        parts[choice->id].worker = choice->worker;
        parts[choice->id].targets.push_back({.group = shard.group, .epoch = shard.epoch});
      }
    }
    for (auto& [id, part] : parts) {
      part.worker->Search({.targets = std::move(part.targets),
                           .query = call_.query,
                           .cancellation = NewCancellation()},
                          deadline_nanos_, [self = shared_from_this()](rpc::ShardAnswer answer) {
                            self->OnSecondAnswer(self->PositionOf(answer.group),
                                                 std::move(answer.answer));
                          });
    }
  }

  // An error here counts only when the first try has ended with one.
  void OnSecondAnswer(size_t position, absl::StatusOr<SearchAnswer> answer) {
    if (!answer.ok()) {
      const absl::MutexLock lock(&mutex_);
      shards_[position].second_try = false;
      if (!shards_[position].first_error.has_value()) return;
      answer = *shards_[position].first_error;
    }
    Settle(position, std::move(answer));
  }

  // One shard whose first try failed.
  void SendAgain(size_t position, WorkerId tried, const absl::Status& error) {
    const auto answer = std::make_shared<SearchAnswer>();  // shared by its tries
    gateway_.router_.SendAgain(
        {.record = record_,
         .ordinal = record_->shards[position].ordinal,
         .to = to_,
         .deadline_nanos = deadline_nanos_,
         .send =
             [self = shared_from_this(), answer](PartCall call) {
               call.worker.Search({.targets = {call.target},
                                   .query = self->call_.query,
                                   .cancellation = self->NewCancellation()},
                                  call.deadline_nanos,
                                  [answer, ended = std::move(call.ended)](rpc::ShardAnswer got) {
                                    ended(got.answer.status(),
                                          [&] { *answer = *std::move(got.answer); });
                                  });
             },
         .done =
             [self = shared_from_this(), position, answer](const absl::Status& status,
                                                           const RecordPtr&) {
               if (!status.ok()) return self->OnAnswer(position, status);
               self->OnAnswer(position, std::move(*answer));
             }},
        tried, error);
  }

  size_t PositionOf(GroupId group) const {
    const auto found = std::find_if(record_->shards.begin(), record_->shards.end(),
                                    [group](const auto& shard) { return shard.group == group; });
    CHECK(found != record_->shards.end());
    return static_cast<size_t>(found - record_->shards.begin());
  }

  // The last word of a shard's first try.
  void OnAnswer(size_t position, absl::StatusOr<SearchAnswer> answer) {
    if (!answer.ok()) {
      const absl::MutexLock lock(&mutex_);
      if (shards_[position].second_try) {
        shards_[position].first_error = answer.status();
        return;
      }
    }
    Settle(position, std::move(answer));
  }

  void Settle(size_t position, absl::StatusOr<SearchAnswer> answer) {
    Answers all;
    Answers so_far;
    absl::Status refusal;
    {
      const absl::MutexLock lock(&mutex_);
      if (finished_ || std::exchange(shards_[position].settled, true)) return;
      if (answer.ok()) held_bytes_ += BytesOf(*answer);
      answers_[position] = std::move(answer);
      if (held_bytes_ > gateway_.deps_.max_answer_bytes) refusal = MakeRoom();
      if (!refusal.ok()) {
        finished_ = true;
        answers_.clear();
      } else if (++answered_ == answers_.size()) {
        finished_ = true;
        all = std::move(answers_);
      } else if (progress_ != nullptr && !caller_gone_) {
        so_far = answers_;
      }
    }
    if (!refusal.ok()) {
      CallOff();
      return done_(refusal);
    }
    if (!all.empty()) return Finish(std::move(all), false);
    if (so_far.empty() || progress_(Merge(std::move(so_far)))) return;
    const absl::MutexLock lock(&mutex_);
    caller_gone_ = true;
  }

  // Of what is too much to hold only the best of all shards are kept. Errors: the best alone are.
  absl::Status MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::vector<SearchAnswer*> good;
    for (absl::StatusOr<SearchAnswer>& answer : answers_) {
      if (answer.ok()) good.push_back(&*answer);
    }
    const size_t wanted = std::max<size_t>(call_.query.k, size_t{call_.offset} + call_.top_k);
    ASSIGN_OR_RETURN(held_bytes_, KeepWithin(gateway_.deps_.max_answer_bytes, wanted, good));
    return absl::OkStatus();
  }

  void OnTime() {
    Answers all;
    {
      const absl::MutexLock lock(&mutex_);
      if (finished_) return;
      finished_ = true;
      timer_ = 0;
      all = std::move(answers_);
    }
    Finish(std::move(all), true);
  }

  // Of a search that has finished: nobody waits for what has not answered.
  void CallOff() {
    std::array<Timer::Id, 2> timers{};
    std::vector<std::shared_ptr<rpc::Cancellation>> calls;
    {
      const absl::MutexLock lock(&mutex_);
      timers = {std::exchange(timer_, 0), std::exchange(hedge_timer_, 0)};
      calls.swap(calls_);
    }
    for (const Timer::Id timer : timers) {
      if (timer != 0) gateway_.deps_.timer->Cancel(timer);
    }
    for (const auto& call : calls) call->Cancel();
  }

  // Once, by whoever set finished_.
  void Finish(Answers answers, bool late) {
    CallOff();
    if (!late) {
      gateway_.router_.hedging().Note(ReadKind::kSearch,
                                      gateway_.deps_.clock->MonotonicNanos() - began_nanos_);
    }
    const absl::Status refusal = Refusal(answers, late);
    if (!refusal.ok()) return done_(refusal);
    SearchReply reply = Merge(std::move(answers));
    reply.last = true;
    reply.partial = !reply.missing_shards.empty();
    done_(std::move(reply));
  }

  // Why there is no reply at all.
  absl::Status Refusal(const Answers& answers, bool late) const {
    const absl::StatusOr<SearchAnswer>* failed = nullptr;
    size_t good = 0;
    for (const absl::StatusOr<SearchAnswer>& answer : answers) {
      if (answer.ok()) {
        ++good;
        continue;
      }
      if (absl::IsUnknown(answer.status())) continue;  // has not answered
      const bool fatal = call_.timeout_ms == 0 || !CountsAsMissing(answer.status());
      if (fatal || failed == nullptr) failed = &answer;
      if (fatal) break;
    }
    const bool tolerant = call_.timeout_ms != 0 && good > 0;
    if (failed != nullptr && !(tolerant && CountsAsMissing(failed->status()))) {
      const auto ordinal = static_cast<uint32_t>(failed - answers.data());
      return gateway_.ShardError(*record_, ShardOrdinal{ordinal}, failed->status());
    }
    if (late && !tolerant) {
      return DeadlineExceeded("collection '{}': {} of {} shards answered in time",
                              record_->schema.name, good, answers.size());
    }
    return absl::OkStatus();
  }

  // The best of what has been answered; shards without an answer are named as missing.
  SearchReply Merge(Answers answers) const {
    SearchReply reply;
    std::vector<SearchAnswer> good;
    for (size_t i = 0; i < answers.size(); ++i) {
      if (answers[i].ok()) {
        good.push_back(*std::move(answers[i]));
      } else {
        reply.missing_shards.push_back(static_cast<uint32_t>(i));
      }
    }
    const size_t wanted = size_t{call_.offset} + call_.top_k;
    SearchAnswer merged =
        good.size() == 1 ? std::move(good[0]) : MergeAnswers(std::move(good), wanted);
    const auto skipped = static_cast<ptrdiff_t>(std::min<size_t>(call_.offset, merged.hits.size()));
    merged.hits.erase(merged.hits.begin(), merged.hits.begin() + skipped);
    reply.hits = std::move(merged.hits);
    reply.explain = explain_;
    reply.traces = std::move(merged.traces);
    reply.query_id = query_id_;
    return reply;
  }

  Gateway& gateway_;
  const RecordPtr record_;
  const SearchCall call_;
  const RouteTo to_ = RouteOf(call_.query.consistency, record_->schema);
  int64_t deadline_nanos_ = 0;                       // set before anything is sent
  bool gathered_ = false;                            // likewise: one worker is asked for all
  const std::function<bool(SearchReply)> progress_;  // null: only the end is wanted
  const SearchDone done_;
  const bool explain_ = call_.query.explain;
  const std::string query_id_ = gateway_.NextQueryId();
  const int64_t began_nanos_ = gateway_.deps_.clock->MonotonicNanos();

  absl::Mutex mutex_;
  Answers answers_ ABSL_GUARDED_BY(mutex_);  // by shard; Unknown: has not answered
  size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of the answers
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool caller_gone_ ABSL_GUARDED_BY(mutex_) = false;
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  Timer::Id hedge_timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<ShardState> shards_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<rpc::Cancellation>> calls_
      ABSL_GUARDED_BY(mutex_);  // shared with the calls
};

void Gateway::Search(const rpc::CallContext& context, SearchCall call, SearchDone done) {
  SearchStream(context, std::move(call), nullptr, std::move(done));
}

void Gateway::SearchStream(const rpc::CallContext& context, SearchCall call,
                           std::function<bool(SearchReply)> progress, SearchDone done) {
  absl::StatusOr<RecordPtr> found = Find(context.tenant, call.collection);
  if (!found.ok()) return done(found.status());
  if (deps_.slow_queries != nullptr) deps_.slow_queries->Watch(context, call, progress, done);
  absl::Status checked = CheckQuery(call.query, (*found)->schema);
  if (checked.ok()) checked = RefuseUnsupported(call, deps_.ranking != nullptr);
  if (checked.ok() && deps_.ranking != nullptr) {
    const auto plain = [this, record = *found, deadline_nanos = context.deadline_nanos](
                           SearchCall wanted, SearchDone end) {
      std::make_shared<SearchGather>(*this, record, std::move(wanted), nullptr, std::move(end))
          ->Start(deadline_nanos);
    };
    checked = deps_.ranking->Watch({.context = context, .record = **found, .plain = plain}, call,
                                   progress, done);
  }
  if (!checked.ok()) return done(checked);
  const auto gather = std::make_shared<SearchGather>(*this, *std::move(found), std::move(call),
                                                     std::move(progress), std::move(done));
  gather->Start(context.deadline_nanos);
}

}  // namespace vectron::gateway
