#include "services/placement/service.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "base/log.h"
#include "base/status.h"

namespace vectron::placement {
namespace {

constexpr int64_t kHealthyIntervals = 3;
constexpr int64_t kRetryMs = 200;
// The scheduler rests this many times as long as it worked, so that it takes a fifth of a core at
// most.
constexpr int64_t kRestPerWork = 4;
constexpr int64_t kMinRunNanos = 100'000'000;
// What was proposed and is not applied by then is proposed again.
constexpr int64_t kProposeAgainNanos = 2'000'000'000;
// Ticks come every 50 ms: after so long without one this node did not run.
constexpr int64_t kPauseNanos = 2'000'000'000;

std::string RandomId(uint64_t seed) {
  Random random(seed);
  return fmt::format("{:016x}{:016x}", random.Next(), random.Next());
}

}  // namespace

PlacementService::PlacementService(const PlacementOptions& options, const ServiceDeps& deps)
    : options_(options),
      deps_(deps),
      tracker_(kHealthyIntervals * options.heartbeat_interval_ms),
      seed_(deps.seed) {
  CHECK(deps.state != nullptr && deps.clock != nullptr && deps.leadership != nullptr);
  const absl::MutexLock lock(&mutex_);
  last_tick_nanos_ = deps.clock->MonotonicNanos();
}

PlacementService::~PlacementService() { Stop(); }

void PlacementService::AddWaiting(const std::shared_ptr<Waiting>& waiting, int64_t timeout_ms) {
  waiting->deadline_nanos = deps_.clock->MonotonicNanos() + timeout_ms * 1'000'000;
  const absl::MutexLock lock(&mutex_);
  waiting_.push_back(waiting);
}

absl::Status PlacementService::CheckRoom() {
  const absl::MutexLock lock(&mutex_);
  if (waiting_.size() < kMaxWaitingCalls) return absl::OkStatus();
  std::erase_if(waiting_, [](const auto& call) { return call->finished.load(); });
  if (waiting_.size() < kMaxWaitingCalls) return absl::OkStatus();
  return rpc::WithNothingDone(rpc::WithRetryAfter(
      ResourceExhausted("{} calls wait for placement, the most allowed", kMaxWaitingCalls),
      kRetryMs));
}

absl::Status PlacementService::CheckLeading() const {
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_) return rpc::WithNothingDone(Unavailable("this placement node stops"));
  }
  const Leadership leadership = deps_.leadership();
  if (leadership.is_leader) return absl::OkStatus();
  if (leadership.node.value == 0) {
    return rpc::WithNothingDone(rpc::WithRetryAfter(
        Unavailable("placement has no leader now: too few of its nodes answer, or an election is "
                    "under way"),
        kRetryMs));
  }
  return rpc::WithNothingDone(rpc::WithLeaderHint(
      Unavailable("not the leader of placement; that is node {}{}", leadership.node.value,
                  leadership.address.empty() ? "" : " at " + leadership.address),
      leadership.node));
}

absl::Status PlacementService::CheckCluster(const std::string& cluster_id) const {
  return deps_.state->With([&cluster_id](const ClusterState& state) {
    if (state.cluster_id().empty()) return Unavailable("the cluster is being founded");
    if (cluster_id.empty() || cluster_id == state.cluster_id()) return absl::OkStatus();
    return FailedPrecondition("this is cluster {}, the caller belongs to {}", state.cluster_id(),
                              cluster_id);
  });
}

absl::StatusOr<WorkerId> PlacementService::KnownWorker(const std::string& id) const {
  WorkerId worker;
  const char* end = id.data() + id.size();
  const auto parsed = std::from_chars(id.data(), end, worker.value);
  if (id.empty() || parsed.ec != std::errc() || parsed.ptr != end) {
    return InvalidArgument("worker_id '{}' is no number", id.substr(0, 32));
  }
  return deps_.state->With([worker](const ClusterState& state) -> absl::StatusOr<WorkerId> {
    if (state.FindWorker(worker) != nullptr) return worker;
    if (state.WasRemoved(worker)) {
      return NotFound("worker {} was removed from the cluster", worker.value);
    }
    return NotFound("worker {} is unknown; it has to register", worker.value);
  });
}

void PlacementService::ProposeQuietly(CommandBody body) {
  std::string words = Describe(body);
  deps_.state->Propose(std::move(body), [words = std::move(words)](absl::StatusOr<uint64_t> id) {
    if (!id.ok()) LogInfo("placement: {}: {}", words, MessageOf(id.status()));
  });
}

ScheduleInput PlacementService::Input(const ClusterState& state, const ClusterLoad& load) const {
  return {.state = state,
          .load = load,
          .options = options_.scheduler,
          .now_unix_ms = deps_.clock->UnixMillis()};
}

ClusterLoad PlacementService::LoadNow(const ClusterState& state) const {
  return tracker_.Load(state, deps_.clock->MonotonicNanos());
}

void PlacementService::OnStateChanged() {
  const absl::MutexLock lock(&mutex_);
  news_ = true;
}

PlacementService::Differences PlacementService::differences() const {
  const absl::MutexLock lock(&mutex_);
  return {.found = differences_found_, .standing = tracker_.differing_groups()};
}

void PlacementService::Stop() {
  std::list<std::shared_ptr<Waiting>> waiting;
  {
    const absl::MutexLock lock(&mutex_);
    stopped_ = true;
    waiting.swap(waiting_);
    creations_.clear();
    deletions_.clear();
    plans_.clear();
  }
  const absl::Status stops = Unavailable("this placement node stops");
  for (const auto& call : waiting) {
    if (!call->finished.exchange(true)) call->stop(stops);
  }
  feed_.End(stops);
}

void PlacementService::Tick() {
  NoticePause();
  ExpireCalls();
  NoticeLeadership();
  {
    const absl::MutexLock lock(&mutex_);
    if (stopped_ || led_term_ == 0) return;
  }
  FoundCluster();
  JudgeLiveness();
  TendCreations();
  TendDeletions();
  TendPlans();
  RunScheduler();
}

void PlacementService::NoticePause() {
  const int64_t now = deps_.clock->MonotonicNanos();
  const absl::MutexLock lock(&mutex_);
  const int64_t away = now - std::exchange(last_tick_nanos_, now);
  if (away >= kPauseNanos) tracker_.PassOver(away, now);
}

void PlacementService::ExpireCalls() {
  const int64_t now = deps_.clock->MonotonicNanos();
  std::vector<std::shared_ptr<Waiting>> late;
  {
    const absl::MutexLock lock(&mutex_);
    std::erase_if(waiting_, [&late, now](const std::shared_ptr<Waiting>& call) {
      if (!call->finished.load() && call->deadline_nanos > now) return false;
      late.push_back(call);
      return true;
    });
  }
  for (const auto& call : late) {
    if (call->finished.exchange(true)) continue;
    call->stop(rpc::WithRetryAfter(
        Unavailable("placement could not answer in time: too few of its nodes do"), kRetryMs));
  }
}

void PlacementService::NoticeLeadership() {
  const Leadership leadership = deps_.leadership();
  const uint64_t term = leadership.is_leader ? leadership.term : 0;
  std::map<CollectionKey, Creation> creations;
  std::vector<Deletion> deletions;
  std::vector<Plan> plans;
  {
    const absl::MutexLock lock(&mutex_);
    if (term == led_term_) return;
    led_term_ = term;
    tracker_.Restart(term == 0 ? Tracker::kNotBegun : deps_.clock->MonotonicNanos());
    creations.swap(creations_);
    deletions.swap(deletions_);
    plans.swap(plans_);
    wishes_.clear();
    busy_.clear();
    next_judgement_nanos_ = 0;
    eager_until_nanos_ = 0;
    proposing_ = false;
    news_ = true;
  }
  if (term != 0) LogInfo("this node leads placement in term {}", term);
  const absl::Status moved = Unavailable("the leadership of placement moved");
  for (auto& [key, creation] : creations) {
    for (const auto& waiter : creation.waiters) waiter(moved);
  }
  for (const Deletion& deletion : deletions) deletion.done(moved);
  for (const Plan& plan : plans) plan.done(moved);
  feed_.End(moved);
}

void PlacementService::FoundCluster() {
  const bool founded =
      deps_.state->With([](const ClusterState& state) { return !state.cluster_id().empty(); });
  if (founded) return;
  {
    const absl::MutexLock lock(&mutex_);
    if (proposing_) return;
    proposing_ = true;
  }
  const std::string id = deps_.cluster_id.empty() ? RandomId(deps_.seed) : deps_.cluster_id;
  // Whatever became of it: if the cluster has no id yet, the next tick proposes one again.
  deps_.state->Propose(placement::FoundCluster{id}, [this](const absl::StatusOr<uint64_t>&) {
    const absl::MutexLock lock(&mutex_);
    proposing_ = false;
  });
}

void PlacementService::JudgeLiveness() {
  const int64_t now = deps_.clock->MonotonicNanos();
  std::vector<CommandBody> verdicts;
  {
    const absl::MutexLock lock(&mutex_);
    if (now < next_judgement_nanos_) return;
    deps_.state->With([&](const ClusterState& state) {
      mutex_.AssertHeld();
      for (const auto& [id, worker] : state.workers()) {
        if (!worker.joined || worker.dead) continue;
        if (tracker_.SilentMillis(id, now) < options_.dead_after_ms) continue;
        verdicts.push_back(ChangeWorker{id, WorkerChange::kDead});
      }
      for (const auto& [id, reranker] : state.rerankers()) {
        if (tracker_.SilentMillis(id, now) < options_.dead_after_ms) continue;
        verdicts.push_back(RemoveReranker{id});
      }
    });
    if (!verdicts.empty()) next_judgement_nanos_ = now + kProposeAgainNanos;
  }
  for (CommandBody& verdict : verdicts) {
    LogWarning("placement: {} after {} s of silence", Describe(verdict),
               options_.dead_after_ms / 1'000);
    ProposeQuietly(std::move(verdict));
  }
}

// Creations whose shards have leaders become visible; those that take too long are taken back.
void PlacementService::TendCreations() {
  const int64_t now = deps_.clock->MonotonicNanos();
  std::vector<CommandBody> commands;
  std::vector<std::pair<std::function<void(absl::Status)>, absl::Status>> ended;
  {
    const absl::MutexLock lock(&mutex_);
    deps_.state->With([&](const ClusterState& state) {
      mutex_.AssertHeld();
      for (const auto& [key, collection] : state.collections()) {
        if (!collection.visible) creations_.try_emplace(key, Creation{.seen_nanos = now});
      }
      if (creations_.empty()) return;
      const ClusterLoad load = LoadNow(state);
      const ScheduleInput input = Input(state, load);
      for (auto it = creations_.begin(); it != creations_.end();) {
        auto& [key, creation] = *it;
        const CollectionRecord* collection = state.FindCollection(key);
        const bool over = collection == nullptr || collection->visible;
        if (over) {
          const absl::Status status =
              collection != nullptr
                  ? absl::OkStatus()
                  : Unavailable(
                        "collection '{}' was not created: its shards got no leaders in "
                        "time",
                        key.name);
          for (auto& waiter : creation.waiters) ended.emplace_back(std::move(waiter), status);
          it = creations_.erase(it);
          continue;
        }
        const bool ready =
            std::all_of(collection->groups.begin(), collection->groups.end(), [&](GroupId group) {
              const ShardHealth health = HealthOf(*state.FindShard(group), input);
              return health.has_leader && health.good > health.voters / 2;
            });
        const bool late = now - creation.seen_nanos >= options_.create_timeout_ms * 1'000'000;
        if ((ready || late) && now >= creation.next_proposal_nanos) {
          creation.next_proposal_nanos = now + kProposeAgainNanos;
          if (ready) {
            commands.push_back(FinishCreate{key});
          } else {
            commands.push_back(DropCollection{key, /*only_unfinished=*/true});
          }
        }
        ++it;
      }
    });
  }
  for (CommandBody& command : commands) ProposeQuietly(std::move(command));
  for (auto& [waiter, status] : ended) waiter(status);
}

void PlacementService::RunScheduler() {
  const int64_t now = deps_.clock->MonotonicNanos();
  std::vector<CommandBody> commands;
  {
    const absl::MutexLock lock(&mutex_);
    if (proposing_ || now < next_run_nanos_) return;
    if (!news_ && now < next_run_nanos_ + options_.schedule_interval_ms * 1'000'000) return;
    news_ = false;
    const std::string address = deps_.leadership().address;
    deps_.state->With([&](const ClusterState& state) {
      mutex_.AssertHeld();
      tracker_.Forget(state);
      const ClusterLoad load = LoadNow(state);
      ScheduleInput input = Input(state, load);
      input.seed = ++seed_;
      input.eager = now < eager_until_nanos_;
      commands = Schedule(input);
      wishes_ = WishLeaders(input);
      busy_.clear();
      for (const auto& [group, shard] : state.shards()) {
        const ShardHealth health = HealthOf(shard, input);
        if (state.FindCollection(shard.collection)->visible && health.moving == 0) continue;
        for (const ReplicaRecord& replica : shard.replicas) busy_.insert(replica.worker);
      }
      feed_.Update(state, load, address);
    });
    if (commands.empty()) eager_until_nanos_ = 0;
    proposing_ = !commands.empty();
    const int64_t worked = deps_.clock->MonotonicNanos() - now;
    next_run_nanos_ = now + worked + std::max(kMinRunNanos, kRestPerWork * worked);
  }
  feed_.Push();
  auto left = std::make_shared<std::atomic<size_t>>(commands.size());  // shared by the answers
  for (CommandBody& command : commands) {
    std::string words = Describe(command);
    deps_.state->Propose(std::move(command), [this, left, words = std::move(words)](
                                                 const absl::StatusOr<uint64_t>& done) {
      if (done.ok()) LogInfo("placement: {}", words);
      if (left->fetch_sub(1) != 1) return;
      const absl::MutexLock lock(&mutex_);
      proposing_ = false;
      news_ = true;
    });
  }
}

}  // namespace vectron::placement
