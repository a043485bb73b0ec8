#include "services/gateway/routing.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "base/status.h"
#include "rpc/error_table.h"

namespace vectron::gateway {
namespace {

constexpr int64_t kNanosPerMilli = 1'000'000;
constexpr int64_t kNanosPerSecond = 1'000'000'000;
// Calls under way that a worker may have more than twice those of another without being busier.
constexpr size_t kMayWaitMore = 8;
constexpr int kMaxHintsFollowed = 3;  // replicas that name each other in turn know nothing

bool Contains(const std::vector<WorkerId>& ids, WorkerId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool SamePlace(const rpc::ShardPlacement& a, const rpc::ShardPlacement& b) {
  return a.group == b.group && a.epoch == b.epoch && a.replicas == b.replicas;
}

}  // namespace

bool WorthAnotherTry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDataLoss(status);
}

RouteTo RouteOf(Consistency wanted, const CollectionSchema& schema) {
  if (wanted == Consistency::kUnspecified) wanted = schema.default_consistency;
  return wanted == Consistency::kBounded || wanted == Consistency::kEventual ? RouteTo::kAnyReplica
                                                                             : RouteTo::kLeader;
}

bool RetryBudget::Take() {
  const int64_t second = clock_.MonotonicNanos() / kNanosPerSecond;
  const absl::MutexLock lock(&mutex_);
  if (second != second_) {
    second_ = second;
    taken_ = 0;
  }
  if (taken_ >= per_second_) return false;
  ++taken_;
  return true;
}

// Shared by the answers and pauses of one part. One of these is under way at a time, and beside
// them at most one second try of a read.
class RoutedCall : public std::enable_shared_from_this<RoutedCall> {
 public:
  RoutedCall(Router& router, RoutedPart part)
      : router_(router), part_(std::move(part)), record_(part_.record) {
    const absl::MutexLock lock(&router_.mutex_);
    ++router_.under_way_;
  }
  ~RoutedCall() {
    const absl::MutexLock lock(&router_.mutex_);
    --router_.under_way_;
  }
  RoutedCall(const RoutedCall&) = delete;
  RoutedCall& operator=(const RoutedCall&) = delete;

  // The part's first sending.
  void Begin() {
    Start();
    if (!part_.read.has_value()) return;
    const int64_t delay = router_.hedging_.DelayNanos(*part_.read);
    if (delay == 0) return;
    const absl::MutexLock lock(&mutex_);
    if (decided_) return;  // the usual case in one process
    timer_ = router_.deps_.timer->At(began_nanos_ + delay,
                                     [self = shared_from_this()] { self->Hedge(); });
  }

  void Start() {
    if (decided_) return;
    const absl::StatusOr<Router::Choice> choice = router_.Choose(shard(), part_.to);
    asked_leader_ = true;
    if (!choice.ok()) return OnStatus(WorkerId{}, choice.status());
    SendTo(*choice);
  }

  void OnStatus(
      WorkerId tried, const absl::Status& status, absl::FunctionRef<void()> keep = [] {}) {
    if (decided_) return;
    if (status.ok()) {
      if (part_.write && tried != shard().leader && tried.value != 0) {
        router_.Learn(shard().group, tried);
      }
      return Decide(status, record_, keep);
    }
    if (absl::IsFailedPrecondition(status)) return OnOldMap(status);
    if (router_.deps_.patience_ms == 0 || !WorthAnotherTry(status) || router_.closing_) {
      return Finish(status);
    }
    const auto hint = rpc::LeaderHint(status);
    if (hint.has_value() && part_.to == RouteTo::kLeader && *hint != tried &&
        hints_followed_ < kMaxHintsFollowed && router_.retries_.Take()) {
      ++hints_followed_;
      router_.Learn(shard().group, *hint);
      return Start();
    }
    const WorkerId leader = router_.LeaderOf(shard());
    if (tried == leader) {
      router_.Learn(shard().group, WorkerId{});
    } else if (part_.to == RouteTo::kLeader && !asked_leader_) {
      asked_leader_ = true;  // another one was asked in its stead
      const auto choice = router_.ChooseLeaderInstead(shard(), tried);
      if (choice.has_value()) return SendTo(*choice);
    }
    TryNext(tried, status);
  }

 private:
  const rpc::ShardPlacement& shard() const { return record_->shards[part_.ordinal.value]; }

  PartCall CallTo(const Router::Choice& choice, const rpc::ShardPlacement& shard,
                  std::shared_ptr<rpc::Cancellation> cancellation) const {
    return {.worker = *choice.worker,
            .target = {.group = shard.group, .epoch = shard.epoch},
            .deadline_nanos = part_.deadline_nanos,
            .cancellation = std::move(cancellation),
            .ended = nullptr};
  }

  void SendTo(const Router::Choice& choice) {
    PartCall call = CallTo(choice, shard(), nullptr);
    if (part_.read.has_value() && router_.hedging_.on()) {
      call.cancellation = std::make_shared<rpc::Cancellation>();
      const absl::MutexLock lock(&mutex_);
      asked_ = choice.id;
      first_ = call.cancellation;
    }
    call.ended = [self = shared_from_this(), id = choice.id](const absl::Status& status,
                                                             absl::FunctionRef<void()> keep) {
      self->OnStatus(id, status, keep);
    };
    part_.send(std::move(call));
  }

  // The first try is slow: a second one, by the map as the part came with it.
  void Hedge() {
    WorkerId asked;
    {
      const absl::MutexLock lock(&mutex_);
      timer_ = 0;
      if (decided_ || first_error_.has_value()) return;
      asked = asked_;
    }
    const rpc::ShardPlacement& shard = part_.record->shards[part_.ordinal.value];
    const std::optional<Router::Choice> choice = router_.ChooseSecond(shard, asked);
    if (!choice.has_value()) return;
    PartCall call = CallTo(*choice, shard, std::make_shared<rpc::Cancellation>());
    {
      const absl::MutexLock lock(&mutex_);
      if (decided_) return;
      second_ = call.cancellation;
    }
    call.ended = [self = shared_from_this()](const absl::Status& status,
                                             absl::FunctionRef<void()> keep) {
      self->OnSecond(status, keep);
    };
    part_.send(std::move(call));
  }

  void OnSecond(const absl::Status& status, absl::FunctionRef<void()> keep) {
    if (status.ok()) return Decide(status, part_.record, keep);
    std::optional<absl::Status> first_error;
    {
      const absl::MutexLock lock(&mutex_);
      second_ = nullptr;
      first_error = first_error_;
    }
    if (first_error.has_value()) Decide(*first_error, record_, [] {});
  }

  // The first to come here decides the part. record: the map it was sent by.
  void Decide(const absl::Status& status, const RecordPtr& record, absl::FunctionRef<void()> keep) {
    std::shared_ptr<rpc::Cancellation> first;
    std::shared_ptr<rpc::Cancellation> second;
    Timer::Id timer = 0;
    {
      const absl::MutexLock lock(&mutex_);
      if (decided_.exchange(true)) return;
      first = std::move(first_);
      second = std::move(second_);
      std::swap(timer, timer_);
    }
    if (timer != 0) router_.deps_.timer->Cancel(timer);
    for (const auto& cancellation : {first, second}) {
      if (cancellation != nullptr) cancellation->Cancel();
    }
    if (status.ok()) {
      keep();
      if (part_.read.has_value()) {
        router_.hedging_.Note(*part_.read, router_.deps_.clock->MonotonicNanos() - began_nanos_);
      }
    }
    // What a try did not do says nothing of those before it and of other parts.
    part_.done(status.ok() ? status : rpc::WithoutNothingDone(status), record);
  }

  // Who may answer: of reads that need no leader also copies that do not vote.
  std::vector<WorkerId> Candidates() const {
    if (part_.to == RouteTo::kLeader) return shard().replicas;
    std::vector<WorkerId> candidates = shard().readers;
    for (const WorkerId id : shard().replicas) {
      if (!Contains(candidates, id)) candidates.push_back(id);
    }
    return candidates;
  }

  // The next replica in turn, or a pause once all had their turn.
  void TryNext(WorkerId tried, const absl::Status& status) {
    const std::vector<WorkerId> candidates = Candidates();
    while (tried_in_round_ < candidates.size()) {
      const WorkerId next = candidates[tried_in_round_++];
      rpc::WorkerApi* const worker = next == tried ? nullptr : router_.deps_.worker_of(next);
      if (worker == nullptr) continue;
      if (!router_.retries_.Take()) break;
      return SendTo({.id = next, .worker = worker});
    }
    tried_in_round_ = 0;
    Pause(status);
  }

  // The leader may live elsewhere by now; what the map says is taken as it comes.
  void RefreshThenStart(const absl::Status& status) {
    if (!router_.retries_.Take()) return Pause(status);
    router_.deps_.placement->Refresh([self = shared_from_this()] {
      self->TakeNewMap();
      self->Start();
    });
  }

  void OnOldMap(const absl::Status& status) {
    if (++refreshes_ > kMaxMapRefreshes || router_.closing_) return Finish(status);
    router_.deps_.placement->Refresh([self = shared_from_this(), status] {
      const rpc::ShardPlacement before = self->shard();
      if (!self->TakeNewMap()) return self->Finish(status);
      const bool alone = self->router_.deps_.patience_ms == 0;
      if (!SamePlace(before, self->shard()) && (alone || self->router_.retries_.Take())) {
        return self->Start();
      }
      // A worker that knows more than placement has told so far, or too many retries.
      alone ? self->Finish(status) : self->Pause(status);
    });
  }

  // False when the collection is gone (or another of its name has come).
  bool TakeNewMap() {
    RecordPtr now = router_.deps_.placement->FindCollection(record_->owner, record_->schema.name);
    if (now == nullptr || now->shards.size() != record_->shards.size() ||
        now->shards[0].group != record_->shards[0].group) {
      return false;
    }
    record_ = std::move(now);
    return true;
  }

  void Pause(const absl::Status& status) {
    const int64_t now = router_.deps_.clock->MonotonicNanos();
    if (limit_nanos_ == 0) {
      limit_nanos_ = part_.deadline_nanos != 0 ? part_.deadline_nanos
                                               : now + router_.deps_.patience_ms * kNanosPerMilli;
    }
    // Between half and the whole of it, so that those who failed together do not come back
    // together.
    const int64_t pause_nanos = pause_ms_ * kNanosPerMilli;
    const int64_t at =
        now + pause_nanos / 2 +
        static_cast<int64_t>(router_.Draw() % static_cast<uint64_t>(pause_nanos / 2));
    if (at >= limit_nanos_) return Finish(status);
    pause_ms_ = std::min(2 * pause_ms_, kRouteMaxPauseMs);
    hints_followed_ = 0;
    router_.deps_.timer->At(
        at, [self = shared_from_this(), status] { self->RefreshThenStart(status); });
  }

  // The first try has ended for good; when a second one is under way, that may still answer.
  void Finish(const absl::Status& status) {
    {
      const absl::MutexLock lock(&mutex_);
      if (second_ != nullptr) {
        first_error_ = status;
        return;
      }
    }
    Decide(status, record_, [] {});
  }

  Router& router_;
  const RoutedPart part_;
  RecordPtr record_;         // of the first try
  int64_t limit_nanos_ = 0;  // set by the first pause
  int64_t pause_ms_ = kRouteFirstPauseMs;
  size_t tried_in_round_ = 0;  // of Candidates()
  int hints_followed_ = 0;     // since the last pause
  bool asked_leader_ = false;  // or whoever is asked first
  int refreshes_ = 0;

  const int64_t began_nanos_ = router_.deps_.clock->MonotonicNanos();
  absl::Mutex mutex_;
  std::atomic<bool> decided_{false};  // set under the lock
  Timer::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  WorkerId asked_ ABSL_GUARDED_BY(mutex_);                             // by the first try
  std::shared_ptr<rpc::Cancellation> first_ ABSL_GUARDED_BY(mutex_);   // shared with the call
  std::shared_ptr<rpc::Cancellation> second_ ABSL_GUARDED_BY(mutex_);  // not null: under way
  std::optional<absl::Status> first_error_ ABSL_GUARDED_BY(mutex_);
};

Router::Router(const RouterDeps& deps)
    : deps_(deps), retries_(*deps.clock, kMaxRetriesPerSecond), hedging_(deps.hedge) {
  CHECK(deps.placement != nullptr && deps.worker_of != nullptr);
  CHECK(deps.clock != nullptr && deps.timer != nullptr);
}

Router::~Router() {
  closing_ = true;
  const absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](int64_t* under_way) { return *under_way == 0; }, &under_way_));
}

void Router::Send(RoutedPart part) {
  std::make_shared<RoutedCall>(*this, std::move(part))->Begin();
}

void Router::SendAgain(RoutedPart part, WorkerId tried, const absl::Status& error) {
  CHECK(!error.ok());
  std::make_shared<RoutedCall>(*this, std::move(part))->OnStatus(tried, error);
}

absl::StatusOr<Router::Choice> Router::Choose(const rpc::ShardPlacement& shard, RouteTo to) {
  if (to == RouteTo::kAnyReplica) {
    const std::vector<WorkerId>& all = shard.readers.empty() ? shard.replicas : shard.readers;
    Choice best;
    for (int draw = 0; draw < 2 && !all.empty(); ++draw) {
      const WorkerId id = all[Draw() % all.size()];
      rpc::WorkerApi* const worker = deps_.worker_of(id);
      if (worker == nullptr) continue;
      if (best.worker == nullptr || worker->load() < best.worker->load()) best = {id, worker};
    }
    if (best.worker != nullptr) return best;
  }
  const WorkerId leader = LeaderOf(shard);
  if (rpc::WorkerApi* const worker = deps_.worker_of(leader)) return Choice{leader, worker};
  for (const WorkerId id : shard.replicas) {
    if (rpc::WorkerApi* const worker = deps_.worker_of(id)) return Choice{id, worker};
  }
  return Unavailable("no worker of shard {} is known", shard.ordinal.value);
}

std::optional<Router::Choice> Router::ChooseForAll(const std::vector<rpc::ShardPlacement>& shards) {
  if (shards.size() < 2 || shards.size() > kMaxGatheredShards) return std::nullopt;
  struct Candidate {
    Choice choice;
    size_t load = 0;
    size_t leads = 0;
  };
  std::vector<Candidate> candidates;
  size_t least_load = std::numeric_limits<size_t>::max();
  for (const WorkerId id : shards[0].replicas) {
    const auto may_answer = [id](const rpc::ShardPlacement& shard) {
      const size_t copies = shard.replicas.size();
      return copies > 1 && copies <= kMaxGatheredReplicas && Contains(shard.replicas, id) &&
             (shard.readers.empty() || Contains(shard.readers, id));
    };
    if (!std::all_of(shards.begin(), shards.end(), may_answer) || IsAvoided(id)) continue;
    rpc::WorkerApi* const worker = deps_.worker_of(id);
    if (worker == nullptr) continue;
    const auto leads = std::count_if(shards.begin(), shards.end(),
                                     [&](const auto& shard) { return LeaderOf(shard) == id; });
    candidates.push_back({{id, worker}, worker->load(), static_cast<size_t>(leads)});
    least_load = std::min(least_load, candidates.back().load);
  }
  // A question more is cheap beside a queue.
  std::erase_if(candidates,
                [&](const Candidate& one) { return one.load > 2 * least_load + kMayWaitMore; });
  if (candidates.empty()) return std::nullopt;
  // Any of the equal ones.
  const auto first = static_cast<ptrdiff_t>(Draw() % candidates.size());
  std::rotate(candidates.begin(), candidates.begin() + first, candidates.end());
  const auto best = std::max_element(
      candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return a.leads != b.leads ? a.leads < b.leads : a.load > b.load;
      });
  return best->choice;
}

void Router::AvoidForAll(WorkerId id) {
  const int64_t now = deps_.clock->MonotonicNanos();
  const int64_t until = now + kGatherAvoidMs * kNanosPerMilli;
  const absl::MutexLock lock(&mutex_);
  absl::erase_if(avoided_, [now](const auto& one) { return one.second <= now; });
  avoided_[id.value] = until;
  avoid_until_ = until;
}

bool Router::IsAvoided(WorkerId id) const {
  const int64_t now = deps_.clock->MonotonicNanos();
  if (now >= avoid_until_) return false;  // as nearly always
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = avoided_.find(id.value);
  return found != avoided_.end() && now < found->second;
}

std::optional<Router::Choice> Router::ChooseLeaderInstead(const rpc::ShardPlacement& shard,
                                                          WorkerId asked) {
  const WorkerId leader = LeaderOf(shard);
  rpc::WorkerApi* const worker = leader == asked ? nullptr : deps_.worker_of(leader);
  if (worker == nullptr || !retries_.Take()) return std::nullopt;
  return Choice{leader, worker};
}

std::optional<Router::Choice> Router::ChooseSecond(const rpc::ShardPlacement& shard,
                                                   WorkerId asked) {
  const std::vector<WorkerId>& all = shard.readers.empty() ? shard.replicas : shard.readers;
  std::optional<Choice> best;
  const size_t start = all.empty() ? 0 : Draw() % all.size();
  for (size_t i = 0; i < all.size(); ++i) {
    const WorkerId id = all[(start + i) % all.size()];
    rpc::WorkerApi* const worker = id == asked ? nullptr : deps_.worker_of(id);
    if (worker == nullptr) continue;
    if (!best.has_value() || worker->load() < best->worker->load()) best = {id, worker};
  }
  if (best.has_value() && !retries_.Take()) return std::nullopt;
  return best;
}

WorkerId Router::LeaderOf(const rpc::ShardPlacement& shard) const {
  if (known_.load(std::memory_order_acquire) == 0) return shard.leader;
  const absl::ReaderMutexLock lock(&mutex_);
  const auto found = leaders_.find(shard.group.value);
  if (found == leaders_.end()) return shard.leader;
  // One that is no replica any more was learned of an older map.
  return Contains(shard.replicas, found->second) ? found->second : shard.leader;
}

void Router::Learn(GroupId group, WorkerId leader) {
  const absl::MutexLock lock(&mutex_);
  if (leader.value == 0) {
    leaders_.erase(group.value);
  } else if (leaders_.size() < kMaxLearnedLeaders || leaders_.contains(group.value)) {
    leaders_[group.value] = leader;
  }
  known_.store(leaders_.size(), std::memory_order_release);
}

uint64_t Router::Draw() {
  return Mix64(deps_.seed ^ draws_.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace vectron::gateway
